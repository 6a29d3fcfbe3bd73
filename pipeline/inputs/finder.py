"""Finding inputs: where each is, its digest, whether it will do. For the thread that reads a manifest's rows."""

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from pipeline.errors import one_of_several
from pipeline.inputs.faults import InputError
from pipeline.inputs.files import Found, examine, stamp
from pipeline.inputs.patience import USUAL, Patience
from pipeline.inputs.store import Store
from pipeline.job import is_url, named

if TYPE_CHECKING:
    from pipeline.transport import DownloadTransport

#: Inputs remembered, so that one that many rows share is read once.
_REMEMBERED = 20_000

Seen = Found | InputError


@dataclass(slots=True)
class Finder:
    """Finds inputs. A context manager; URLs are only fetched inside it, and only if it has a store.

    Attributes:
        store: Where what is fetched goes; None where nothing may be: a URL is then taken by its text.
        allow_hosts: Hosts on private addresses that may be reached.
        patience: How long each URL is waited for.
    """

    store: Store | None = None
    allow_hosts: Sequence[str] = ()
    patience: Patience = USUAL
    _known: OrderedDict[str, tuple[tuple[int, ...], Seen]] = field(default_factory=OrderedDict, init=False)
    _stack: ExitStack = field(default_factory=ExitStack, init=False)
    _line: "tuple[BlockingPortal, DownloadTransport] | None" = field(default=None, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line = None
        self._stack.close()

    def find(self, sources: Sequence[str]) -> dict[str, Seen | None]:
        """Look at inputs, by where they are; None for a URL that is not fetched here. Blocks.

        URLs are fetched several at a time, each once while this lives.
        """
        wanted = dict.fromkeys(sources)
        urls = [source for source in wanted if is_url(source)]
        found: dict[str, Seen | None] = {source: self._local(source) for source in wanted if not is_url(source)}
        found |= {url: self._recall(url, ()) for url in urls}
        missing = [url for url in urls if found[url] is None]
        if missing and self.store is not None:
            portal, transport = self._connected()
            for url, seen in portal.call(_fetch_all, missing, transport, self.store, self.patience).items():
                found[url] = self._remember(url, (), seen)
        return found

    def _local(self, path: str) -> Seen:
        try:
            mark = stamp(path)
            return self._recall(path, mark) or self._remember(path, mark, examine(path))
        except InputError as error:
            return _about(path, error)

    def _recall(self, source: str, mark: tuple[int, ...]) -> Seen | None:
        known = self._known.get(source)
        if known is None or known[0] != mark:
            return None
        self._known.move_to_end(source)
        return known[1]

    def _remember(self, source: str, mark: tuple[int, ...], seen: Seen) -> Seen:
        self._known[source] = (mark, seen)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return seen

    def _connected(self) -> "tuple[BlockingPortal, DownloadTransport]":
        """An event loop of its own, which only URLs need."""
        if self._line is None:
            from pipeline.transport import DownloadTransport

            portal = self._stack.enter_context(start_blocking_portal())
            # Whoever leaves waits for no fetch.
            self._stack.callback(lambda: portal.start_task_soon(portal.stop, True))  # noqa: FBT003
            transport = portal.call(lambda: DownloadTransport(own_origin=None, allow_hosts=self.allow_hosts))
            opened: AbstractContextManager[DownloadTransport] = portal.wrap_async_context_manager(transport)
            self._line = portal, self._stack.enter_context(opened)
        return self._line


class Blindfold(Finder):
    """Looks at nothing, for who leaves rows with inputs to others."""

    def find(self, sources: Sequence[str]) -> dict[str, Seen | None]:
        """None for every input."""
        return dict.fromkeys(sources)


async def _fetch_all(
    urls: Sequence[str], transport: "DownloadTransport", store: Store, patience: Patience
) -> dict[str, Seen]:
    from pipeline.inputs.fetching import AT_ONCE, fetch

    seen: dict[str, Seen] = {}
    at_once = anyio.CapacityLimiter(AT_ONCE)

    async def one(url: str) -> None:
        async with at_once:
            here = anyio.CancelScope()
            group.start_soon(patience.tell_of, url, here)
            try:
                path, _ = await fetch(url, transport, store, patience)
                seen[url] = await anyio.to_thread.run_sync(examine, str(path))
            except InputError as error:
                seen[url] = _about(url, error)
            finally:
                here.cancel()

    with one_of_several():
        async with anyio.create_task_group() as group:
            for url in urls:
                group.start_soon(one, url)
    return seen


def _about(source: str, error: InputError) -> InputError:
    return InputError(error.kind, f"{named(source)}: {error.message}", passing=error.passing)
