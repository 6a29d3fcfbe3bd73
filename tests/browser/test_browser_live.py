"""The live page in a real browser: a run watched to its end, asked to stop, and lost and found again."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open, until

COMMAND = [sys.executable, "-m", "pipeline"]
#: The run of these tests: slow enough to be seen on its way.
LATENCY = ("--latency", "0.3", "--spread", "0", "--scale", "16")


@contextmanager
def started(
    *words: str, cwd: Path, environment: dict[str, str], err: IO[bytes] | int
) -> Iterator[subprocess.Popen[str]]:
    """A command under way; ended when the block does."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("FLUXBATCH_")} | environment
    process = subprocess.Popen([*COMMAND, *words], cwd=cwd, env=given, stdout=subprocess.PIPE, stderr=err, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
        process.communicate()


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The surroundings of a command that buys at a slow, make-believe provider."""
    with started("simulate", "--port", "0", *LATENCY, cwd=tmp_path, environment={}, err=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        variable, _, url = process.stdout.readline().strip().partition("=")
        yield {variable: url, "FLUXBATCH_API_KEY": "any"}


def manifest(folder: Path, number: int, *, concurrency: int = 2) -> str:
    lines = ["version: 1", f"limits: {{concurrency: {concurrency}, budget_usd: 90}}", "jobs:"]
    lines += [f"  - [Picture {place}, '3:2', flux-kontext-pro]" for place in range(1, number + 1)]
    (folder / "batch.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return "batch.yaml"


def address_in(process: subprocess.Popen[str]) -> str:
    """The live page's address, as the command tells it on standard error."""
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"Watch it at (\S+)", line):
            return found[1]
    raise AssertionError("it never said where")


def test_a_run_is_watched_to_its_end(tmp_path: Path, provider: dict[str, str], opened: Open) -> None:
    words = ("run", manifest(tmp_path, 14), "--watch")
    with started(*words, cwd=tmp_path, environment=provider, err=subprocess.PIPE) as run:
        page = opened(address_in(run))
        expect(page.locator("#live-state")).to_have_text("Running")
        expect(page.locator("#stop")).to_be_visible()
        until(page, "[...document.querySelectorAll('.tile img')].some(each => each.naturalWidth > 0)")
        until(page, "DATA.live.there > 0 && DATA.money.some(line => line.spent_microusd > 0)")
        assert page.locator("#problem-count").is_hidden()  # what is on its way is no trouble
        expect(page.locator("#live-state")).to_contain_text("Ended")
        expect(page.locator("#counted")).to_have_text("14 of 14")
        expect(page.locator("#figures dd > span").nth(1)).to_have_text("$0.490")
        expect(page.locator("#live-counts")).to_contain_text("14 of 14 there")
        expect(page.locator("#stop")).to_be_hidden()
        until(page, "[...document.querySelectorAll('.tile img')].filter(each => each.naturalWidth > 0).length === 14")
        assert run.wait(60) == 0


def test_a_run_in_another_process_is_watched_and_stopped_gently(
    tmp_path: Path, provider: dict[str, str], opened: Open
) -> None:
    words = ("run", manifest(tmp_path, 2000, concurrency=1), "--no-report", "--quiet")
    with started(*words, cwd=tmp_path, environment=provider, err=subprocess.PIPE) as run:
        while not (tmp_path / "output/ledger.db").exists():
            assert run.poll() is None
        with started("watch", cwd=tmp_path, environment={}, err=subprocess.DEVNULL) as watch:
            assert watch.stdout is not None
            page = opened(watch.stdout.readline().strip())
            until(page, "DATA.live.there > 1")
            page.click("#stop")
            expect(page.locator("#toast")).to_have_text("Asked to stop")
            assert run.wait(60) == 75
            expect(page.locator("#live-state")).to_have_text("Finished")
            expect(page.locator("#live-counts")).to_contain_text("exit code 75")
            assert page.evaluate("[...rows.values()].filter(row => row.state === 'unknown').length") == 0
            page.reload()
            expect(page.locator("#live-state")).to_have_text("Finished")
            watch.send_signal(signal.SIGINT)
            expect(page.locator("#live-state")).to_contain_text("Ended")
            assert watch.wait(60) == 0
