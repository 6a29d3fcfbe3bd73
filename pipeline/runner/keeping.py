"""Where a run's pictures are kept: opened before anything is bought, and looked at whether they can be."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pipeline.bucket import BucketAddress, open_bucket
from pipeline.bucket.client import FEW_ATTEMPTS
from pipeline.deliver import BucketStore, FolderStore, Store
from pipeline.errors import FluxbatchError


@asynccontextmanager
async def open_store(address: BucketAddress | None, output: Path) -> AsyncIterator[Store]:
    """Where pictures go.

    Args:
        address: A bucket; None: the output folder.

    Raises:
        ConfigurationError: The client for buckets is not installed, or its settings are off.
    """
    if address is None:
        yield FolderStore(output)
        return
    async with open_bucket(address) as bucket:
        yield BucketStore(bucket)


async def trouble_with(address: BucketAddress | None) -> FluxbatchError | None:
    """Why pictures cannot be kept in a bucket now; None where they can.

    Not raised: what an earlier run has paid for is fetched all the same, to this machine's disk, before its URLs die.
    """
    if address is None:
        return None
    try:
        async with open_bucket(address, attempts=FEW_ATTEMPTS) as bucket:
            await bucket.check()
    except FluxbatchError as error:
        return error
    return None
