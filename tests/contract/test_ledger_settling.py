"""A person's word on money that bought nothing (H), and what it does to jobs, sums and counts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import ExitCode, LedgerCorruptError, NotFoundError, UsageError
from pipeline.ledger import JobState, Policy, Run, Settlement, Verdict, settle
from tests.contract.ledger_scene import PRICE, FakeClock, Scene


def word(scene: Scene, *keys: str, billed: bool) -> list[Settlement]:
    return settle(scene.address, list(keys), billed=billed, clock=scene.clock)


async def play(scene: Scene, run: Run, *states: JobState) -> None:
    """One job through several attempts, each ending in a state."""
    [seen] = await scene.see(run, scene.job())
    for state in states:
        await scene.bring_to(state, run, scene.job(), placement=seen.placement)


def sums(scene: Scene, run: Run) -> set[int]:
    """What each scope that the run's money counts in has committed."""
    return {scene.committed(scope) for scope in scene.scopes(run)}


U, L, S, P, ST, B = (
    JobState.UNKNOWN,
    JobState.LOST,
    JobState.SPOILED,
    JobState.PLANNED,
    JobState.STORED,
    JobState.BOUGHT,
)


@pytest.mark.parametrize(
    ("history", "billed", "after", "accepted", "amount", "money"),
    [
        ((U,), True, L, True, 1, (1, 0)),
        ((U,), False, P, False, 1, (0, 0)),
        ((U, U), True, L, True, 2, (2, 0)),
        ((U, U), False, P, False, 2, (0, 0)),
        ((L,), True, L, True, 0, (1, 0)),
        ((L,), False, P, False, 1, (0, 0)),
        ((S,), True, S, True, 0, (1, 0)),
        ((S,), False, P, False, 1, (0, 0)),
        ((L, L), False, P, False, 2, (0, 0)),
        # An earlier attempt was paid: what is asked is the unknown one, and the paid one stays paid.
        ((L, U), True, L, True, 1, (2, 0)),
        ((L, U), False, L, False, 1, (1, 0)),
        # One question at a time: the unknown first, the loss afterwards.
        ((U, L), True, L, False, 1, (2, 0)),
        ((U, L), False, L, False, 1, (1, 0)),
        ((U, S), False, S, False, 1, (1, 0)),
        # A resend that bought: only the first attempt's money is in question.
        ((U, ST), True, ST, False, 1, (2, 0)),
        ((U, ST), False, ST, False, 1, (1, 0)),
        ((U, B), True, B, False, 1, (2, 0)),
        ((U, B), False, B, False, 1, (1, 0)),
        # Nobody will read the answer of a run that died: it is unknown by the time somebody asks.
        ((JobState.BUYING,), True, L, True, 1, (1, 0)),
        ((JobState.BUYING,), False, P, False, 1, (0, 0)),
    ],
)
async def test_a_word_settles_what_is_in_question(
    scene: Scene,
    history: tuple[JobState, ...],
    billed: bool,
    after: JobState,
    accepted: bool,
    amount: int,
    money: tuple[int, int],
) -> None:
    run = await scene.begin()
    await play(scene, run, *history)
    [told] = word(scene, scene.job().key, billed=billed)
    before = U if history == (JobState.BUYING,) else history[-1]
    assert told == Settlement(
        key=scene.job().key, before=before, after=after, amount_microusd=amount * PRICE, accepted=accepted
    )
    assert scene.state(scene.job()) is after
    assert scene.money(run) == (money[0] * PRICE, money[1] * PRICE, 0)
    assert sums(scene, run) == {sum(money) * PRICE}
    assert not {finding.kind for finding in scene.verify().findings} & {"sums", "job"}


@pytest.mark.parametrize("billed", [True, False])
@pytest.mark.parametrize("state", [P, B, ST, JobState.FAILED])
async def test_there_is_nothing_to_settle(scene: Scene, state: JobState, billed: bool) -> None:
    run = await scene.begin()
    await play(scene, run, state)
    before = scene.money(run)
    with pytest.raises(UsageError, match=f"is {state}, and none of its money is unknown") as caught:
        word(scene, scene.job().key, billed=billed)
    assert caught.value.remedy
    assert (scene.state(scene.job()), scene.money(run)) == (state, before)


async def test_a_loss_is_accepted_once(scene: Scene) -> None:
    await play(scene, await scene.begin(), L)
    word(scene, scene.job().key, billed=True)
    with pytest.raises(UsageError):
        word(scene, scene.job().key, billed=True)


