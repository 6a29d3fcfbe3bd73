"""What every session is made of: no cookies, no proxy from the environment, nothing unpacked, no total time-out."""

from collections.abc import Mapping

import aiohttp

#: Signed URLs in a ``Location`` outgrow aiohttp's 8 KiB, and a paid answer must not be lost for a long header.
_MAX_FIELD_BYTES = 64 * 1024
_MAX_HEADERS = 512


def open_session(
    connector: aiohttp.BaseConnector,
    *,
    headers: Mapping[str, str] | None = None,
) -> aiohttp.ClientSession:
    """Make a session on the running event loop; the caller closes it."""
    return aiohttp.ClientSession(
        connector=connector,
        headers={"User-Agent": "fluxbatch", "Accept-Encoding": "identity", **(headers or {})},
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None),
        max_field_size=_MAX_FIELD_BYTES,
        max_headers=_MAX_HEADERS,
    )


def lower_headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    """The headers by lower-cased name; those sent more than once are joined with a comma."""
    headers = response.headers
    return {name.lower(): ", ".join(headers.getall(name)) for name in headers}
