"""Events as a log that programs read."""

import io
import json
from typing import Any

import pytest

from pipeline.report.events import EventName, JsonLog, Notice, level_of


class FakeClock:
    def monotonic(self) -> float:
        return 0.0

    def wall(self) -> float:
        return 1_795_000_000.25

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("a log does not wait")


def logged(*, quiet: bool = False) -> tuple[JsonLog, io.StringIO]:
    stream = io.StringIO()
    return JsonLog(stream, FakeClock(), quiet=quiet), stream


def told(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_with_its_time_level_and_name_first() -> None:
    log, stream = logged()
    log.log(EventName.PICTURE_STORED, {"key": "ab", "path": "a\nb\u2028c"})
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().isascii()
    (event,) = told(stream)
    assert list(event) == ["time", "level", "event", "key", "path"]
    assert (event["time"], event["level"], event["event"]) == ("2026-11-18T11:06:40.250Z", "info", "picture_stored")
    assert event["path"] == "a\nb\u2028c"


def test_a_line_for_people_is_the_event_it_says_it_is() -> None:
    log, stream = logged()
    log.notice(Notice.of(EventName.STOP_ASKED, "SIGTERM: buying has stopped", signal="SIGTERM"))
    log.notice("something else")
    first, second = told(stream)
    assert (first["event"], first["signal"], first["message"]) == (
        "stop_asked",
        "SIGTERM",
        "SIGTERM: buying has stopped",
    )
    assert (second["event"], second["message"]) == ("notice", "something else")


def test_a_notice_is_still_its_text() -> None:
    made = Notice.of(EventName.NOTICE, "plain", key="ab")
    assert made == "plain"
    assert f"{made}" == "plain"


def test_quiet_leaves_out_the_usual_course_of_things() -> None:
    log, stream = logged(quiet=True)
    for event in (EventName.PROGRESS, EventName.PICTURE_STORED, EventName.PICTURE_LOST, EventName.URL_AGEING):
        log.log(event, {})
    log.log(EventName.RUN_ENDED, {"exit_code": 0})
    log.log(EventName.RUN_ENDED, {"exit_code": 3})
    assert [event["event"] for event in told(stream)] == ["picture_lost", "url_ageing", "run_ended"]


@pytest.mark.parametrize("event", list(EventName))
def test_every_event_has_a_level(event: EventName) -> None:
    assert level_of(event, {"exit_code": 0}) in {"info", "warning", "error"}
