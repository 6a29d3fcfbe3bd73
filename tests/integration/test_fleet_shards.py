"""Shards on the ledger: who may buy for one, what an earlier epoch may still record, and how it ends."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
import anyio.to_thread
import psycopg
import pytest

from pipeline.clock import uptime
from pipeline.errors import LedgerBusyError, UsageError
from pipeline.ledger import Caps, JobState, LedgerWriter, Reservation, Run, Server, Share
from pipeline.ledger.postgres.board import Board
from pipeline.ledger.postgres.calls import SEND_WITHIN_S
from tests.contract.ledger_scene import PRICE, FakeClock, Scene

CAPS = Caps(total=100 * PRICE)
WORK = '{"policy": {}, "jobs": []}'


@pytest.fixture
def server(database: str, tmp_path: Path) -> Server:
    return Server(database, tmp_path)


@pytest.fixture
def board(server: Server) -> Iterator[Board]:
    with closing(Board(server)) as made:
        yield made


@asynccontextmanager
async def scene_on(server: Server) -> AsyncIterator[Scene]:
    clock = FakeClock()
    async with LedgerWriter(server, clock=clock) as writer:
        yield Scene(folder=server.folder, writer=writer, clock=clock)


async def begin(scene: Scene, shard: int | None, *, manifest: str = "poster") -> Run:
    return await scene.writer.begin(
        manifest=manifest,
        edition="",
        provider="apiyi",
        simulated=False,
        caps=CAPS,
        share=Share(shard=shard),
    )


def tell(server: Server, statement: str) -> None:
    """Say something to the database behind the ledger's back."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("SET search_path TO fluxbatch")
        connection.execute(statement.encode())


def fall_silent(server: Server, *, seconds: float = 60.0) -> None:
    """As if nothing had been heard of anybody for so long."""
    tell(
        server, f"UPDATE writers SET seen_at = clock_timestamp() - INTERVAL '{seconds} seconds', machine = 'elsewhere'"
    )


async def sharded(server: Server, board: Board, *prompts: str) -> dict[str, int]:
    """Submit one shard of these; each one's placement."""
    async with scene_on(server) as scene:
        run = await begin(scene, None)
        jobs = [scene.job(prompt, index=number) for number, prompt in enumerate(prompts, 1)]
        admitted = await scene.see(run, *jobs)
        board.submit(run.batch, "{}", at=scene.clock.at)
        places = {prompt: each.placement for prompt, each in zip(prompts, admitted, strict=True)}
        assert board.add_shard(run.batch, WORK, list(places.values())) == 1
        await scene.writer.end(run, exit_code=0)
    return places


async def test_a_shard_has_one_buyer_and_a_second_only_once_the_first_is_silent(server: Server, board: Board) -> None:
    await sharded(server, board, "One")
    async with scene_on(server) as first, scene_on(server) as second:
        run = await begin(first, 1)
        with pytest.raises(LedgerBusyError, match=run.run_id):
            await begin(second, 1)
        fall_silent(server)
        taken = await begin(second, 1)
        assert taken.batch == run.batch
        with pytest.raises(LedgerBusyError, match="another worker has this shard now"):
            await first.writer.reserve(run, placement=1, key=first.job("One").key, price_microusd=PRICE)
        assert isinstance(await second.reserve(taken, second.job("One"), placement=1), Reservation)


async def test_what_an_earlier_epoch_paid_is_recorded_and_what_it_did_not_send_is_given_back(
    server: Server, board: Board
) -> None:
    places = await sharded(server, board, "Paid", "Unsent", "Lost")
    async with scene_on(server) as first, scene_on(server) as second:
        run = await begin(first, 1)
        held = {
            prompt: await first.reserve(run, first.job(prompt), placement=place) for prompt, place in places.items()
        }
        fall_silent(server)
        before = second.clock.at
        taken = await begin(second, 1)
        assert 0 < second.clock.at - before <= 8.0, "until the first could not start a request any more"
        tell(server, "UPDATE attempts SET reserved_at = reserved_at - INTERVAL '20 seconds'")
        await second.writer.adopt(taken, lambda _: True)  # takes over from the dead
        assert second.money(taken) == (0, 3 * PRICE, 0)
        assert board.close_shard(taken.run_id, again_s=None, leaves=False, fault=False, why="")

        await first.answer(held["Paid"])
        await first.writer.release(
            held["Unsent"], kind="late", message="not sent", final=False, passing=True, counted=False
        )
        assert first.money(taken) == (PRICE, PRICE, 0)
        assert board.is_anything_left(), "what was given back is to be bought by somebody"
        rows = {row.prompt: row.state for row in second.rows()}
    assert rows == {"Paid": JobState.BOUGHT, "Unsent": JobState.PLANNED, "Lost": JobState.UNKNOWN}


async def test_a_run_that_may_still_send_is_not_held_as_unknown_by_anybody(server: Server, board: Board) -> None:
    places = await sharded(server, board, "One")
    async with scene_on(server) as first, scene_on(server) as second, scene_on(server) as third:
        run = await begin(first, 1)
        await first.reserve(run, first.job("One"), placement=places["One"])
        fall_silent(server)
        taken = await begin(second, 1)
        await third.begin(manifest="another")
        assert third.money(taken) == (0, 0, PRICE)


async def test_a_reservation_is_good_for_so_long_from_before_it_was_asked_for(server: Server, board: Board) -> None:
    places = await sharded(server, board, "One")
    async with scene_on(server) as scene:
        run = await begin(scene, 1)
        before = uptime()
        held = await scene.reserve(run, scene.job("One"), placement=places["One"])
        assert before <= held.good_until - SEND_WITHIN_S <= uptime()
        assert not held.is_late


