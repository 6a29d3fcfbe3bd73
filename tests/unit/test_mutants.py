"""The mutants still fit the code they break; ``make mutants`` applies them."""

import pytest

from tests.mutants.listing import ROOT, Mutant, mutants


@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.name)
def test_a_mutant_breaks_what_is_there(mutant: Mutant) -> None:
    assert mutant.applied((ROOT / mutant.file).read_text(encoding="utf-8"))
    for words in mutant.caught_by:
        if not words.startswith("-"):
            assert (ROOT / words.partition("::")[0]).exists()


def test_each_mutant_has_a_name_of_its_own() -> None:
    names = [mutant.name for mutant in mutants()]
    assert len(set(names)) == len(names)
