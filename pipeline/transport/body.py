"""Reading a body: each chunk in time, and unpacked where it came packed though nobody asked for that."""

import contextlib
import zlib

import aiohttp
import anyio

from pipeline.transport.faults import FAULTS


async def next_chunk(content: aiohttp.StreamReader, *, within_s: float) -> bytes:
    """The next bytes of a body, b"" at its end.

    Raises:
        TimeoutError: None came within that many seconds.
        aiohttp.ClientError: The body broke off (any of ``faults.FAULTS``).
    """
    here = content.read_nowait()
    if here or content.at_eof():  # most of a small body comes with its head: nothing to wait for, and no time to keep
        return here
    with anyio.fail_after(within_s):
        return await content.readany()


async def read_whole(
    content: aiohttp.StreamReader, *, chunk_s: float, body_s: float, limit_bytes: int
) -> tuple[bytes, bool]:
    """What came of a body, at most ``limit_bytes`` of it, and whether that is all.

    Args:
        chunk_s: The longest wait between two pieces, in seconds.
        body_s: The longest time for all of them, so that a trickle ends.
    """
    held = bytearray()
    with contextlib.suppress(*FAULTS):
        held += content.read_nowait()
        if content.at_eof() and len(held) <= limit_bytes:  # a small one came with its head
            return bytes(held), True
    with anyio.move_on_after(body_s), contextlib.suppress(*FAULTS):
        while len(held) <= limit_bytes:
            chunk = await next_chunk(content, within_s=chunk_s)
            if not chunk:
                return bytes(held), True
            held += chunk
    return bytes(held[:limit_bytes]), False


def inflate(body: bytes, *, limit_bytes: int) -> tuple[bytes, bool]:
    """Unpack a gzip or zlib body that came although identity was asked for; a paid answer may be inside.

    Returns:
        What could be unpacked, at most ``limit_bytes`` of it, and whether that is all; the body itself where it is not
        packed at all, whatever its headers say.
    """
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        data = unpacker.decompress(body, limit_bytes)
    except zlib.error:
        return body, False
    return data, unpacker.eof
