"""The providers of a run, opened: who is asked, with what key, over which session, and what is known of its limits."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Self

from pipeline.catalog import Profile
from pipeline.clock import Clock
from pipeline.ledger import LedgerWriter
from pipeline.produce import Desk, Lesson, Seller, Shop
from pipeline.provider import ImagesClient, Poster, TaskClient
from pipeline.runner.endpoint import Endpoint, open_endpoint
from pipeline.runner.experience import Experience
from pipeline.runner.part import Part
from pipeline.transport import ApiTransport, TaskTransport
from pipeline.transport.origins import parse_base_url

#: What carries the key of the vendor's own API.
TASK_KEY_HEADER = "x-key"

#: What part of a stated rate a fleet uses: a turn is exact, but how long a request takes from there to the provider is
#: not, and between many machines differs (a prototype saw 109 to 118 a second of 100).
FLEET_RATE = 0.85


def _as_it_is(poster: Poster) -> Poster:
    return poster


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """All that it takes to ask one provider; may be told to another process of the run.

    Attributes:
        rate_per_minute: The most requests started in a minute, of each model; None where nobody has said.
        lessons: By model: what an earlier run found of its limits.
    """

    profile: Profile
    endpoint: Endpoint
    rate_per_minute: float | None = None
    lessons: Mapping[str, Lesson] = field(default_factory=dict)

    def divided(self, part: Part) -> Self:
        """The same for one process of several, which all ask."""
        rate = self.rate_per_minute
        return replace(
            self, rate_per_minute=None if rate is None else rate / part.of, lessons=part.lessons(self.lessons)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """One provider, ready.

    Attributes:
        experience: Where what is learned of its limits is kept.
    """

    contact: Contact
    seller: Seller
    experience: Experience


@asynccontextmanager
async def open_sellers(
    profiles: Sequence[Profile],
    environment: Mapping[str, str],
    *,
    ledger: LedgerWriter,
    clock: Clock,
    rate_per_minute: int | None = None,
    poster: Callable[[Poster], Poster] = _as_it_is,
) -> AsyncIterator[list[Open]]:
    """Open them all, in their order.

    Args:
        rate_per_minute: What the manifest says of the rate; the profile's own word where it says nothing.
        poster: Stands between each client and its session.

    Raises:
        ConfigurationError: As ``configured``.
    """
    async with AsyncExitStack() as stack:
        opened = []
        for profile in profiles:
            endpoint = await stack.enter_async_context(open_endpoint(profile, environment))
            experience = Experience(profile, environment, ledger=ledger, clock=clock)
            contact = Contact(
                profile=profile,
                endpoint=endpoint,
                rate_per_minute=profile.rate_per_minute if rate_per_minute is None else rate_per_minute,
                lessons=await experience.lessons(),
            )
            seller = await stack.enter_async_context(open_seller(contact, clock=clock, poster=poster))
            opened.append(Open(contact=contact, seller=seller, experience=experience))
        yield opened


@asynccontextmanager
async def open_seller(
    contact: Contact, *, clock: Clock, poster: Callable[[Poster], Poster] = _as_it_is
) -> AsyncIterator[Seller]:
    """Open one; see ``open_sellers``."""
    async with AsyncExitStack() as stack:
        shop, desk = await _shop(contact.profile, contact.endpoint, clock, stack, poster)
        yield Seller(
            name=contact.profile.name,
            shop=shop,
            desk=desk,
            prices_microusd=contact.profile.prices,
            rate_per_minute=contact.rate_per_minute,
            lessons=contact.lessons,
        )


def in_turn(opened: Open, *, ledger: LedgerWriter, clock: Clock) -> Seller:
    """One of a fleet's sellers: where a rate is stated, it is all workers' together."""
    contact, seller = opened.contact, opened.seller
    rate = contact.rate_per_minute
    if rate is None:
        return seller
    origin = parse_base_url(contact.endpoint.base_url).origin

    async def turn(model: str) -> None:
        scope = f"{contact.profile.name} {origin} {model}"
        await clock.sleep(await ledger.turn(scope, per_minute=rate * FLEET_RATE))

    return replace(seller, turn=turn)


def reach_of(contacts: Sequence[Contact]) -> tuple[str, tuple[str, ...]]:
    """Where downloads may go although the address is private: the first provider's base URL, and other hosts."""
    first, *others = contacts
    hosts = [host for each in contacts for host in each.profile.allow_hosts]
    hosts += [parse_base_url(each.endpoint.base_url).origin.authority for each in others]
    return first.endpoint.base_url, tuple(dict.fromkeys(hosts))


async def _shop(
    profile: Profile,
    endpoint: Endpoint,
    clock: Clock,
    stack: AsyncExitStack,
    between: Callable[[Poster], Poster],
) -> tuple[Shop, Desk | None]:
    if profile.api == "images":
        api = ApiTransport(base_url=endpoint.base_url, api_key=endpoint.api_key)
        await stack.enter_async_context(api)
        images = ImagesClient(
            between(api),
            base_url=endpoint.base_url,
            wire=profile.wire,
            window_s=profile.window_s,
            clock=clock,
            sizes=profile.sizes,
            ratio_models=profile.ratio_models,
            answers=profile.answers,
            edits=profile.edits,
            codes=profile.codes,
        )
        return images, None
    poster = ApiTransport(base_url=endpoint.base_url, api_key=endpoint.api_key, key_header=TASK_KEY_HEADER)
    asker = TaskTransport(
        base_url=endpoint.base_url,
        api_key=endpoint.api_key,
        key_header=TASK_KEY_HEADER,
        hosts=profile.poll_hosts,
    )
    await stack.enter_async_context(poster)
    await stack.enter_async_context(asker)
    tasks = TaskClient(
        between(poster),
        asker,
        base_url=endpoint.base_url,
        window_s=profile.window_s,
        clock=clock,
        sizes=profile.sizes,
        ratio_models=profile.ratio_models,
        codes=profile.codes,
    )
    return tasks, tasks
