"""The only module that reads and writes the user's crontab; every line that is not ours stays byte for byte."""

import os
import shlex
import shutil
import subprocess

from crontab import CronItem

from pipeline.errors import ConfigurationError
from pipeline.schedule.entry import Entry

#: How long ``crontab`` may take, in seconds.
_PATIENCE_S = 30.0


def cron_line(entry: Entry) -> str:
    """The line of an entry, with its mark; a ``%`` is escaped as cron wants it."""
    item = CronItem(shlex.join(entry.timed_words()), comment=entry.mark)
    item.setall(entry.at)
    return str(item.render()).strip()


class Crontab:
    """The crontab of this process's user, by way of the ``crontab`` program.

    The library writes the lines; it is kept from the rest of the table, which it would set in order: it disables lines
    that it does not understand, and moves variables.
    """

    def __init__(self, program: str | None = None) -> None:
        """Take the program; the one on the path when None.

        Raises:
            ConfigurationError: There is none.
        """
        found = program or shutil.which("crontab")
        if found is None:
            raise ConfigurationError(
                "there is no crontab on this machine", remedy="install cron, or use systemd: --systemd"
            )
        self._program = found

    def install(self, entry: Entry) -> str:
        """Put an entry in, in place of an older one of the same manifest; the line."""
        line = cron_line(entry)
        before = self._read()
        kept = _without(before, entry)
        after = kept + ("\n" if kept and not kept.endswith("\n") else "") + line + "\n"
        if after != before:
            self._write(after)
        return line

    def remove(self, entry: Entry) -> bool:
        """Take an entry out; whether there was one."""
        before = self._read()
        after = _without(before, entry)
        if after == before:
            return False
        self._write(after)
        return True

    def _read(self) -> str:
        ended = self._run(["-l"])
        if ended.returncode == 0:
            return os.fsdecode(ended.stdout)
        if b"no crontab for" in ended.stderr.lower():
            return ""
        raise _refused("read", ended)

    def _write(self, table: str) -> None:
        ended = self._run(["-"], os.fsencode(table))
        if ended.returncode != 0:
            raise _refused("written", ended)

    def _run(self, words: list[str], table: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        try:
            return subprocess.run(  # noqa: S603 - the system's own program, and no shell
                [self._program, *words],
                input=table,
                capture_output=True,
                timeout=_PATIENCE_S,
                check=False,
                env=os.environ | {"LC_ALL": "C"},
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConfigurationError(
                f"{self._program} cannot be used ({error})", remedy="use systemd: --systemd"
            ) from error


def _without(table: str, entry: Entry) -> str:
    """The table without this manifest's lines."""
    lines = table.splitlines(keepends=True)
    return "".join(line for line in lines if line.lstrip().startswith("#") or not _is_ours(line, entry))


def _is_ours(line: str, entry: Entry) -> bool:
    return line.rstrip("\n").endswith(f" # {entry.mark}")


def _refused(verb: str, ended: "subprocess.CompletedProcess[bytes]") -> ConfigurationError:
    said = " ".join(ended.stderr.decode(errors="replace").split())[:200]
    return ConfigurationError(
        f"the crontab cannot be {verb}: {said or f'crontab ended with {ended.returncode}'}",
        remedy="fluxbatch cron show prints the line: put it in by hand",
    )
