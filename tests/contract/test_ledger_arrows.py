"""Every arrow of a job's life, and that there is no other."""

from collections.abc import Awaitable, Callable

import pytest

from pipeline.errors import FluxbatchError
from pipeline.ledger import JobState, Policy, Reservation, Run
from tests.contract.ledger_scene import PRICE, Scene

Arrow = Callable[[Scene, Run, Reservation], Awaitable[None]]

#: The arrows that settle a reservation (B, D, E), and those that end what is bought (C, F, G).
SETTLING: dict[str, Arrow] = {
    "answer": lambda scene, run, reservation: scene.answer(reservation),
    "release": lambda scene, run, reservation: scene.refuse(reservation),
    "lose_answer": lambda scene, run, reservation: scene.lose_answer(reservation),
}
ENDING: dict[str, Arrow] = {
    "store": lambda scene, run, reservation: scene.store(run, reservation),
    "lose": lambda scene, run, reservation: scene.writer.lose(attempt=reservation.attempt, kind="k", message="m"),
    "spoil": lambda scene, run, reservation: scene.writer.spoil(attempt=reservation.attempt, kind="k", message="m"),
}


async def test_admission_plans_a_job(scene: Scene) -> None:
    run = await scene.begin()
    await scene.see(run, scene.job())
    assert scene.state(scene.job()) is JobState.PLANNED
    assert scene.committed() == 0


async def test_a_reserve_makes_the_job_buying_and_counts_its_price(scene: Scene) -> None:
    run = await scene.begin()
    await scene.reserve(run, scene.job())
    assert scene.state(scene.job()) is JobState.BUYING
    assert scene.money(run) == (0, 0, PRICE)


async def test_b_answer_makes_the_job_bought_and_the_reservation_spend(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.BOUGHT, run, scene.job())
    assert scene.state(scene.job()) is JobState.BOUGHT
    assert scene.money(run) == (PRICE, 0, 0)


async def test_b_answer_keeps_the_url_and_the_deadline(scene: Scene) -> None:
    run = await scene.begin()
    reservation = await scene.bring_to(JobState.BOUGHT, run, scene.job())
    [waiting] = await scene.unfetched(run)
    assert waiting.key == scene.job().key
    assert waiting.attempt == reservation.attempt
    assert waiting.url == "https://images.example/a.jpeg?signature=s"
    assert waiting.bought_at == scene.clock.wall()
    assert waiting.deadline == scene.clock.wall() + 600
    assert (waiting.ratio, waiting.wanted) == ("16:9", "pictures/001")


async def test_c_store_makes_the_job_stored_with_its_proof(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.STORED, run, scene.job())
    [row] = scene.rows()
    assert row.state == JobState.STORED
    assert row.path == "pictures/001.jpeg"
    assert row.sha256 == scene.picture().sha256
    assert (row.bytes, row.width, row.height, row.format, row.verdict) == (7, 1392, 752, "jpeg", "ok")
    assert scene.money(run) == (PRICE, 0, 0)


async def test_d_lost_answer_makes_the_job_unknown_and_keeps_the_money(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.UNKNOWN, run, scene.job())
    [row] = scene.rows()
    assert row.state == JobState.UNKNOWN
    assert (row.error_kind, row.error_message) == ("read_timeout", "no answer in 180 s")
    assert scene.money(run) == (0, PRICE, 0)


async def test_e_final_release_makes_the_job_failed_and_gives_the_money_back(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.FAILED, run, scene.job())
    assert scene.state(scene.job()) is JobState.FAILED
    assert scene.money(run) == (0, 0, 0)


async def test_e_release_with_attempts_left_returns_the_job_to_planned(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.PLANNED, run, scene.job())
    assert scene.state(scene.job()) is JobState.PLANNED
    assert scene.money(run) == (0, 0, 0)


async def test_f_spoiled_keeps_the_money_spent(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.SPOILED, run, scene.job())
    assert scene.state(scene.job()) is JobState.SPOILED
    assert scene.money(run) == (PRICE, 0, 0)


async def test_g_lost_keeps_the_money_spent(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.LOST, run, scene.job())
    assert scene.state(scene.job()) is JobState.LOST
    assert scene.money(run) == (PRICE, 0, 0)


@pytest.mark.parametrize("end", [JobState.STORED, JobState.LOST, JobState.SPOILED])
async def test_what_has_ended_is_not_to_be_fetched(scene: Scene, end: JobState) -> None:
    run = await scene.begin()
    await scene.bring_to(end, run, scene.job())
    assert await scene.unfetched(run) == []


