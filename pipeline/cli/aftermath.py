"""What is told of a command that ran manifests, once it is over, to whoever did not watch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio

from pipeline.clock import Clock, SystemClock
from pipeline.errors import FluxbatchError
from pipeline.manifest import Manifest
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
    environment: Mapping[str, str]
    clock: Clock = field(default_factory=SystemClock)

    def tell(self, endings: list[Ending], manifests: Mapping[str, Manifest]) -> None:
        """Tell how each manifest's run ended.

        Args:
            manifests: Those that could be read, by their files.
        """
        if self.metrics_file is not None:
            self._write(self.metrics_file, endings)
        for ending in endings:
            manifest = manifests.get(ending.path)
            if manifest is not None and manifest.notify is not None and (ending.summary or ending.error):
                self._notify(manifest, ending)

    def _write(self, path: Path, endings: list[Ending]) -> None:
        from pipeline.report.metrics import write_metrics

        try:
            write_metrics(path, endings, now=self.clock.wall())
        except FluxbatchError as error:
            self.notice(f"warning: {error}")

    def _notify(self, manifest: Manifest, ending: Ending) -> None:
        from pipeline.runner.news import is_news
        from pipeline.runner.notify import message_of, notify

        if not is_news(ending.summary):
            return
        message = message_of(manifest, ending.summary, code=ending.exit_code, error=ending.error)
        for failed in anyio.run(partial(notify, manifest, message, self.environment)):
            self.notice(failed)
