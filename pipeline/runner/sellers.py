"""The providers of a run, opened: who is asked, with what key, over which session, and what is known of its limits."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from pipeline.catalog import Profile
from pipeline.clock import Clock
from pipeline.ledger import LedgerWriter
from pipeline.produce import Desk, Seller, Shop
from pipeline.provider import ImagesClient, Poster, TaskClient
from pipeline.runner.endpoint import Endpoint, open_endpoint
from pipeline.runner.experience import Experience
from pipeline.transport import ApiTransport, TaskTransport
from pipeline.transport.origins import parse_base_url

#: What carries the key of the vendor's own API.
TASK_KEY_HEADER = "x-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """One provider, ready.

    Attributes:
        experience: Where what is learned of its limits is kept.
    """

    profile: Profile
    endpoint: Endpoint
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
    poster: Callable[[Poster], Poster] = lambda each: each,
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
            shop, desk = await _shop(profile, endpoint, clock, stack, poster)
            experience = Experience(profile, environment, ledger=ledger, clock=clock)
            seller = Seller(
                name=profile.name,
                shop=shop,
                desk=desk,
                prices_microusd=profile.prices,
                rate_per_minute=profile.rate_per_minute if rate_per_minute is None else rate_per_minute,
                lessons=await experience.lessons(),
            )
            opened.append(Open(profile=profile, endpoint=endpoint, seller=seller, experience=experience))
        yield opened


def reach_of(opened: Sequence[Open]) -> tuple[str, tuple[str, ...]]:
    """Where downloads may go although the address is private: the first provider's base URL, and other hosts."""
    first, *others = opened
    hosts = [host for each in opened for host in each.profile.allow_hosts]
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
