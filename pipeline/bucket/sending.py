"""Making an object that was not there: whole, in pieces, or copied by the server; never over another one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import anyio.to_thread

from pipeline.bucket.client import CONFLICT, TAKEN, code_of
from pipeline.bucket.contents import Contents, piece_checksum

#: What is larger goes in pieces, one after the other, so that memory does not grow with it.
WHOLE_BYTES = 16 * 1024 * 1024
PIECE_BYTES = 8 * 1024 * 1024
#: Two that write one name at the same instant are both told to try again; it passes with the other's request.
_CONFLICTS = 8
_CONFLICT_WAIT_S = 0.25
_ABORT_S = 10.0
_NEW = {"IfNoneMatch": "*"}


async def create(
    client: Any,
    wanted: dict[str, str],
    body: Contents | bytes,
    *,
    sha256: str = "",
    media: str = "",
    told: bytes | None = None,
) -> bool:
    """Make an object; whether this made it, rather than finding the name taken.

    Args:
        wanted: The bucket and the key.
        body: A file, or bytes with their ``sha256`` and ``media``.
        told: Whose digest is told in the bytes' stead, to see whether it is looked at.

    Raises:
        botocore's errors: As they come.
    """
    if isinstance(body, bytes):
        return await _put(
            client, wanted, body, checksum=piece_checksum(body if told is None else told), media=media, sha256=sha256
        )
    if body.size_bytes > WHOLE_BYTES:
        return await _in_pieces(client, wanted, body)
    data = await anyio.Path(body.file).read_bytes()
    return await _put(client, wanted, data, checksum=body.checksum, media=body.media, sha256=body.sha256)


async def copy(client: Any, source: dict[str, str], wanted: dict[str, str], *, etag: str) -> bool:
    """Make an object of another's bytes, which stay on the server; whether this made it.

    As one piece of an upload, because only the end of an upload knows ``If-None-Match`` everywhere; servers that do not
    know it for a plain copy overwrite.

    Args:
        etag: Of the source: another that has come there meanwhile is refused.
    """
    async with _upload(client, wanted, {}) as upload:
        copied = await client.upload_part_copy(
            **wanted, UploadId=upload, PartNumber=1, CopySource=source, CopySourceIfMatch=etag
        )
        piece = {"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]}
        return await _complete(client, wanted, upload, [piece])


async def _put(client: Any, wanted: dict[str, str], data: bytes, *, checksum: str, media: str, sha256: str) -> bool:
    async def ask() -> None:
        await client.put_object(
            **wanted,
            **_NEW,
            Body=data,
            ChecksumAlgorithm="SHA256",
            ChecksumSHA256=checksum,
            ContentType=media,
            Metadata={"sha256": sha256},
        )

    return await _unless_taken(ask)


async def _in_pieces(client: Any, wanted: dict[str, str], body: Contents) -> bool:
    told = {"ChecksumAlgorithm": "SHA256", "ContentType": body.media, "Metadata": {"sha256": body.sha256}}
    async with _upload(client, wanted, told) as upload:
        pieces: list[dict[str, Any]] = []
        async with await anyio.open_file(body.file, "rb") as file:
            while data := await file.read(PIECE_BYTES):
                number, checksum = len(pieces) + 1, piece_checksum(data)
                answer = await client.upload_part(
                    **wanted,
                    UploadId=upload,
                    PartNumber=number,
                    Body=data,
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=checksum,
                )
                pieces.append({"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum})
        return await _complete(client, wanted, upload, pieces)


@asynccontextmanager
async def _upload(client: Any, wanted: dict[str, str], told: dict[str, Any]) -> AsyncIterator[str]:
    """An upload in pieces; ended in any case, since a bucket keeps, and bills, what nobody ends."""
    upload = (await client.create_multipart_upload(**wanted, **told))["UploadId"]
    done = False
    try:
        yield upload
        done = True
    finally:
        if not done:
            await _abort(client, wanted, upload)


async def _complete(client: Any, wanted: dict[str, str], upload: str, pieces: list[dict[str, Any]]) -> bool:
    async def ask() -> None:
        await client.complete_multipart_upload(**wanted, **_NEW, UploadId=upload, MultipartUpload={"Parts": pieces})

    made = await _unless_taken(ask)
    if not made:
        await _abort(client, wanted, upload)
    return made


async def _abort(client: Any, wanted: dict[str, str], upload: str) -> None:
    with suppress(Exception), anyio.move_on_after(_ABORT_S, shield=True):
        await client.abort_multipart_upload(**wanted, UploadId=upload)


async def _unless_taken(ask: Any) -> bool:
    """Ask for a new object; whether it was made, rather than its name taken."""
    from botocore.exceptions import ClientError

    for turn in range(1, _CONFLICTS + 1):
        try:
            await ask()
        except ClientError as error:
            if code_of(error) == TAKEN:
                return False
            if code_of(error) != CONFLICT or turn == _CONFLICTS:
                raise
            await anyio.sleep(_CONFLICT_WAIT_S * turn)
        else:
            return True
    return False
