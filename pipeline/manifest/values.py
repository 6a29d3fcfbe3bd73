"""The only module that knows how one key's text becomes a request's value, wherever it came from."""

import re
import unicodedata
from functools import lru_cache

from pipeline.catalog import uses
from pipeline.manifest.complaints import UnfitError, nearest, shown
from pipeline.ratio import Ratio, parse_ratio

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_MAX_NAMED = 5
#: What the longest-reading image APIs take; Flux reads far less.
MAX_PROMPT = 32_000
_WHOLE = re.compile(r"[-+]?[0-9]{1,30}")
#: Unicode's categories of letters, numbers and symbols.
_SAYING = "LNS"
_SWITCHES = {"true": True, "false": False}


def read_prompt(text: str) -> str:
    """Take a prompt with its ends stripped.

    Raises:
        UnfitError: It is empty, longer than 32,000 characters, has no letter, number or symbol (as a template whose
            columns are all blank), or holds a control character or half a surrogate pair.
    """
    prompt = text.strip()
    if not prompt:
        raise UnfitError("prompt", "is empty", "say what to draw")
    check_length(prompt)
    check_characters(prompt)
    if not any(unicodedata.category(character)[0] in _SAYING for character in prompt):
        raise UnfitError("prompt", f"says nothing: {shown(prompt)}", "say what to draw")
    return prompt


def check_length(text: str) -> None:
    """Make sure that a prompt, or its template, is none that no model reads to its end.

    Raises:
        UnfitError: It has more than 32,000 characters.
    """
    if len(text) > MAX_PROMPT:
        raise UnfitError("prompt", f"is longer than {MAX_PROMPT:,} characters", "shorten it, or close its quote")


def check_characters(text: str) -> None:
    """Make sure that a prompt, or its template, holds no control character.

    Raises:
        UnfitError: It holds some, or half a surrogate pair; each kind is named once, the first five at least.
    """
    if bad := list(dict.fromkeys(_CONTROL.findall(text.strip()))):
        named = ", ".join(f"U+{ord(character):04X}" for character in bad[:_MAX_NAMED])
        more = f" and {len(bad) - _MAX_NAMED} more" if len(bad) > _MAX_NAMED else ""
        several = len(bad) > 1
        message = f"holds the character{'s' if several else ''} {named}{more}"
        raise UnfitError("prompt", message, "remove them" if several else "remove it")


@lru_cache(maxsize=4096)
def read_ratio(text: str) -> Ratio:
    """Take ``W:H``.

    Raises:
        UnfitError: It is no ratio, or one that no model draws.
    """
    try:
        return parse_ratio(text)
    except ValueError as exc:
        if len(text) > 60:
            raise UnfitError("ratio", f"{shown(text)} is not a ratio; write width:height, such as 16:9") from None
        hint = f"a named ratio goes in 'use: {text}'" if text in uses() else ""
        raise UnfitError("ratio", str(exc), hint) from None


def read_use(text: str) -> str:
    """Take the name of a ratio.

    Raises:
        UnfitError: Nobody named it so.
    """
    if text not in uses():
        hint = nearest(text, uses()) or "'fluxbatch ratios' lists them; a ratio such as 16:9 goes in 'ratio:'"
        raise UnfitError("use", f"there is no use named {shown(text)}", hint)
    return text


@lru_cache(maxsize=4096)
def read_whole(key: str, text: str) -> int:
    """Take a whole number, written in decimal digits.

    Raises:
        UnfitError: It is none, or has more than 30 digits.
    """
    if not _WHOLE.fullmatch(text):
        raise UnfitError(key, f"{shown(text)} is not a whole number")
    return int(text)


def read_switch(key: str, text: str) -> bool:
    """Take ``true`` or ``false``, in any case: spreadsheets write them in capitals.

    Raises:
        UnfitError: It is neither.
    """
    switch = _SWITCHES.get(text.lower())
    if switch is None:
        raise UnfitError(key, f"{shown(text)} is neither true nor false")
    return switch
