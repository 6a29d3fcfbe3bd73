"""What a place in a bucket is called: in a manifest, in the ledger, and for the bucket itself."""

import re
from dataclasses import dataclass
from typing import Self

_SCHEME = "s3://"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
#: A key has 1,024 bytes at most; what names and folders need of it is left to them.
_MAX_PREFIX_BYTES = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketAddress:
    """Where pictures go: a bucket, and what their keys begin with.

    Attributes:
        prefix: Without slashes at its ends; "" for none.
        endpoint: The server; None: what the environment and the client's own settings name.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.prefix}".rstrip("/")

    def key(self, path: str) -> str:
        """What the bucket calls a picture, by its path below the prefix."""
        return f"{self.prefix}/{path}" if self.prefix else path

    def recorded(self, path: str) -> str:
        """What the ledger calls it."""
        return f"{self}/{path}"

    def path_of(self, recorded: str) -> str | None:
        """The path below the prefix of what the ledger records; None for what is elsewhere."""
        start = f"{self}/"
        return recorded.removeprefix(start) if recorded.startswith(start) else None

    @classmethod
    def holding(cls, recorded: str) -> tuple[Self, str]:
        """The whole bucket that a recorded picture is in, and its key there."""
        bucket, _, key = recorded.removeprefix(_SCHEME).partition("/")
        return cls(bucket=bucket), key


def in_bucket(recorded: str) -> bool:
    """Whether what the ledger records is in a bucket, rather than in a folder."""
    return recorded.startswith(_SCHEME)


def parse_address(text: str, *, endpoint: str | None = None) -> BucketAddress:
    """Read ``s3://bucket/prefix``.

    Raises:
        ValueError: It is something else; in words.
    """
    if not text.startswith(_SCHEME):
        raise ValueError("must be a bucket such as s3://bucket/prefix")
    bucket, _, prefix = text.removeprefix(_SCHEME).partition("/")
    if "@" in bucket:
        raise ValueError("must hold no key or password: they come from the environment")
    if _BUCKET.fullmatch(bucket) is None or ".." in bucket:
        raise ValueError("names no bucket: 3 to 63 small letters, digits, dots and hyphens")
    prefix = prefix.removesuffix("/")
    if prefix and not all(_is_part(part) for part in prefix.split("/")):
        raise ValueError("has a prefix with an empty or dotted part, or a sign that is not to be in one (? # \\ {})")
    if len(prefix.encode("utf-8", "surrogatepass")) > _MAX_PREFIX_BYTES:
        raise ValueError(f"has a prefix of more than {_MAX_PREFIX_BYTES} bytes")
    return BucketAddress(bucket=bucket, prefix=prefix, endpoint=endpoint)


def _is_part(part: str) -> bool:
    return part not in {"", ".", ".."} and part.isprintable() and not set(part) & set("?#\\{}")
