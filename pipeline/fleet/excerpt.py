"""A manifest as a worker has it: its settings from the ledger, and of its rows only those of one shard."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter

from pipeline.bucket import BucketAddress
from pipeline.catalog import Profile
from pipeline.inputs import Finder
from pipeline.job import Job, UnfitRow
from pipeline.ledger import Policy
from pipeline.manifest import Limits, Manifest
from pipeline.manifest.naming import Naming
from pipeline.money import format_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt(Manifest):
    """Some jobs of a manifest, made before.

    Attributes:
        made: They, with their placements.
    """

    made: tuple[Job, ...]

    def jobs(self, *, placed: bool = True, finder: Finder | None = None) -> Iterator[Job | UnfitRow]:  # noqa: ARG002 - as its base has it
        """The jobs, as they were made."""
        return iter(self.made)

    def count(self) -> int:
        """How many there are."""
        return len(self.made)


class Settings(BaseModel):
    """A manifest without its rows, as the ledger keeps it for every worker.

    Attributes:
        source: The manifest's file where it was submitted, for messages.
        output: The output folder, relative to the ledger's, with ``/``.
        store: The bucket that pictures go to; None: the output folder.
        profiles: As ``told_profile`` tells them.
        limits: With the budget of this submission.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    edition: str
    source: str
    output: str
    profiles: tuple[dict[str, Any], ...]
    limits: Limits
    embed_metadata: bool = False
    store: BucketAddress | None = None

    @classmethod
    def of(cls, manifest: Manifest, *, output: str, budget_microusd: int | None) -> "Settings":
        """What is told of a manifest."""
        return cls(
            name=manifest.name,
            edition=manifest.edition,
            source=str(manifest.path),
            output=output,
            profiles=tuple(_told(profile) for profile in manifest.profiles),
            limits=replace(manifest.limits, budget_microusd=budget_microusd, processes=1),
            embed_metadata=manifest.embed_metadata,
            store=manifest.store,
        )

    def excerpt(self, jobs: Sequence[Job]) -> Excerpt:
        """The manifest with these jobs alone."""
        return Excerpt(
            name=self.name,
            edition=self.edition,
            path=Path(self.source),
            profiles=tuple(Profile.model_validate_json(_JSON.dump_json(told)) for told in self.profiles),
            limits=self.limits,
            naming=Naming(parts=(), words=frozenset()),
            entries=(),
            embed_metadata=self.embed_metadata,
            store=self.store,
            made=tuple(jobs),
        )


class Work(BaseModel):
    """What a shard is made of.

    Attributes:
        policy: What may be bought again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: Policy
    jobs: tuple[Job, ...]


_JSON: TypeAdapter[Any] = TypeAdapter(Any)


def _told(profile: Profile) -> dict[str, Any]:
    """A profile as one is written, with its prices in dollars."""
    prices = {model: format_usd(price, places=6) for model, price in profile.prices.items()}
    return profile.model_dump(mode="json") | {"prices": prices}
