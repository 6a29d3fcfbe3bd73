"""A wish to stop: gently when first said, at once when repeated."""

import threading

import anyio
import pytest

from pipeline.errors import StoppedError
from pipeline.runner import Stop, in_thread, unless_stopped


async def test_the_first_wish_is_gentle_and_the_second_is_at_once() -> None:
    stop = Stop()
    with anyio.fail_after(5):
        stop.ask("SIGTERM")
        await stop.gently()
        with anyio.move_on_after(0.01) as waited:
            await stop.at_once()
        assert waited.cancelled_caught
        stop.ask("SIGINT")
        await stop.at_once()
    assert stop.reason == "SIGTERM"


async def test_work_without_a_stop_is_just_done() -> None:
    assert await unless_stopped(None, in_thread(len, "four")) == 4


async def test_work_that_nobody_stops_is_done() -> None:
    assert await unless_stopped(Stop(), in_thread(len, "four")) == 4


async def test_an_error_of_the_work_comes_as_it_is() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        await unless_stopped(Stop(), in_thread(int, "x"))


async def test_work_under_way_is_left_alone_when_somebody_asks() -> None:
    stop, begun, end = Stop(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        end.wait(5)

    async def ask() -> None:
        await anyio.to_thread.run_sync(begun.wait)
        stop.ask("SIGTERM")

    try:
        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                group.start_soon(ask)
                with pytest.raises(StoppedError, match="stopped by SIGTERM before anything was bought"):
                    await unless_stopped(stop, in_thread(work))
    finally:
        end.set()


async def test_work_is_not_begun_after_the_wish() -> None:
    stop = Stop()
    stop.ask("SIGINT")
    with pytest.raises(StoppedError):
        await unless_stopped(stop, in_thread(pytest.fail, "begun"))
