"""What is run when, and with what words: the same for cron and systemd."""

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crontab import CronSlices

from pipeline.errors import UsageError
from pipeline.ledger import Address, Server, has_secret

#: After SIGTERM buying stops, and what is paid is still fetched: a URL lives ten minutes.
GRACE_S = 660


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One manifest that is run by itself. All paths are absolute.

    Attributes:
        name: Of the manifest's file, fit for a file's name and unlike that of another manifest.
        at: When, in cron's five fields or as ``@daily`` and its kin.
        timeout_s: How long a run may take before it is asked to stop; ``GRACE_S`` later it is ended.
        wait_s: How long it waits for a ledger that another run holds.
    """

    manifest: Path
    output: Path
    ledger: Address | None
    env_file: Path
    at: str
    timeout_s: int
    wait_s: int

    def __post_init__(self) -> None:
        """Refuse what no crontab line can hold.

        Raises:
            UsageError: ``at`` is no schedule, the ledger's address has a password, or a path has a
                character that ends a line.
        """
        if not CronSlices.is_valid(self.at) or "\n" in self.at:
            raise UsageError(f"--at {self.at!r} is no schedule", remedy='such as --at "0 2 * * *": at 02:00 each day')
        if isinstance(self.ledger, Server) and has_secret(self.ledger.url):
            raise UsageError(
                "--ledger: a password does not belong into a schedule",
                remedy="PGPASSWORD, or ~/.pgpass, has it instead",
            )
        for path in (self.manifest, self.output, self.ledger, self.env_file):
            if path is not None and not str(path).isprintable():
                raise UsageError(f"{str(path)!a}: cannot be scheduled under that name", remedy="rename it")

    @property
    def name(self) -> str:
        """Such as ``nightly-1f0c``: the digits tell manifests of one name in two folders apart."""
        plain = re.sub(r"[^A-Za-z0-9]+", "-", self.manifest.stem).strip("-") or "manifest"
        return f"{plain[:40]}-{hashlib.sha256(os.fsencode(self.manifest)).hexdigest()[:4]}"

    @property
    def mark(self) -> str:
        """What a crontab line of this manifest ends with; cron would take a plain ``%`` for the line's end."""
        return f"fluxbatch: {self.manifest}".replace("%", "\\%")

    @property
    def log_file(self) -> Path:
        """Where the run's events are logged; it is rotated, so it stays small."""
        return self.output / "logs" / f"{self.manifest.stem}.log"

    def words(self, env_file: str) -> list[str]:
        """The command, without a time-out.

        Args:
            env_file: Where the environment file is then.
        """
        words = [*program(), "run", str(self.manifest), "--output", str(self.output)]
        words += (
            []
            if self.ledger is None
            else ["--ledger", self.ledger.url if isinstance(self.ledger, Server) else str(self.ledger)]
        )
        return [
            *words,
            "--quiet",
            "--wait",
            str(self.wait_s),
            "--env-file",
            env_file,
            "--log-file",
            str(self.log_file),
        ]

    def timed_words(self) -> list[str]:
        """The command under ``timeout``, where there is such a program."""
        timeout = shutil.which("timeout")
        limit = [] if timeout is None else [timeout, f"--kill-after={GRACE_S}", "--signal=TERM", str(self.timeout_s)]
        return limit + self.words(str(self.env_file))


def program() -> list[str]:
    """How to call this very installation from anywhere."""
    beside = Path(sys.executable).with_name("fluxbatch")
    return [str(beside)] if beside.is_file() else [sys.executable, "-m", "pipeline"]


def default_env_file(environment: Mapping[str, str]) -> Path:
    """Where the environment file is unless one is named."""
    home = environment.get("XDG_CONFIG_HOME") or str(Path("~/.config").expanduser())
    return Path(home) / "fluxbatch" / "env"
