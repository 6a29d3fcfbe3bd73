"""Where buying, fetching and the ledger meet."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from pipeline.clock import SystemClock
from pipeline.deliver import (
    INLINE,
    Backlog,
    DeliveryEvent,
    DeliveryQueue,
    EventKind,
    Purchase,
    StoredPicture,
)
from pipeline.ledger import Caps, Ledger, LedgerWriter, Policy, Reservation, Row, Run
from pipeline.ratio import Ratio
from pipeline.report.events import EventName, Notice
from pipeline.runner import RunOptions
from pipeline.runner.desk import Desk, Ear, Recorder
from pipeline.runner.places import FolderPlaces
from tests.unit.produce_doubles import START, FakeClock, answer, job, settle

PURCHASE = Purchase(
    job_key=job().key,
    attempt=1,
    url="https://cdn.test/a.jpeg",
    bought_at=START,
    deadline=START + 600,
    path="m/00001",
    ratio=Ratio(3, 2),
)


def desk(output: Path) -> tuple[Desk, Backlog, DeliveryQueue]:
    backlog = Backlog(workers=1, window_s=600.0, clock=FakeClock(), handful=2)
    queue = DeliveryQueue(4)
    return Desk(output=output, backlog=backlog, queue=queue), backlog, queue


def files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir() if path.is_file()]


async def test_leave_to_buy_is_the_backlogs_and_is_given_back_to_it(tmp_path: Path) -> None:
    made, backlog, _ = desk(tmp_path)

    await made.admit()
    assert backlog.outstanding == 1
    made.release()
    assert backlog.outstanding == 0


async def test_leave_is_waited_for_while_too_much_is_outstanding(tmp_path: Path) -> None:
    made, backlog, _ = desk(tmp_path)
    for _ in range(2):
        await made.admit()

    with anyio.fail_after(1):
        async with anyio.create_task_group() as group:
            group.start_soon(made.admit)
            await settle()
            assert backlog.outstanding == 2
            made.release()

    assert backlog.outstanding == 2


async def test_what_is_bought_is_queued_with_all_that_fetching_needs(tmp_path: Path) -> None:
    made, _, queue = desk(tmp_path)
    await made.admit()

    await made.take(job(), Reservation(attempt=1, price_microusd=1), answer(), "https://cdn.test/a.jpeg")

    with anyio.fail_after(1):
        assert await queue.get() == PURCHASE


async def test_the_backlog_is_told_when_what_it_admitted_is_made(tmp_path: Path) -> None:
    made, backlog, _ = desk(tmp_path)
    with anyio.fail_after(5):
        await made.admit()
        await made.take(job(), Reservation(attempt=1, price_microusd=1), answer(), "https://cdn.test/a.jpeg")
        backlog.finished(backlog.started())
        for _ in range(3):  # with nothing known of how long making takes there would be room for two
            await anyio.lowlevel.checkpoint()
            backlog.adopt()
        async with anyio.create_task_group() as group:
            group.start_soon(backlog.admit)
            await settle()
            assert backlog.waiting is not None
            assert backlog.waiting.startswith("downloads are slow")
            group.cancel_scope.cancel()


async def test_bytes_inside_an_answer_are_on_the_disk_before_they_are_called_bought(tmp_path: Path) -> None:
    made, _, _ = desk(tmp_path)

    assert await made.secure(job(), b"bytes") == INLINE

    assert files(tmp_path / "m") == [b"bytes"]


# --- the recorder ------------------------------------------------------------------------------------------------


class Counter:
    """A ledger with one bought picture, and a recorder that writes into it; the ledger is beside the output folder."""

    def __init__(self, folder: Path, ledger: LedgerWriter, run: Run) -> None:
        self.path = folder / "books" / "ledger.db"
        self.recorder = Recorder(run=run, ledger=ledger, places=FolderPlaces(folder / "output", folder / "books"))

    def row(self) -> Row:
        with Ledger(self.path) as ledger:
            [found] = ledger.rows()
        return found


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    for name in ("output", "books"):
        (tmp_path / name).mkdir()
    async with LedgerWriter(tmp_path / "books" / "ledger.db", clock=SystemClock()) as ledger:
        run = await ledger.begin(manifest="m", edition="", provider="apiyi", simulated=False, caps=Caps())
        [admission] = await ledger.admit(run, [(job(), "../output/m/00001")], Policy())
        reserved = await ledger.reserve(run, placement=admission.placement, key=job().key, price_microusd=35_000)
        assert isinstance(reserved, Reservation)
        await ledger.answer(reserved, url="https://x.test/a", bought_at=START, deadline=START + 600, request_id="r")
        yield Counter(tmp_path, ledger, run)


async def test_a_stored_picture_is_recorded_relative_to_the_ledger(counter: Counter) -> None:
    picture = StoredPicture(
        path="m/00001.jpeg",
        sha256="ab" * 32,
        size_bytes=1_234,
        width=1_248,
        height=832,
        format="jpeg",
        verdict="wrong_shape",
        stored_at=START + 2,
        url_age_s=2.0,
    )

    await counter.recorder.stored(PURCHASE, picture)

    row = counter.row()
    assert (row.state, row.path, row.sha256, row.bytes) == ("stored", "../output/m/00001.jpeg", "ab" * 32, 1_234)
    assert (row.width, row.height, row.format, row.verdict, row.url_age_s) == (1_248, 832, "jpeg", "wrong_shape", 2.0)


async def test_a_lost_picture_is_recorded_as_lost_and_paid(counter: Counter) -> None:
    await counter.recorder.lost(PURCHASE, "expired", "HTTP 404")

    row = counter.row()
    assert (row.state, row.error_kind, row.error_message, row.spend_usd) == ("lost", "expired", "HTTP 404", "0.035")


async def test_a_spoiled_picture_is_recorded_as_spoiled_and_paid(counter: Counter) -> None:
    await counter.recorder.spoiled(PURCHASE, "html", "this is a page")

    row = counter.row()
    assert (row.state, row.error_kind, row.error_message, row.spend_usd) == (
        "spoiled",
        "html",
        "this is a page",
        "0.035",
    )


# --- the ear -----------------------------------------------------------------------------------------------------


def heard(*kinds: EventKind) -> tuple[Ear, list[str]]:
    told: list[str] = []
    ear = Ear(replace(RunOptions(), notice=told.append))
    for kind in kinds:
        ear.hear(DeliveryEvent(kind=kind, purchase=PURCHASE, age_s=301.2, message="HTTP 404"))
    return ear, told


def test_stored_pictures_are_counted_in_silence() -> None:
    ear, told = heard(EventKind.STORED, EventKind.STORED)

    assert (ear.stored, told) == (2, [])


def test_a_url_past_half_its_life_is_a_warning() -> None:
    _, told = heard(EventKind.HALF_WINDOW)

    assert told == ["warning: m/00001: its URL is 301 s old, half of its life is over"]


@pytest.mark.parametrize("kind", [EventKind.LOST, EventKind.SPOILED])
def test_paid_money_that_came_to_nothing_is_told_at_once(kind: EventKind) -> None:
    ear, told = heard(kind)

    assert told == [f"m/00001: paid and {kind.value}: HTTP 404"]
    assert ear.stored == 0


@pytest.mark.parametrize("kind", [EventKind.STARTED, EventKind.RETRY, EventKind.LEFT])
def test_the_rest_is_nobodys_concern(kind: EventKind) -> None:
    ear, told = heard(kind)

    assert (ear.stored, told) == (0, [])


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (EventKind.STORED, EventName.PICTURE_STORED),
        (EventKind.RETRY, EventName.FETCH_RETRIED),
        (EventKind.LEFT, EventName.FETCH_LEFT),
    ],
)
def test_what_people_need_not_see_is_logged_by_name_and_key(kind: EventKind, name: EventName) -> None:
    logged: list[tuple[EventName, Any]] = []
    ear = Ear(replace(RunOptions(), log=lambda event, facts: logged.append((event, facts))))
    ear.hear(DeliveryEvent(kind=kind, purchase=PURCHASE, age_s=301.2, message="HTTP 404"))
    [(event, facts)] = logged
    assert (event, facts["key"], facts["attempt"]) == (name, PURCHASE.job_key, PURCHASE.attempt)
    assert "url" not in facts


def test_what_people_see_says_which_event_it_is() -> None:
    _, told = heard(EventKind.HALF_WINDOW, EventKind.LOST, EventKind.SPOILED)
    notices = [notice for notice in told if isinstance(notice, Notice)]
    assert [notice.event for notice in notices] == ["url_ageing", "picture_lost", "picture_spoiled"]
