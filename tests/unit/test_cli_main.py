"""The only way out: every error becomes one line, its remedy and its exit code."""

import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import pytest
import typer

from pipeline.cli.main import main, run_command
from pipeline.errors import (
    AccountError,
    ConfigurationError,
    DeclinedError,
    FluxbatchError,
    KeyRefusedError,
    LedgerBusyError,
    LedgerCorruptError,
    ManifestError,
    NoBalanceError,
    NotFoundError,
    OutputError,
    Problem,
    ProviderUnavailableError,
    StorageError,
    UsageError,
)

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """What a run leaves ignored at its end is heard again: processes that later tests start would inherit it."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def commands(work: Callable[[], int | None]) -> Callable[[], typer.Typer]:
    """A tree of commands with one, ``do``, that does this."""
    app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

    @app.callback()
    def root() -> None:
        """Do one thing."""

    @app.command("do")
    def do(
        number: Annotated[int, typer.Option()] = 0,
        json: Annotated[bool, typer.Option("--json")] = False,
        debug: Annotated[bool, typer.Option("--debug")] = False,
    ) -> int | None:
        return work()

    return lambda: app


def raising(error: BaseException) -> Callable[[], typer.Typer]:
    def work() -> int:
        raise error

    return commands(work)


ERRORS: list[tuple[FluxbatchError, int]] = [
    (FluxbatchError("what"), 70),
    (UsageError("what"), 64),
    (NotFoundError(Path("what")), 66),
    (ProviderUnavailableError("what"), 69),
    (OutputError("what"), 73),
    (StorageError("what"), 74),
    (LedgerCorruptError("what"), 74),
    (LedgerBusyError("what"), 75),
    (DeclinedError("what"), 75),
    (AccountError("what"), 77),
    (KeyRefusedError("what"), 77),
    (NoBalanceError("what"), 77),
    (ConfigurationError("what"), 78),
]


@pytest.mark.parametrize(("result", "code"), [(None, 0), (0, 0), (3, 3), (5, 5)])
def test_what_a_command_returns_is_the_exit_code(result: int | None, code: int, capsys: Capture) -> None:
    assert run_command(["do"], commands(lambda: result)) == code
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("error", "code"), ERRORS, ids=lambda value: type(value).__name__)
def test_each_error_is_one_line_and_its_own_code(error: FluxbatchError, code: int, capsys: Capture) -> None:
    assert run_command(["do"], raising(error)) == code

    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"fluxbatch: {error.message}\n"


def test_the_remedy_has_a_line_of_its_own(capsys: Capture) -> None:
    run_command(["do"], raising(ConfigurationError("no API key", remedy="export FLUXBATCH_API_KEY=...")))

    assert capsys.readouterr().err == "fluxbatch: no API key\n  -> export FLUXBATCH_API_KEY=...\n"


def test_with_json_the_error_is_one_object_on_standard_output(capsys: Capture) -> None:
    code = run_command(["do", "--json"], raising(StorageError("die Platte ist voll…", remedy="free some space")))

    out, err = capsys.readouterr()
    assert code == 74
    assert out.count("\n") == 1
    assert "voll…" in out
    assert json.loads(out) == {"error": "die Platte ist voll…", "remedy": "free some space", "exit_code": 74}
    assert err.startswith("fluxbatch: die Platte")


@pytest.mark.parametrize("error", [StorageError("full"), ZeroDivisionError("oh"), ManifestError([])])
def test_a_traceback_is_printed_only_when_asked_for(error: Exception, capsys: Capture) -> None:
    run_command(["do"], raising(error))
    assert "Traceback" not in capsys.readouterr().err

    run_command(["do", "--debug"], raising(error))
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_manifests_problems_are_all_shown_as_they_are(capsys: Capture) -> None:
    problems = [Problem(file="m.yaml", line=line, column=3, path="jobs", message="bad", hint="good") for line in (2, 7)]

    assert run_command(["do"], raising(ManifestError(problems))) == 65
    assert capsys.readouterr().err == (
        "m.yaml:2:3: jobs: bad (good)\nm.yaml:7:3: jobs: bad (good)\n2 problems; nothing was bought\n"
    )


def test_one_problem_is_counted_as_one(capsys: Capture) -> None:
    run_command(["do"], raising(ManifestError([Problem(file="m", line=1, column=1, path="", message="bad")])))

    assert capsys.readouterr().err == "m:1:1: bad\n1 problem; nothing was bought\n"


def test_an_unexpected_exception_is_our_bug_and_says_what_to_do(capsys: Capture) -> None:
    assert run_command(["do"], raising(ZeroDivisionError("division by zero"))) == 70
    assert capsys.readouterr().err == (
        "fluxbatch: a bug in fluxbatch: ZeroDivisionError: division by zero\n"
        "  -> run it again with --debug and report what it prints\n"
    )


@pytest.mark.parametrize(
    ("group", "code"),
    [
        (ExceptionGroup("", [StorageError("full")]), 74),
        (ExceptionGroup("", [ExceptionGroup("", [LedgerBusyError("held")])]), 75),
        (ExceptionGroup("", [ZeroDivisionError(), StorageError("full")]), 74),
        (ExceptionGroup("", [ZeroDivisionError(), ExceptionGroup("", [OutputError("no")])]), 73),
        (ExceptionGroup("", [ZeroDivisionError(), ExceptionGroup("", [KeyError()])]), 70),
    ],
)
def test_of_several_errors_one_of_ours_is_told(group: ExceptionGroup[Exception], code: int, capsys: Capture) -> None:
    assert run_command(["do"], raising(group)) == code
    assert len(capsys.readouterr().err.splitlines()) == (2 if code == 70 else 1)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort(), EOFError()], ids=["ctrl-c", "abort", "eof"])
def test_an_interruption_is_no_bug(error: BaseException, capsys: Capture) -> None:
    assert run_command(["do"], raising(error)) == 75
    assert capsys.readouterr().err.strip() == "fluxbatch: interrupted"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["dp"], "No such command 'dp'"),
        (["do", "--nmber", "3"], "No such option: --nmber"),
        (["do", "--number", "three"], "Invalid value for '--number'"),
        (["do", "--number"], "Option '--number' requires an argument"),
        (["do", "more"], "Got unexpected extra argument"),
    ],
)
def test_words_that_are_off_are_a_usage_error(words: list[str], told: str, capsys: Capture) -> None:
    assert run_command(words, commands(lambda: 0)) == 64

    err = capsys.readouterr().err
    assert err.startswith(f"fluxbatch: {told}")
    assert err.endswith("\n  -> see fluxbatch --help\n")


def test_without_words_the_help_is_shown_as_it_is(capsys: Capture) -> None:
    assert run_command([], commands(lambda: 0)) == 64

    err = capsys.readouterr().err
    assert err.startswith("Usage: fluxbatch")
    assert "->" not in err


# --- with the real commands --------------------------------------------------------------------------------------


def ended(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_the_version_is_told(capsys: Capture) -> None:
    assert ended("--version") == 0
    assert capsys.readouterr().out.startswith("fluxbatch ")


def test_a_command_is_run_and_the_process_ends_with_its_code(capsys: Capture) -> None:
    assert ended("models", "--json") == 0
    assert "flux-kontext-pro" in capsys.readouterr().out


def test_words_come_from_the_command_line_unless_given(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr("sys.argv", ["fluxbatch", "ratios", "--json"])

    with pytest.raises(SystemExit) as caught:
        main()

    assert caught.value.code == 0
    assert "mobile_wallpaper" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["run"], 64),
        (["run", "no-such.yaml"], 66),
        (["run", "no-such.yaml", "--budget", "plenty"], 64),
        (["run", "no-such.yaml", "--concurrency", "0"], 64),
        (["run", "no-such.yaml", "--limit", "0"], 64),
        (["plan", "no-such.yaml", "--ledger", "mysql://host/db"], 64),
        (["status", "--output", "no-such-folder"], 66),
        (["ledger"], 64),
    ],
)
def test_bad_words_have_their_own_codes(words: list[str], code: int, capsys: Capture) -> None:
    assert ended(*words) == code
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\x9b", "\u202e", "\u200b", "\udcff", "\r"])
def test_nothing_that_is_told_moves_a_terminals_cursor(capsys: Capture, character: str) -> None:
    error = NotFoundError(Path(f"a{character}b.yaml"), remedy=f"look at {character}")
    assert run_command(["do", "--json"], raising(error)) == 66
    told = capsys.readouterr()
    assert character not in told.err
    assert character not in told.out
    assert json.loads(told.out)["error"] == f"a{character}b.yaml: no such file"


def test_a_manifest_whose_name_is_no_text_can_be_checked(tmp_path: Path, capsys: Capture) -> None:
    """Its name could not be written to standard output."""
    file = tmp_path / "caf\udce9.yaml"
    file.write_text("version: 1\nprovider: simulator\njobs: [[A cat]]\n")
    with pytest.raises(SystemExit) as ended:
        main(["check", str(file)])
    assert ended.value.code == 0
    said, then = capsys.readouterr().out.splitlines()
    assert said.endswith("caf\\udce9.yaml: 1 job, nothing wrong")
    assert "fluxbatch plan" in then


def test_what_libraries_log_tells_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncio tells of an error that nobody fetched with all that the error says."""
    monkeypatch.setenv("STUDIO_KEY", "a-key-of-our-own")
    with pytest.raises(SystemExit):
        main(["--version"])
    assert logging.lastResort is not None
    try:
        raise ValueError(
            "GET https://host/a.jpeg?se=1&sig=Zx9%2F: {'Authorization': 'Bearer abc'} \x1b a-key-of-our-own"
        )
    except ValueError:
        record = logging.LogRecord("asyncio", logging.ERROR, "", 1, "never retrieved", None, sys.exc_info())
    told = logging.lastResort.format(record)
    assert "ValueError: GET https://host/a.jpeg?... {'Authorization': 'Bearer ...'} \\x1b ...\n" in told + "\n"
    assert "\\x1b" in told
