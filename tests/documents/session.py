"""A page's examples, acted one after the other as a reader would, against simulators on loopback."""

import os
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from pathlib import Path
from tempfile import TemporaryFile

import anyio
import duckdb

from tests.acceptance.stage import PATIENCE_S, Running, Workspace
from tests.documents.blocks import Block, Step, steps_of
from tests.integration.test_schedule_crontab import FAKE_CRONTAB

ROOT = Path(__file__).parents[2]
#: Where the pages say that a simulator listens; the tests' own listen anywhere.
_SAID = "http://127.0.0.1:8765"
#: Where they say that a database is, and the folder for all machines.
DATABASE, _FOLDER = "postgresql://buyer@db.example/pictures", "/srv/pictures"
#: What needs a real shell.
_SHELL = re.compile(r"[|<>;&$`*(]|^(?!fluxbatch )")
_ASSIGNMENT = re.compile(r"([A-Z_]+)=(\S*)$")
#: What differs from run to run, and what it may be: seconds, dates and times, counts of many digits, ids, the space and
#: the lines that columns are set with.
_VARYING = (
    (r"\d+\.\d s(?!\w)", r"\d+\.\d s"),
    (r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?", r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?"),
    (r"\d{1,3}(?:,\d{3})+", r"[\d,]+"),
    (r"\b[0-9a-f]{12,64}\b", r"[0-9a-f]{12,64}"),
    (r"─+", "─+"),
    (r" {2,}", " +"),
)


def shape_of(shown: str) -> str:
    """A pattern that matches whatever looks as the page shows it; a line ``...`` stands for any lines."""
    lines = [r"(?:.*\n)*?" if line.strip() == "..." else _shape_of_line(line) + r" *\n" for line in shown.splitlines()]
    return "".join(lines)


def _shape_of_line(line: str) -> str:
    varying = re.compile("|".join(f"(?P<v{number}>{said})" for number, (said, _) in enumerate(_VARYING)))
    pattern, end = "", 0
    for found in varying.finditer(line.rstrip()):
        kind = next(number for number in range(len(_VARYING)) if found[f"v{number}"] is not None)
        pattern += re.escape(line[end : found.start()]) + _VARYING[kind][1]
        end = found.end()
    return pattern + re.escape(line.rstrip()[end:])


