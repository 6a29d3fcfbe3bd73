"""When whoever reads the output has gone: no traceback, and no code that says more than is known."""

import os
import subprocess
import sys

import pytest

DO = """
import sys, typer
from pipeline.cli.main import run_command
app = typer.Typer()
@app.callback()
def root(): ...
@app.command()
def run(): print("x" * 1_000_000); return 5
@app.command()
def show(): print("x" * 1_000_000)
sys.exit(run_command(sys.argv[1:], lambda: app))
"""


def heard_by_nobody(*words: str) -> tuple[int, str]:
    """Run Python with an output that nobody reads: the exit code and what went to standard error."""
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [sys.executable, *words],
            stdout=write_end,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
            env=buffered,
        )
    finally:
        os.close(write_end)
    return done.returncode, done.stderr


@pytest.mark.parametrize("words", [["models"], ["models", "--json"], ["schema"]])
def test_what_only_shows_something_ends_well(words: list[str]) -> None:
    assert heard_by_nobody("-m", "pipeline", *words) == (0, "")


def test_a_long_listing_ends_well() -> None:
    assert heard_by_nobody("-c", DO, "show") == (0, "")


def test_a_run_is_not_said_to_have_stored_all() -> None:
    assert heard_by_nobody("-c", DO, "run") == (75, "")
