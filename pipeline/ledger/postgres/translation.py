"""The ledger's SQL, as it is written for both databases, in PostgreSQL's words."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

#: What is said otherwise; the functions that PostgreSQL has not are in ``words.sql``.
_SAID_OTHERWISE = {"json_each(": "listed(", "CROSS JOIN": "JOIN", "BEGIN IMMEDIATE": "BEGIN"}
_TOKEN = re.compile(r"'[^']*'|\?|%|(?<![:\w]):([a-z_]+)|json_each\(|CROSS JOIN|BEGIN IMMEDIATE")


@lru_cache(maxsize=512)
def translated_statement(statement: str) -> str:
    """A statement with psycopg's placeholders for question marks and names."""
    return _TOKEN.sub(_said, statement)


def _said(found: re.Match[str]) -> str:
    text = found[0]
    if text.startswith("'"):
        return text.replace("%", "%%")
    if found[1]:
        return f"%({found[1]})s"
    return {"?": "%s", "%": "%%"}.get(text) or _SAID_OTHERWISE[text]


def cleaned(value: Any) -> Any:
    """A value as PostgreSQL can keep it: no text there has a NUL in it, or half of a surrogate pair."""
    if isinstance(value, str):
        text = value.replace("\0", "\ufffd")
        return text if text.isascii() else text.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {key: cleaned(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [cleaned(each) for each in value]
    return value