async def test_an_accepted_loss_may_still_be_given_back(scene: Scene) -> None:
    run = await scene.begin()
    await play(scene, run, L)
    word(scene, scene.job().key, billed=True)
    [told] = word(scene, scene.job().key, billed=False)
    assert (told.before, told.after, told.amount_microusd) == (L, P, PRICE)
    assert scene.money(run) == (0, 0, 0)


async def test_a_loss_with_unknown_money_is_accepted_by_a_second_word(scene: Scene) -> None:
    run = await scene.begin()
    await play(scene, run, U, L)
    word(scene, scene.job().key, billed=False)
    assert not scene.verify().proven
    [told] = word(scene, scene.job().key, billed=True)
    assert (told.after, told.accepted, told.amount_microusd) == (L, True, 0)
    assert scene.verify().proven


@pytest.mark.parametrize("state", [U, L, S])
async def test_what_was_not_billed_is_bought_by_the_next_run(scene: Scene, state: JobState) -> None:
    await play(scene, await scene.begin(), state)
    word(scene, scene.job().key, billed=False)
    scene.clock.at += 1
    run = await scene.begin()
    [seen] = await scene.see(run, scene.job())
    assert (seen.verdict, seen.state) == (Verdict.BUY, P)
    await scene.bring_to(ST, run, scene.job(), placement=seen.placement)
    assert scene.money(run) == (PRICE, 0, 0)
    assert scene.verify().proven


@pytest.mark.parametrize("state", [U, L, S])
async def test_what_is_accepted_needs_nobody_any_more(scene: Scene, state: JobState) -> None:
    await play(scene, await scene.begin(), state)
    word(scene, scene.job().key, billed=True)
    run = await scene.begin()
    [seen] = await scene.see(run, scene.job())
    tally = await scene.tally(run)
    assert seen.verdict is Verdict.SETTLED
    assert (tally.lost + tally.spoiled, tally.settled, tally.unknown) == (1, 1, 0)
    assert await scene.writer.troubles(run, limit=5) == []
    assert scene.verify().proven


async def test_what_is_not_accepted_does_not_count_as_settled(scene: Scene) -> None:
    run = await scene.begin()
    first, second = await scene.see(run, scene.job("one"), scene.job("two", index=2))
    await scene.bring_to(L, run, scene.job("one"), placement=first.placement)
    await scene.bring_to(S, run, scene.job("two", index=2), placement=second.placement)
    word(scene, scene.job("two").key, billed=True)
    tally = await scene.tally(run)
    assert (tally.lost, tally.spoiled, tally.settled) == (1, 1, 1)
    assert [trouble.index for trouble in await scene.writer.troubles(run, limit=5)] == [1]
    assert [finding.kind for finding in scene.verify().findings] == ["lost"]


async def test_an_accepted_loss_that_is_bought_again_and_lost_again_is_no_longer_accepted(scene: Scene) -> None:
    await play(scene, await scene.begin(), L)
    word(scene, scene.job().key, billed=True)
    scene.clock.at += 1
    run = await scene.begin()
    [seen] = await scene.see(run, scene.job(), policy=Policy(rebuy_lost=True))
    assert seen.verdict is Verdict.BUY
    await scene.bring_to(L, run, scene.job(), placement=seen.placement)
    assert (await scene.tally(run)).settled == 0
    assert not scene.verify().proven


async def test_a_picture_still_to_come_is_not_accepted_as_lost_beforehand(scene: Scene) -> None:
    """What was said of an earlier attempt's money says nothing of a picture that is lost later."""
    run = await scene.begin()
    [seen] = await scene.see(run, scene.job())
    await scene.bring_to(U, run, scene.job(), placement=seen.placement)
    bought = await scene.bring_to(B, run, scene.job(), placement=seen.placement)
    word(scene, scene.job().key, billed=True)
    await scene.writer.lose(attempt=bought.attempt, kind="window_closed", message="404")
    assert (await scene.tally(run)).settled == 0
    assert [finding.kind for finding in scene.verify().findings] == ["lost"]


async def test_money_is_settled_on_the_day_it_was_reserved(scene: Scene) -> None:
    run = await scene.begin()
    await play(scene, run, U)
    scene.clock.set(2026, 12, 24)
    word(scene, scene.job().key, billed=True)
    assert sums(scene, run) == {PRICE}
    assert scene.committed("day:2026-12-24") == 0


async def test_what_is_given_back_makes_room_in_the_budget(scene: Scene) -> None:
    run = await scene.begin()
    await play(scene, run, U)
    assert scene.committed() == PRICE
    word(scene, scene.job().key, billed=False)
    assert scene.committed() == 0


