"""Making inputs ready to be sent: read anew, proven to be what was planned, stitched, kept beside the result."""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from pipeline.errors import OutputError, StorageError
from pipeline.inputs import files
from pipeline.inputs.developing import Negative, develop
from pipeline.inputs.faults import InputError
from pipeline.inputs.fetching import Downloader, fetch
from pipeline.inputs.memory import Held
from pipeline.inputs.small import keep_small
from pipeline.inputs.store import Store
from pipeline.job import InputImage, Job, is_url, named, prepared_name

#: Decoding and resampling two pictures of 20 megapixels takes some 400 MB; more at once gains nothing.
MAX_AT_WORK = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyInput:
    """An input image, ready to be read and sent.

    Attributes:
        path: The file.
        sha256: What its bytes must still have.
        media: What they are.
        size_bytes: How many they are.
    """

    path: str
    sha256: str
    media: str
    size_bytes: int

    def read(self) -> InputImage:
        """Its bytes. Blocks.

        Raises:
            InputError: It changed, or is gone.
        """
        return InputImage(data=files.read(self.path, self.sha256), media=self.media)


class Darkroom:
    """Prepares inputs, few at a time; holds no picture longer than it works at it."""

    def __init__(self, *, output: Path, store: Store, transport: Downloader) -> None:
        """Say where prepared inputs go, and how what is no longer in the store is fetched again.

        Args:
            output: The output folder; what is prepared is kept in it beside the results.
            store: What was fetched when the job was planned.
            transport: Fetches what the store let go of meanwhile.
        """
        self._output = output
        self._store = store
        self._transport = transport
        self._at_work = anyio.CapacityLimiter(MAX_AT_WORK)
        self._held = Held()

    async def prepare(self, job: Job) -> tuple[ReadyInput, ...]:
        """Have a job's inputs ready.

        Raises:
            InputError: One is not what was planned, or not a whole picture.
            OutputError: Its place leads out of the output folder.
            StorageError: What was prepared cannot be written.
        """
        paths = [await self._path(sha256, at) for sha256, at in zip(job.request.inputs, job.found_at, strict=True)]
        work = partial(self._prepare, job, paths)
        return await anyio.to_thread.run_sync(work, limiter=self._at_work)

    async def take(self, ready: Sequence[ReadyInput]) -> None:
        """Wait until there is room in memory for what is ready; it is held until it is given back."""
        await self._held.take(sum(each.size_bytes for each in ready))

    def give(self, ready: Sequence[ReadyInput]) -> None:
        """Give the room back: it is sent, or will not be."""
        self._held.give(sum(each.size_bytes for each in ready))

    async def load(self, ready: Sequence[ReadyInput]) -> tuple[InputImage, ...]:
        """Read what is ready; it is in memory from now on, until it is sent.

        Raises:
            InputError: It changed, or is gone.
        """
        return await anyio.to_thread.run_sync(lambda: tuple(each.read() for each in ready), limiter=self._at_work)

    async def _path(self, sha256: str, found_at: str) -> str:
        if not is_url(found_at):
            return found_at
        kept = self._store.path(sha256)
        if not await anyio.to_thread.run_sync(kept.is_file):
            try:
                _, now = await fetch(found_at, self._transport, self._store)
            except InputError as error:
                raise InputError(error.kind, f"{named(found_at)}: {error.message}", passing=error.passing) from error
            if now != sha256:
                message = f"{named(found_at)}: changed after it was looked at; run again"
                raise InputError("input_changed", message, passing=True)
        return str(kept)

    def _prepare(self, job: Job, paths: Sequence[str]) -> tuple[ReadyInput, ...]:
        request = job.request
        see = partial(keep_small, self._output)
        ready = []
        for number, image in enumerate(develop(request, paths, job.found_at, see=see)):
            if isinstance(image, Negative):
                facts = {"path": image.path, "sha256": image.sha256, "media": image.media}
                ready.append(ReadyInput(**facts, size_bytes=image.size_bytes))
            else:
                ready.append(self._keep(job, number, image))
        return tuple(ready)

    def _keep(self, job: Job, number: int, data: bytes) -> ReadyInput:
        """Put a prepared input beside the place of its result; one that is there is replaced by the same."""
        path = self._output / prepared_name(job.path, job.request.identity(), number)
        part = path.with_name(f".{secrets.token_hex(8)}.input.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.parent.resolve().is_relative_to(self._output.resolve()):
                raise OutputError(f"{path.parent} leads outside the output folder", remedy="remove the link")
            with part.open("xb") as file:
                file.write(data)
            part.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink()
            raise StorageError(
                f"{path}: cannot be written: {error.strerror or os.strerror(error.errno or 0)}"
            ) from error
        digest = hashlib.sha256(data).hexdigest()
        return ReadyInput(path=str(path), sha256=digest, media="image/png", size_bytes=len(data))
