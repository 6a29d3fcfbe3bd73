"""The only module that knows how one key of a job is read: for each row anew, or once and for all."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from pipeline.manifest.complaints import DoubtError, Gathering, UnfitError
from pipeline.manifest.template import Template, compile_template
from pipeline.manifest.values import (
    check_characters,
    check_length,
    read_prompt,
    read_ratio,
    read_switch,
    read_use,
    read_whole,
)

#: The keys of a job that make up its request; each may be a constant or a template.
KEYS = ("prompt", "model", "ratio", "use", "seed", "format", "safety_tolerance", "prompt_upsampling")

READERS: dict[str, Callable[[str], Any]] = {
    "prompt": read_prompt,
    "model": str,
    "ratio": read_ratio,
    "use": read_use,
    "seed": lambda text: read_whole("seed", text),
    "format": str,
    "safety_tolerance": lambda text: read_whole("safety_tolerance", text),
    "prompt_upsampling": lambda text: read_switch("prompt_upsampling", text),
}

#: No key but the prompt has long texts.
_MAX_OTHERS = 1_000

Values: TypeAlias = Sequence[str]
#: Reads one key for the values of a row; None when the row leaves it open.
Read: TypeAlias = Callable[[Values], Any]


def read_constant(key: str, value: Any) -> Any:
    """Read a key of the defaults, which stands for itself; None when it is an empty text.

    Raises:
        UnfitError: It holds placeholders, or makes no sense.
    """
    if not isinstance(value, str):
        return value
    literal = _template(key, value, None).literal
    if literal is None:
        raise UnfitError(key, "placeholders cannot stand in the defaults", "put it in the jobs that have the variable")
    return READERS[key](literal)


def in_doubt(key: str) -> Read:
    """Make the reader of a key whose value is wrong, or not known yet."""

    def doubt(_: Values) -> Any:
        raise DoubtError(key)

    return doubt


def reader(key: str, value: Any, names: Sequence[str] | None, known: Sequence[str] | None) -> Read:
    """Make the function that reads one key of a job from a row's values.

    Args:
        key: One of KEYS.
        value: As written: a number, a switch or a text with placeholders.
        names: What the row's values are called, in order; None when there are no values to judge by yet, so that
            what holds a placeholder is in doubt.
        known: Every word that could have been used, those that are used among ``names``; None when nobody knows.

    Raises:
        UnfitError: Placeholders nobody has, or a constant that makes no sense.
    """
    if not isinstance(value, str):
        return lambda _: value
    template = _template(key, value, known)
    read = READERS[key]
    if template.literal is not None:
        found = read(template.literal)
        return lambda _: found
    if names is None:
        return in_doubt(key)
    fill = template.bind(names)
    if key == "prompt":
        return lambda values: read(fill(values))
    return lambda values: read(text) if (text := fill(values).strip()) else None


def _template(key: str, text: str, known: Sequence[str] | None) -> Template:
    if key != "prompt" and len(text) > _MAX_OTHERS:
        raise UnfitError(key, f"is longer than {_MAX_OTHERS:,} characters", "shorten it")
    faults = Gathering()
    if key == "prompt":
        check_length(text)
        faults.attempt(check_characters, text)
    template = faults.attempt(compile_template, key, text, known=known) or Template(())
    if known is not None:
        faults.attempt(template.check, key, known)
    faults.settle()
    return template
