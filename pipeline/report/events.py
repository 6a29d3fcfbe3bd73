"""What happens in a run, by name: one name for each kind of event, for logs that programs read."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import IO, Any

from pipeline.clock import Clock

#: Told of an event with its facts, which hold no secret and no URL.
Log = Callable[["EventName", Mapping[str, Any]], None]


class EventName(StrEnum):
    """Every event there is.

    Attributes:
        RUN_BEGUN: A manifest's run has begun.
        LEDGER_AWAITED: Another run holds the ledger, and this one waits for it.
        INPUT_AWAITED: An input image from a URL takes long to come.
        RESCUE_BEGUN: What an earlier run paid for is fetched first.
        PROGRESS: How far the run is; now and then.
        PICTURE_BOUGHT: A picture is paid for, and its URL on disk.
        REQUEST_REFUSED: A request was refused; nothing was billed for it.
        ANSWER_LOST: An answer was lost; its price is unknown money.
        FETCH_RETRIED: A download did not succeed, and is tried again.
        FETCH_LEFT: A download is left to a later run, while its URL lives.
        URL_AGEING: A picture that is paid for waits longer than it should.
        PICTURE_STORED: A picture is proven and durable.
        PICTURE_LOST: A picture was paid for, and its URL died first.
        PICTURE_SPOILED: A picture was paid for, and what came is none.
        STOP_ASKED: Somebody asked the run to stop.
        BUYING_STOPPED: The run buys nothing more, and says why.
        RUN_ENDED: A manifest's run has ended: the object of ``--json``.
        MANIFESTS_NOT_BEGUN: Manifests after one that stopped were not begun.
        COMMAND_FAILED: The command broke: its message, remedy and exit code.
        NOTICE: Anything else that people are told, in ``message``.
    """

    RUN_BEGUN = "run_begun"
    LEDGER_AWAITED = "ledger_awaited"
    INPUT_AWAITED = "input_awaited"
    RESCUE_BEGUN = "rescue_begun"
    PROGRESS = "progress"
    PICTURE_BOUGHT = "picture_bought"
    REQUEST_REFUSED = "request_refused"
    ANSWER_LOST = "answer_lost"
    FETCH_RETRIED = "fetch_retried"
    FETCH_LEFT = "fetch_left"
    URL_AGEING = "url_ageing"
    PICTURE_STORED = "picture_stored"
    PICTURE_LOST = "picture_lost"
    PICTURE_SPOILED = "picture_spoiled"
    STOP_ASKED = "stop_asked"
    BUYING_STOPPED = "buying_stopped"
    RUN_ENDED = "run_ended"
    MANIFESTS_NOT_BEGUN = "manifests_not_begun"
    COMMAND_FAILED = "command_failed"
    NOTICE = "notice"


#: What somebody should see; the rest is the usual course of things.
_ERRORS = {EventName.PICTURE_LOST, EventName.PICTURE_SPOILED, EventName.ANSWER_LOST, EventName.COMMAND_FAILED}
_WARNINGS = {
    EventName.REQUEST_REFUSED,
    EventName.FETCH_RETRIED,
    EventName.FETCH_LEFT,
    EventName.URL_AGEING,
    EventName.STOP_ASKED,
    EventName.BUYING_STOPPED,
    EventName.MANIFESTS_NOT_BEGUN,
    EventName.NOTICE,
}


class Notice(str):
    """A line for people that says which event it is, for those who read the event instead."""

    __slots__ = ("event", "facts")

    event: EventName
    facts: Mapping[str, Any]

    @classmethod
    def of(cls, event: EventName, text: str, **facts: Any) -> "Notice":
        """Make one."""
        made = cls(text)
        made.event = event
        made.facts = facts
        return made


class EventLog:
    """Where events go; each kind of it says how one is written."""

    def __init__(self, clock: Clock) -> None:
        """Take where the time comes from."""
        self._clock = clock

    def log(self, event: EventName, facts: Mapping[str, Any]) -> None:
        """Write one event."""
        raise NotImplementedError

    def notice(self, text: str) -> None:
        """Write a line for people as the event it is."""
        if isinstance(text, Notice):
            self.log(text.event, {**text.facts, "message": str(text)})
        else:
            self.log(EventName.NOTICE, {"message": text})

    def line(self, event: EventName, facts: Mapping[str, Any]) -> str:
        """One event as JSON, without the end of the line."""
        at = datetime.fromtimestamp(self._clock.wall(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return json.dumps({"time": at, "level": level_of(event, facts), "event": str(event), **facts})


class JsonLog(EventLog):
    """Writes events to a stream, one JSON object a line, each at once."""

    def __init__(self, stream: IO[str], clock: Clock, *, quiet: bool = False) -> None:
        """Take where to write.

        Args:
            quiet: Leave out what is the usual course of things.
        """
        super().__init__(clock)
        self._stream = stream
        self._quiet = quiet

    def log(self, event: EventName, facts: Mapping[str, Any]) -> None:
        """Write one event."""
        if self._quiet and level_of(event, facts) == "info":
            return
        self._stream.write(self.line(event, facts) + "\n")
        self._stream.flush()


def level_of(event: EventName, facts: Mapping[str, Any]) -> str:
    """``info``, ``warning`` or ``error``; of a run's end, by its exit code."""
    if event in _ERRORS or (event is EventName.RUN_ENDED and facts.get("exit_code")):
        return "error"
    return "warning" if event in _WARNINGS else "info"
