"""A systemd service and its timer, as files of the user's own manager."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import OutputError, UsageError
from pipeline.schedule.calendar import on_calendar
from pipeline.schedule.entry import GRACE_S, Entry

#: The first line of a file of ours: only such a one is ever written over or removed.
_MARK = "# Made by fluxbatch cron; a change here is lost at the next install."
_CREDENTIAL = "environment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """The two files.

    Attributes:
        files: Each one's text, by its name.
    """

    folder: Path
    files: Mapping[str, str]

    @property
    def timer(self) -> str:
        """The name of what is enabled."""
        return next(name for name in self.files if name.endswith(".timer"))

    def install(self) -> None:
        """Write both, over older ones of ours.

        Raises:
            OutputError: They cannot be written, or somebody else's are there.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name, text in self.files.items():
                self._refuse_foreign(name)
                fresh = self.folder / f".{name}.new"
                fresh.write_text(text, encoding="utf-8")
                fresh.replace(self.folder / name)
        except OSError as error:
            raise OutputError(
                f"{self.folder}: the units cannot be written ({error.strerror})", remedy="see to its permissions"
            ) from error

    def remove(self) -> bool:
        """Remove both; whether there was any.

        Raises:
            OutputError: They cannot be removed, or are somebody else's.
        """
        found = False
        try:
            for name in self.files:
                self._refuse_foreign(name)
                place = self.folder / name
                found |= place.exists()
                place.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                f"{self.folder}: the units cannot be removed ({error.strerror})", remedy="see to its permissions"
            ) from error
        return found

    def _refuse_foreign(self, name: str) -> None:
        place = self.folder / name
        if os.path.lexists(place) and not place.read_text(encoding="utf-8", errors="replace").startswith(_MARK):
            raise OutputError(f"{place}: is not one that fluxbatch made", remedy="move it away")


def units_of(entry: Entry, environment: Mapping[str, str]) -> Units:
    """The units of an entry, for the folder that the user's manager reads.

    Raises:
        UsageError: A timer cannot say when, or a unit cannot name the environment file.
    """
    if not str(entry.env_file).replace("/", "").replace("%", "x").isascii() or set(str(entry.env_file)) & set(
        " :\"\\'"
    ):
        raise UsageError(f"{entry.env_file}: a unit cannot name it", remedy="choose a plain path with --env-file")
    config = environment.get("XDG_CONFIG_HOME") or str(Path("~/.config").expanduser())
    stem = f"fluxbatch-{entry.name}"
    return Units(
        folder=Path(config) / "systemd" / "user",
        files={f"{stem}.service": _service(entry), f"{stem}.timer": _timer(entry)},
    )


def _service(entry: Entry) -> str:
    words = entry.words(f"%d/{_CREDENTIAL}")
    command = " ".join(word if word == f"%d/{_CREDENTIAL}" else _quoted(word) for word in words)
    return f"""{_MARK}
[Unit]
Description=fluxbatch run of {_plain(str(entry.manifest))}

[Service]
Type=exec
ExecStart={command}
# The key's file, which this user alone may read; the run sees a copy that nobody else can.
LoadCredential={_CREDENTIAL}:{_plain(str(entry.env_file))}
# A run that takes too long is asked to stop: it buys nothing more, and still fetches what is paid.
TimeoutStartSec=60
RuntimeMaxSec={entry.timeout_s}
TimeoutStopSec={GRACE_S}
KillMode=mixed
NoNewPrivileges=yes
"""


def _timer(entry: Entry) -> str:
    return f"""{_MARK}
[Unit]
Description=fluxbatch: when {_plain(str(entry.manifest))} is run

[Timer]
OnCalendar={on_calendar(entry.at)}
# A run that was missed because the machine was off is made up for.
Persistent=true

[Install]
WantedBy=timers.target
"""


def _plain(text: str) -> str:
    """A text in a unit: a ``%`` would be a specifier."""
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """One word of a command in a unit."""
    inner = word.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{_plain(inner)}"'
