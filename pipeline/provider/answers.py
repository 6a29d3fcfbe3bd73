"""The only module that finds the picture in an answer: a URL or its bytes, in any of the forms servers use."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

from pipeline.provider.complaints import read_json

_INLINE = re.compile(r"data:[^,]*,", re.IGNORECASE)
_WHOLE = re.compile(r"https?://", re.IGNORECASE)
_URL_SAFE = str.maketrans("-_", "+/")


class NoPictureError(ValueError):
    """An answer without a usable picture.

    Attributes:
        kind: ``unreadable`` (not JSON, or half of it), ``no_picture``, ``bad_url`` or ``undecodable``.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Where the picture is: exactly one of ``url`` (absolute) and ``image``; and the answer's ``created``, if any."""

    url: str | None
    image: bytes | None
    created: float | None


def read_picture(body: bytes, *, base_url: str) -> Picture:
    """Find the picture in the body of a success. Bytes are preferred to a URL: they cannot expire.

    Args:
        body: What came, perhaps without its end: a whole JSON document in it is accepted.
        base_url: What a relative URL is relative to.

    Raises:
        NoPictureError: There is none that can be used.
    """
    try:
        document = read_json(body)
    except ValueError:
        raise NoPictureError("unreadable") from None
    created = document.get("created") if isinstance(document, dict) else None
    return picture_of(_first_item(document), created=created, base_url=base_url)


def picture_in(body: bytes) -> str | None:
    """The URL in the body of a success, "" for a picture that is inside; None where there is neither."""
    try:
        picture = read_picture(body, base_url="https://relative.invalid")
    except NoPictureError:
        return None
    return picture.url or ""


def picture_of(item: Mapping[str, Any], *, created: Any, base_url: str) -> Picture:
    """Find the picture in what an answer says of it: ``url`` or ``b64_json``.

    Raises:
        NoPictureError: There is none that can be used.
    """
    url, inline = _inline(item)
    image = _decoded(inline) if inline else None
    if image:
        return Picture(url=None, image=image, created=_seconds(created))
    if not url:
        raise NoPictureError("undecodable" if inline else "no_picture")
    return Picture(url=_absolute(url, base_url=base_url), image=None, created=_seconds(created))


def _first_item(document: Any) -> dict[str, Any]:
    data = document.get("data") if isinstance(document, dict) else None
    item = data[0] if isinstance(data, list) and data else data
    return item if isinstance(item, dict) else {}


def _inline(item: Mapping[str, Any]) -> tuple[str, str]:
    """The URL and the inline picture, "" for what is absent; a ``data:`` URL is an inline picture."""
    url, inline = (value.strip() if isinstance(value := item.get(name), str) else "" for name in ("url", "b64_json"))
    return ("", inline or url) if _INLINE.match(url) else (url, inline)


def _decoded(text: str) -> bytes | None:
    """Bytes of base64 or of a ``data:`` URL; white space and missing padding are forgiven, other characters are not."""
    prefix = _INLINE.match(text)
    payload = text[prefix.end() :] if prefix else text
    if prefix and not re.search(r";\s*base64\s*,", prefix[0], re.IGNORECASE):
        return unquote_to_bytes(payload)
    digits = "".join(payload.split()).translate(_URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _absolute(url: str, *, base_url: str) -> str:
    try:
        joined = url if _WHOLE.match(url) else urljoin(base_url.rstrip("/") + "/", url)
        parts = urlsplit(joined)
    except ValueError:
        raise NoPictureError("bad_url") from None
    if parts.scheme.lower() not in {"http", "https"} or not parts.netloc:
        raise NoPictureError("bad_url")
    return joined


def _seconds(created: Any) -> float | None:
    return float(created) if isinstance(created, int | float) and abs(created) < 1e15 else None
