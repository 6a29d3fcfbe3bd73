"""Letting go of input images: what no job needs, and what goes with a picture; nothing that is in use."""

import os
from dataclasses import replace
from pathlib import Path

from pipeline.job import Job, job_key, prepared_name
from pipeline.ledger import Bounds, JobState, Ledger, Pruned, hold, prune
from tests.contract.ledger_scene import Opens, Scene

DAY_S = 86_400.0
#: Digests of inputs: of a stored job, of one that was never asked for, of one whose answer was lost, of none.
STORED, IDLE, UNKNOWN, NONE, FRESH = (letter * 64 for letter in "abcde")


def edit(scene: Scene, sha256: str, *, index: int) -> Job:
    job = scene.job(sha256[0], index=index)
    request = replace(job.request, inputs=(sha256,), background="#ffffff")
    key = job_key(request, repeat=1, edition="", simulated=False)
    return replace(job, request=request, key=key, found_at=(f"https://x.test/{index}.png",))


def put(scene: Scene, name: str, *, days: float = 31) -> str:
    """A file of 10 bytes that was last touched so long ago; its name."""
    file = scene.folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(bytes(10))
    os.utime(file, (scene.clock.at - days * DAY_S, scene.clock.at - days * DAY_S))
    return name


def fetched(sha256: str) -> str:
    return f".inputs/{sha256[:2]}/{sha256}"


def prepared(job: Job) -> str:
    return prepared_name(f"pictures/{job.path}", job.request.identity(), 0)


def pruned(scene: Scene, *, pictures: bool = False, most: int | None = None) -> Pruned:
    """What goes, which is what was said before that it would."""
    before = scene.clock.at - 30 * DAY_S
    bounds = Bounds(
        before=before,
        pictures=pictures,
        inputs=scene.folder / ".inputs",
        inputs_before=before,
        max_input_bytes=most,
    )
    with Ledger(scene.address) as ledger:
        said = ledger.prunable(bounds)
    there = {name for name in said.inputs if (scene.folder / name).exists()}
    assert there == set(said.inputs)
    with hold(scene.address, purpose="prune"):
        assert prune(scene.address, bounds, clock=scene.clock) == said
    assert not [name for name in said.inputs if (scene.folder / name).exists()]
    return said


async def a_month_later(opens: Opens, folder: Path) -> tuple[Scene, dict[str, str]]:
    """A ledger with edits, and their inputs' files by what they are."""
    async with opens(folder) as scene:
        run = await scene.begin()
        stored, idle, unknown = (edit(scene, each, index=n) for n, each in enumerate((STORED, IDLE, UNKNOWN), start=1))
        await scene.bring_to(JobState.STORED, run, stored)
        await scene.bring_to(JobState.UNKNOWN, run, unknown)
        await scene.see(run, idle)
        await scene.writer.end(run, exit_code=5)
        scene.clock.at += 31 * DAY_S
    other = replace(stored, request=replace(stored.request, inputs=(NONE,)))
    files = {
        "stored": put(scene, fetched(STORED)),
        "stored, prepared": put(scene, prepared(stored)),
        "idle": put(scene, fetched(IDLE), days=33),
        "unknown": put(scene, fetched(UNKNOWN)),
        "unknown, prepared": put(scene, prepared(unknown)),
        "none": put(scene, fetched(NONE), days=34),
        "none, prepared": put(scene, prepared(other), days=32),
        "fresh": put(scene, fetched(FRESH), days=29),
        "part": put(scene, f".inputs/{'0' * 16}.part", days=40),
        "fresh part": put(scene, f".inputs/{'1' * 16}.part", days=1),
        "somebody's": put(scene, ".inputs/notes.txt"),
        "another ledger's": put(scene, "pictures/elsewhere.input-01234567.png"),
    }
    return scene, files


def gone(scene: Scene, files: dict[str, str]) -> set[str]:
    return {what for what, name in files.items() if not (scene.folder / name).exists()}


async def test_inputs_that_no_job_needs_go_when_they_are_old(opens: Opens, tmp_path: Path) -> None:
    scene, files = await a_month_later(opens, tmp_path)
    went = pruned(scene)
    assert gone(scene, files) == {"idle", "none", "none, prepared", "part"}
    assert went.inputs == tuple(files[what] for what in ("part", "none", "idle", "none, prepared"))
    assert went.input_bytes == 40
    assert pruned(scene).nothing


async def test_inputs_of_a_picture_go_with_it(opens: Opens, tmp_path: Path) -> None:
    scene, files = await a_month_later(opens, tmp_path)
    pruned(scene)
    went = pruned(scene, pictures=True)
    assert sorted(went.inputs) == sorted((files["stored"], files["stored, prepared"]))
    assert gone(scene, files) >= {"stored", "stored, prepared"}
    assert not gone(scene, files) & {"unknown", "unknown, prepared", "fresh", "somebody's", "another ledger's"}


async def test_inputs_of_a_picture_that_somebody_worked_on_stay_with_it(opens: Opens, tmp_path: Path) -> None:
    scene, files = await a_month_later(opens, tmp_path)
    (tmp_path / "pictures/001.jpeg").write_bytes(b"retouched")
    pruned(scene, pictures=True)
    assert not gone(scene, files) & {"stored", "stored, prepared"}


async def test_by_size_only_the_oldest_inputs_go(opens: Opens, tmp_path: Path) -> None:
    scene, files = await a_month_later(opens, tmp_path)
    assert pruned(scene, most=110).inputs == ()
    assert pruned(scene, most=95).inputs == (files["part"], files["none"])


async def test_a_link_in_the_place_of_the_folder_is_not_followed(opens: Opens, tmp_path: Path) -> None:
    scene, _ = await a_month_later(opens, tmp_path)
    (tmp_path / ".inputs").rename(tmp_path / "mine")
    (tmp_path / ".inputs").symlink_to(tmp_path / "mine")
    assert not [name for name in pruned(scene).inputs if name.startswith((".inputs", "mine"))]