@pytest.mark.parametrize("arrow", SETTLING)
@pytest.mark.parametrize("state", [state for state in JobState if state is not JobState.BUYING])
async def test_a_reservation_is_settled_once(scene: Scene, state: JobState, arrow: str) -> None:
    run = await scene.begin()
    reservation = await scene.bring_to(state, run, scene.job())
    money = scene.money(run)
    with pytest.raises(FluxbatchError, match="refused"):
        await SETTLING[arrow](scene, run, reservation)
    assert (scene.state(scene.job()), scene.money(run)) == (state, money)


@pytest.mark.parametrize("arrow", ENDING)
@pytest.mark.parametrize("state", [state for state in JobState if state is not JobState.BOUGHT])
async def test_only_what_is_bought_can_be_stored_lost_or_spoiled(scene: Scene, state: JobState, arrow: str) -> None:
    run = await scene.begin()
    reservation = await scene.bring_to(state, run, scene.job())
    money = scene.money(run)
    with pytest.raises(FluxbatchError, match="no picture to come"):
        await ENDING[arrow](scene, run, reservation)
    assert (scene.state(scene.job()), scene.money(run)) == (state, money)


@pytest.mark.parametrize("state", [JobState.BUYING, JobState.BOUGHT, JobState.STORED])
async def test_what_is_under_way_or_stored_is_not_reserved_again(scene: Scene, state: JobState) -> None:
    run = await scene.begin()
    [seen] = await scene.see(run, scene.job())
    await scene.bring_to(state, run, scene.job(), placement=seen.placement)
    again = await scene.writer.reserve(run, placement=seen.placement, key=scene.job().key, price_microusd=PRICE)
    assert again is None
    assert scene.committed() == PRICE


async def test_an_earlier_attempt_cannot_store_what_a_later_one_bought(scene: Scene) -> None:
    run = await scene.begin()
    first = await scene.bring_to(JobState.LOST, run, scene.job())
    later = await scene.begin()
    [seen] = await scene.see(later, scene.job(), policy=Policy(rebuy_lost=True))
    await scene.bring_to(JobState.BOUGHT, later, scene.job(), placement=seen.placement)
    with pytest.raises(FluxbatchError, match="no picture to come"):
        await scene.store(later, first)


async def test_a_row_without_a_stored_picture_cannot_be_placed(scene: Scene) -> None:
    run = await scene.begin()
    [seen] = await scene.see(run, scene.job())
    with pytest.raises(FluxbatchError, match="no stored picture"):
        await scene.writer.place(placement=seen.placement, path="pictures/001.jpeg")


async def test_an_attempt_that_never_was_cannot_be_settled(scene: Scene) -> None:
    await scene.begin()
    with pytest.raises(FluxbatchError, match="refused"):
        await scene.lose_answer(Reservation(attempt=99, price_microusd=PRICE))


async def test_a_job_never_admitted_cannot_be_reserved(scene: Scene) -> None:
    run = await scene.begin()
    with pytest.raises(FluxbatchError, match="refused"):
        await scene.writer.reserve(run, placement=1, key="ab" * 32, price_microusd=PRICE)


async def test_a_negative_price_is_refused(scene: Scene) -> None:
    run = await scene.begin()
    with pytest.raises(FluxbatchError, match="refused"):
        await scene.reserve(run, scene.job(), price=-1)
    assert scene.money(run) == (0, 0, 0)


async def test_a_job_left_planned_keeps_why(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.PLANNED, run, scene.job())
    [row] = scene.rows()
    assert (row.error_kind, row.error_message) == ("overloaded", "not now")


async def test_an_answer_clears_an_earlier_refusal(scene: Scene) -> None:
    run = await scene.begin()
    [seen] = await scene.see(run, scene.job())
    await scene.bring_to(JobState.PLANNED, run, scene.job(), placement=seen.placement)
    await scene.bring_to(JobState.BOUGHT, run, scene.job(), placement=seen.placement)
    [row] = scene.rows()
    assert (row.error_kind, row.error_message, row.attempts, row.request_id) == (None, None, 2, "req-1")


async def test_a_refusal_is_kept_to_2000_characters(scene: Scene) -> None:
    run = await scene.begin()
    reservation = await scene.reserve(run, scene.job())
    await scene.writer.release(reservation, kind="refused", message="x" * 5_000, final=True, passing=False)
    [row] = scene.rows()
    assert row.error_message == "x" * 2_000


async def test_the_earliest_deadline_is_fetched_first_and_what_has_none_last(scene: Scene) -> None:
    run = await scene.begin()
    for index, deadline in ((1, None), (2, 900.0), (3, 300.0)):
        reservation = await scene.reserve(run, scene.job(f"picture {index}", index=index))
        await scene.writer.answer(
            reservation, url=f"https://images.example/{index}", bought_at=0.0, deadline=deadline, request_id=""
        )
    assert [waiting.wanted for waiting in await scene.unfetched(run)] == [
        "pictures/003",
        "pictures/002",
        "pictures/001",
    ]
