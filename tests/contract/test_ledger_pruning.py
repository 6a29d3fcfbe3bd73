"""Letting go of what a ledger can do without: never money, and nothing that would be bought again for it."""

from pathlib import Path

from pipeline.ledger import (
    Bounds,
    JobState,
    Ledger,
    Policy,
    Pruned,
    Reservation,
    Verdict,
    hold,
    prune,
    repair,
)
from tests.contract.ledger_scene import PRICE, Opens, Scene

DAY_S = 86_400.0
EVERYTHING = Policy(resend_unknown=True, retry_failed=True, rebuy_lost=True)


def pruned(scene: Scene, *, days: float = 30.0, pictures: bool = False, max_bytes: int | None = None) -> Pruned:
    """What goes, which is what was said before that it would."""
    bounds = Bounds(before=scene.clock.at - days * DAY_S, pictures=pictures, max_bytes=max_bytes)
    with Ledger(scene.address) as ledger:
        said = ledger.prunable(bounds)
    with hold(scene.address, purpose="prune"):
        assert prune(scene.address, bounds, clock=scene.clock) == said
    return said


async def a_month_later(opens: Opens, folder: Path) -> Scene:
    """A ledger with a job in every state, all of them old."""
    async with opens(folder) as scene:
        run = await scene.begin()
        for index, state in enumerate(JobState, start=1):
            if state in {JobState.BUYING, JobState.PLANNED}:
                continue
            await scene.bring_to(state, run, scene.job(state, index=index))
        await scene.see(run, scene.job("never asked", index=20), scene.unfit(index=21))
        await scene.writer.end(run, exit_code=5)
        scene.clock.at += 31 * DAY_S
    return scene


def money(scene: Scene) -> tuple[list[str], int]:
    with Ledger(scene.address) as ledger:
        return [line.spend_usd + line.unknown_usd for line in ledger.rows() if line.attempts], scene.committed()


async def test_without_a_word_only_rows_that_were_never_asked_for_go(opens: Opens, tmp_path: Path) -> None:
    scene = await a_month_later(opens, tmp_path)
    before, rows = money(scene), len(scene.rows())
    went = pruned(scene)
    assert (went.rows, went.pictures) == (2, ())
    assert len(scene.rows()) == rows - 2
    assert money(scene) == before
    assert [finding.kind for finding in scene.verify().findings if finding.kind in {"job", "sums", "missing"}] == []
    assert pruned(scene).nothing


async def test_what_a_run_has_wanted_since_stays(opens: Opens, tmp_path: Path) -> None:
    scene = await a_month_later(opens, tmp_path)
    async with scene.beside() as again:
        again.clock.at = scene.clock.at
        await again.see(await again.begin(), again.job("never asked", index=20), again.job("stored", index=4))
    went = pruned(scene, pictures=True)
    assert (went.rows, went.pictures) == (1, ())


async def test_a_pruned_picture_stays_stored_and_is_neither_missed_nor_bought_again(
    opens: Opens, tmp_path: Path
) -> None:
    scene = await a_month_later(opens, tmp_path)
    before = money(scene)
    (path,) = pruned(scene, pictures=True).pictures
    assert not (tmp_path / path).exists()
    assert money(scene) == before
    assert {finding.kind for finding in scene.verify().findings} == {"unknown", "lost", "spoiled", "bought"}
    (row,) = [row for row in scene.rows() if row.state == "stored"]
    assert (row.path, row.error_kind, row.spend_usd) == (path, "pruned", "0.035")
    assert scene.state(scene.job("stored", index=4)) is JobState.STORED
    async with scene.beside() as again:
        run = await again.begin()
        job = again.job("stored", index=4)
        (admission,) = await again.see(run, job, policy=EVERYTHING)
        assert (admission.verdict, admission.state) == (Verdict.SETTLED, JobState.STORED)
        tried = await again.writer.reserve(run, placement=admission.placement, key=job.key, price_microusd=PRICE)
        assert not isinstance(tried, Reservation)
        tally = await again.tally(run)
        assert (tally.reused, tally.pruned, tally.lost) == (1, 1, 0)


