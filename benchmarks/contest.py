"""Everybody on the same errand, turn about, on the same provider; what each came to, and whether it is right."""

import hashlib
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from benchmarks.contenders import PIPELINE, Contender, Errand
from benchmarks.loops import Told, heard
from benchmarks.measuring import Cost, measured, till
from benchmarks.pictures import Size, digest
from pipeline import Ledger

#: Pictures of the errand that is only there to be subtracted: what starting costs.
FEW = 8


class WrongError(Exception):
    """A contender did not do what it was sent for."""


@dataclass(slots=True, kw_only=True)
class Record:
    """What one contender came to, a value a round.

    Attributes:
        cpu_ms: A picture, without what starting costs.
        throttled: The share of its requests that were refused with 429.
        provider_ms: What the provider spent on a picture of it.
    """

    contender: Contender
    cpu_ms: list[float] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)
    peak_mib: list[float] = field(default_factory=list)
    ages_s: list[float] = field(default_factory=list)
    throttled: list[float] = field(default_factory=list)
    provider_ms: list[float] = field(default_factory=list)
    stretch_ms: list[float] = field(default_factory=list)

    def note(self, many: Cost, few: Cost, told: Told, counts: dict[str, float], pictures: int) -> None:
        """Take down one round."""
        self.cpu_ms.append(1000 * (many.cpu_s - few.cpu_s) / (pictures - FEW))
        self.wall_s.append(many.wall_s)
        self.peak_mib.append(many.peak_mib)
        self.ages_s.extend(told.ages_s)
        self.throttled.append(counts["throttled"] / max(1, counts["throttled"] + counts["charges"]))
        self.provider_ms.append(1000 * counts["cpu_s"] / pictures)
        if told.longest_stretch_ms is not None:
            self.stretch_ms.append(told.longest_stretch_ms)

    @property
    def cpu(self) -> float:
        """The median of its processor time a picture, in milliseconds."""
        return statistics.median(self.cpu_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """The same errand for all.

    Attributes:
        folder: Where pictures go. Nothing in it is removed between the rounds: a file system that has just removed
            many files takes long to make new ones.
    """

    base_url: str
    size: Size
    pictures: int
    concurrency: int
    folder: Path

    def run(self, contenders: Sequence[Contender], *, rounds: int) -> list[Record]:
        """Let everybody have a turn, round after round, so that what else the machine does meets all alike.

        Raises:
            WrongError: Somebody brought the wrong pictures, or paid for others than it brought.
            FailedError: Somebody broke down.
        """
        records = [Record(contender=contender) for contender in contenders]
        turns = count()
        for _ in range(rounds):
            for record in records:
                self._turn(record, turns)
        return records

    def _turn(self, record: Record, turns: Iterator[int]) -> None:
        contender = record.contender
        few, _, _ = self._errand(contender, FEW, next(turns))
        many, counts, folder = self._errand(contender, self.pictures, next(turns))
        self._judge(contender, folder, counts)
        record.note(many, few, heard(many.output), counts, self.pictures)

    def _errand(self, contender: Contender, pictures: int, turn: int) -> tuple[Cost, dict[str, float], Path]:
        folder = self.folder / f"{turn}"
        errand = Errand(base_url=self.base_url, count=pictures, concurrency=self.concurrency, folder=folder)
        before = till(self.base_url)["cpu_s"]
        cost = measured(contender.words(errand))
        counts = till(self.base_url)
        return cost, counts | {"cpu_s": counts["cpu_s"] - before}, folder

    def _judge(self, contender: Contender, folder: Path, counts: dict[str, float]) -> None:
        """Every picture once, each the right one; and nothing bought that was not brought."""
        brought = {path.name: path for path in folder.rglob("*.jpg")}
        digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in brought.items()}
        if contender.numbered is not None:
            right = {name: digest(self.size, contender.numbered(name)) for name in digests}
            _require(contender, digests == right, "pictures are not those that were asked for")
        expected = sorted(digest(self.size, number) for number in range(self.pictures))
        _require(contender, sorted(digests.values()) == expected, f"{len(digests)} of {self.pictures} pictures")
        if contender.asks:
            _require(contender, counts["charges"] == self.pictures, f"{counts['charges']} pictures were charged")
        if contender is PIPELINE:
            self._prove(folder)

    def _prove(self, folder: Path) -> None:
        with Ledger(folder / "ledger.db") as ledger:
            found = ledger.verify()
            bought = sum(line.pictures for line in ledger.spend())
            states = {row.state for row in ledger.rows()}
        _require(PIPELINE, found.proven, f"the ledger is unproven: {found.findings}")
        _require(PIPELINE, bought == self.pictures, f"{bought} pictures were paid for")
        _require(PIPELINE, states == {"stored"}, f"rows are {states}")


def _require(contender: Contender, holds: bool, otherwise: str) -> None:  # noqa: FBT001 - a condition
    if not holds:
        raise WrongError(f"{contender.name}: {otherwise}")
