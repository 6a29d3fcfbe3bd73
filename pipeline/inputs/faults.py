"""Why an input image will not do: one job's trouble, never the run's."""

from pathlib import PurePath
from urllib.parse import urlsplit


class InputError(Exception):
    """An input image cannot be used. Nothing was asked for and nothing billed.

    Attributes:
        kind: ``input_missing``, ``input_unfit``, ``input_changed``, ``input_unreachable`` or ``input_forbidden``.
        message: One line, without a URL's query.
        passing: Whether it may be otherwise at the next run, by itself.
    """

    def __init__(self, kind: str, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.passing = passing


def is_url(source: str) -> bool:
    """Whether an input is to be fetched, rather than read from a disk."""
    return source.lower().startswith(("http://", "https://"))


def named(source: str) -> str:
    """What an input is called in messages: a URL without its query, which may be a signature, or a file's name."""
    if not is_url(source):
        return PurePath(source).name
    try:
        parts = urlsplit(source)
    except ValueError:
        return "the URL"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:300]
