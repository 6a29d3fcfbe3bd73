"""``fluxbatch prune``: what the output folder and the ledger can do without."""

import re
import shlex
import sys
from pathlib import Path

from pipeline.cli.plain import plain
from pipeline.clock import SystemClock
from pipeline.errors import ExitCode, UsageError
from pipeline.inputs import Store
from pipeline.ledger import Address, Bounds, Ledger, Pruned, hold, prune
from pipeline.report import to_json

_DAY_S = 86_400.0
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
#: A plan, which holds no ledger, or a run on another one, may have such inputs in hand.
_FRESH_S = 3_600.0
#: Files named one by one; --json has all.
SHOWN = 10


def prune_ledger(
    path: Address,
    *,
    output: Path,
    older_than_days: float,
    pictures: bool,
    max_size: str | None,
    max_inputs: str | None,
    apply: bool,
    words: str,
    json: bool,
) -> int:
    """Say what would go, or let it go.

    Args:
        path: The ledger.
        output: The output folder, with what was fetched for edits.
        max_size: What the pictures may come to together; the oldest go until they do.
        max_inputs: The same for input images, which need no word: they are made or fetched again.
        words: Options that lead another command to the same ledger.

    Raises:
        UsageError: The size is none, or pictures may not go.
    """
    if max_size is not None and not pictures:
        raise UsageError("--max-size lets pictures go, and so needs --pictures", remedy="add --pictures")
    clock = SystemClock()
    before = clock.wall() - older_than_days * _DAY_S
    bounds = Bounds(
        before=before,
        pictures=pictures,
        max_bytes=None if max_size is None else bytes_of(max_size),
        inputs=Store(output).folder,
        inputs_before=min(before, clock.wall() - _FRESH_S),
        max_input_bytes=None if max_inputs is None else bytes_of(max_inputs, "--max-inputs"),
    )
    Ledger(path).close()  # there is one, or this says so
    if apply:
        with hold(path, purpose="prune"):
            found = prune(path, bounds, clock=clock)
    else:
        with Ledger(path) as ledger:
            found = ledger.prunable(bounds)
    if json:
        sys.stdout.write(to_json(_as_json(path, found, applied=apply)) + "\n")
        return int(ExitCode.OK)
    for line in _lines(found, applied=apply) or [_nothing(older_than_days)]:
        sys.stdout.write(plain(line) + "\n")
    again = f"fluxbatch prune --older-than {older_than_days:g}"
    again += f" --max-inputs {shlex.quote(max_inputs)}" if max_inputs else ""
    if apply:
        following = "fluxbatch ledger verify"
    elif not found.nothing:
        following = (
            again + " --pictures" * pictures + (f" --max-size {shlex.quote(max_size)}" if max_size else "") + " --apply"
        )
    else:
        following = "fluxbatch status" if pictures else f"{again} --pictures"
    sys.stdout.write(f"-> {following}{words}\n")
    return int(ExitCode.OK)


def bytes_of(text: str, option: str = "--max-size") -> int:
    """A size such as ``20GB`` or ``500 MB`` in bytes; decimal, as disks are sold.

    Raises:
        UsageError: It is none.
    """
    match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,6})?)\s*([kmgt]?)b?\s*", text.lower())
    if match is None:
        raise UsageError(f"{option} {text!r} is no size", remedy="such as 20GB")
    return int(float(match[1]) * _UNITS[match[2]])


def _lines(found: Pruned, *, applied: bool) -> list[str]:
    would = "removed" if applied else "would go"
    counts = (
        (len(found.leftovers), "part of settled pictures", "parts of settled pictures"),
        (found.rows, "row that was never asked for", "rows that were never asked for"),
        (found.bodies, "answer kept with a refused request", "answers kept with refused requests"),
        (len(found.inputs), "file of input images that no job needs", "files of input images that no job needs"),
        (len(found.pictures), "file of a picture", "files of pictures"),
    )
    lines = [f"{number:,} {one if number == 1 else more}: {would}" for number, one, more in counts if number]
    if found.pictures:
        lines += [f"  {name}" for name in found.pictures[:SHOWN]]
        lines += [f"  and {len(found.pictures) - SHOWN:,} more"] if len(found.pictures) > SHOWN else []
        lines.append(f"{found.picture_bytes / 1_000_000:,.1f} MB of pictures; they stay in the ledger as stored")
    lines += [f"{name}: stays, because it is not what was stored, or cannot be removed" for name in found.kept[:SHOWN]]
    return lines


def _nothing(older_than_days: float) -> str:
    """There may well be something, and too much of it, that is too young to go."""
    young = f" that no run has wanted for {older_than_days:g} days" if older_than_days else ""
    return f"nothing to prune{young}"


def _as_json(path: Address, found: Pruned, *, applied: bool) -> dict[str, object]:
    return {
        "ledger": str(path),
        "applied": applied,
        "leftovers": list(found.leftovers),
        "rows": found.rows,
        "bodies": found.bodies,
        "pictures": list(found.pictures),
        "picture_bytes": found.picture_bytes,
        "inputs": list(found.inputs),
        "input_bytes": found.input_bytes,
        "kept": list(found.kept),
    }
