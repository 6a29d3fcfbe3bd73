"""Shell completion, as the shells ask for it."""

import asyncio
import contextlib
import os
import shutil
import sys

import anyio
import pytest

from tests.acceptance.screen import FakeScreen
from tests.acceptance.stage import PATIENCE_S, Workspace, until


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("fluxbatch cron inst", {"install"}),
        ("fluxbatch run --re", {"--resend-unknown", "--retry-failed", "--rebuy-lost"}),
        ("fluxbatch doctor --provider a", {"apiyi"}),
        ("fluxbatch reconcile --provider s", {"simulator"}),
        ("fluxbatch run --log-format ", {"text", "json"}),
        # As bash takes apart ``--log-format=j``, ``--log-format=`` and ``--log-format=json --retr``.
        ("fluxbatch run --log-format = j", {"json"}),
        ("fluxbatch run --log-format =", {"text", "json"}),
        ("fluxbatch run --log-format = json --retr", {"--retry-failed"}),
    ],
)
async def test_bash_is_offered_what_may_follow(workspace: Workspace, words: str, offered: set[str]) -> None:
    workspace.environment |= {"_FLUXBATCH_COMPLETE": "complete_bash", "COMP_WORDS": words.replace(" ", "\n")}
    workspace.environment["COMP_CWORD"] = str(words.count(" "))
    ended = await workspace.fluxbatch()
    assert (ended.code, ended.err) == (0, "")
    assert set(ended.out.split()) == offered


async def test_the_script_is_shown_and_installed_for_the_shell_that_is_named(workspace: Workspace) -> None:
    workspace.environment["HOME"] = str(workspace.root)
    shown = await workspace.fluxbatch("--show-completion", "zsh")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith("#compdef fluxbatch\n")
    installed = await workspace.fluxbatch("--install-completion", "bash")
    assert (installed.code, installed.err) == (0, "")
    script = workspace.root / ".bash_completions" / "fluxbatch.sh"
    assert installed.out == f"{script}: completion for bash, from its next start on\n"
    assert f"source '{script}'" in (workspace.root / ".bashrc").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
async def test_a_real_bash_completes_what_a_person_begins_to_type(workspace: Workspace) -> None:
    workspace.environment |= {"HOME": str(workspace.root), "TERM": "dumb", "PS1": "$ "}
    assert (await workspace.fluxbatch("--install-completion", "bash")).code == 0
    (workspace.root / "bin").mkdir()
    command = workspace.root / "bin" / "fluxbatch"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m pipeline "$@"\n', encoding="utf-8")
    command.chmod(0o700)
    workspace.environment["PATH"] = f"{command.parent}:{os.environ['PATH']}"
    workspace.write("manifest.yaml", "")
    screen = FakeScreen(workspace.told)
    words = ("bash", "--noprofile", "--rcfile", ".bashrc", "-i")
    bash = await asyncio.create_subprocess_exec(
        *words,
        stdin=screen.terminal,
        stdout=screen.terminal,
        stderr=screen.terminal,
        cwd=workspace.root,
        env=workspace.surroundings(),
        start_new_session=True,
    )
    try:
        with anyio.fail_after(PATIENCE_S):
            for typed, completed in (
                ("fluxbatch run --out\t", "fluxbatch run --output "),
                ("man\t", "fluxbatch run --output manifest.yaml "),
                ("--log-format=j\t", "fluxbatch run --output manifest.yaml --log-format=json "),
            ):
                screen.type(typed)
                await until(lambda: completed in screen.plain())  # noqa: B023 - looked at before the next one
            screen.type("\x15exit\n")
            await bash.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            bash.kill()
        await bash.wait()
        screen.close()
