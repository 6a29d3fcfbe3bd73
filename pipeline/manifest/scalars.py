"""The only module that knows YAML 1.2's core schema: what a word written without quotes means."""

import re
from decimal import Decimal

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_SWITCHES = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NUMBER = re.compile(
    r"""(?P<octal>0o[0-7]+) | (?P<hexadecimal>0x[0-9a-fA-F]+) | (?P<whole>[-+]?[0-9]+)
      | (?P<endless>[-+]?\.(?:inf|Inf|INF)) | (?P<none>\.(?:nan|NaN|NAN))
      | (?P<decimal>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)""",
    re.VERBOSE,
)
_BASES = {"octal": 8, "hexadecimal": 16, "whole": 10}
#: Longer numbers stay text: nothing in a manifest needs them, and turning them into numbers takes ever more time.
_MAX_DIGITS = 40

Resolved = None | bool | int | Decimal | str


class Plain(str):
    """A scalar written without quotes: its text as written, and what YAML 1.2 takes it for."""

    __slots__ = ()

    @property
    def is_null(self) -> bool:
        """Whether it stands for nothing: empty, ``~`` or ``null``."""
        return self in _NULLS

    @property
    def value(self) -> Resolved:
        """None, a bool, an int, a Decimal (``.inf`` and ``.nan`` included), or the text itself."""
        return resolve(self)


def resolve(text: str) -> Resolved:
    """Read a plain scalar by YAML 1.2's core schema: ``012`` is 12; ``no``, ``16:9`` and ``1_000`` are text.

    A number of more than 40 characters stays text.
    """
    if text in _NULLS:
        return None
    if text in _SWITCHES:
        return _SWITCHES[text]
    match = _NUMBER.fullmatch(text) if len(text) <= _MAX_DIGITS else None
    if match is None or match.lastgroup is None:
        return str(text)
    if match.lastgroup in _BASES:
        digits = text[2:] if match.lastgroup != "whole" else text
        return int(digits, _BASES[match.lastgroup])
    # YAML writes the two that are no numbers with a leading point, Decimal without.
    return Decimal(text.replace(".", "", 1) if match.lastgroup in {"endless", "none"} else text)
