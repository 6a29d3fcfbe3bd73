"""What is told of a command that ran manifests, once it is over, to whoever did not watch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.clock import Clock, SystemClock
from pipeline.errors import FluxbatchError
from pipeline.report.ending import Ending


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """Where it is told.

    Attributes:
        metrics_file: Where metrics are written; None for nowhere.
        notice: Told when something of this fails, which changes nothing of how the command ends.
    """

    metrics_file: Path | None
    notice: Callable[[str], None]
    clock: Clock = field(default_factory=SystemClock)

    def tell(self, endings: list[Ending]) -> None:
        """Tell how each manifest's run ended."""
        if self.metrics_file is None:
            return
        from pipeline.report.metrics import write_metrics

        try:
            write_metrics(self.metrics_file, endings, now=self.clock.wall())
        except FluxbatchError as error:
            self.notice(f"warning: {error}")
