"""``fluxbatch explain``: one picture's whole story, from the ledger."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from pipeline.cli.plain import plain
from pipeline.errors import ExitCode
from pipeline.ledger import Address, AttemptMoney, JobState, Ledger, Story, StoryAttempt, StoryRow
from pipeline.money import format_usd
from pipeline.report import to_json

#: Told on lines of their own.
_OF_INPUTS = frozenset({"inputs", "found_at", "stitch", "background"})
#: How what is there now is told, beside the place where a picture was put.
_FILES = {
    "ok": "there, and proven",
    "missing": "gone",
    "altered": "there, but not the bytes that were stored",
    "afar": "in a bucket; fluxbatch ledger verify looks whether it is there",
}


def explain(path: Address, named: str, *, words: str, json: bool) -> int:
    """Tell the story of a job, named by its key or by its picture's file.

    Args:
        path: The ledger.
        words: Options that lead another command to the same ledger.
    """
    with Ledger(path) as ledger:
        stories = ledger.stories(named)
    if json:
        sys.stdout.write(to_json({"ledger": str(path), "jobs": [_as_json(story) for story in stories]}) + "\n")
        return int(ExitCode.OK)
    console = Console(highlight=False)
    for story in stories:
        first, *rest = [
            plain(line.replace("\n", " ")) for line in (*_facts(story), *_events(story), _next(story, words))
        ]
        console.print(Text(first, style="bold"), soft_wrap=True)
        for line in rest:
            console.print(Text(line), soft_wrap=True)
    return int(ExitCode.OK)


def _facts(story: Story) -> Iterator[str]:
    """What it is, who wants it, what it cost, and what is there."""
    yield f"{story.key[:12]} {story.state}: {story.prompt}"
    asked = [story.model, story.ratio, None if story.seed is None else f"seed {story.seed}"]
    told = {name: value for name, value in sorted(story.parameters.items()) if name not in _OF_INPUTS}
    asked += [f"{name} {value}" for name, value in told.items() if value not in (None, [])]
    yield f"  asked    {', '.join(each for each in asked if each)}"
    inputs = zip(story.parameters.get("inputs", []), story.parameters.get("found_at", []), strict=False)
    for sha256, found_at in inputs:
        yield f"  input    {found_at}, sha256 {sha256}"
    if stitch := story.parameters.get("stitch"):
        how = ", ".join(f"{name} {value}" for name, value in stitch.items())
        yield f"  stitched {how}, on {story.parameters.get('background')}"
    for row in story.rows:
        yield f"  wanted   {_row(row)}"
    money = f"${format_usd(story.spend_microusd)} spent"
    if story.unknown_microusd:
        money += f", ${format_usd(story.unknown_microusd)} unknown"
    if any(row.simulated for row in story.rows):
        money += " (make-believe money)"
    yield f"  cost     {money}"
    if story.sha256 is not None:
        size = f"{story.width} x {story.height} {story.format}, {story.size_bytes:,} bytes"
        shape = "of the ratio asked for" if story.verdict == "ok" else "not of the ratio asked for"
        yield f"  picture  {size}, {shape}, sha256 {story.sha256}"


def _row(row: StoryRow) -> str:
    edition = f" / {row.edition}" if row.edition else ""
    where = f"{row.path} ({_FILES[row.file]})" if row.path else f"{row.wanted}.* (not there yet)"
    return f"by {row.manifest}{edition}, row {row.index}, at {where}"


def _events(story: Story) -> Iterator[str]:
    """What happened, in the order of its times."""
    told = [line for attempt in story.attempts for line in _attempt(attempt)]
    if story.stored_at is not None:
        told.append((story.stored_at, f"stored; its URL was {story.url_age_s or 0.0:.1f} s old"))
    for at, what in sorted(told, key=lambda each: each[0]):
        yield f"  {datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M:%S}  {what}"
    if not story.attempts and story.state is not JobState.FAILED:
        yield "  never asked for yet"
    if story.state is JobState.BOUGHT and story.deadline is not None:
        yield f"  its URL dies at {datetime.fromtimestamp(story.deadline).astimezone():%Y-%m-%d %H:%M:%S}"
    if story.error_message:
        yield f"  last word: {story.error_message}"


def _attempt(attempt: StoryAttempt) -> Iterator[tuple[float, str]]:
    price = f"${format_usd(attempt.price_microusd)}"
    again = " again, though an answer was lost" if attempt.taken_from is JobState.UNKNOWN else ""
    yield attempt.started_at, f"asked {attempt.provider}{again}, {price} reserved (run {attempt.run_id})"
    named = f" (request id {attempt.request_id})" if attempt.request_id else ""
    if attempt.ended_at is None:
        return
    reason = f": {attempt.error_message or attempt.error_kind}" if attempt.error_kind else ""
    if attempt.error_kind and (attempt.judged or attempt.money is AttemptMoney.UNKNOWN):
        yield attempt.ended_at, f"the answer was lost, so {price} may have been billed{named}{reason}"
    elif attempt.money is AttemptMoney.RELEASED and not attempt.judged:
        yield attempt.ended_at, f"refused, nothing was billed{named}{reason}"
    else:
        yield attempt.ended_at, f"bought for {price}{named}"
    if attempt.judged and attempt.settled_at is not None:
        said = "billed" if attempt.money is AttemptMoney.SPENT else "not billed, or given back"
        yield attempt.settled_at, f"a person said: {price} {said}"


def _next(story: Story, words: str) -> str:
    """The next useful command."""
    again = f"fluxbatch run MANIFEST{words}"
    settle = f"fluxbatch ledger resolve {story.key[:12]} --billed (or --not-billed){words}"
    match story.state:
        case JobState.FAILED:
            return f"-> {again}" if story.passing or not story.attempts else f"-> {again} --retry-failed"
        case JobState.UNKNOWN:
            return f"-> read the provider's bill, then: {settle}"
        case JobState.LOST | JobState.SPOILED:
            return f"-> to pay once more: {again} --rebuy-lost; to accept it: {settle}"
        case JobState.PLANNED | JobState.BUYING | JobState.BOUGHT:
            return f"-> {again}"
        case JobState.STORED if story.unknown_microusd:
            return f"-> read the provider's bill, then: {settle}"
        case JobState.STORED:
            return f"-> fluxbatch ledger verify{words}"


def _as_json(story: Story) -> dict[str, Any]:
    told = asdict(story)
    for name in ("bought_at", "deadline", "stored_at"):
        told[name] = _utc(told[name])
    for attempt in told["attempts"]:
        attempt |= {name: _utc(attempt[name]) for name in ("started_at", "ended_at", "settled_at")}
        attempt["price_usd"] = format_usd(attempt.pop("price_microusd"))
    for name in ("spend", "unknown"):
        told[f"{name}_usd"] = format_usd(told.pop(f"{name}_microusd"))
    return told


def _utc(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