class Session:
    """One reader with one folder, who has what the repository has in ``jobs/`` and a crontab of their own."""

    def __init__(self, workspace: Workspace, stack: AsyncExitStack) -> None:
        self._workspace = workspace
        self._stack = stack
        self._background: list[Running] = []
        self._told: dict[str, str] = {}
        workspace.covered = False
        binaries = workspace.root / "bin"
        binaries.mkdir()
        (binaries / "crontab").write_text(FAKE_CRONTAB, encoding="utf-8")
        (binaries / "crontab").chmod(0o755)
        path = os.pathsep.join([str(binaries), str(Path(sys.executable).parent), os.environ["PATH"]])
        workspace.environment |= {
            "PATH": path,
            "COLUMNS": "100",
            "HOME": str(workspace.root),
            "XDG_CONFIG_HOME": str(workspace.root / ".config"),
        }

    def has_database(self, url: str) -> None:
        """Let what the pages say of a database be that one, with a folder here."""
        self._told |= {DATABASE: url, _FOLDER: str(self._workspace.root / "pictures")}

    async def act(self, block: Block) -> None:
        """Run a block; fails where it ends or tells otherwise than the page says."""
        if block.file:
            self._workspace.write(block.file, self._real(block.text))
        elif block.language == "python":
            code, told = await self._program([sys.executable, "-W", "error", "-c", self._real(block.text)])
            assert code == 0, told
        elif block.language == "sql":
            await anyio.to_thread.run_sync(self._ask, block)
        else:
            await self._commands(steps_of(block))

    async def _commands(self, steps: Sequence[Step]) -> None:
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            if step.command == "echo $?":
                continue
            code, told = await self._run(step.command)
            expected = int(following.shown or "") if following and following.command == "echo $?" else 0
            assert code == expected, f"$ {step.command}\n{told}"
            if step.shown:
                assert re.fullmatch(shape_of(step.shown), told), f"$ {step.command}\n{told}"

    async def _run(self, command: str) -> tuple[int, str]:
        words = shlex.split(command, comments=True)
        if words[:1] == ["export"]:
            self._workspace.environment |= dict(map(self._variable, words[1:]))
            if "FLUXBATCH_API_KEY" in command and "FLUXBATCH_BASE_URL" not in self._workspace.environment:
                await self._simulate(["simulate", "--latency", "0.2", "--scale", "8"])
                self._workspace.environment["FLUXBATCH_BASE_URL"] = self._told[_SAID] + "/v1"
            return 0, ""
        if words[:2] == ["fluxbatch", "simulate"]:
            await self._simulate(words[1:-1])
            return 0, ""
        if words == ["kill", "%1"]:
            await self._background.pop().killed()
            return 0, ""
        if words[:1] == ["make"]:
            words = self._recipe(words[1:])
        elif _SHELL.search(command.partition(" # ")[0]):
            return await self._program(["/bin/sh", "-c", self._real(command)])
        return await self._fluxbatch([self._real(word) for word in words[1:]])

    def _variable(self, word: str) -> tuple[str, str]:
        name, _, value = word.partition("=")
        return name, self._real(value)

    def _recipe(self, words: Sequence[str]) -> list[str]:
        """What ``make`` would run, as far as it is one of the program's commands."""
        dry = subprocess.run(
            ["make", "-n", "-s", "-C", str(ROOT), "-o", "setup", *words], capture_output=True, text=True, check=True
        )
        recipe = shlex.split(dry.stdout.strip().splitlines()[-1])
        assert recipe[0].endswith("/fluxbatch"), dry.stdout
        return recipe

    async def _simulate(self, words: Sequence[str]) -> None:
        running = await self._stack.enter_async_context(self._workspace.started(*words, "--port", "0"))
        self._background.append(running)
        line = await running.first_line()
        self._told[_SAID] = line.removeprefix("FLUXBATCH_BASE_URL=").removesuffix("/v1")

    async def _fluxbatch(self, words: Sequence[str]) -> tuple[int, str]:
        with TemporaryFile() as both:
            ended = await self._workspace.fluxbatch(*words, stdout=both.fileno(), stderr=both.fileno())
            both.seek(0)
            return ended.code, self._said(both.read().decode())

    async def _program(self, words: Sequence[str]) -> tuple[int, str]:
        with anyio.fail_after(PATIENCE_S):
            ended = await anyio.run_process(
                words,
                cwd=self._workspace.root,
                env=self._workspace.surroundings(),
                check=False,
                stderr=subprocess.STDOUT,
            )
        return ended.returncode, self._said(ended.stdout.decode())

    def _ask(self, block: Block) -> None:
        if block.ledger:
            path = (self._workspace.root / block.ledger).as_uri()
            with closing(sqlite3.connect(f"{path}?mode=ro", uri=True)) as database:
                rows = database.execute(block.text).fetchall()
        else:
            folder = str(self._workspace.root).replace("'", "''")
            with duckdb.connect(config={"file_search_path": folder}) as engine:
                rows = engine.execute(block.text).fetchall()
        assert rows, block.text

    def _real(self, text: str) -> str:
        for said, real in self._told.items():
            text = text.replace(said, real)
        return text

    def _said(self, text: str) -> str:
        """What was told, as on a machine that is not so slow that progress is told, and with the pages' address."""
        text = re.sub(r"^\[\d+:\d\d\] .*\n", "", text, flags=re.MULTILINE)
        for said, real in self._told.items():
            text = text.replace(real, said).replace(real.removeprefix("http://"), said.removeprefix("http://"))
        return text
