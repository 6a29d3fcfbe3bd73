"""What a person watches: a live display on a terminal, plain lines elsewhere."""

import re
import signal
from typing import Any

import anyio
import pytest

from tests.acceptance.conftest import Simulate
from tests.acceptance.screen import FakeScreen
from tests.acceptance.stage import PATIENCE_S, Workspace, until


async def test_a_terminal_shows_live_what_is_bought_stored_in_flight_queued_and_spent(
    workspace: Workspace, simulate: Simulate
) -> None:
    await simulate(latency_s=0.3)
    workspace.environment["TERM"] = "xterm-256color"
    manifest = workspace.manifest(*map(str, range(8)), limits={"concurrency": 2, "budget_usd": 1})
    screen = FakeScreen(workspace.told)
    try:
        ended = await workspace.fluxbatch("run", manifest, stderr=screen.terminal)
        shown = screen.plain()
        assert "\x1b[" in screen.text()
    finally:
        screen.close()
    assert ended.code == 0
    assert "8 stored" in ended.out
    for words in ("bought ", "in flight 2", "to fetch ", "stored ", "spent $0.", "of $1.00", " left", "8/8"):
        assert words in shown


async def test_a_terminal_says_why_nothing_is_bought(workspace: Workspace, simulate: Simulate) -> None:
    await simulate(requests_per_minute=30, rate_window_s=2.0, retry_after_s=2.0)  # one in two seconds
    workspace.environment["TERM"] = "xterm-256color"
    screen = FakeScreen(workspace.told)
    try:
        manifest = workspace.manifest("One", "Two")
        ended = await workspace.fluxbatch("run", manifest, stderr=screen.terminal)
        shown = screen.plain()
    finally:
        screen.close()
    assert ended.code == 0
    assert "the provider asked to slow down: 2 s" in shown


@pytest.mark.parametrize(("answer", "code", "bought"), [("n\n", 75, 0), ("y\n", 0, 1)])
async def test_without_a_budget_a_person_is_asked_first(
    workspace: Workspace, simulate: Simulate, answer: str, code: int, bought: int
) -> None:
    simulator = await simulate()
    screen = FakeScreen(workspace.told)
    try:
        with anyio.fail_after(PATIENCE_S):
            words = ("run", workspace.manifest("One"))
            async with workspace.started(*words, stdin=screen.terminal, stderr=screen.terminal) as running:
                await until(lambda: "Go on? [y/N]" in screen.plain())
                assert "buy 1 picture for at most $0.035" in screen.plain()
                assert simulator.bill.requests == 0
                screen.type(answer)
                ended = await running.end()
    finally:
        screen.close()
    assert (ended.code, simulator.bill.pictures) == (code, bought)


async def test_the_question_can_be_left_with_one_interruption(workspace: Workspace, simulate: Simulate) -> None:
    """A thread read the answer, and kept the process until somebody pressed Enter."""
    simulator = await simulate()
    screen = FakeScreen(workspace.told)
    try:
        with anyio.fail_after(PATIENCE_S):
            words = ("run", workspace.manifest("One"))
            async with workspace.started(*words, stdin=screen.terminal, stderr=screen.terminal) as running:
                await until(lambda: "Go on? [y/N]" in screen.plain())
                running.signal(signal.SIGINT)
                ended = await running.end()
        said = screen.plain()
    finally:
        screen.close()
    assert ended.code == 75
    assert simulator.bill.requests == 0
    assert "SIGINT: leaving; nothing was being bought or fetched" in said
    assert "still fetched" not in said


async def test_yes_is_not_asked(workspace: Workspace, simulate: Simulate) -> None:
    await simulate()
    screen = FakeScreen(workspace.told)
    try:
        words = ("run", workspace.manifest("One"), "--yes")
        ended = await workspace.fluxbatch(*words, stdin=screen.terminal, stderr=screen.terminal)
        assert "Go on?" not in screen.plain()
    finally:
        screen.close()
    assert ended.code == 0


async def test_elsewhere_a_plain_line_comes_every_few_seconds(workspace: Workspace, simulate: Simulate) -> None:
    await simulate(latency_s=5.6)
    ended = await workspace.fluxbatch("run", workspace.manifest("One", "Two", limits={"budget_usd": 1}))
    assert ended.code == 0
    assert ended.err == "[0:05] 0/2 there · 2 in flight · 0 to fetch · $0.000 spent\n"
    assert "\x1b" not in ended.out + ended.err


_COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3[0-7]|9[0-7]|38;[0-9;]+)m")


