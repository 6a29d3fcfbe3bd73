"""Rows that ask for what another has got: the stored picture is put where they want it, too."""

from pipeline.deliver import Store
from pipeline.errors import FluxbatchError
from pipeline.ledger import LedgerWriter, Run
from pipeline.runner.places import Places


class Equals:
    """Places pictures that are stored where equal rows want them.

    Attributes:
        elsewhere: Pictures that are stored where this run does not look, or wanted there.
        misplaced: A line for each row whose picture could not be put in its place.
    """

    def __init__(self, *, ledger: LedgerWriter, store: Store, places: Places) -> None:
        """Take what the shift works with."""
        self.elsewhere = 0
        self.misplaced: list[str] = []
        self._ledger = ledger
        self._store = store
        self._places = places

    async def place(self, run: Run) -> None:
        """See to every row that this run has met."""
        for row in await self._ledger.unplaced(run):
            here, there = self._places.in_output(row.stored), self._places.in_output(row.wanted)
            if here is None or there is None:
                self.elsewhere += 1
                continue
            try:
                made = await self._store.place(here, there, sha256=row.sha256)
            except FluxbatchError as error:
                self.misplaced.append(f"row {row.index}: stored, but not put in its place: {error}")
                continue
            await self._ledger.place(placement=row.placement, path=self._places.recorded(made))
