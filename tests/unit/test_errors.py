"""The tree of errors is the one that is drawn, and each has its exit code."""

import inspect
import itertools
import re
from pathlib import Path

import pytest

from pipeline import errors
from pipeline.errors import (
    SERIOUSNESS,
    ExitCode,
    FluxbatchError,
    ManifestError,
    NotFoundError,
    Problem,
    UsageError,
    most_serious,
)

#: The order of the contract (see DESIGN and the README).
CONTRACT_ORDER = [70, 74, 77, 69, 5, 4, 75, 3, 0]

CLASSES: dict[str, type[Exception]] = {
    name: found
    for name, found in vars(errors).items()
    if inspect.isclass(found) and issubclass(found, Exception) and found.__module__ == errors.__name__
}


def _drawn() -> dict[str, tuple[str | None, int]]:
    """Each class of the docstring's drawing with its parent and its exit code."""
    drawn: dict[str, tuple[str | None, int]] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^([ │├└─]+)(\w+Error) +(\d+) ", line)
        if found is None:
            continue
        depth, name, code = len(found[1]), found[2], int(found[3])
        above = [(other, parent) for other, parent in above if other < depth]
        drawn[name] = (above[-1][1] if above else None, code)
        above.append((depth, name))
    return drawn


def test_the_drawing_shows_every_error_and_no_other() -> None:
    assert set(_drawn()) == set(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_the_drawing_is_true(name: str) -> None:
    parent, code = _drawn()[name]
    error = CLASSES[name]
    assert issubclass(error, FluxbatchError)
    assert error.exit_code == code
    assert error.__base__ is (Exception if parent is None else CLASSES[parent])


def test_the_exit_codes_are_the_contracts() -> None:
    assert sorted(ExitCode) == [0, 3, 4, 5, 64, 65, 66, 69, 70, 73, 74, 75, 77, 78]


def test_the_order_of_seriousness_is_the_contracts() -> None:
    assert [code for code in SERIOUSNESS if code not in {73, 78}] == CONTRACT_ORDER


@pytest.mark.parametrize("code", [73, 78])
def test_money_that_is_unclear_is_more_serious_than_a_setting(code: int) -> None:
    """One picture that may not be fetched ended a run with 78, and hid that others were unknown."""
    assert most_serious([ExitCode(code), ExitCode.MONEY_UNCLEAR, ExitCode.BUDGET]) is ExitCode.MONEY_UNCLEAR
    assert most_serious([ExitCode(code), ExitCode.BUDGET]) == code


def test_the_leading_error_of_several_is_one_of_ours() -> None:
    ours = errors.StorageError("full")
    group = ExceptionGroup("", [ValueError("bug"), ExceptionGroup("", [ours])])

    assert errors.leading(group) is ours
    assert isinstance(errors.leading(ExceptionGroup("", [ValueError("bug")])), ValueError)


def test_the_more_serious_of_any_two_wins() -> None:
    for more, less in itertools.combinations(SERIOUSNESS, 2):
        assert most_serious([less, more, less]) is more


def test_nothing_is_ok() -> None:
    assert most_serious([]) is ExitCode.OK


@pytest.mark.parametrize("code", [code for code in ExitCode if code not in SERIOUSNESS])
def test_what_stops_a_run_before_it_starts_stands_alone(code: ExitCode) -> None:
    assert most_serious([ExitCode.BUG, code, ExitCode.OK]) is code


def test_an_error_says_what_is_wrong_and_what_to_do() -> None:
    assert str(UsageError("no such option", remedy="see --help")) == "no such option; see --help"
    assert str(UsageError("no such option")) == "no such option"


def test_a_missing_file_is_named() -> None:
    error = NotFoundError(Path("poster.yaml"), remedy="check the name")
    assert str(error) == "poster.yaml: no such file; check the name"
    assert error.path == Path("poster.yaml")


def _problem(line: int, column: int = 1, *, path: str = "", hint: str = "") -> Problem:
    return Problem(file="poster.yaml", line=line, column=column, path=path, message="unknown key", hint=hint)


def test_a_problem_names_its_place() -> None:
    assert str(_problem(3, 5)) == "poster.yaml:3:5: unknown key"


def test_a_problem_names_its_key_and_a_hint_where_there_are_any() -> None:
    problem = _problem(3, 5, path="jobs[0].promt", hint="did you mean prompt?")
    assert str(problem) == "poster.yaml:3:5: jobs[0].promt: unknown key (did you mean prompt?)"


def test_a_manifests_problems_are_told_in_the_order_of_the_file() -> None:
    error = ManifestError([_problem(9), _problem(2, 8), _problem(2, 3)])
    assert [(problem.line, problem.column) for problem in error.problems] == [(2, 3), (2, 8), (9, 1)]
    assert str(error).splitlines() == [str(problem) for problem in error.problems]
