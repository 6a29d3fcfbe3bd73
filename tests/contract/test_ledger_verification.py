"""Proving the ledger: whatever was changed behind its back, and whatever only a person can settle, is found."""

import pytest

from pipeline.ledger import JobState
from tests.contract.ledger_scene import PRICE, Scene


def _kinds(scene: Scene) -> set[str]:
    return {finding.kind for finding in scene.verify().findings}


async def test_an_empty_ledger_is_proven(scene: Scene) -> None:
    verification = scene.verify()
    assert verification.proven
    assert (verification.pictures, verification.attempts, verification.spent_microusd) == (0, 0, 0)


@pytest.mark.parametrize("state", [JobState.PLANNED, JobState.STORED, JobState.FAILED])
async def test_what_needs_nobody_is_proven(scene: Scene, state: JobState) -> None:
    await scene.bring_to(state, await scene.begin(), scene.job())
    assert scene.verify().proven


async def test_it_counts_what_it_proved(scene: Scene) -> None:
    await scene.bring_to(JobState.STORED, await scene.begin(), scene.job())
    verification = scene.verify()
    assert (verification.pictures, verification.attempts, verification.spent_microusd) == (1, 1, PRICE)
    assert verification.simulated_microusd == 0


async def test_it_counts_simulated_money_apart(scene: Scene) -> None:
    await scene.bring_to(JobState.STORED, await scene.begin(simulated=True), scene.job())
    verification = scene.verify()
    assert (verification.spent_microusd, verification.simulated_microusd) == (0, PRICE)


@pytest.mark.parametrize("state", [JobState.BUYING, JobState.BOUGHT, JobState.UNKNOWN, JobState.LOST, JobState.SPOILED])
async def test_money_that_only_a_person_or_a_run_can_settle_is_found(scene: Scene, state: JobState) -> None:
    await scene.bring_to(state, await scene.begin(), scene.job())
    [finding] = scene.verify().findings
    assert (finding.kind, finding.subject) == (state, "1 job")


async def test_unknown_money_is_told_in_dollars_and_jobs(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.UNKNOWN, run, scene.job("one"))
    await scene.bring_to(JobState.UNKNOWN, run, scene.job("two", index=2))
    [finding] = scene.verify().findings
    assert finding.subject == "2 jobs"
    assert "$0.070" in finding.message


async def test_a_missing_picture_is_found(scene: Scene) -> None:
    await scene.bring_to(JobState.STORED, await scene.begin(), scene.job())
    (scene.folder / "pictures/001.jpeg").unlink()
    [finding] = scene.verify().findings
    assert (finding.kind, finding.subject) == ("missing", "pictures/001.jpeg")
    assert scene.job().key[:12] in finding.message
    assert "put it back, or" in finding.message
    assert "--rebuy-lost" in finding.message


@pytest.mark.parametrize("data", [b"Picture", b"pictur", b""])
async def test_an_altered_picture_is_found(scene: Scene, data: bytes) -> None:
    await scene.bring_to(JobState.STORED, await scene.begin(), scene.job())
    (scene.folder / "pictures/001.jpeg").write_bytes(data)
    [finding] = scene.verify().findings
    assert (finding.kind, finding.subject) == ("altered", "pictures/001.jpeg")


async def test_a_missing_copy_of_a_stored_picture_is_found(scene: Scene) -> None:
    run = await scene.begin()
    first, second = await scene.see(run, scene.job(index=1), scene.job(index=2))
    await scene.bring_to(JobState.STORED, run, scene.job(), placement=first.placement)
    await scene.writer.place(placement=second.placement, path="pictures/002.jpeg")
    [finding] = scene.verify().findings
    assert (finding.kind, finding.subject) == ("missing", "pictures/002.jpeg")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE sums SET spent = spent - 1 WHERE scope = 'total'",
        "UPDATE sums SET spent = 0, unknown = spent WHERE scope = 'day:2026-11-23'",
        "UPDATE sums SET reserved = 1 WHERE scope LIKE 'batch:%'",
        "DELETE FROM sums WHERE scope = 'month:2026-11'",
        "INSERT INTO sums VALUES ('simulated:total', 1, 0, 0)",
    ],
)
async def test_tampered_sums_are_found(scene: Scene, statement: str) -> None:
    await scene.bring_to(JobState.STORED, await scene.begin(), scene.job())
    scene.tamper(statement)
    assert _kinds(scene) == {"sums"}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE attempts SET price_microusd = 1",
        "UPDATE attempts SET money = 'unknown'",
        "DELETE FROM attempts",
    ],
)
async def test_tampered_attempts_are_found(scene: Scene, statement: str) -> None:
    await scene.bring_to(JobState.STORED, await scene.begin(), scene.job())
    scene.tamper(statement)
    assert {"sums", "job"} <= _kinds(scene)


