"""The key and the signatures of URLs are nowhere to be found afterwards: at the end of every test here, and of these.

``workspace`` itself looks for them when a test ends (see ``secrecy``); what these tests do is to provoke.
"""

import base64
import json
import os
import signal
from pathlib import Path
from urllib.parse import quote

import anyio
import pytest

from pipeline.simulator import Fault
from tests.acceptance.conftest import Simulate
from tests.acceptance.secrecy import KEY, MARK, assert_secrets_kept, key_in, signature_in
from tests.acceptance.stage import PATIENCE_S, Workspace, until

SIGNED = f"https://images.example/a.jpeg?se=2026&sig={MARK}{'Ab3%2F' * 8}"


# --- what is looked for ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {KEY}",
        KEY[:14] + "…",
        "…" + KEY[-12:],
        quote(KEY, safe=""),
        json.dumps({"key": KEY}).replace("/", "\\/"),
        base64.b64encode(f"user:{KEY}".encode()).decode(),
        base64.b64encode(f"u:{KEY}".encode()).decode(),
        base64.urlsafe_b64encode(f"us:{KEY} and more".encode()).decode(),
        KEY.encode().hex(),
    ],
)
def test_the_key_is_found_in_any_way_of_writing_it(text: str) -> None:
    assert key_in(f"before {text} behind".encode())
    assert not key_in(b"before and behind, without it")


@pytest.mark.parametrize(
    "text",
    [
        SIGNED,
        quote(SIGNED, safe=""),
        json.dumps({"sig": MARK + "x"}),
        base64.b64encode(SIGNED.encode()).decode(),
        "https://images.example/a.jpeg?sig=" + "Zx9" * 14,
        "{'se': '2026', 'sig': '" + "Zx9" * 14 + "'}",
    ],
)
def test_a_signature_is_found_in_any_way_of_writing_it(text: str) -> None:
    assert signature_in(f"before {text} behind".encode())
    assert not signature_in(b"https://images.example/a.jpeg, signed; the design is 0.2 s old")


