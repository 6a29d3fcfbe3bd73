"""The only module that knows what looks like a secret, where a text of unknown origin may repeat one."""

import os
import re
from collections.abc import Iterable

#: Variables that hold secrets are known by their names; shorter values are too likely to stand there by chance.
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)
_SHORTEST_SECRET = 8
_SECRETS = (
    (re.compile(r"\b(Bearer|Basic)\s+[^\s\"'<>]+", re.IGNORECASE), r"\1 ..."),
    (re.compile(r"\?[\w.~%-]+=[^\s\"'<>]*"), "?..."),
    (re.compile(r"\b(sig|signature)([\"']?\s*[=:]\s*[\"']?)[^\s\"'&]+", re.IGNORECASE), r"\1\2..."),
)


def discreet(text: str, secrets: Iterable[str] = ()) -> str:
    """A text of unknown origin without what looks like a secret: keys of the environment, tokens, URLs' queries.

    What this program says itself holds none. This is for what a bug says, where a foreign error may repeat anything.

    Args:
        secrets: Left out besides, such as keys that came from a file.
    """
    named = (value for name, value in os.environ.items() if _SECRET_NAME.search(name) and not name.endswith("_FILE"))
    for value in (*secrets, *named):
        if len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, "...")
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


__all__ = ["discreet"]
