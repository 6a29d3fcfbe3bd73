"""The key and the signatures of URLs are nowhere to be found afterwards."""

import re
from pathlib import Path

import pytest

from pipeline.simulator import Fault
from tests.acceptance.conftest import Simulate
from tests.acceptance.stage import Ended, Workspace

CANARY = "sk-canary-5e1f0b7a"
#: A link's signature is 44 characters of base64; nothing else here looks like that in a query.
SIGNATURE = re.compile(rb"sig(=|%3D)[A-Za-z0-9%+/]{20}", re.IGNORECASE)


def assert_no_secrets(workspace: Workspace, *ended: Ended) -> None:
    told = b"\n".join((each.out + each.err).encode() for each in ended)
    files = {path: path.read_bytes() for path in workspace.root.rglob("*") if path.is_file()}
    for place, text in ({Path("output of the commands"): told} | files).items():
        assert CANARY.encode() not in text, place
        assert not SIGNATURE.search(text), place


async def test_a_good_run_leaves_no_secret_in_output_ledger_or_files(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(keys=frozenset({CANARY}))
    workspace.use(simulator, CANARY)
    ended = await workspace.run(workspace.manifest(*map(str, range(6))), "--debug")
    assert ended.code == 0, ended.err
    exported = await workspace.fluxbatch("ledger", "export")
    assert_no_secrets(workspace, ended, exported)


async def test_a_bad_run_leaves_none_either(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(keys=frozenset({CANARY}), window_s=3.0)
    workspace.use(simulator, CANARY)
    faults = (
        "lost", "html_200", "half_body", "invalid", "overload_500*1", "dl_403", "dl_404", "dl_html", "dl_garbage",
        "dl_cut*1", "dl_redirect_loop",
    )  # fmt: skip
    prompts = [f"A picture [fault:{fault}]" for fault in faults]
    ended = await workspace.run(workspace.manifest(*prompts, provider={"window_s": 3}), "--debug")
    assert ended.code == 5
    exported = await workspace.fluxbatch("ledger", "export")
    verified = await workspace.fluxbatch("ledger", "verify")
    assert_no_secrets(workspace, ended, exported, verified)


async def test_a_stopped_run_tells_no_secret_of_what_it_could_not_reach(
    workspace: Workspace, simulate: Simulate
) -> None:
    simulator = await simulate(keys=frozenset({CANARY}), faults=(Fault("dl_redirect_private", rate=1.0),))
    workspace.use(simulator, CANARY)
    ended = await workspace.run(workspace.manifest("One"), "--debug")
    assert ended.code == 5
    for text in (ended.out, ended.err):
        assert CANARY not in text
        assert "sig=" not in text


@pytest.mark.parametrize("key", [f"{CANARY}\nX-Injected: 1", f"{CANARY} and more", f"{CANARY}\u200b"])
async def test_a_key_that_cannot_be_one_is_refused_without_being_shown(
    workspace: Workspace, simulate: Simulate, key: str
) -> None:
    simulator = await simulate()
    workspace.use(simulator, key)
    ended = await workspace.run(workspace.manifest("One"), "--debug")
    assert ended.code == 78
    assert_no_secrets(workspace, ended)
    assert simulator.bill.requests == 0


async def test_a_refused_key_is_not_shown(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(keys=frozenset({"another"}))
    workspace.use(simulator, CANARY)
    ended = await workspace.run(workspace.manifest("One"), "--debug")
    assert ended.code == 77
    assert_no_secrets(workspace, ended)
