"""``fluxbatch watch``, and ``fluxbatch run --watch``: the live page, served until it is stopped or the run ends."""

import os
import signal
import sys
import webbrowser
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from pipeline.cli.options import same_places
from pipeline.errors import ExitCode, FluxbatchError, NotFoundError, OutputError
from pipeline.ledger import Address, Ledger, Scope
from pipeline.report.page import PAGE, Places
from pipeline.runner import RunOptions, Stop
from pipeline.runner.keyfile import token_in
from pipeline.watch import Feed, Now, Watching, new_token

if TYPE_CHECKING:
    from pipeline.report import Snapshot


def watch_ledger(
    *, output: Path, ledger: Address, options: str, port: int, token_file: Path | None = None, show: bool
) -> int:
    """Serve the page of a ledger until SIGINT or SIGTERM.

    Args:
        options: The options that lead another command to the same ledger, as words.
        token_file: Where the address's token is kept, so that it is the same the next time; made where there is none.
        show: Open it in a browser.

    Raises:
        NotFoundError: There is no such ledger or output folder.
        OutputError: The port cannot be listened on, or the token's file cannot be made.
        ConfigurationError: The token's file is not this user's alone, or holds none.
    """
    if not output.is_dir():
        raise NotFoundError(output, "no such output folder", remedy="name it with --output")
    Ledger(ledger).close()  # there is one, or this says so
    places = Places(ledger, output, output / PAGE, options)
    token = None if token_file is None else _kept_token(token_file)
    return anyio.run(partial(_serve, places, port=port, token=token, show=show))


def _kept_token(file: Path) -> str:
    """The token in a private file, which is made with a new one where there is none."""
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        return token_in(file)
    except OSError as error:
        raise OutputError(
            f"{file}: the token cannot be written ({error.strerror})", remedy="name another place with --token-file"
        ) from error
    with os.fdopen(handle, "w", encoding="ascii") as opened:
        opened.write(new_token() + "\n")
    return token_in(file)


async def _serve(places: Places, *, port: int, token: str | None, show: bool) -> int:
    feed = Feed(places, Scope())
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with _serving(feed, stop=lambda: _ask(feed), port=port, token=token) as address:
            sys.stdout.write(f"{address}\n")
            sys.stdout.flush()
            sys.stderr.write("the live page is served; Ctrl-C ends it, and no run\n")
            await _open(address, show=show)
            async for _ in signals:
                break
    return int(ExitCode.OK)


class Window:
    """The live page of the runs of one command: told by the run itself what the ledger does not know."""

    def __init__(self, options: RunOptions, stop: Stop, *, manifest: str | None, show: bool) -> None:
        ledger = None if options.ledger is None else str(options.ledger)
        places = Places(options.ledger_path, options.output, options.output / PAGE, same_places(options.output, ledger))
        self.snapshot: Callable[[], Snapshot] | None = None
        self._stop = stop
        self._show = show
        self._notice = options.notice
        self._feed = Feed(places, Scope(manifest=manifest), now=self._now)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Serve the page for the length of the block, and say where it is; a run is not kept from going on without."""
        async with AsyncExitStack() as stack:
            try:
                address = await stack.enter_async_context(_serving(self._feed, stop=self._ask, port=0))
            except OutputError as error:
                self._notice(f"no live page: {error}")
            else:
                self._notice(f"Watch it at {address}")
                await _open(address, show=self._show)
            yield
            await self._feed.look()  # how it ended

    def _now(self) -> Now | None:
        if self.snapshot is None:
            return None
        run = self.snapshot()
        return Now(
            total=run.total,
            in_flight=run.in_flight,
            queued=run.queued,
            left_s=run.left_s,
            waiting=run.waiting,
            stopping=run.stopping or self._stop.asked,
        )

    def _ask(self) -> bool:
        if self._stop.asked:  # asked twice, it would leave at once
            return False
        self._notice("asked on the page: buying has stopped; what is paid is still fetched")
        self._stop.ask("the live page")
        return True


@asynccontextmanager
async def _serving(feed: Feed, *, stop: Callable[[], bool], port: int, token: str | None = None) -> AsyncIterator[str]:
    """Look at the ledger and serve the page; its address.

    Raises:
        OutputError: The port cannot be listened on.
    """
    page = Watching(feed, stop=stop, port=port, token=token)
    await feed.look()
    try:
        await page.__aenter__()
    except OSError as error:
        raise OutputError(
            f"127.0.0.1:{port} cannot be listened on ({error.strerror or error})", remedy="choose another --port"
        ) from error
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(feed.run)
            try:
                yield page.address
            finally:
                group.cancel_scope.cancel()
    finally:
        await page.__aexit__(None, None, None)


def _ask(feed: Feed) -> bool:
    """Ask the run that is on, in whatever process."""
    run_id = feed.run_to_stop
    if run_id is None:
        return False
    try:
        with Ledger(feed.places.ledger) as ledger:
            return ledger.ask_to_stop(run_id)
    except FluxbatchError:
        return False


async def _open(address: str, *, show: bool) -> None:
    if show:
        await anyio.to_thread.run_sync(webbrowser.open, address, abandon_on_cancel=True)
