"""The metrics file, written by the command."""

import re
import signal

import aiohttp
import anyio
from prometheus_client.parser import text_string_to_metric_families

from pipeline.simulator import Simulator
from tests.acceptance.stage import PATIENCE_S, Workspace


async def test_every_manifest_that_was_asked_for_is_in_the_file(workspace: Workspace, simulator: Simulator) -> None:
    one = workspace.manifest("One", file="one.yaml")
    two = workspace.manifest("Two [fault:moderated]", file="two.yaml", name="second")
    ended = await workspace.run(one, two, "--metrics-file", "f.prom")
    assert ended.code == 3
    told = (workspace.root / "f.prom").read_text(encoding="utf-8").splitlines()
    assert 'fluxbatch_run_exit_code{manifest="one"} 0.0' in told
    assert 'fluxbatch_run_exit_code{manifest="second"} 3.0' in told
    assert 'fluxbatch_run_jobs{manifest="second",state="failed"} 1.0' in told
    assert 'fluxbatch_run_spend_dollars{manifest="one"} 0.035' in told


async def test_a_run_that_breaks_before_it_counts_is_told_as_well(workspace: Workspace) -> None:
    ended = await workspace.run(workspace.manifest("One"), "--metrics-file", "f.prom")
    assert ended.code == 78
    told = (workspace.root / "f.prom").read_text(encoding="utf-8")
    assert 'fluxbatch_run_exit_code{manifest="batch"} 78.0' in told
    assert not [line for line in told.splitlines() if "spend" in line and not line.startswith("#")]


async def test_a_file_that_cannot_be_written_changes_nothing_else(workspace: Workspace, simulator: Simulator) -> None:
    ended = await workspace.run(workspace.manifest("One"), "--metrics-file", "nowhere/f.prom")
    assert (ended.code, ended.json["stored"]) == (0, 1)
    assert "warning: nowhere/f.prom: the metrics cannot be written" in ended.err


async def test_a_scraper_with_the_token_from_its_file_reads_what_the_runs_came_to(
    workspace: Workspace, simulator: Simulator
) -> None:
    assert (await workspace.run(workspace.manifest("One", "Two"))).code == 0
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("watch", "--token-file", "token") as watching:
            address = await watching.first_line()
            token = (workspace.root / "token").read_text(encoding="ascii").strip()
            assert f"/{token}/" in address
            origin = re.sub(r"(http://[^/]+)/.*", r"\1", address)
            async with (
                aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as scraper,
                scraper.get(f"{origin}/metrics") as answer,
            ):
                families = text_string_to_metric_families(await answer.text())
                told = {sample.name: sample.value for family in families for sample in family.samples if sample.value}
            watching.signal(signal.SIGTERM)
            assert (await watching.end()).code == 0
    assert told["fluxbatch_run_jobs"] == 2
    assert told["fluxbatch_run_spend_dollars"] == 0.07
