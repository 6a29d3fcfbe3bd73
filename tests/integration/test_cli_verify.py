"""``fluxbatch ledger verify`` as people read it: one or many, and what to do."""

from pathlib import Path

import pytest

from pipeline.cli.bookkeeping import show_status, verify_ledger
from pipeline.errors import ExitCode
from pipeline.ledger import JobState, settle
from tests.contract.ledger_scene import Scene, opened


async def _stored(scene: Scene, count: int) -> None:
    run = await scene.begin()
    for index in range(1, count + 1):
        await scene.bring_to(JobState.STORED, run, scene.job(str(index), index=index))


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 pictures and 0 attempts checked, $0.000 spent: all proven\n-> fluxbatch report\n"),
        (1, "1 picture and 1 attempt checked, $0.035 spent: all proven\n-> fluxbatch report\n"),
        (2, "2 pictures and 2 attempts checked, $0.070 spent: all proven\n-> fluxbatch report\n"),
    ],
)
async def test_what_is_proven_is_counted_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int, said: str
) -> None:
    async with opened(tmp_path) as scene:
        await _stored(scene, count)
    assert verify_ledger(scene.path, words="", json=False) == ExitCode.OK
    assert capsys.readouterr().out == said


@pytest.mark.parametrize(("count", "said"), [(1, "1 finding needs a person"), (2, "2 findings need a person")])
async def test_findings_are_counted_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int, said: str
) -> None:
    async with opened(tmp_path) as scene:
        await _stored(scene, count)
    for index in range(1, count + 1):
        (tmp_path / f"pictures/{index:03}.jpeg").unlink()
    assert verify_ledger(scene.path, words="", json=False) == ExitCode.MONEY_UNCLEAR
    out = capsys.readouterr().out
    assert out.endswith(f": {said}\n-> fluxbatch ledger verify --repair\n")
    assert out.count("put it back, or `fluxbatch run MANIFEST --rebuy-lost` buys it again\n") == count


async def test_an_accepted_loss_ends_with_0(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        await scene.bring_to(JobState.LOST, await scene.begin(), scene.job())
    assert verify_ledger(scene.path, words="", json=False) == ExitCode.MONEY_UNCLEAR
    settle(scene.path, [scene.job().key], billed=True, clock=scene.clock)
    assert verify_ledger(scene.path, words="", json=False) == ExitCode.OK


async def test_what_no_repair_puts_right_is_looked_at_in_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with opened(tmp_path) as scene:
        await _stored(scene, 1)
    (tmp_path / "pictures/001.jpeg").write_bytes(b"another")
    assert verify_ledger(scene.path, words=" --output x", json=False) == ExitCode.MONEY_UNCLEAR
    assert capsys.readouterr().out.endswith("1 finding needs a person\n-> fluxbatch report --output x\n")


async def test_a_ledger_without_runs_leads_to_a_first_manifest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with opened(tmp_path) as scene:
        pass
    assert show_status(scene.path, words="", json=False) == ExitCode.OK
    assert capsys.readouterr().out == "no runs yet\n-> fluxbatch init\n"
