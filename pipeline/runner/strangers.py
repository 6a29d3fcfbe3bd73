"""Pictures in the places of a manifest's first rows that this ledger knows nothing of: they were paid for already."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

import anyio.to_thread

from pipeline.deliver import Store
from pipeline.errors import ExitCode, FluxbatchError
from pipeline.job import Job, UnfitRow
from pipeline.ledger import LedgerWriter, Run
from pipeline.produce import CHUNK, Halt
from pipeline.runner.options import RunOptions
from pipeline.runner.places import Places


async def refuse_another_ledgers_pictures(
    rows: Iterator[Job | UnfitRow],
    options: RunOptions,
    *,
    ledger: LedgerWriter,
    run: Run,
    places: Places,
    halt: Halt,
    store: Store,
) -> None:
    """Buy nothing where a manifest that is new to this ledger finds its pictures there.

    The ledger was removed, or another one is meant. Only the first rows are looked for, as a sign of the rest.
    """
    with suppress(FluxbatchError):  # a rows file that has gone is the planner's to tell
        found = await store.taken(await anyio.to_thread.run_sync(_wanted, rows))
        strange = await ledger.unaccounted(run, [places.recorded(at) for at in found])
        if strange:
            halt.call(
                ExitCode.CONFIGURATION,
                f"{options.ledger_path} knows nothing of {strange[0]}, where this manifest's first rows want"
                f" their pictures ({len(strange)} found): if another ledger does, name it with --ledger, or put it"
                " back; to buy them once more, move them away",
            )


def _wanted(rows: Iterator[Job | UnfitRow]) -> list[str]:
    return [row.path for row in islice(rows, CHUNK) if isinstance(row, Job)]
