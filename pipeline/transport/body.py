"""Reading a body: each chunk in time, and unpacked where it came packed though nobody asked for that."""

import zlib

import aiohttp
import anyio


async def next_chunk(content: aiohttp.StreamReader, *, within_s: float) -> bytes:
    """The next bytes of a body, b"" at its end.

    Raises:
        TimeoutError: None came within that many seconds.
        aiohttp.ClientError: The body broke off (any of ``faults.FAULTS``).
    """
    with anyio.fail_after(within_s):
        return await content.readany()


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
