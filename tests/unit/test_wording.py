"""How a number of things is said."""

import pytest

from pipeline.wording import counted


@pytest.mark.parametrize(("number", "said"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1_200, "1,200 rows")])
def test_one_is_not_many(number: int, said: str) -> None:
    assert counted(number, "row") == said


@pytest.mark.parametrize(("number", "said"), [(1, "1 row does not fit"), (2, "2 rows do not fit")])
def test_what_many_do_may_be_other_words(number: int, said: str) -> None:
    assert counted(number, "row does not fit", "rows do not fit") == said