async def test_another_manifest_that_wants_a_pruned_picture_buys_nothing_and_places_nothing(
    opens: Opens, tmp_path: Path
) -> None:
    scene = await a_month_later(opens, tmp_path)
    pruned(scene, pictures=True)
    async with scene.beside() as again:
        run = await again.begin(manifest="another")
        (admission,) = await again.see(run, again.job("stored", index=4), policy=EVERYTHING, folder="other")
        assert (admission.verdict, admission.stored_path) == (Verdict.SETTLED, None)
        assert await again.writer.unplaced(run) == []


async def test_repair_leaves_a_pruned_picture_as_it_is(opens: Opens, tmp_path: Path) -> None:
    scene = await a_month_later(opens, tmp_path)
    pruned(scene, pictures=True)
    with hold(scene.address, purpose="repair"):
        assert not [line for line in repair(scene.address, clock=scene.clock) if "picture" in line]
    assert scene.state(scene.job("stored", index=4)) is JobState.STORED


async def test_a_file_that_somebody_worked_on_stays(opens: Opens, tmp_path: Path) -> None:
    scene = await a_month_later(opens, tmp_path)
    (row,) = [row for row in scene.rows() if row.state == "stored"]
    file = tmp_path / str(row.path)
    file.write_bytes(b"retouched")
    went = pruned(scene, pictures=True)
    assert (went.pictures, went.kept) == ((), (row.path,))
    assert file.read_bytes() == b"retouched"
    assert [row.error_kind for row in scene.rows() if row.state == "stored"] == [None]


async def test_by_size_the_oldest_go_until_the_rest_fits(opens: Opens, tmp_path: Path) -> None:
    async with opens(tmp_path) as scene:
        run = await scene.begin()
        for index in range(1, 5):
            scene.clock.at += 60
            await scene.bring_to(JobState.STORED, run, scene.job(f"{index}", index=index))
        await scene.writer.end(run, exit_code=0)
        scene.clock.at += 31 * DAY_S
    size = len(b"picture")
    went = pruned(scene, pictures=True, max_bytes=2 * size + 1)
    assert went.pictures == ("pictures/001.jpeg", "pictures/002.jpeg")
    assert went.picture_bytes == 2 * size
    assert pruned(scene, pictures=True, max_bytes=2 * size).nothing


async def test_what_a_crash_left_of_pruned_pictures_goes_the_next_time(opens: Opens, tmp_path: Path) -> None:
    scene = await a_month_later(opens, tmp_path)
    (path,) = pruned(scene, pictures=True).pictures
    (tmp_path / "pictures").mkdir(exist_ok=True)
    (tmp_path / path).write_bytes(b"picture")
    assert pruned(scene, pictures=True).pictures == (path,)
    assert not (tmp_path / path).exists()


async def test_a_picture_with_unknown_money_stays(opens: Opens, tmp_path: Path) -> None:
    scene = await a_month_later(opens, tmp_path)
    scene.tamper("UPDATE jobs SET unknown_microusd = 35000 WHERE state = 'stored'")
    assert pruned(scene, pictures=True).pictures == ()


async def test_leftover_parts_go_and_parts_that_may_be_needed_stay(opens: Opens, tmp_path: Path) -> None:
    scene = await a_month_later(opens, tmp_path)
    keys = {row.state: row.key[:32] for row in scene.rows()}
    for state in ("stored", "unknown"):
        (tmp_path / "pictures" / f".{keys[state]}.part").write_bytes(b"half")
    assert pruned(scene).leftovers == (f"pictures/.{keys['stored']}.part",)
    assert (tmp_path / "pictures" / f".{keys['unknown']}.part").exists()


async def test_what_the_provider_sent_with_refusals_goes_and_the_refusal_stays(opens: Opens, tmp_path: Path) -> None:
    async with opens(tmp_path) as scene:
        run = await scene.begin()
        for index, money_back in enumerate((True, False), start=1):
            reservation = await scene.reserve(run, scene.job(f"{index}", index=index))
            if money_back:
                await scene.writer.release(
                    reservation, kind="invalid", message="no", body="x" * 500, final=True, passing=False
                )
            else:
                await scene.writer.lose_answer(reservation, kind="timeout", message="no", body="x" * 500)
        await scene.writer.end(run, exit_code=5)
        scene.clock.at += 31 * DAY_S
    assert pruned(scene).bodies == 1
    with Ledger(scene.address) as ledger:
        assert [told.attempts[0].error_kind for told in ledger.stories(scene.job("1").key)] == ["invalid"]
