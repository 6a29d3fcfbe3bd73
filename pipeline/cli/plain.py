"""The only module that knows what may reach a screen or a log: no secrets, and nothing that moves a cursor."""

import logging
import os
import re

#: Variables that hold secrets are known by their names; shorter values are too likely to stand there by chance.
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)
_SHORTEST_SECRET = 8
_SECRETS = (
    (re.compile(r"\b(Bearer|Basic)\s+[^\s\"'<>]+", re.IGNORECASE), r"\1 ..."),
    (re.compile(r"\?[\w.~%-]+=[^\s\"'<>]*"), "?..."),
    (re.compile(r"\b(sig|signature)([\"']?\s*[=:]\s*[\"']?)[^\s\"'&]+", re.IGNORECASE), r"\1\2..."),
)


def plain(text: str) -> str:
    """A text in which all that is unprintable, but for line breaks, stands as Python would write it."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character == "\n" else repr(character)[1:-1] for character in text
    )


def discreet(text: str) -> str:
    """A text of unknown origin without what looks like a secret: keys of the environment, tokens, URLs' queries.

    What this program says itself holds none. This is for what a bug says, where a foreign error may repeat anything.
    """
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST_SECRET and _SECRET_NAME.search(name) and not name.endswith("_FILE"):
            text = text.replace(value, "...")
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


class DiscreetFormatter(logging.Formatter):
    """For what libraries log: asyncio tells of an error that nobody fetched with all that the error says."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's text, with its traceback."""
        return plain(discreet(super().format(record)))
