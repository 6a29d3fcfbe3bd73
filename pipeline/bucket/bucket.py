"""Keeping pictures in a bucket: never over another object, and kept only once the bucket has shown that it has them."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import PurePosixPath
from typing import Any

import anyio

from pipeline.bucket.address import BucketAddress
from pipeline.bucket.client import ATTEMPTS, READ_S, open_client, translated
from pipeline.bucket.contents import Contents, Found
from pipeline.bucket.sending import copy, create
from pipeline.errors import ConfigurationError, OutputError, StorageError

#: Suffixes tried after a taken name, ``-2`` onwards, before giving up; as in a folder.
MAX_NAMES = 1000
#: Pictures on their way at once: of each, a piece or a small file is in memory.
AT_ONCE = 16
#: The longest that one step with a bucket may take, its tries included, in seconds.
STEP_S = 300.0
_CHUNK_BYTES = 256 * 1024
#: A server that keeps other bytes than it was sent is not asked for ever.
_MOST_ALTERED = 3
#: What stays under the prefix to show that pictures can be kept there; the same for every run.
CHECK = ".fluxbatch-check"
_CHECK_BODY = b"fluxbatch writes and reads this to see whether it may keep pictures here.\n"


class Bucket:
    """Pictures below one prefix."""

    def __init__(self, client: Any, address: BucketAddress) -> None:
        """Take an open client; see ``open_bucket``."""
        self.address = address
        self._client = client
        self._room = anyio.Semaphore(AT_ONCE)
        self._digests_hold: bool | None = None  # not asked yet

    async def check(self) -> None:
        """See that pictures can be kept here and nothing else is overwritten, before anything is bought.

        One small object stays, so that no right to delete is needed.

        Raises:
            OutputError: There is no such bucket, or no permission.
            ConfigurationError: No credentials, another region, a clock that is off, or a server that would overwrite.
            StorageError: The server does not answer.
        """
        wanted = {"Bucket": self.address.bucket, "Key": self.address.key(CHECK)}
        checksum = hashlib.sha256(_CHECK_BODY)
        async with self._step():
            for _ in range(2):  # the second finds the first, if none was there
                if not await create(self._client, wanted, _CHECK_BODY, sha256=checksum.hexdigest(), media="text/plain"):
                    break
            else:
                raise ConfigurationError(
                    f"{self.address}: the server overwrites what it is asked not to (If-None-Match)",
                    remedy="use a server that knows conditional writes, or a folder",
                )
            await self._client.head_object(**wanted)
            await self._reach()

    async def reach(self) -> None:
        """See that the bucket is there and may be looked at; raises as ``check``.

        A bucket that is not there answers for each picture as if only that were missing.
        """
        async with self._step():
            await self._reach()

    async def put(self, contents: Contents, path: str, suffix: str) -> str:
        """Keep a file under ``path`` + ``suffix``, else ``-2``, ``-3``... before the suffix; the path it got.

        A name that already holds the same bytes is taken over: a crash, or a lost answer, came between.

        Args:
            path: Below the prefix, without its suffix.
            suffix: With its dot.

        Raises:
            FluxbatchError: As ``check``; also where the server keeps other bytes than it is sent.
            OSError: The file cannot be read.
        """
        altered = 0
        async with self._room:
            for name in _candidates(path, suffix):
                wanted = self._wanted(name)
                async with self._step():
                    created = await create(self._client, wanted, contents)
                    if await self._holds(wanted, contents.sha256, contents.size_bytes):
                        return name
                altered += created
                if altered == _MOST_ALTERED:
                    raise StorageError(
                        f"{self.address}: the server keeps other bytes than it is sent",
                        remedy="see to the server and to what is between, then run again",
                    )
        raise OutputError(f"{self.address}: {MAX_NAMES} pictures named {path}", remedy="change output.file")

    async def place(self, stored: str, path: str, *, sha256: str) -> str:
        """Give a picture that is here a second place, copied by the server; the path made, as ``put`` does.

        Args:
            stored: Where it is, with its suffix.
            path: Where it is wanted too, without one.

        Raises:
            OutputError: It is not there any more, or is another.
            FluxbatchError: As ``put``.
        """
        source = self._wanted(stored)
        async with self._room:
            async with self._step():
                found = await self._found(source)
                if found is None or not await self._holds(source, sha256, found.size_bytes):
                    gone = "is not there any more" if found is None else "is not the picture that was stored"
                    raise OutputError(f"{self.address}/{stored}: {gone}", remedy="see fluxbatch ledger verify")
            for name in _candidates(path, PurePosixPath(stored).suffix):
                wanted = self._wanted(name)
                async with self._step():
                    if await self._found(wanted) is None:
                        await copy(self._client, source, wanted, etag=found.etag)
                    if await self._holds(wanted, sha256, found.size_bytes):
                        return name
        raise OutputError(f"{self.address}: {MAX_NAMES} pictures named {path}", remedy="change output.file")

    async def names(self, folder: str) -> list[str]:
        """The first 1,000 names in a folder below the prefix, as paths; "" for the prefix itself."""
        start = self.address.key(f"{folder}/" if folder else "")
        async with self._step():
            page = await self._client.list_objects_v2(Bucket=self.address.bucket, Prefix=start, Delimiter="/")
        cut = len(self.address.key(""))
        return [entry["Key"][cut:] for entry in page.get("Contents", ())]

    async def look(self, path: str, *, sha256: str, size_bytes: int) -> bool | None:
        """Whether a picture is the one that was stored; None where nothing is. Reads it where no digest is told."""
        wanted = self._wanted(path)
        async with self._room, self._step():
            if await self._found(wanted) is None:
                return None
            return await self._holds(wanted, sha256, size_bytes)

    async def _reach(self) -> None:
        await self._client.list_objects_v2(Bucket=self.address.bucket, Prefix=self.address.prefix, MaxKeys=1)

    def _wanted(self, path: str) -> dict[str, str]:
        return {"Bucket": self.address.bucket, "Key": self.address.key(path)}

    async def _found(self, wanted: dict[str, str]) -> Found | None:
        from botocore.exceptions import ClientError

        try:
            return Found.of(await self._client.head_object(**wanted, ChecksumMode="ENABLED"))
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise

    async def _holds(self, wanted: dict[str, str], sha256: str, size_bytes: int) -> bool:
        """Whether an object is those bytes: by the digest that the server has reckoned, else by reading it."""
        found = await self._found(wanted)
        if found is None or found.size_bytes != size_bytes:
            return False
        told = found.sha256 if found.sha256 and await self._reckons() else None
        return (told or await self._digest(wanted)) == sha256

    async def _reckons(self) -> bool:
        """Whether the server reckons digests, and does not just repeat what it was told: it refuses a wrong one."""
        from botocore.exceptions import ClientError

        if self._digests_hold is None:
            wanted = self._wanted(f"{CHECK}-digest")
            try:
                await create(self._client, wanted, _CHECK_BODY, sha256="", media="text/plain", told=b"")
                self._digests_hold = False
            except ClientError as error:  # anything but a wrong digest says nothing: then all is read
                self._digests_hold = error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        return self._digests_hold

    async def _digest(self, wanted: dict[str, str]) -> str:
        digest = hashlib.sha256()
        answer = await self._client.get_object(**wanted)
        async with answer["Body"] as body:
            while chunk := await body.read(_CHUNK_BYTES):
                digest.update(chunk)
        return digest.hexdigest()

    @asynccontextmanager
    async def _step(self) -> AsyncIterator[None]:
        """A step that ends in time, and fails in this program's words."""
        with translated(self.address), anyio.fail_after(STEP_S):
            yield


@asynccontextmanager
async def open_bucket(
    address: BucketAddress, *, attempts: int = ATTEMPTS, read_s: float = READ_S
) -> AsyncIterator[Bucket]:
    """A bucket to keep pictures in; nothing is asked of it yet.

    Args:
        attempts: How often each request is made at most.
        read_s: How long the next bytes of an answer may take, in seconds.

    Raises:
        ConfigurationError: The client is not installed, or its settings are off.
    """
    async with open_client(address, attempts=attempts, read_s=read_s) as client:
        yield Bucket(client, address)


def _candidates(path: str, suffix: str) -> Iterator[str]:
    yield f"{path}{suffix}"
    for number in range(2, MAX_NAMES + 1):
        yield f"{path}-{number}{suffix}"
