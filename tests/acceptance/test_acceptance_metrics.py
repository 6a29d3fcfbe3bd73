"""The metrics file, written by the command."""

from pipeline.simulator import Simulator
from tests.acceptance.stage import Workspace


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
