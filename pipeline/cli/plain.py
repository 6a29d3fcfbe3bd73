"""The only module that knows what may reach a screen or a log: no secrets, and nothing that moves a cursor."""

import logging

from pipeline.discretion import discreet

#: Zero-width joiner and non-joiner move nothing: families of emoji, Persian and Hindi are written with them.
_JOINERS = frozenset("\u200c\u200d")


def plain(text: str) -> str:
    """A text in which all that is unprintable, but for line breaks, stands as Python would write it."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character == "\n" or character in _JOINERS else repr(character)[1:-1]
        for character in text
    )


class DiscreetFormatter(logging.Formatter):
    """For what libraries log: asyncio tells of an error that nobody fetched with all that the error says."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's text, with its traceback."""
        return plain(discreet(super().format(record)))