async def test_an_ordinary_run_and_a_fleet_do_not_buy_one_manifest_at_once(server: Server, board: Board) -> None:
    await sharded(server, board, "One")
    async with scene_on(server) as fleet, scene_on(server) as ordinary, scene_on(server) as submits:
        run = await begin(fleet, 1)
        with pytest.raises(LedgerBusyError, match=f"another run of poster is on .{run.run_id}"):
            await ordinary.begin()
        await submits.writer.end(await begin(submits, None), exit_code=0)  # more may be handed out meanwhile
        await fleet.writer.end(run, exit_code=0)
        await ordinary.begin()
        with pytest.raises(LedgerBusyError, match="another run of poster is on"):
            await begin(fleet, 1)


async def test_two_shards_of_a_manifest_are_bought_at_once_and_two_do_not_submit_it(
    server: Server, board: Board
) -> None:
    await sharded(server, board, "One")
    async with scene_on(server) as one, scene_on(server) as two:
        run = await begin(one, None)
        with pytest.raises(LedgerBusyError):
            await begin(two, None)
        [seen] = await one.see(run, one.job("Two", index=2))
        assert board.add_shard(run.batch, WORK, [seen.placement]) == 2
        await one.writer.end(run, exit_code=0)
        first, second = await begin(one, 1), await begin(two, 2)
        assert first.batch == second.batch


async def test_a_shard_that_is_seen_through_is_not_begun_again(server: Server, board: Board) -> None:
    await sharded(server, board, "One")
    async with scene_on(server) as scene:
        run = await begin(scene, 1)
        await scene.writer.end(run, exit_code=0)
        assert board.close_shard(run.run_id, again_s=None, leaves=True, fault=False, why="")
        assert board.shard(1) is None
        with pytest.raises(LedgerBusyError, match="seen this shard through"):
            await begin(scene, 1)


async def test_rows_that_are_still_to_be_bought_keep_a_shard_open_unless_they_may_be_left(
    server: Server, board: Board
) -> None:
    await sharded(server, board, "One")
    async with scene_on(server) as scene:
        run = await begin(scene, 1)
        await scene.writer.end(run, exit_code=0)
        assert not board.close_shard(run.run_id, again_s=None, leaves=False, fault=False, why="")
        assert not board.close_shard(run.run_id, again_s=3.0, leaves=True, fault=False, why="out of budget")
        assert board.batches()[0].why == {"out of budget": 1}
        assert board.close_shard(run.run_id, again_s=None, leaves=True, fault=False, why="out of budget")


async def test_only_the_last_epoch_says_how_a_shard_ended(server: Server, board: Board) -> None:
    await sharded(server, board, "One")
    async with scene_on(server) as first, scene_on(server) as second:
        run = await begin(first, 1)
        fall_silent(server)
        taken = await begin(second, 1)
        board.close_shard(run.run_id, again_s=None, leaves=True, fault=False, why="")
        assert board.is_anything_left()
        board.put_off(1, again_s=None, fault=True, why="it broke")  # somebody is at it
        assert board.is_anything_left()
        board.close_shard(taken.run_id, again_s=None, leaves=True, fault=False, why="")
        assert not board.is_anything_left()


async def test_what_is_called_off_is_bought_no_more_and_recorded_all_the_same(server: Server, board: Board) -> None:
    places = await sharded(server, board, "Paid", "Left")
    async with scene_on(server) as scene:
        run = await begin(scene, 1)
        held = await scene.reserve(run, scene.job("Paid"), placement=places["Paid"])
        assert board.cancel("poster") == {"poster": 1}
        with pytest.raises(LedgerBusyError, match="or it was cancelled"):
            await scene.writer.reserve(run, placement=places["Left"], key=scene.job("Left").key, price_microusd=PRICE)
        await scene.answer(held)
        await scene.writer.end(run, exit_code=75)
        assert scene.money(run) == (PRICE, 0, 0)
    assert not board.is_anything_left()
    assert board.cancel(None) == {"poster": 0}


async def test_a_row_has_the_placement_it_was_submitted_with(server: Server, board: Board) -> None:
    """Equal rows in two shards: each keeps its own place, and is no duplicate of the other's."""
    places = await sharded(server, board, "First")
    async with scene_on(server) as scene:
        submits = await begin(scene, None)
        first, second = await scene.see(submits, scene.job("First"), scene.job("First", index=2))
        assert first.placement == places["First"]
        assert second.placement != first.placement
        await scene.writer.end(submits, exit_code=0)
        run = await begin(scene, 1)
        [seen] = await scene.see(run, scene.job("First", index=2).at(second.placement))
        assert seen.placement == second.placement


async def test_turns_come_one_by_one_whoever_asks(server: Server) -> None:
    waits: list[float] = []

    async def ask(scene: Scene) -> None:
        waits.extend([await scene.writer.turn("apiyi flux", per_minute=60) for _ in range(5)])

    with anyio.fail_after(60):
        async with scene_on(server) as one, scene_on(server) as two, anyio.create_task_group() as group:
            group.start_soon(ask, one)
            group.start_soon(ask, two)
    assert len(waits) == 10
    gaps = [later - earlier for earlier, later in zip(sorted(waits), sorted(waits)[1:], strict=False)]
    assert min(waits) == 0
    # Ten turns a second apart, asked for within less than a second or two: nobody has the same as another.
    assert all(gap > 0.2 for gap in gaps[1:]), sorted(waits)
    assert max(waits) > 7


def test_a_file_has_no_shards(tmp_path: Path) -> None:
    async def work() -> None:
        async with LedgerWriter(tmp_path / "ledger.db", clock=FakeClock()) as writer:
            with pytest.raises(UsageError, match="on a server"):
                await writer.begin(manifest="m", edition="", provider="p", simulated=False, caps=CAPS, share=Share())

    anyio.run(work)
