"""The tree of errors, and what each says of the money."""

import inspect
import re

import pytest

from pipeline.provider import errors
from pipeline.provider.errors import AnswerLostError, Money, OverloadedError, ProviderError, RefusedError

CLASSES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, ProviderError)]


@pytest.mark.parametrize("cls", CLASSES)
def test_the_docstring_draws_every_class(cls: type[ProviderError]) -> None:
    assert errors.__doc__ is not None
    assert re.search(rf"\b{cls.__name__}\b", errors.__doc__)


def test_only_a_lost_answer_leaves_the_money_unknown() -> None:
    assert [cls for cls in CLASSES if cls.money is Money.UNKNOWN] == [AnswerLostError]


def test_what_passes_is_retried_unless_the_provider_says_otherwise() -> None:
    assert OverloadedError().retryable
    assert not OverloadedError(retryable=False).retryable
    assert not RefusedError().retryable


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_without_a_kind_has_the_usual_one(cls: type[ProviderError]) -> None:
    assert cls().kind == cls.usual_kind


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RefusedError("No.", status=400), "HTTP 400: No."),
        (RefusedError(status=400), "HTTP 400: invalid"),
        (ProviderError("No."), "No."),
    ],
)
def test_it_is_one_line(error: ProviderError, line: str) -> None:
    assert str(error) == line
