"""Looking at many pictures in buckets from code that blocks, such as a ledger being verified."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby, islice

import anyio

from pipeline.bucket.address import BucketAddress
from pipeline.bucket.bucket import AT_ONCE, Bucket, open_bucket
from pipeline.bucket.client import FEW_ATTEMPTS
from pipeline.errors import one_of_several

#: Pictures looked at before the next are asked for: what is held of them is bounded.
_CHUNK = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A picture that ought to be in a bucket.

    Attributes:
        key: Of its job.
        recorded: As the ledger has it: ``s3://bucket/key``.
        sha256: Of its bytes, hex.
    """

    key: bytes
    recorded: str
    sha256: str
    size_bytes: int


def look_at(
    wanted: Iterable[Look], *, endpoint: Callable[[str], str | None] = lambda _: None
) -> Iterator[tuple[Look, bool | None]]:
    """Ask for each whether it is the one that was stored; None where nothing is. Blocks; never inside an event loop.

    Args:
        endpoint: The server of what is recorded so; None: the one that the environment and the client's own settings
            name.

    Raises:
        FluxbatchError: As ``Bucket.check``: then nothing is known of it or any further.
    """
    looks = iter(wanted)
    while chunk := list(islice(looks, _CHUNK)):
        for bucket, group in groupby(chunk, lambda look: _bucket(look.recorded, endpoint)):
            yield from anyio.run(partial(_look, bucket, list(group)))


def _bucket(recorded: str, endpoint: Callable[[str], str | None]) -> BucketAddress:
    return replace(BucketAddress.holding(recorded)[0], endpoint=endpoint(recorded))


async def _look(address: BucketAddress, looks: Sequence[Look]) -> list[tuple[Look, bool | None]]:
    found: dict[Look, bool | None] = {}
    rest = iter(looks)

    async def one_after_the_other(bucket: Bucket) -> None:
        for look in rest:
            _, key = BucketAddress.holding(look.recorded)
            found[look] = await bucket.look(key, sha256=look.sha256, size_bytes=look.size_bytes)

    with one_of_several():
        async with open_bucket(address, attempts=FEW_ATTEMPTS) as bucket:
            await bucket.reach()
            async with anyio.create_task_group() as group:
                for _ in range(AT_ONCE):
                    group.start_soon(one_after_the_other, bucket)
    return [(look, found[look]) for look in looks]
