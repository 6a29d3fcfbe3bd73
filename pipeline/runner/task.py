"""What the processes of a run say to each other: the task, and what comes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from pipeline.ledger import Run
from pipeline.manifest import Manifest
from pipeline.produce import Cause, Lesson
from pipeline.report.events import EventName
from pipeline.runner.count import Count
from pipeline.runner.options import RunOptions
from pipeline.runner.part import Part
from pipeline.runner.sellers import Contact


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """All that a process needs to know to do its part.

    Attributes:
        contacts: The providers in their order.
        handle: The descriptor that it inherits, which says that the run lives.
        logs: Whether anybody listens to events.
    """

    path: Path
    sha256: str
    read_at: datetime | None
    options: RunOptions
    run: Run
    contacts: tuple[Contact, ...]
    handle: int
    logs: bool

    @classmethod
    def of(cls, manifest: Manifest, options: RunOptions, *, run: Run, contacts: Sequence[Contact], handle: int) -> Self:
        """What a process must do of this manifest's run, before it is divided.

        Of the options it gets what says how to buy; what only one process can do, or hears from outside, stays here.
        """
        return cls(
            path=manifest.path,
            sha256=manifest.sha256,
            read_at=manifest.read_at,
            options=RunOptions(
                output=options.output,
                ledger=options.ledger,
                budget_microusd=options.budget_microusd,
                concurrency=options.concurrency,
                policy=options.policy,
                limit=options.limit,
                environment={},
                debug=options.debug,
            ),
            run=run,
            contacts=tuple(contacts),
            handle=handle,
            logs=options.log is not None,
        )

    def divided(self, part: Part) -> Self:
        """The task of one process."""
        contacts = tuple(contact.divided(part) for contact in self.contacts)
        return replace(self, options=replace(self.options, part=part), contacts=contacts)


class Leave:
    """Told to a process: end at once, whatever is under way."""


@dataclass(frozen=True, slots=True)
class Said:
    """A line for people; with the event it is, where it is one."""

    text: str
    event: EventName | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Happened:
    """An event for the log."""

    event: EventName
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A process has seen its part through.

    Attributes:
        unserved: Why jobs were left as they were although buying went on.
        lessons: By provider and model: what was found of the limits.
    """

    count: Count
    notes: tuple[str, ...]
    unserved: tuple[Cause, ...]
    lessons: Mapping[str, Mapping[str, Lesson]]
