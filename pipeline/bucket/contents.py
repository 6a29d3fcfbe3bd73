"""What is sent to a bucket, and what is found there."""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """A file on its way.

    Attributes:
        file: Durable on this machine, and not changed meanwhile.
        sha256: Of its bytes, hex.
        media: What they are, such as ``image/png``.
    """

    file: Path
    sha256: str
    size_bytes: int
    media: str

    @property
    def checksum(self) -> str:
        """The digest as a bucket takes it."""
        return base64.b64encode(bytes.fromhex(self.sha256)).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An object that is there.

    Attributes:
        etag: Changes with its bytes.
        sha256: Of all of them, as the server has reckoned it, hex; None where it has not.
    """

    size_bytes: int
    etag: str
    sha256: str | None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Self:
        """Read the answer to a HEAD."""
        return cls(size_bytes=answer["ContentLength"], etag=answer["ETag"], sha256=_whole(answer))


def piece_checksum(data: bytes) -> str:
    """The digest of one piece, as a bucket takes it."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def _whole(answer: Mapping[str, Any]) -> str | None:
    """The digest of the whole object; one that was made of the pieces' digests says nothing of that."""
    told = answer.get("ChecksumSHA256", "")
    if not told or "-" in told or answer.get("ChecksumType") == "COMPOSITE":
        return None
    try:
        digest = base64.b64decode(told, validate=True)
    except binascii.Error:
        return None
    return digest.hex() if len(digest) == hashlib.sha256().digest_size else None
