"""The only module that knows what a loaded manifest is: settings, and jobs made as they are asked for."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from pipeline.bucket import BucketAddress
from pipeline.catalog import Profile
from pipeline.inputs import Finder
from pipeline.job import Job, PictureRequest, UnfitRow, digest_of, job_key
from pipeline.manifest.entries import Entry, Misfit, RowsEntry, Wanted
from pipeline.manifest.finding import found
from pipeline.manifest.naming import Named, Naming
from pipeline.manifest.settings import Limits, Notify


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest that was read and found sound; its rows files are read anew each time jobs are made.

    Attributes:
        name: Names the batch.
        edition: Rendered; empty when there is none.
        path: The file it came from.
        profiles: The providers in their order, with the manifest's own settings over the profiles'; at least one.
        limits: How much at once, and how much money at most.
        naming: Where pictures go.
        entries: What ``jobs:`` holds, in order.
        notify: Who is told how a run ended; None: nobody.
        sha256: Of the file's text, hex, so that another process can see that it reads the same.
        read_at: The local time that ``{date}`` was taken from.
        embed_metadata: Whether pictures' files carry their prompt, model, seed and key.
        store: The bucket that pictures go to; None: the output folder.
    """

    name: str
    edition: str
    path: Path
    profiles: tuple[Profile, ...]
    limits: Limits
    naming: Naming
    entries: tuple[Entry, ...]
    notify: Notify | None = None
    sha256: str = ""
    read_at: datetime | None = field(default=None, compare=False)
    embed_metadata: bool = False
    store: BucketAddress | None = None

    @property
    def profile(self) -> Profile:
        """The provider that is asked first."""
        return self.profiles[0]

    @property
    def prices(self) -> dict[str, int]:
        """What a picture costs at the dearest of the providers that may serve it, in micro-dollars, by model."""
        dearest: dict[str, int] = {}
        for profile in self.profiles:
            for model, price in profile.prices.items():
                dearest[model] = max(price, dearest.get(model, 0))
        return dearest

    @property
    def rows_files(self) -> tuple[Path, ...]:
        """The rows files that making jobs reads, in order; when there is none, counting jobs is cheap."""
        return tuple(entry.file.path for entry in self.entries if isinstance(entry, RowsEntry))

    def jobs(self, *, placed: bool = True, finder: Finder | None = None) -> Iterator[Job | UnfitRow]:
        """Make the jobs one after the other, from the first; indexes count from 1, unfit rows included.

        Args:
            placed: Whether their paths are wanted, too; to make them takes a third of the time.
            finder: What looks at input images. Without one, files are looked at, and URLs are taken by their text: good
                enough to check a manifest, never to buy.

        Raises:
            NotFoundError: A rows file is gone, or cannot be read.
            ManifestError: A rows file's header changed since the manifest was loaded.
        """
        index = 0
        finder = finder or Finder()
        for entry in self.entries:
            for outcome in found(entry.outcomes(), finder):
                if isinstance(outcome, Misfit):
                    for repeat in range(1, (entry.repeat if outcome.each else 1) + 1):
                        index += 1
                        yield self._unfit(index, outcome, repeat, edits=outcome.each or _edits(entry))
                    continue
                for repeat in range(1, entry.repeat + 1):
                    index += 1
                    yield self._job(index, outcome, repeat, placed=placed)

    def count(self) -> int:
        """How many jobs ``jobs()`` would make, unfit rows included, without making them.

        Rows files are read, row by row, but nothing is named or hashed. Only where ``repeat`` is more than 1 is each
        row judged as well: one that does not fit counts once, whatever ``repeat`` says.

        Raises:
            NotFoundError: A rows file is gone, or cannot be read.
            ManifestError: A rows file's header changed since the manifest was loaded.
        """
        return sum(entry.count() for entry in self.entries)

    def _job(self, index: int, wanted: Wanted, repeat: int, *, placed: bool) -> Job:
        request = _counted_up(wanted.request, repeat)
        key = job_key(request, repeat=repeat, edition=self.edition, simulated=self.profile.simulated)
        named = Named(index=index, request=request, repeat=repeat, use=wanted.use, key=key, variables=wanted.variables)
        path = self.naming.path(named) if placed else ""
        return Job(
            index=index,
            key=key,
            request=request,
            repeat=repeat,
            path=path,
            source=wanted.source,
            found_at=wanted.images,
            follows=wanted.follows,
        )

    def _unfit(self, index: int, misfit: Misfit, repeat: int, *, edits: bool) -> UnfitRow:
        file = misfit.source.rpartition(":")[0]
        identity = {"unfit": misfit.raw, "file": file, "edition": self.edition}
        if misfit.each:
            identity["repeat"] = repeat
        return UnfitRow(
            index=index,
            key=digest_of(identity),
            source=misfit.source,
            message=misfit.message,
            edits=edits,
        )


def _edits(entry: Entry) -> bool:
    return isinstance(entry, RowsEntry) and bool(entry.recipe.inputs)


def _counted_up(request: PictureRequest, repeat: int) -> PictureRequest:
    """The request of the nth picture: with a seed, each has the next one."""
    if request.seed is None or repeat == 1:
        return request
    return replace(request, seed=request.seed + repeat - 1)
