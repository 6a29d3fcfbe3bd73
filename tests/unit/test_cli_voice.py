"""What a run says on standard error, and what it leaves out when it is to be quiet."""

import io

import pytest
from rich.console import Console

from pipeline.cli.voice import speaking
from pipeline.report.events import EventName, Notice
from pipeline.runner import RunOptions


@pytest.mark.parametrize(("quiet", "told"), [(True, "full\n"), (False, "waiting\nfull\n")])
def test_the_quiet_are_not_told_of_slow_inputs(*, quiet: bool, told: str) -> None:
    err = io.StringIO()
    options = speaking(RunOptions(), Console(file=err), quiet=quiet, log_json=False, file=None)
    options.notice(Notice.of(EventName.INPUT_AWAITED, "waiting"))
    options.notice("full")
    assert err.getvalue() == told
