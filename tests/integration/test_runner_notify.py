"""Telling how a run ended, over real sockets and with real processes."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web

from pipeline.errors import ExitCode
from pipeline.manifest import Manifest, Notify
from pipeline.runner.notify import Message, command_environment, message_of, notify
from pipeline.transport import TransportError
from pipeline.transport.webhook import parse_webhook, post_notice
from tests.unit.manifest_writing import load
from tests.unit.report_samples import summary

CANARY = "sk-canary-0123456789"


@dataclass
class Hook:
    """A server that keeps what it is sent, and answers as it is told."""

    statuses: list[int] = field(default_factory=list)
    got: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    async def take(self, request: web.Request) -> web.Response:
        self.got.append(await request.json())
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        status = self.statuses.pop(0) if self.statuses else 204
        return web.Response(status=status, headers={"Location": self.url + "/elsewhere"} if status == 307 else {})


@asynccontextmanager
async def hook(*statuses: int) -> AsyncIterator[Hook]:
    made = Hook(list(statuses))
    application = web.Application()
    application.router.add_post("/{any:.*}", made.take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/T0"
        yield made
    finally:
        await runner.cleanup()


def manifest(folder: Path, **wanted: Any) -> Manifest:
    made = load(folder, "version: 1\nname: spring\nprovider: apiyi\njobs:\n  - [A cat]\n")
    return replace(made, notify=Notify(**wanted))


def trouble(made: Manifest) -> Message:
    return message_of(made, summary(exit_code=ExitCode.MONEY_UNCLEAR, unknown=1), code=ExitCode.MONEY_UNCLEAR)


async def told(made: Manifest, message: Message, **environment: str) -> list[str]:
    with anyio.fail_after(60):
        return await notify(made, message, {"PATH": "/usr/bin:/bin", "FLUXBATCH_API_KEY": CANARY} | environment)


async def test_a_webhook_is_sent_the_runs_json_and_a_line_for_people(tmp_path: Path) -> None:
    async with hook() as server:
        made = manifest(tmp_path, webhook=server.url)
        assert await told(made, trouble(made)) == []
    [payload] = server.got
    assert (payload["event"], payload["exit_code"], payload["unknown"]) == ("trouble", 5, 1)
    assert payload["run_id"] == "20261123T020000-abcdef"
    assert payload["text"].startswith("spring: 8 stored, 1 unknown")
    assert CANARY not in json.dumps([payload, server.headers])
    assert not {"authorization", "cookie"} & set(server.headers[0])


async def test_the_address_may_stand_in_the_environment(tmp_path: Path) -> None:
    async with hook() as server:
        made = manifest(tmp_path, webhook_env="HOOK")
        assert await told(made, trouble(made), HOOK=server.url) == []
        assert len(server.got) == 1
    assert await told(made, trouble(made)) == ["warning: nobody was told: the environment variable HOOK is not set"]


async def test_where_one_was_told_the_warning_does_not_say_that_nobody_was(tmp_path: Path) -> None:
    async with hook(404) as server:
        both = manifest(tmp_path, webhook=server.url, command=["true"])
        [failed] = await told(both, trouble(both))
    assert failed.startswith("warning: not everybody was told: the webhook ")
    neither = manifest(tmp_path, webhook_env="HOOK", command=["/no/such/program"])
    lines = await told(neither, trouble(neither))
    assert [line.startswith("warning: nobody was told: ") for line in lines] == [True, True]


@pytest.mark.parametrize(("statuses", "requests"), [((503, 204), 2), ((429, 204), 2), ((503, 503), 2), ((404,), 1)])
async def test_a_passing_refusal_is_tried_once_more_and_no_other(
    tmp_path: Path, statuses: tuple[int, ...], requests: int
) -> None:
    async with hook(*statuses) as server:
        made = manifest(tmp_path, webhook=server.url)
        failed = await told(made, trouble(made))
    assert len(server.got) == requests
    assert [server.url in line for line in failed] == ([] if statuses[-1] == 204 else [False])
    assert not failed or f"answered {statuses[-1]}" in failed[0]


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    async with hook(307) as server:
        made = manifest(tmp_path, webhook=server.url)
        [failed] = await told(made, trouble(made))
    assert "answered 307" in failed
    assert len(server.got) == 1


async def test_a_webhook_that_says_nothing_is_left_after_its_time() -> None:
    async def silent(request: web.Request) -> web.Response:
        await anyio.sleep_forever()
        raise AssertionError

    runner = web.AppRunner(web.Application(), access_log=None, shutdown_timeout=0.1)
    runner.app.router.add_post("/", silent)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    target = parse_webhook(f"http://127.0.0.1:{runner.addresses[0][1]}/")
    try:
        with anyio.fail_after(60), pytest.raises(TransportError, match="nothing came in time"):
            await post_notice(target, {}, within_s=0.2)
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "address", ["http://hooks.example.com/canary", "https://me:canary@hooks.example.com", "canary"]
)
async def test_an_address_from_the_environment_is_held_to_the_same_rules(tmp_path: Path, address: str) -> None:
    made = manifest(tmp_path, webhook_env="HOOK")
    [failed] = await told(made, trouble(made), HOOK=address)
    assert failed.startswith("warning: nobody was told: the webhook ")
    assert "canary" not in failed


async def test_only_what_was_asked_for_is_told(tmp_path: Path) -> None:
    async with hook() as server:
        made = manifest(tmp_path, webhook=server.url, on=("trouble",))
        await told(made, message_of(made, summary(), code=ExitCode.OK))
        assert server.got == []
        await told(made, trouble(made))
        assert len(server.got) == 1


async def test_a_run_that_broke_is_told_with_what_broke_it(tmp_path: Path) -> None:
    async with hook() as server:
        made = manifest(tmp_path, webhook=server.url)
        await told(made, message_of(made, None, code=ExitCode.TEMPORARY, error="another run holds the ledger"))
    assert server.got[0]["text"] == "spring: another run holds the ledger"
    assert (server.got[0]["event"], server.got[0]["exit_code"]) == ("trouble", 75)


# --- commands ----------------------------------------------------------------------------------------------------

_KEEP = "import json, os, sys; open(sys.argv[1], 'w').write(json.dumps([sys.stdin.read(), dict(os.environ)]))"


async def test_a_command_has_the_json_on_its_stdin_and_no_secret_in_its_surroundings(tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    made = manifest(tmp_path, command=(sys.executable, "-c", _KEEP, str(kept)))
    secrets = {"FLUXBATCH_LOG_TOKEN": CANARY, "CREDENTIALS_DIRECTORY": CANARY, "FLUXBATCH_X": CANARY}
    assert await told(made, trouble(made), HOME="/nowhere", **secrets) == []
    stdin, environment = json.loads(await anyio.Path(kept).read_text(encoding="utf-8"))
    assert json.loads(stdin)["run_id"] == "20261123T020000-abcdef"
    assert (environment["FLUXBATCH_EVENT"], environment["FLUXBATCH_EXIT_CODE"]) == ("trouble", "5")
    assert (environment["FLUXBATCH_MANIFEST"], environment["HOME"]) == ("spring", "/nowhere")
    assert CANARY not in json.dumps([stdin, environment])


def test_a_key_under_a_name_of_the_manifests_own_is_kept_from_the_command_too(tmp_path: Path) -> None:
    made = manifest(tmp_path, command=("true",), webhook_env="HOOK")
    second = made.profile.model_copy(update={"api_key_env": "ACME_KEY"})
    made = replace(made, profiles=(made.profile, second))
    held = {"ACME_KEY": CANARY, "ACME_KEY_FILE": CANARY, "HOOK": CANARY, "HOOK_FILE": CANARY, "LANG": "C"}
    seen = command_environment(made, trouble(made), held)
    assert CANARY not in seen.values()
    assert seen["LANG"] == "C"


async def test_a_command_that_fails_or_is_not_there_is_a_warning(tmp_path: Path) -> None:
    made = manifest(tmp_path, command=(sys.executable, "-c", "import sys; sys.exit('no such\\nmailbox')"))
    [failed] = await told(made, trouble(made))
    assert failed.endswith("ended with 1: no such mailbox")
    made = manifest(tmp_path, command=("/no/such/program",))
    [failed] = await told(made, trouble(made))
    assert "/no/such/program cannot be run (No such file or directory)" in failed


async def test_a_word_of_the_command_is_never_read_by_a_shell(tmp_path: Path) -> None:
    made = manifest(tmp_path, command=(sys.executable, "-c", "pass", f"; touch {tmp_path}/harm"))
    assert await told(made, trouble(made)) == []
    assert not await anyio.Path(tmp_path / "harm").exists()


async def test_a_command_that_does_not_end_is_ended_with_all_it_started(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    script = f"import os, time; os.mkfifo({str(alive)!r}); os.fork(); open({str(alive)!r}, 'w'); time.sleep(600)"
    made = manifest(tmp_path, command=(sys.executable, "-c", script))
    with anyio.fail_after(60):
        failed = await notify(made, trouble(made), {}, command_s=1.0)
    assert failed == [f"warning: nobody was told: {sys.executable} took more than 1 s"]
