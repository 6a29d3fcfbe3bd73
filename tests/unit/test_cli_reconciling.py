"""How a comparison looks: in 80 columns, in more, and where nobody looks."""

from datetime import date, timedelta
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.catalog import profiles
from pipeline.cli.reconciling import SHOWN, provider_meant, show
from pipeline.errors import UsageError
from pipeline.manifest import load_manifest
from pipeline.provider import Billed
from pipeline.reconcile import DayLine, Finding, Period, Reconciliation

DAY = date(2026, 11, 23)
KEYS = tuple(f"{number:064x}" for number in range(1, 61))
STRANGE = Finding(
    kind="unrecorded",
    count=14,
    microusd=980_000,
    message="14 requests ($0.980) in the log that this ledger knows nothing of",
    advice="find out what else buys with this account, and whether it should; it may be another ledger of your own",
    entries=tuple(
        Billed(at=1_764_000_000 + n, model="flux-kontext-max", microusd=70_000, request_id=f"r{n}", token_name="main")
        for n in range(14)
    ),
)
LOST = Finding(
    kind="perhaps_billed",
    count=60,
    microusd=2_100_000,
    message="60 lost answers ($2.100), of which 1 was probably billed",
    keys=KEYS,
    billed=KEYS[:1],
    not_billed=KEYS[1:],
)
MISSING = Finding(kind="missing", count=2, microusd=70_000, message="2 requests are missing", keys=KEYS[:2])


def line(day: date, model: str, *, spent: int = 12_345, unknown: int = 0, billed: int = 12_345) -> DayLine:
    return DayLine(
        day=day.isoformat(),
        model=model,
        spent=spent,
        spent_microusd=spent * 35_000,
        unknown=unknown,
        unknown_microusd=unknown * 35_000,
        billed=billed,
        billed_microusd=billed * 35_000,
    )


def shown(
    *findings: Finding, lines: tuple[DayLine, ...] = (), width: int = 80, terminal: bool = True, **more: int
) -> str:
    console = Console(
        file=StringIO(), width=width, force_terminal=terminal, color_system=None, highlight=False, legacy_windows=False
    )
    period = Period(since=DAY, until=DAY + timedelta(days=1))
    others = {"a-language-model": (3, 5_000)} if more else {}
    told: dict[str, int] = {"by_name": 0, "by_time": 0, **more}
    found = Reconciliation(period=period, lines=lines, findings=findings, others=others, **told)
    show(found, profiles()["apiyi"], " --ledger x.db", console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_busy_month_fits_80_columns() -> None:
    lines = tuple(
        line(DAY + timedelta(days=n), model, unknown=n, billed=12_340 + n)
        for n in (0, 1)
        for model in ("flux-kontext-max", "flux-kontext-pro")
    )
    *table, following = shown(lines=lines).splitlines()[1:]
    assert following == "-> fluxbatch ledger spend --by provider --ledger x.db"
    assert all(len(each) <= 80 for each in table)
    assert [each.split()[0] for each in table[2:]] == [
        "2026-11-23", "flux-kontext-max", "flux-kontext-pro", "2026-11-24", "flux-kontext-max", "flux-kontext-pro",
        "total",
    ]  # fmt: skip
    assert table[3].split() == ["flux-kontext-max", "12,345", "$432.075", "12,340", "$431.900", "-5", "-$0.175"]


def test_sentences_wrap_between_words_on_a_terminal_and_are_one_line_elsewhere() -> None:
    assert "-> " + STRANGE.advice in shown(STRANGE, terminal=False)
    wrapped = [each for each in shown(STRANGE).splitlines() if "find out" in each or "own" in each]
    assert all(len(each) <= 80 and each.startswith("  ") for each in wrapped)
    assert " ".join(" ".join(wrapped).split()) == "-> " + STRANGE.advice


def test_commands_are_never_folded_and_settle_every_job() -> None:
    commands = [each.strip() for each in shown(LOST).splitlines() if "fluxbatch" in each]
    assert all(each.startswith("-> fluxbatch ledger resolve ") and each.endswith(" --ledger x.db") for each in commands)
    named = [word for each in commands for word in each.split() if len(word) == 12 and word.isalnum()]
    assert named == [key[:12] for key in KEYS]
    assert [each.count("--not-billed") for each in commands] == [0, 1, 1]


def test_of_many_entries_the_first_are_shown_and_the_rest_counted() -> None:
    told = shown(STRANGE, width=120)
    assert told.count("flux-kontext-max $0.070 r") == SHOWN
    assert "r0 key main" in told
    assert "and 4 more: --json has all" in told


def test_jobs_that_no_command_settles_are_named() -> None:
    told = shown(MISSING)
    assert f"  job {KEYS[0][:12]}\n  job {KEYS[1][:12]}\n" in told


def test_the_first_line_says_whether_they_agree() -> None:
    assert shown().startswith("apiyi from 2026-11-23 to 2026-11-24: nothing in the ledger, nothing in the log")
    assert shown(lines=(line(DAY, "m"),)).startswith("apiyi from 2026-11-23 to 2026-11-24: ledger and log agree")
    assert shown(MISSING).startswith("apiyi from 2026-11-23 to 2026-11-24: 1 difference to look at")
    assert shown(MISSING, LOST).startswith("apiyi from 2026-11-23 to 2026-11-24: 2 differences to look at")


def test_what_is_nobodys_task_stands_at_the_end() -> None:
    *_, pairs, under_way, others, following = shown(by_time=1, by_name=23, under_way=2, width=200).splitlines()
    assert pairs == "1 of 24 pairs told by model and time, the others by request id"
    assert under_way == "2 requests under way, not compared: look again when they have ended"
    assert following.startswith("-> fluxbatch ")
    assert others.endswith("which are not compared: 3 a-language-model $0.005")


OWN = """
profiles:
  one: {profile: apiyi, base_url: "https://one.example/v1"}
  two: {profile: apiyi, base_url: "https://two.example/v1"}
"""


@pytest.mark.parametrize(
    ("providers", "named", "meant"),
    [
        ("apiyi", None, "apiyi"),
        ("[apiyi, bfl]", None, "apiyi"),
        ("[bfl, apiyi]", None, "apiyi"),
        ("[apiyi, bfl]", "bfl", "bfl"),
        ("[one, two]", "two", "two"),
        ("[one, two]", None, "say --provider PROFILE"),
        ("[one, two]", "three", "one of one, two"),
        ("apiyi", "apiyi", "leave out --provider"),
    ],
)
def test_of_several_providers_the_one_is_asked_that_is_meant(
    tmp_path: Path, providers: str, named: str | None, meant: str
) -> None:
    path = tmp_path / "batch.yaml"
    own = OWN if "one" in providers else "\n"
    path.write_text(f"version: 1\nname: batch{own}provider: {providers}\njobs:\n  - [A cat]\n")
    manifest = load_manifest(path)
    try:
        found = provider_meant(manifest, named).name
    except UsageError as error:
        found = error.remedy
    assert found.startswith(meant)
