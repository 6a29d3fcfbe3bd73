"""The only client of the vendor's own API: submits a task, and asks after it until its picture is ready."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol, TypeGuard

import anyio.to_thread

from pipeline.catalog import Meaning, Sizes
from pipeline.clock import Clock
from pipeline.job import InputImage, PictureRequest
from pipeline.provider.answers import NoPictureError, picture_of
from pipeline.provider.classify import classify, rules_of
from pipeline.provider.client import Answer, Poster
from pipeline.provider.complaints import clean, read_json
from pipeline.provider.deadlines import deadline_of
from pipeline.provider.errors import (
    AnswerLostError,
    RefusedError,
    StillPendingError,
    UnreachableError,
)
from pipeline.provider.requests import task_body
from pipeline.transport import ApiResponse, ApiTimeouts, LostError, NeverSentError, TransportError

#: How long a task is asked after in one go, in seconds; far longer than any picture takes.
PATIENCE_S = 900.0
#: Seconds between two questions: at first, times so much each time, and at most.
FIRST_WAIT_S, WAIT_TIMES, LONGEST_WAIT_S = 0.25, 1.4, 3.0
#: How often in a row a task must be unheard of before that is believed: regions hear of it one after the other.
UNHEARD_OF = 4
#: And for how long it must have been known to us, in seconds: a task given up is never asked after again, paid or not.
UNHEARD_OF_S = 30.0

_MICROUSD_A_CREDIT = 10_000
#: More than any picture costs; what says more says nothing.
_MOST_CREDITS = 1_000_000
_MODERATED = frozenset({"request moderated", "content moderated"})


class Asker(Protocol):
    """What the client needs to ask after a task; see ``pipeline.transport.TaskTransport``."""

    def trusted(self, url: str) -> bool:
        """Whether the key may be sent there."""
        ...

    async def ask(self, url: str) -> ApiResponse:
        """Ask once, at an address that is trusted; raise ``TransportError``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A task that the provider has taken, for a picture that is still to be made.

    Attributes:
        task: The provider's number for it.
        polling_url: Where it is asked after.
        submitted_at: When it was taken, in seconds since 1970.
        cost_microusd: What the provider says that it costs, in micro-dollars; None where it does not say.
    """

    task: str
    polling_url: str
    submitted_at: float
    cost_microusd: int | None = None


class TaskClient:
    """Buys pictures in two steps. Holds no state of its own, so any number of tasks may be under way."""

    def __init__(
        self,
        poster: Poster,
        asker: Asker,
        *,
        base_url: str,
        window_s: float,
        clock: Clock,
        timeouts: ApiTimeouts | None = None,
        sizes: Sizes = "width_height",
        ratio_models: Collection[str] = (),
        codes: Mapping[str, Meaning] = MappingProxyType({}),
    ) -> None:
        """Say how the provider is spoken to; as ``ImagesClient``.

        Args:
            asker: What asks after tasks.
        """
        self._poster = poster
        self._asker = asker
        self._base_url = base_url.rstrip("/")
        self._window_s = window_s
        self._clock = clock
        self._timeouts = timeouts or ApiTimeouts()
        self._sizes = sizes
        self._ratio_models = ratio_models
        self._rules = rules_of(codes)

    async def buy(self, request: PictureRequest, *, first_byte_s: float, images: Sequence[InputImage] = ()) -> Ticket:
        """Submit one task, once. Only a lost answer to this leaves the money unknown.

        Raises:
            ProviderError: It was not taken; the class says why, and what happened to the money.
        """
        timeouts = replace(self._timeouts, first_byte_s=first_byte_s)
        try:
            response = await self._post(request, images, timeouts)
        except NeverSentError as error:
            raise UnreachableError(error.message, kind=error.kind) from error
        except LostError as error:
            raise AnswerLostError(error.message, kind=error.kind) from error
        now = self._clock.wall()
        document = _document(response)
        task = document.get("id")
        if not 200 <= response.status < 300 or not _is_task(task):
            kind = "" if document or response.complete else "incomplete"
            raise classify(response, wall=now, kind=kind, own_rules=self._rules)
        return Ticket(
            task=task,
            polling_url=self._polling_url(document, task),
            submitted_at=now,
            cost_microusd=_cost(document.get("cost")),
        )

    async def _post(self, request: PictureRequest, images: Sequence[InputImage], timeouts: ApiTimeouts) -> ApiResponse:
        path = f"/{request.model}"
        write = partial(task_body, request, sizes=self._sizes, ratio_models=self._ratio_models, images=images)
        if not images:
            return await self._poster.post_json(path, write(), timeouts=timeouts)
        document = await anyio.to_thread.run_sync(lambda: json.dumps(write()).encode())
        return await self._poster.post_document(path, document, timeouts=timeouts)

    async def collect(self, ticket: Ticket) -> Answer:
        """Ask after a task until its picture is ready.

        Raises:
            RefusedError: What was asked or drawn is moderated; not billed.
            AnswerLostError: The provider knows no such task any more, or failed at it; perhaps billed.
            StillPendingError: It is not ready within PATIENCE_S, or cannot be asked after; it may be later.
        """
        url = ticket.polling_url
        if not self._asker.trusted(url):  # kept by a run whose base URL was another one
            url = self._own_url(ticket.task)
        began, wait_s, unheard_of = self._clock.monotonic(), FIRST_WAIT_S, 0
        trouble = "it is still being made"
        while self._clock.monotonic() - began < PATIENCE_S:
            try:
                response = await self._asker.ask(url)
            except TransportError as error:
                trouble = error.message
            else:
                document = _document(response)
                status = _status(document)
                unheard_of = unheard_of + 1 if status == "task not found" else 0
                if status == "ready":
                    return self._answer(ticket, document, response)
                known_s = max(self._clock.monotonic() - began, self._clock.wall() - ticket.submitted_at)
                gone = unheard_of >= UNHEARD_OF and known_s >= UNHEARD_OF_S
                self._give_up(ticket, status, response, gone=gone)
                trouble = f"HTTP {response.status}: {clean(response.body)[:200]}"
            await self._clock.sleep(wait_s)
            wait_s = min(LONGEST_WAIT_S, wait_s * WAIT_TIMES)
        raise StillPendingError(f"task {ticket.task} was asked after in vain: {trouble}", request_id=ticket.task)

    def _give_up(self, ticket: Ticket, status: str, response: ApiResponse, *, gone: bool) -> None:
        """Raise what ends the asking, if this does."""
        facts: dict[str, Any] = {
            "status": response.status,
            "request_id": ticket.task,
            "body": clean(response.body),
        }
        if status in _MODERATED:
            raise RefusedError(status.capitalize(), kind="moderated", **facts)
        if status == "error":
            raise AnswerLostError("the provider failed at the task", kind="task_failed", **facts)
        if gone:
            raise AnswerLostError("the provider knows no such task any more", kind="task_not_found", **facts)
        if response.status in {401, 402, 403}:
            raise StillPendingError("the provider refuses to be asked after the task", **facts)

    def _answer(self, ticket: Ticket, document: Mapping[str, Any], response: ApiResponse) -> Answer:
        """The picture of a task that is ready."""
        result = document.get("result")
        said = result if isinstance(result, dict) else {}
        try:
            picture = picture_of({"url": said.get("sample")}, created=said.get("end_time"), base_url=self._base_url)
        except NoPictureError as problem:
            raise AnswerLostError(
                "the task is ready, but has no picture",
                kind=problem.kind,
                status=response.status,
                request_id=ticket.task,
                body=clean(response.body),
            ) from None
        now = self._clock.wall()
        made = picture.created
        # Asked after late, the picture is as old as the provider says: its URL has lived since then.
        at = made if made is not None and ticket.submitted_at <= made <= now else now
        deadline = None
        if picture.url is not None:
            deadline = deadline_of(picture.url, answered_at=at, created=None, window_s=self._window_s)
        return Answer(
            url=picture.url,
            image=picture.image,
            answered_at=at,
            deadline=deadline,
            request_id=ticket.task,
            answered=self._clock.monotonic() - (now - at),
        )

    def _polling_url(self, document: Mapping[str, Any], task: str) -> str:
        """Where the task is asked after: as the answer says, where the key may be sent there."""
        url = document.get("polling_url")
        return url if isinstance(url, str) and self._asker.trusted(url) else self._own_url(task)

    def _own_url(self, task: str) -> str:
        return f"{self._base_url}/get_result?id={task}"


def _document(response: ApiResponse) -> dict[str, Any]:
    try:
        document = read_json(response.body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _status(document: Mapping[str, Any]) -> str:
    status = document.get("status")
    return status.strip().lower() if isinstance(status, str) else ""


def _cost(credit: object) -> int | None:
    """Micro-dollars of the vendor's credits, of which 100 are a dollar (docs.bfl.ai/quick_start/pricing)."""
    if isinstance(credit, bool) or not isinstance(credit, int | float) or not 0 <= credit <= _MOST_CREDITS:
        return None
    return round(credit * _MICROUSD_A_CREDIT)


def _is_task(task: object) -> TypeGuard[str]:
    """Whether it can be a task's number, and stand in an address as it is."""
    return (
        isinstance(task, str)
        and 0 < len(task) <= 200
        and all(c.isascii() and (c.isalnum() or c in "-_.") for c in task)
    )
