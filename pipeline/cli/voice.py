"""How a run speaks while it goes on: lines and a live display for people, events for programs, a log beside both."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from rich.console import Console

from pipeline.cli.plain import plain
from pipeline.clock import SystemClock
from pipeline.report import Snapshot
from pipeline.report.events import EventLog, EventName, JsonLog, Notice
from pipeline.report.progress import show_events, show_lines, show_live
from pipeline.runner import RunOptions


def speaking(options: RunOptions, err: Console, *, quiet: bool, log_json: bool, file: EventLog | None) -> RunOptions:
    """The options of a run that tells what happens.

    Args:
        err: Standard error, for people.
        log_json: Standard error is for programs instead.
        file: Hears every event as well.
    """
    if log_json:
        log = JsonLog(sys.stderr, SystemClock(), quiet=quiet)
        watch = None if quiet else partial(show_events, log.log)
        options = replace(options, notice=log.notice, log=log.log, watch=watch)
    else:
        options = replace(options, notice=partial(_notice, err, quiet), watch=None if quiet else partial(_watch, err))
    return options if file is None else _heard_by(file, options)


def _heard_by(file: EventLog, options: RunOptions) -> RunOptions:
    notice, log = options.notice, options.log

    def notice_both(text: str) -> None:
        file.notice(text)
        notice(text)

    def log_both(event: EventName, facts: Mapping[str, Any]) -> None:
        file.log(event, facts)
        if log is not None:
            log(event, facts)

    return replace(options, notice=notice_both, log=log_both)


def _notice(console: Console, quiet: bool, text: str) -> None:
    if quiet and isinstance(text, Notice) and text.event is EventName.INPUT_AWAITED:
        return  # the usual course of things, as progress is
    console.print(plain(text), markup=False, soft_wrap=True)


async def _watch(console: Console, snapshot: Callable[[], Snapshot]) -> None:
    if console.is_terminal:
        await show_live(snapshot, console)
    else:
        await show_lines(snapshot, sys.stderr)
