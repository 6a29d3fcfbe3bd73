"""Result URLs: signed, and dead after the window. The only module that knows what one looks like."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import urlencode

Verdict = Literal["alive", "expired", "forged"]

#: Below this a window is too short for expiry in whole seconds, which is how storage providers write it.
_WHOLE_SECONDS_FROM_S = 10.0


class LinkSigner:
    """Signs paths and checks them. Nothing about a link needs to be remembered.

    Args:
        secret: The key of the signatures.
        window_s: How long a link lives, in seconds.
        mark: How each signature begins.
    """

    def __init__(self, secret: bytes, *, window_s: float, mark: str = "") -> None:
        self._secret = secret
        self._window_s = window_s
        self._mark = mark

    def sign(self, picture_id: str, suffix: str, *, now: float) -> str:
        """The path and query of a picture's link.

        Args:
            picture_id: Hexadecimal digits.
            suffix: Of the file's name, without a dot.
            now: When the window starts, in seconds since 1970.
        """
        precision = "seconds" if self._window_s >= _WHOLE_SECONDS_FROM_S else "milliseconds"
        expiry = datetime.fromtimestamp(now + self._window_s, UTC).isoformat(timespec=precision).replace("+00:00", "Z")
        query = urlencode({"se": expiry, "sp": "r", "sig": self._signature(picture_id, expiry)})
        return f"/delivery/{picture_id}/sample.{suffix}?{query}"

    def check(self, picture_id: str, query: Mapping[str, str], *, now: float) -> Verdict:
        """Whether a link with that (decoded) query is ours and still alive at ``now``, in seconds since 1970."""
        expiry = query.get("se", "")
        given = query.get("sig", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(self._signature(picture_id, expiry).encode(), given):
            return "forged"
        return "alive" if now < datetime.fromisoformat(expiry).timestamp() else "expired"

    def _signature(self, picture_id: str, expiry: str) -> str:
        message = f"{picture_id}\n{expiry}".encode("utf-8", "surrogateescape")
        return self._mark + base64.b64encode(hmac.digest(self._secret, message, hashlib.sha256)).decode()
