"""The small rules of a delivery: back-off, the moments of a window, what a failing disk means."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.deliver import Limits, Purchase
from pipeline.deliver.rest import back_off_s
from pipeline.deliver.trouble import trouble
from pipeline.deliver.window import Window
from pipeline.errors import OutputError, StorageError


def longest(_low: float, high: float) -> float:
    return high


@given(tries=st.integers(1, 5000), left_s=st.floats(-10, 10_000), slower=st.booleans())
def test_a_wait_is_never_negative_nor_long_nor_past_the_end(tries: int, left_s: float, slower: bool) -> None:
    wait_s = back_off_s(Limits(), tries, left_s, slower=slower, draw=longest)
    assert wait_s is None if left_s < 1 else wait_s is not None and 0 <= wait_s <= min(15, left_s / 2)


def test_jitter_is_full() -> None:
    drawn: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        drawn.append((low, high))
        return low

    assert back_off_s(Limits(), 3, 100, slower=False, draw=draw) == 0
    assert drawn == [(0.0, 2.0)]


class FakeClock:
    now = 0.0
    set_by_s = 0.0

    def monotonic(self) -> float:
        return 500 + self.now

    def wall(self) -> float:
        return 1000 + self.now + self.set_by_s

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def window(clock: FakeClock, *, bought_at: float, deadline: float | None, warned: list[int] | None = None) -> Window:
    bought = Purchase(
        job_key="k", attempt=1, url="https://cdn.test/", bought_at=bought_at, deadline=deadline, path="k", ratio=None
    )
    return Window.of(bought, limits=Limits(), clock=clock, on_half=lambda: (warned or []).append(1))


def test_a_window_ends_five_seconds_before_the_url_does() -> None:
    found = window(FakeClock(), bought_at=1000, deadline=1600)
    assert (found.closes, found.until, found.first_until) == (1100, 1095, 1095)


def test_a_short_window_has_a_short_margin() -> None:
    assert window(FakeClock(), bought_at=1000, deadline=1010).until == 509


def test_a_late_first_try_still_has_its_time() -> None:
    found = window(FakeClock(), bought_at=300, deadline=900)
    assert (found.closes, found.first_until) == (400, 530)


@pytest.mark.parametrize(("deadline", "ample"), [(1150, True), (1149, False)])
def test_a_quarter_of_the_window_is_ample(deadline: float, ample: bool) -> None:
    assert window(FakeClock(), bought_at=deadline - 600, deadline=deadline).ample is ample


def test_a_deadline_before_the_answer_is_no_window() -> None:
    assert window(FakeClock(), bought_at=1000, deadline=990).until == 490


def test_half_a_window_is_told_once() -> None:
    clock, warned = FakeClock(), list[int]()
    found = Window(now=500, left_s=600, whole_s=600, limits=Limits(), clock=clock, on_half=lambda: warned.append(1))
    for clock.now, told in [(299, 0), (300, 1), (301, 1)]:
        found.tick()
        assert len(warned) == told


@pytest.mark.parametrize("code", [errno.EACCES, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP])
def test_a_wrong_place_is_an_output_error(code: int) -> None:
    error = trouble(OSError(code, os.strerror(code)), Path("out/cat"))
    assert isinstance(error, OutputError)
    assert str(error).startswith(f"out/cat: {os.strerror(code)}; ")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.EFBIG])
def test_a_full_or_failing_disk_is_a_storage_error_with_a_remedy(code: int) -> None:
    error = trouble(OSError(code, os.strerror(code), "out/.x.part"), Path("out/cat"))
    assert isinstance(error, StorageError)
    assert error.message.startswith("out/.x.part: ")
    assert "run again" in error.remedy


def test_an_error_without_a_number_is_a_storage_error() -> None:
    assert isinstance(trouble(OSError("odd"), Path("out")), StorageError)


@pytest.mark.parametrize("set_by_s", [-3_600, 3_600])
def test_a_clock_that_is_set_changes_nothing_for_what_this_process_bought(set_by_s: float) -> None:
    clock = FakeClock()
    bought = Purchase(
        job_key="k", attempt=1, url="u", bought_at=1000, deadline=1600, path="k", ratio=None, answered=500
    )
    clock.set_by_s = set_by_s
    window = Window.of(bought, limits=Limits(), clock=clock, on_half=lambda: None)
    assert (window.closes, window.ample, bought.age_s(clock), bought.dies_at) == (1100, True, 0, 1100)