@pytest.mark.parametrize("false", JobState)
@pytest.mark.parametrize("true", JobState)
async def test_a_tampered_state_is_found(scene: Scene, true: JobState, false: JobState) -> None:
    await scene.bring_to(true, await scene.begin(), scene.job())
    before = _kinds(scene)
    scene.tamper(f"UPDATE jobs SET state = '{false}'")
    # Whoever makes a refusal of a plan, or a lost picture of a spoiled one, moves no money and hides no picture.
    harmless = ({JobState.PLANNED, JobState.FAILED}, {JobState.LOST, JobState.SPOILED})
    # A stored picture may be lost, once its file is gone.
    if true is false or {true, false} in harmless or (true, false) == (JobState.STORED, JobState.LOST):
        assert "job" not in before
    else:
        assert "job" in _kinds(scene)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE jobs SET spend_microusd = 0",
        "UPDATE jobs SET unknown_microusd = 1",
        "UPDATE jobs SET attempts = 0",
        "UPDATE jobs SET sha256 = NULL",
        "UPDATE jobs SET url = 'https://images.example'",
    ],
)
async def test_a_tampered_job_is_found(scene: Scene, statement: str) -> None:
    await scene.bring_to(JobState.STORED, await scene.begin(), scene.job())
    scene.tamper(statement)
    assert "job" in _kinds(scene)


async def test_a_place_without_a_stored_picture_is_found(scene: Scene) -> None:
    await scene.see(await scene.begin(), scene.job())
    scene.tamper("UPDATE placements SET path = 'pictures/001.jpeg'")
    assert _kinds(scene) == {"job"}


async def test_each_finding_that_a_person_can_act_on_says_how(scene: Scene) -> None:
    run = await scene.begin()
    told = {
        JobState.UNKNOWN: "fluxbatch ledger resolve",
        JobState.LOST: "run MANIFEST --rebuy-lost",
        JobState.SPOILED: "run MANIFEST --rebuy-lost",
        JobState.BOUGHT: "run the manifest again now",
    }
    for index, state in enumerate(told, start=1):
        await scene.bring_to(state, run, scene.job(str(index), index=index))
    assert {finding.kind for finding in scene.verify().findings} == set(told)
    for finding in scene.verify().findings:
        assert told[JobState(finding.kind)] in finding.message


async def test_an_altered_picture_says_what_to_do(scene: Scene) -> None:
    await scene.bring_to(JobState.STORED, await scene.begin(), scene.job())
    (scene.folder / "pictures/001.jpeg").write_bytes(b"PICTURE")
    [finding] = scene.verify().findings
    assert "put the right file back, or delete this one" in finding.message
    assert "--rebuy-lost" in finding.message


async def test_a_folder_where_a_picture_was_is_altered_and_no_picture(scene: Scene) -> None:
    await scene.bring_to(JobState.STORED, await scene.begin(), scene.job())
    (scene.folder / "pictures/001.jpeg").unlink()
    (scene.folder / "pictures/001.jpeg").mkdir()
    assert _kinds(scene) == {"altered"}


async def test_a_picture_that_fails_to_be_read_is_missing(scene: Scene) -> None:
    await scene.bring_to(JobState.STORED, await scene.begin(), scene.job())
    (scene.folder / "pictures/001.jpeg").unlink()
    (scene.folder / "pictures/001.jpeg").symlink_to("/proc/self/mem")  # a regular file that fails to be read
    scene.tamper("UPDATE jobs SET bytes = 0")
    [finding] = scene.verify().findings
    assert finding.kind == "missing"
    assert "Input/output error" in finding.message


async def test_an_earlier_attempts_unknown_money_is_told_beside_a_loss(scene: Scene) -> None:
    run = await scene.begin()
    [seen] = await scene.see(run, scene.job())
    for state in (JobState.UNKNOWN, JobState.LOST):
        await scene.bring_to(state, run, scene.job(), placement=seen.placement)
    [finding] = scene.verify().findings
    assert finding.kind == "lost"
    assert "besides, $0.035 of an earlier attempt is unknown" in finding.message


async def test_unknown_money_of_a_stored_picture_says_what_to_do(scene: Scene) -> None:
    run = await scene.begin()
    [seen] = await scene.see(run, scene.job())
    for state in (JobState.UNKNOWN, JobState.STORED):
        await scene.bring_to(state, run, scene.job(), placement=seen.placement)
    [finding] = scene.verify().findings
    assert (finding.kind, finding.subject) == ("unknown", "1 job")
    assert "with $0.035 still unknown from an earlier attempt: read the provider's bill" in finding.message


async def test_thousands_of_jobs_are_told_with_their_comma(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.LOST, run, scene.job())
    scene.tamper(
        "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
        " INSERT INTO jobs (key, state, model, prompt, asked)"
        " SELECT unhex(CAST(100000 + i AS TEXT)), 'lost', '', '', '' FROM n"
    )
    assert "1,000 jobs" in {finding.subject for finding in scene.verify().findings if finding.kind == "lost"}
