"""The only module that knows variables: the combinations of ``vars``, and the pairs of ``zip``."""

from collections.abc import Mapping, Sized
from dataclasses import dataclass
from itertools import product
from math import prod

from pipeline.manifest.complaints import Gathering, UnfitError, enumerated
from pipeline.manifest.template import NAME

#: More combinations in one job are a slip; a million wanted ones belong in a rows file.
MAX_COMBINATIONS = 100_000
#: Numbers from here on are not written out.
_UNCOUNTED = 10**15


@dataclass(frozen=True, slots=True)
class Variables:
    """What one job's variables are called, and every combination of their values, in the order of the manifest."""

    names: tuple[str, ...] = ()
    combinations: tuple[tuple[str, ...], ...] = ((),)


def combine(crossed: Mapping[str, tuple[str, ...]], paired: Mapping[str, tuple[str, ...]]) -> Variables:
    """Combine every value of ``crossed`` with every other, and with each pairing of ``paired``; the last turns fastest.

    Raises:
        UnfitError: A name that cannot stand in braces, a name given in both, lists of unequal length, or more than
            100,000 combinations; all that applies is named.
    """
    if not crossed and not paired:
        return Variables()
    faults = Gathering()
    for key, names in (("vars", crossed), ("zip", paired)):
        for name in names:
            if not NAME.fullmatch(name):
                hint = "use letters, digits, _ and -"
                faults.found.append(UnfitError(f"{key}.{name}", "cannot be a variable's name", hint))
    for name in sorted(crossed.keys() & paired.keys()):
        faults.found.append(UnfitError(f"zip.{name}", "is given in vars, too", "give it once"))
    faults.attempt(_check_counts, crossed, paired)
    faults.settle()
    pairs = list(zip(*paired.values(), strict=True)) if paired else [()]
    combinations = tuple((*combination, *pair) for combination in product(*crossed.values()) for pair in pairs)
    return Variables((*crossed, *paired), combinations)


def count_of(crossed: Mapping[str, Sized], paired: Mapping[str, Sized]) -> int:
    """How many combinations there are; ``paired`` lists are taken to be of equal length."""
    return prod(map(len, crossed.values())) * len(next(iter(paired.values()), "-"))


def _check_counts(crossed: Mapping[str, tuple[str, ...]], paired: Mapping[str, tuple[str, ...]]) -> None:
    lengths = {name: len(values) for name, values in paired.items()}
    if len(set(lengths.values())) > 1:
        counts = enumerated(f"{name} has {length}" for name, length in lengths.items())
        raise UnfitError("zip", f"pairs lists of equal length, but {counts}", "use vars for every combination")
    count = count_of(crossed, paired)
    if count > MAX_COMBINATIONS:
        many = f"{count:,}" if count < _UNCOUNTED else f"more than {_UNCOUNTED:,}"
        message = f"makes {many} combinations; at most {MAX_COMBINATIONS:,} in one job"
        raise UnfitError("vars", message, "put so many in a rows file: 'rows: prompts.csv'")