@pytest.mark.parametrize("width", [40, 200])
async def test_colours_are_for_terminals_and_for_those_who_want_them(workspace: Workspace, width: int) -> None:
    workspace.environment |= {"TERM": "xterm-256color", "COLUMNS": str(width)}
    manifest = workspace.manifest("One", provider="simulator", limits={"budget_usd": 1})
    for no_colour in ("", "1"):
        workspace.environment["NO_COLOR"] = no_colour
        screen = FakeScreen(workspace.told)
        try:
            ended = await workspace.fluxbatch("run", manifest, stdout=screen.terminal, stderr=screen.terminal)
            assert ended.code == 0
            assert bool(_COLOUR.search(screen.text())) is not bool(no_colour)
            assert screen.plain().rstrip().endswith("fluxbatch ledger verify")
        finally:
            screen.close()
    piped = await workspace.fluxbatch("run", manifest)
    assert "\x1b" not in piped.out + piped.err


async def test_each_command_on_the_way_ends_with_the_next_one(workspace: Workspace) -> None:
    manifest = workspace.manifest("One", provider="simulator", limits={"budget_usd": 1})
    terms = ("--limit", "1", "--budget", "0.5", "--rebuy-lost", "--output", "my pictures")
    checked = await workspace.fluxbatch("check", manifest)
    assert checked.out.splitlines()[-1] == "-> fluxbatch plan batch.yaml"
    planned = await workspace.fluxbatch("plan", manifest, *terms)
    told = "-> fluxbatch run batch.yaml --output 'my pictures' --limit 1 --budget 0.500 --rebuy-lost"
    assert planned.out.splitlines()[-1] == told
    ran = await workspace.fluxbatch("run", manifest, *terms)
    assert ran.out.splitlines()[-1].endswith("fluxbatch ledger verify --output 'my pictures'")
    places = "--output 'my pictures'"
    for words, following in (
        (("ledger", "verify"), f"-> fluxbatch report {places}"),
        (("ledger", "spend"), f"-> fluxbatch report {places}"),
        (("ledger", "resolve", "--unknown", "--billed"), f"-> fluxbatch ledger verify {places}"),
        (("report",), f"-> fluxbatch ledger verify {places}"),
        (("status",), f"-> fluxbatch ledger verify {places}"),
        (("prune",), f"-> fluxbatch prune --older-than 30 --pictures {places}"),
        (("prune", "--apply"), f"-> fluxbatch ledger verify {places}"),
    ):
        ended = await workspace.fluxbatch(*words, "--output", "my pictures")
        assert (ended.code, ended.out.splitlines()[-1]) == (0, following)
        assert "->" not in (await workspace.fluxbatch(*words, "--output", "my pictures", "--json")).out


@pytest.mark.parametrize(
    ("prompts", "keys", "following"),
    [
        (["[fault:lost]"], {}, "fluxbatch reconcile"),
        (["[fault:lost]"], {"provider": "simulator"}, "fluxbatch ledger resolve --unknown --billed (or --not-billed)"),
        (["[fault:moderated]"], {}, "fluxbatch report"),
        (["One", "Two"], {"limits": {"budget_usd": 0.04}}, "fluxbatch run MANIFEST"),
    ],
)
async def test_status_ends_with_what_its_states_want(
    workspace: Workspace, simulate: Simulate, prompts: list[str], keys: dict[str, Any], following: str
) -> None:
    if "provider" not in keys:
        await simulate()
    await workspace.run(workspace.manifest(*prompts, **{"limits": {"budget_usd": 1}} | keys))
    assert (await workspace.fluxbatch("status")).out.splitlines()[-1] == f"-> {following}"


@pytest.mark.parametrize("width", [60, 80, 200])
async def test_what_is_listed_reads_well_in_every_width(workspace: Workspace, width: int) -> None:
    workspace.environment |= {"TERM": "xterm-256color", "COLUMNS": str(width)}
    manifest = workspace.manifest("One", name="spring", edition="2026-11-25", provider="simulator")
    assert (await workspace.run(manifest, "--budget", "1")).code == 0
    whole = {
        ("plan", manifest, "--budget", "1", "--output", "other"): ("flux-kontext-pro", "$0.035", "$0.005 (12.5 %)"),
        ("status",): ("spring / 2026-11-25 (simulated)", "1 stored", "$0.035"),
        ("ledger", "spend", "--by", "model"): ("flux-kontext-pro (pretend)", "12.5 %", "$0.035"),
        ("models",): ("$0.035 at apiyi",),
        ("ratios",): ("ultrawide_wallpaper", "1024 x 1024"),
    }
    for words, told in whole.items():
        screen = FakeScreen(workspace.told)
        try:
            assert (await workspace.fluxbatch(*words, stdout=screen.terminal)).code == 0
            lines = screen.plain().splitlines()
        finally:
            screen.close()
        assert all(len(line) <= width for line in lines if not line.startswith("->"))
        for each in told:
            assert any(each in line for line in lines), (words, each)