@pytest.mark.parametrize("file", ["export.csv", "output/.a.part", "output/ledger.db.runs/1", "batch.log"])
@pytest.mark.parametrize("secret", [KEY, SIGNED])
def test_a_secret_in_any_file_is_found(tmp_path: Path, file: str, secret: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_bytes(b"\x00\xff" + secret.encode() + b"\x00")
    with pytest.raises(AssertionError, match="is in"):
        assert_secrets_kept(tmp_path, [])
    with pytest.raises(AssertionError, match="output 0"):
        assert_secrets_kept(tmp_path / "none", [secret.encode()])


# --- runs that go well, and badly --------------------------------------------------------------------------------


async def test_a_good_run_leaves_no_secret_in_output_ledger_or_files(workspace: Workspace, simulate: Simulate) -> None:
    await simulate(keys=frozenset({KEY}))
    ended = await workspace.run(workspace.manifest(*map(str, range(6))), "--debug")
    assert ended.code == 0, ended.err
    for form in ("jsonl", "csv", "parquet"):
        assert (await workspace.fluxbatch("ledger", "export", "--format", form, "--to", f"rows.{form}")).code == 0


async def test_a_bad_run_leaves_none_either(workspace: Workspace, simulate: Simulate) -> None:
    await simulate(keys=frozenset({KEY}), window_s=3.0)
    faults = (
        "lost", "html_200", "half_body", "invalid", "overload_500*1", "dl_403", "dl_404", "dl_html", "dl_garbage",
        "dl_cut*1", "dl_redirect_loop",
    )  # fmt: skip
    prompts = [f"A picture [fault:{fault}]" for fault in faults]
    ended = await workspace.run(workspace.manifest(*prompts, provider={"window_s": 3}), "--debug", report=True)
    assert ended.code == 5
    await workspace.fluxbatch("ledger", "export")
    await workspace.fluxbatch("ledger", "verify")


async def test_a_stopped_run_tells_no_secret_of_what_it_could_not_reach(
    workspace: Workspace, simulate: Simulate
) -> None:
    await simulate(keys=frozenset({KEY}), faults=(Fault("dl_redirect_private", rate=1.0),))
    ended = await workspace.run(workspace.manifest("One"), "--debug")
    assert ended.code == 5
    assert "sig=" not in ended.out + ended.err


async def test_a_url_stands_in_the_ledger_while_its_picture_is_bought_and_no_longer(
    workspace: Workspace, simulate: Simulate
) -> None:
    await simulate(keys=frozenset({KEY}))
    manifest = workspace.manifest("A slow one [fault:dl_stall*1]")
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", manifest) as running:
            await until(lambda: workspace.ledger.exists() and workspace.states() == {"bought": 1})
            running.signal(signal.SIGKILL)
            await running.end()
    assert MARK.encode() in _left(workspace)
    for command in (("status",), ("ledger", "export"), ("ledger", "verify"), ("plan", manifest)):
        await workspace.fluxbatch(*command)
    workspace.assert_secrets_kept()
    assert (await workspace.run(manifest)).code == 0
    assert not signature_in(_left(workspace))


def _left(workspace: Workspace) -> bytes:
    return b"".join(path.read_bytes() for path in workspace.output.rglob("*") if path.is_file())


@pytest.mark.parametrize("key", [f"{KEY}\nX-Injected: 1", f"{KEY} and more", f"{KEY}\u200b"])
async def test_a_key_that_cannot_be_one_is_refused_without_being_shown(
    workspace: Workspace, simulate: Simulate, key: str
) -> None:
    simulator = await simulate()
    workspace.use(simulator, key)
    ended = await workspace.run(workspace.manifest("One"), "--debug")
    assert ended.code == 78
    assert simulator.bill.requests == 0


async def test_a_refused_key_is_not_shown(workspace: Workspace, simulate: Simulate) -> None:
    await simulate(keys=frozenset({"another"}))
    ended = await workspace.run(workspace.manifest("One"), "--debug")
    assert ended.code == 77


# --- bugs --------------------------------------------------------------------------------------------------------

#: Breaks the program as it starts, where the key and a signed URL are at hand: errors there repeat what they hold.
_BUG = """
import aiohttp

async def broken(session, method, url, **options):
    if method == "{method}":
        raise {error}
    return await right(session, method, url, **options)

right, aiohttp.ClientSession._request = aiohttp.ClientSession._request, broken
"""


def _first_of_the_path(workspace: Workspace) -> str:
    """The bug's folder, before where a broken copy of the program may be."""
    return os.pathsep.join(filter(None, (str(workspace.root / "bug"), os.environ.get("PYTHONPATH"))))


_SAYS_ALL = 'RuntimeError(f"{method} {url} {dict(session.headers)} {options}")'
_SHOWS_ALL = 'ValueError(f"{url!r}: {session.headers!r}")'
_MISSES = "KeyError(session.headers.get('Authorization', str(url)))"


@pytest.mark.parametrize(
    ("method", "error", "words"),
    [
        ("POST", _SAYS_ALL, ("--debug",)),
        ("POST", _SHOWS_ALL, ("--json",)),
        ("POST", _MISSES, ("--debug", "--json")),
        ("GET", _SAYS_ALL, ("--debug", "--json")),
        ("GET", _SHOWS_ALL, ("--debug",)),
        ("GET", _MISSES, ()),
    ],
)
async def test_a_bug_tells_no_secret_with_or_without_its_traceback(
    workspace: Workspace, simulate: Simulate, method: str, error: str, words: tuple[str, ...]
) -> None:
    await simulate(keys=frozenset({KEY}))
    (workspace.root / "bug").mkdir()
    workspace.write("bug/sitecustomize.py", _BUG.replace("{method}", method, 1).replace("{error}", error))
    workspace.environment["PYTHONPATH"] = _first_of_the_path(workspace)
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", workspace.manifest("One"), *words) as running:
            ended = await running.end()
    assert ended.code == 70, ended.err
    assert "a bug in fluxbatch" in ended.err
    assert ("Traceback (most recent call last)" in ended.err) == ("--debug" in words)


#: The same in a process of a run's: a thread says the bare key first, to standard error, and then the error does.
_TWICE = """
import aiohttp, threading

async def broken(session, method, url, **options):
    if method == "POST":
        error = RuntimeError(session.headers["Authorization"].split()[1])
        thread = threading.Thread(target=fail, args=(error,))
        thread.start()
        thread.join()
        raise error
    return await right(session, method, url, **options)

def fail(error):
    raise error

right, aiohttp.ClientSession._request = aiohttp.ClientSession._request, broken
"""


async def test_a_bug_in_a_process_of_a_run_tells_no_secret_and_stops_the_rest(
    workspace: Workspace, simulate: Simulate
) -> None:
    simulator = await simulate(keys=frozenset({KEY}))
    (workspace.root / "bug").mkdir()
    workspace.write("bug/sitecustomize.py", _TWICE)
    workspace.write("key", KEY).chmod(0o600)
    del workspace.environment["FLUXBATCH_API_KEY"]
    workspace.environment |= {
        "PYTHONPATH": _first_of_the_path(workspace),
        "FLUXBATCH_API_KEY_FILE": str(workspace.root / "key"),
    }
    words = ("--processes", "2", "--log-format", "json", "--debug")
    with anyio.fail_after(PATIENCE_S):
        async with workspace.started("run", workspace.manifest(*map(str, range(8))), *words) as running:
            ended = await running.end()
    assert ended.code == 70, ended.err
    told = [json.loads(line) for line in ended.err.splitlines()]
    said = "\n".join(str(event.get("message")) for event in told)
    assert "a bug in fluxbatch: RuntimeError: ..." in said
    assert "Exception in thread" in said, "what Python says by itself comes whole, too"
    assert ", in broken" in said
    assert simulator.bill.requests == 0