async def test_make_believe_money_is_settled_apart(scene: Scene) -> None:
    run = await scene.begin(simulated=True)
    await play(scene, run, U)
    word(scene, scene.job().key, billed=True)
    assert sums(scene, run) == {PRICE}
    assert scene.committed("total") == 0


@pytest.mark.parametrize("change", [str.lower, str.upper])
async def test_a_job_is_known_by_the_first_digits_of_its_key(scene: Scene, change: Callable[[str], str]) -> None:
    await play(scene, await scene.begin(), U)
    [told] = word(scene, change(scene.job().key[:6]), billed=True)
    assert told.key == scene.job().key


async def test_a_job_named_twice_is_settled_once(scene: Scene) -> None:
    await play(scene, await scene.begin(), U)
    key = scene.job().key
    assert len(word(scene, key, key[:8], billed=True)) == 1


@pytest.mark.parametrize("key", ["", "abcde", "g" * 12, "%" * 6, "0" * 65, "abcdef\n"])
async def test_what_is_no_key_is_refused(scene: Scene, key: str) -> None:
    with pytest.raises(UsageError, match="not a job's key") as caught:
        word(scene, key, billed=True)
    assert caught.value.exit_code is ExitCode.USAGE


async def test_a_key_that_no_job_has_is_not_found(scene: Scene) -> None:
    with pytest.raises(NotFoundError, match="no job has a key that begins with abcdef"):
        word(scene, "abcdef", billed=True)


async def test_a_key_that_several_jobs_begin_with_is_refused(scene: Scene) -> None:
    run = await scene.begin()
    await scene.see(run, scene.job("one"), scene.job("two", index=2))
    scene.tamper("UPDATE jobs SET key = unhex('abcdef' || substr(hex(key), 7))")
    with pytest.raises(UsageError, match="several jobs") as caught:
        word(scene, "abcdef", billed=True)
    assert "more digits" in caught.value.remedy


async def test_one_that_cannot_be_settled_leaves_the_others_as_they_were(scene: Scene) -> None:
    run = await scene.begin()
    for index, state in ((1, U), (2, ST)):
        await scene.bring_to(state, run, scene.job(str(index), index=index))
    with pytest.raises(UsageError):
        word(scene, scene.job("1").key, scene.job("2").key, billed=True)
    assert scene.state(scene.job("1")) is U
    assert scene.money(run) == (PRICE, PRICE, 0)


async def test_no_key_means_every_job_with_unknown_money(scene: Scene) -> None:
    run = await scene.begin()
    for index, state in enumerate((U, L, S, ST, U), start=1):
        await scene.bring_to(state, run, scene.job(str(index), index=index))
    told = word(scene, billed=False)
    assert {each.key for each in told} == {scene.job("1").key, scene.job("5").key}
    assert scene.money(run) == (3 * PRICE, 0, 0)


async def test_a_word_on_all_unknown_money_gives_back_no_loss(scene: Scene) -> None:
    """The bill was read for what was unknown; that a lost picture was paid for is known."""
    run = await scene.begin()
    await play(scene, run, U, L)
    word(scene, billed=False)
    assert (scene.state(scene.job()), scene.money(run)) == (L, (PRICE, 0, 0))


async def test_with_nothing_unknown_there_is_nothing_to_say(scene: Scene) -> None:
    await play(scene, await scene.begin(), L)
    assert word(scene, billed=True) == []


async def test_free_pictures_of_unknown_outcome_are_settled_too(scene: Scene) -> None:
    run = await scene.begin()
    await scene.lose_answer(await scene.reserve(run, scene.job(), price=0))
    [told] = word(scene, billed=False)
    assert (told.after, told.amount_microusd) == (P, 0)


async def test_a_stored_picture_that_is_gone_and_given_back_is_forgotten(scene: Scene) -> None:
    await play(scene, await scene.begin(), ST)
    (scene.folder / "pictures/001.jpeg").unlink()
    await scene.see(await scene.begin(), scene.job())
    word(scene, scene.job().key, billed=False)
    [row] = scene.rows()
    assert (row.state, row.path, row.sha256, row.bytes) == (P, None, None, None)
    assert scene.verify().proven


@pytest.mark.parametrize("name", ["ledger.db", "n" * 300, ""])
def test_without_a_ledger_there_is_nothing_to_settle(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFoundError):
        settle(tmp_path / name, [], billed=True, clock=FakeClock())
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_no_ledger_to_settle(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").touch()
    with pytest.raises(LedgerCorruptError, match="an empty file"):
        settle(tmp_path / "ledger.db", [], billed=True, clock=FakeClock())
