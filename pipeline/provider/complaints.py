"""The only module that reads what a provider complains of, in whichever of the many shapes it does."""

import json
import re
from dataclasses import dataclass
from typing import Any

#: What is kept of an error's words and body, in characters.
MAX_WORDS = 2_000

_WORDS = ("message", "msg", "err", "error_msg", "detail")
_CODES = ("code", "type", "status")
_SECRETS = (
    (re.compile(r"(https?://[^\s\"'<>?#]+)\?[^\s\"'<>]*", re.IGNORECASE), r"\1?..."),
    (re.compile(r"(https?://)[^\s/\"'<>@]+@", re.IGNORECASE), r"\1"),
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=*-]+", re.IGNORECASE), r"\1 ..."),
    (re.compile(r"\b(sk|pk|rk)-[\w*.-]{4,}"), r"\1-..."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """What an error's body says.

    Attributes:
        words: The message, cleaned and cut; "" where there is none.
        codes: Codes and types, lower-cased, with ``_`` for spaces and hyphens.
        hidden_status: The status an empty message hides in ``param``, or None.
    """

    words: str
    codes: frozenset[str]
    hidden_status: int | None


def read_json(body: bytes) -> Any:
    """Read a body as JSON, a byte order mark and keep-alive white space around it allowed.

    Raises:
        ValueError: It is not JSON, or not whole.
    """
    try:
        return json.loads(body.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None


def read_complaint(body: bytes) -> Complaint:
    """Find message and codes in an error's body. What is not JSON has no codes, and its text for words."""
    try:
        document = read_json(body)
    except ValueError:
        return Complaint(words=clean(body), codes=frozenset(), hidden_status=None)
    parts = list(_parts(document))
    words = next(filter(None, map(_words, parts)), "")
    codes = frozenset(
        as_code(part[name]) for part in parts if isinstance(part, dict) for name in _CODES if name in part
    )
    return Complaint(words=clean(words), codes=codes - {""}, hidden_status=None if words else _hidden_status(parts))


def clean(text: str | bytes) -> str:
    """Text fit for records: on one line, without secrets and URLs' queries, at most MAX_WORDS characters."""
    if isinstance(text, bytes):
        text = text[: MAX_WORDS * 8].decode("utf-8", "replace")
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    printable = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split())[:MAX_WORDS]


def _parts(document: Any) -> list[Any]:
    """The places an error may be written in, the likeliest first."""
    if not isinstance(document, dict):
        return [document]
    response, header = document.get("response"), document.get("header")
    nested = response.get("error") if isinstance(response, dict) else None
    return [part for part in (document.get("error"), nested, header, document) if part]


def _words(part: Any) -> str:
    if isinstance(part, str):
        return part.strip()
    if isinstance(part, list):
        return "; ".join(filter(None, map(_words, part)))
    if isinstance(part, dict):
        return next(filter(None, (_words(part.get(name)) for name in _WORDS)), "")
    return ""


def as_code(value: Any) -> str:
    """A code as it is compared: in small letters, with ``_`` for spaces and hyphens."""
    return re.sub(r"[\s-]+", "_", value.strip().lower()) if isinstance(value, str) else ""


def _hidden_status(parts: list[Any]) -> int | None:
    for part in parts:
        found = re.fullmatch(r"\s*([1-5][0-9]{2})\s*", str(part.get("param"))) if isinstance(part, dict) else None
        if found:
            return int(found[1])
    return None
