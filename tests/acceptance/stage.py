"""What the acceptance tests act with: a workspace of manifests and pictures, and the command as a subprocess."""

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import anyio
from PIL import Image

from pipeline import Ledger
from pipeline.ledger import Row
from pipeline.money import format_usd
from pipeline.ratio import parse_ratio
from pipeline.simulator import Simulator
from tests.acceptance.secrecy import KEY, assert_secrets_kept
from tests.acceptance.warm import Warm

#: No command of these tests takes this long, even on a busy machine; a test that waits longer hangs.
PATIENCE_S = 150.0
#: How often a condition on the other process is looked at.
LOOK_EVERY_S = 0.02

_ENDS: dict[str, Any] = {
    "stdin": asyncio.subprocess.DEVNULL,
    "stdout": asyncio.subprocess.PIPE,
    "stderr": asyncio.subprocess.PIPE,
}

#: A job as a manifest's file holds it: JSON values, which YAML 1.2 takes as they are.
Entry = str | list[str] | dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A command that has ended.

    Attributes:
        cpu_s: What it took of a processor, in seconds, and ``peak_bytes`` of memory; 0 where nobody measured.
    """

    code: int
    out: str
    err: str
    cpu_s: float = 0.0
    peak_bytes: int = 0

    @property
    def json(self) -> dict[str, Any]:
        """Standard output, which is exactly one JSON object."""
        assert self.out.count("\n") == 1, self.out + self.err
        told = json.loads(self.out)
        assert isinstance(told, dict)
        return told


def _flow(value: Any) -> str:
    """A value as YAML 1.2 takes it: JSON, but no pairs of surrogates."""
    return json.dumps(value, ensure_ascii=False)


def _bytes_of(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _text_of(file: IO[bytes]) -> str:
    return _bytes_of(file).decode()


class Running:
    """A command under way."""

    def __init__(self, process: asyncio.subprocess.Process, told: list[bytes]) -> None:
        self._process = process
        self._told = told

    @property
    def pid(self) -> int:
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def first_line(self) -> str:
        """Wait for the first line of standard output."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        self._told.append(line)
        return line.decode().rstrip("\n")

    async def hears(self, words: str) -> str:
        """Wait until standard error says so; the line."""
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self._told.append(line)
            if words in line.decode():
                return line.decode()
        raise AssertionError(f"it ended and never said {words!r}")

    async def end(self) -> Ended:
        """Wait for it; what was heard before is not told again."""
        out, err = await self._rest()
        assert self._process.returncode is not None
        return Ended(code=self._process.returncode, out=out.decode(), err=err.decode())

    async def killed(self) -> None:
        """End it, if it still goes on; what it told is heard."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self._rest()

    async def _rest(self) -> tuple[bytes, bytes]:
        out, err = await self._process.communicate()
        self._told += [out or b"", err or b""]
        return out or b"", err or b""


class Workspace:
    """A folder with manifests, an output folder and a ledger, and the command that works there."""

    def __init__(self, root: Path, warm: Warm) -> None:
        self.root = root
        self._warm = warm
        #: Added to a surrounding that holds nothing of fluxbatch's.
        self.environment: dict[str, str] = {}
        self._given: dict[Path, bytes] = {}
        #: What its commands wrote to their standard streams, as far as these lead here.
        self.told: list[bytes] = []
        #: Whether its commands count for coverage, which takes several times their own time.
        self.covered = True

    @property
    def output(self) -> Path:
        return self.root / "output"

    @property
    def ledger(self) -> Path:
        return self.output / "ledger.db"

    def use(self, simulator: Simulator, key: str = KEY) -> None:
        """Let commands find this provider as people point them at one."""
        self.environment |= {"FLUXBATCH_BASE_URL": simulator.base_url, "FLUXBATCH_API_KEY": key}

    def assert_secrets_kept(self) -> None:
        """Neither the key nor a signature is where it should not be."""
        assert_secrets_kept(self.root, self.told, self._given)

    def write(self, name: str, text: str) -> Path:
        """A file as written; its path."""
        path = self.root / name
        path.write_text(text, encoding="utf-8")
        self._given[path] = text.encode()
        return path

    def manifest(self, *jobs: Entry, file: str = "batch.yaml", **keys: Any) -> str:
        """A manifest's file with these jobs; its name relative to the workspace."""
        lines = ["version: 1", f"name: {_flow(keys.pop('name', Path(file).stem))}"]
        lines += [f"{key}: {_flow(value)}" for key, value in keys.items()]
        lines += ["jobs:", *(f"  - {_flow([job] if isinstance(job, str) else job)}" for job in jobs)]
        self.write(file, "\n".join(lines) + "\n")
        return file

    def surroundings(self) -> dict[str, str]:
        """What a command sees of the environment."""
        left_out = ("FLUXBATCH_",) if self.covered else ("FLUXBATCH_", "COVERAGE_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        # Loopback needs no certificates, and reading the machine's takes a tenth of a start.
        return inherited | {"COLUMNS": "200", "SSL_CERT_FILE": os.devnull} | self.environment

    @contextlib.asynccontextmanager
    async def started(self, *words: str, **options: Any) -> AsyncIterator[Running]:
        """The command as it is installed, under way; killed when the block ends, if it still is."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "pipeline",
            *words,
            cwd=self.root,
            env=self.surroundings(),
            **_ENDS | options,
        )
        running = Running(process, self.told)
        try:
            yield running
        finally:
            await running.killed()

    async def fluxbatch(
        self,
        *words: str,
        file_limit_bytes: int | None = None,
        on_start: Callable[[int], None] = lambda _: None,
        held: bool = False,
        **files: int,
    ) -> Ended:
        """Run a command to its end; killed when cancelled.

        Args:
            file_limit_bytes: It may let no file grow beyond that.
            on_start: Told the process's number.
            held: As in ``Warm.run``.
            files: Descriptors for ``stdin``, ``stdout`` or ``stderr`` in place of nothing and what is told.
        """
        with TemporaryFile() as stdin, TemporaryFile() as out, TemporaryFile() as err:
            usual = {"stdin": stdin.fileno(), "stdout": out.fileno(), "stderr": err.fileno()}
            with anyio.fail_after(PATIENCE_S):
                code = await self._warm.run(
                    words,
                    cwd=self.root,
                    environment=self.surroundings(),
                    files=[*(usual | files).values()],
                    file_limit_bytes=file_limit_bytes,
                    on_start=on_start,
                    held=held,
                )
            self.told += [_bytes_of(out), _bytes_of(err)]
            return Ended(
                code=code,
                out=_text_of(out),
                err=_text_of(err),
                cpu_s=self._warm.cpu_s,
                peak_bytes=self._warm.peak_bytes,
            )

    async def run(self, manifest: str, *words: str, file_limit_bytes: int | None = None, report: bool = False) -> Ended:
        """Run a manifest to its end, with one JSON object at the end; the report has tests of its own."""
        words = ("run", manifest, "--json", *words, *(() if report else ("--no-report",)))
        return await self.fluxbatch(*words, file_limit_bytes=file_limit_bytes)

    def rows(self) -> list[Row]:
        """The ledger, one row a job."""
        with Ledger(self.ledger) as ledger:
            return list(ledger.rows())

    def row(self, prompt: str) -> Row:
        """The one job with that prompt."""
        (found,) = [row for row in self.rows() if row.prompt == prompt]
        return found

    def states(self) -> dict[str, int]:
        """How many jobs are in which state."""
        return dict(Counter(row.state for row in self.rows()))

    def findings(self) -> set[str]:
        """The kinds of what does not hold in the ledger."""
        with Ledger(self.ledger) as ledger:
            return {finding.kind for finding in ledger.verify().findings}

    def file_of(self, row: Row) -> Path:
        """Where a stored job's picture is."""
        assert row.path is not None, row
        return self.ledger.parent / row.path

    def pictures(self) -> set[str]:
        """All files of the output folder, relative to it; without the ledger's, the report's and waiting parts."""
        return {
            path.relative_to(self.output).as_posix()
            for path in self.output.rglob("*")
            if path.is_file() and not path.name.startswith((".", "ledger.db", "report.html")) and path.suffix != ".webp"
        }


def spent_usd(workspace: Workspace) -> str:
    """What all runs of the ledger spent, in dollars."""
    with Ledger(workspace.ledger) as ledger:
        return format_usd(sum(line.spent_microusd for line in ledger.spend("provider")))


def assert_proven(workspace: Workspace, row: Row) -> None:
    """A stored row's file decodes, has the shape asked for, and is the one whose digest the ledger holds."""
    assert row.state == "stored", row
    assert row.ratio is not None
    file = workspace.file_of(row)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == row.sha256
    assert file.stat().st_size == row.bytes
    with Image.open(file) as image:
        image.load()
        assert image.size == (row.width, row.height)
        assert parse_ratio(row.ratio).fits(*image.size)


def assert_told(ended: Ended, code: int, *words: str) -> None:
    """The exit code, and the words on standard error in a few plain lines without a traceback."""
    assert ended.code == code, ended.err
    assert "Traceback" not in ended.err
    assert ended.err.count("\n") <= 3, ended.err
    for word in words:
        assert word in ended.err, ended.err


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something to have happened."""
    while not condition():  # noqa: ASYNC110 - another process does it, and sends no event
        await anyio.sleep(LOOK_EVERY_S)


def money(told: Mapping[str, Any]) -> tuple[str, str]:
    """Spent and unknown, as a run's JSON says."""
    return told["spend_usd"], told["unknown_usd"]
