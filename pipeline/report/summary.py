"""What a run came to: the contract's JSON object, and the same for people, ending with the next useful command."""

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from pipeline.errors import ExitCode, most_serious
from pipeline.money import format_usd

#: Jobs that went wrong, shown one by one in the summary.
SHOWN_TROUBLES = 10
_UNPRINTABLE = re.compile(r"[\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One run of one manifest, when it is over. Money is in micro-dollars here and in dollars in ``as_json``.

    Attributes:
        stored: Pictures bought and kept by this run.
        reused: Kept from an earlier run, or the same as an earlier row of this one.
        skipped: Not bought because the run stopped early, rows not yet read included.
        passing: How many of ``failed`` a rerun tries again by itself.
        unfit: How many of ``failed`` are rows that make no job until somebody corrects them.
        unfetched: How many of ``lost`` a rerun may still fetch.
        settled: How many of ``lost`` and ``spoiled`` a person has accepted.
        url_age_max_s: The oldest a URL was when its picture was stored; None when none was.
        providers: By name: the pictures that were paid for, and what they cost.
        needs: What it takes to buy what a budget kept from being bought.
        words: The options of this run that a next one needs too, as words.
        own_budget: Whether the budget was given with the command.
        causes: Why buying stopped, as the exit codes it leads to; empty when it did not.
        notes: What people should know besides, one line each.
        troubles: What went wrong with which job, one line each; at least SHOWN_TROUBLES + 1 when there are more.
    """

    run_id: str
    manifest: str
    manifest_path: str
    edition: str
    stored: int
    reused: int
    failed: int
    passing: int = 0
    unfit: int = 0
    unknown: int
    lost: int
    spoiled: int
    skipped: int
    wrong_shape: int
    unfetched: int
    settled: int = 0
    spend_microusd: int
    unknown_microusd: int
    manifest_spend_microusd: int
    manifest_unknown_microusd: int
    budget_microusd: int | None
    elapsed_s: float
    url_age_max_s: float | None
    exit_code: ExitCode
    ledger: str
    output: str
    simulated: bool
    providers: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    needs: str = ""
    words: str = ""
    own_budget: bool = False
    causes: tuple[ExitCode, ...] = ()
    notes: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()

    @property
    def jobs(self) -> int:
        """All rows of the manifest, by what has become of them."""
        return sum((self.stored, self.reused, self.failed, self.unknown, self.lost, self.spoiled, self.skipped))

    @property
    def stopped(self) -> bool:
        """Whether somebody asked for the run to stop, be there anything left to do or not."""
        return ExitCode.TEMPORARY in self.causes

    def as_json(self) -> dict[str, Any]:
        """The contract's object: see ``docs/design.md``. Money is a string of US dollars."""
        return {
            "run_id": self.run_id,
            "manifest": self.manifest,
            "edition": self.edition,
            "jobs": self.jobs,
            "stored": self.stored,
            "reused": self.reused,
            "failed": self.failed,
            "unknown": self.unknown,
            "lost": self.lost,
            "spoiled": self.spoiled,
            "skipped": self.skipped,
            "spend_usd": format_usd(self.spend_microusd),
            "unknown_usd": format_usd(self.unknown_microusd),
            "manifest_spend_usd": format_usd(self.manifest_spend_microusd),
            "manifest_unknown_usd": format_usd(self.manifest_unknown_microusd),
            "budget_usd": None if self.budget_microusd is None else format_usd(self.budget_microusd, places=2),
            "providers": {
                name: {"pictures": number, "spend_usd": format_usd(amount)}
                for name, (number, amount) in self.providers.items()
            },
            "elapsed_s": round(self.elapsed_s, 3),
            "url_age_max_s": None if self.url_age_max_s is None else round(self.url_age_max_s, 3),
            "exit_code": int(self.exit_code),
            "ledger": self.ledger,
            "output": self.output,
        }

    def lines(self) -> list[str]:
        """The summary for people, without colour, one fact a line."""
        counts = [
            (self.stored, "stored"),
            (self.reused, "kept from before"),
            (self.failed, "failed"),
            (self.unknown, "unknown"),
            (self.lost, "paid and not fetched"),
            (self.spoiled, "paid and spoiled"),
            (self.skipped, "not bought"),
        ]
        told = ", ".join(f"{number:,} {word}" for number, word in counts if number) or "nothing to do"
        edition = f" / {self.edition}" if self.edition else ""
        lines = [f"{self.manifest}{edition}: {told}, in {_duration(self.elapsed_s)}", self._money()]
        if self.stored:
            lines.append(
                f"Pictures are in {self.output}; the oldest URL was {self.url_age_max_s or 0.0:.1f} s old when stored"
            )
        return [*lines, *self.notes, *self._troubles(), *self._advice()]

    def _troubles(self) -> list[str]:
        """Each job that went wrong, while they are few; where to find the rest."""
        lines = [f"  {trouble}" for trouble in self.troubles[:SHOWN_TROUBLES]]
        if len(self.troubles) > SHOWN_TROUBLES:
            lines.append(f"  and more: fluxbatch ledger export --format csv --ledger {shlex.quote(self.ledger)}")
        return lines

    def _places(self) -> str:
        """The options that lead a next run to the same folder and ledger; nothing where they are the usual ones."""
        words = "" if self.output == "output" else f" --output {shlex.quote(self.output)}"
        usual = Path(self.output) / "ledger.db"
        return words if Path(self.ledger) == usual else f"{words} --ledger {shlex.quote(self.ledger)}"

    def _money(self) -> str:
        money = f"Spent ${format_usd(self.spend_microusd)}"
        if self.simulated:
            money += " of make-believe money (simulator)"
        if self.unknown_microusd:
            money += f", and at most ${format_usd(self.unknown_microusd)} more is unknown"
        if self.budget_microusd is not None:
            used = self.manifest_spend_microusd + self.manifest_unknown_microusd
            budget = format_usd(self.budget_microusd, places=2)
            money += f"; ${format_usd(used)} of this manifest's ${budget} budget is used"
        return money

    def _advice(self) -> list[str]:
        """What to do next, the most pressing first; each line ends with its command."""
        again = self._again()
        export = f"fluxbatch ledger export --format csv --ledger {shlex.quote(self.ledger)}"
        gone = self.lost + self.spoiled - self.unfetched - self.settled
        refused = self.failed - self.passing - self.unfit
        answers = (
            f"Answers were lost: at most ${format_usd(self.manifest_unknown_microusd)} of this manifest may have been"
            " billed for nothing. Read the provider's bill; settle it with fluxbatch ledger resolve"
            f" --unknown --billed (or --not-billed) --ledger {shlex.quote(self.ledger)}, or ask again:"
            f" {again} --resend-unknown"
        )
        shapes = f"{_pictures(self.wrong_shape)} not of the ratio asked for, marked wrong_shape in: {export}"
        lines = (
            (self.unfetched, f"{_pictures(self.unfetched, 'paid ')} can still be fetched; run again now: {again}"),
            (self.unknown, answers),
            (gone, f"{_pictures(gone, 'paid ')} gone; to pay once more: {again} --rebuy-lost"),
            (self.unfit, "Rows that do not fit must be corrected in their file; they are bought then"),
            (refused, f"What was refused is asked again only with: {again} --retry-failed"),
            (self.wrong_shape, shapes),
            (self.skipped + self.passing, self._rest()),
        )
        told = [line for number, line in lines if number > 0]
        return told or [f"To prove every picture and every sum again: fluxbatch ledger verify{self._places()}"]

    def _rest(self) -> str:
        """How to get what was not bought, by what kept it from being bought."""
        again = self._again()
        if ExitCode.BUDGET in self.causes:
            return f"The rest needs {self.needs or 'a larger budget'}; then: {self._again(budget='')}"
        if ExitCode.ACCOUNT in self.causes:
            return f"When the key is right and the account has money: {again}"
        if ExitCode.CONFIGURATION in self.causes:
            return f"When that is right: {again}"
        if ExitCode.UNAVAILABLE in self.causes:
            return f"When the provider serves again: {again}"
        return f"The rest is bought by running again: {again}"

    def _again(self, *, budget: str | None = None) -> str:
        """The command of a next run on the same manifest, output, ledger and terms."""
        if budget is None:
            given = self.own_budget and self.budget_microusd is not None
            budget = f" --budget {format_usd(self.budget_microusd or 0, places=2)}" if given else ""
        return f"fluxbatch run {shlex.quote(self.manifest_path)}{self._places()}{budget}{self.words}"


def _pictures(number: int, kind: str = "") -> str:
    return f"{number:,} {kind}picture{'s' if number != 1 else ''}"


def combined(summaries: Iterable[Summary], *, several: bool = False) -> dict[str, Any]:
    """One JSON object for one or several runs: with several, the sums, and ``runs`` holds each one's own object.

    Args:
        several: Whether several were asked for, even if only one came to be run.
    """
    objects = [summary.as_json() for summary in summaries]
    if len(objects) == 1 and not several:
        return objects[0]
    whole: dict[str, Any] = {}
    for name, value in objects[0].items():
        values = [each[name] for each in objects]
        if name == "providers":
            whole[name] = _shares(values)
        else:
            whole[name] = _combine(name, values) if isinstance(value, int | str | float) or value is None else value
    return whole | {"runs": objects}


def to_json(value: dict[str, Any]) -> str:
    """One line of JSON, readable as it is, but for what would meddle with a terminal or is no Unicode."""
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def _shares(values: list[dict[str, Any]]) -> dict[str, Any]:
    """What each provider was paid in all of the runs."""
    names = dict.fromkeys(name for value in values for name in value)
    shares = {name: [value[name] for value in values if name in value] for name in names}
    return {
        name: {
            "pictures": sum(each["pictures"] for each in share),
            "spend_usd": str(sum(Decimal(each["spend_usd"]) for each in share)),
        }
        for name, share in shares.items()
    }


def _combine(name: str, values: list[Any]) -> Any:
    known = [value for value in values if value is not None]
    if name == "exit_code":
        return int(most_serious(ExitCode(value) for value in values))
    if name == "url_age_max_s":
        return max(known, default=None)
    if name.endswith("_usd"):
        return str(sum(map(Decimal, known))) if len(known) == len(values) else None
    if name in {"run_id", "manifest", "edition", "ledger", "output"}:
        return ", ".join(dict.fromkeys(known))
    return round(sum(known), 3)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
