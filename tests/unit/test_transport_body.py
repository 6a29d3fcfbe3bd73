"""Bodies that came packed although nobody asked for it."""

import gzip
import zlib

from pipeline.transport.body import inflate


def test_a_gzip_body_is_unpacked() -> None:
    assert inflate(gzip.compress(b"picture"), limit_bytes=100) == (b"picture", True)


def test_a_zlib_body_is_unpacked() -> None:
    assert inflate(zlib.compress(b"picture"), limit_bytes=100) == (b"picture", True)


def test_half_a_body_gives_what_it_holds_and_says_so() -> None:
    body, whole = inflate(gzip.compress(b"picture")[:-8], limit_bytes=100)
    assert (body, whole) == (b"picture", False)


def test_a_bomb_is_cut_at_the_limit() -> None:
    body, whole = inflate(gzip.compress(bytes(10_000_000)), limit_bytes=1_000)
    assert (len(body), whole) == (1_000, False)


def test_a_body_that_only_claims_to_be_packed_is_left_as_it_is() -> None:
    assert inflate(b'{"data": []}', limit_bytes=100) == (b'{"data": []}', False)
