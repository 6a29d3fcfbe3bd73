"""One picture's story, as the command tells it."""

import pytest

from pipeline.simulator import Simulator
from tests.acceptance.stage import Workspace, assert_told


async def test_a_pictures_file_leads_to_its_story(workspace: Workspace, simulator: Simulator) -> None:
    await workspace.run(workspace.manifest({"prompt": "A harbour", "seed": 7}, edition="first"))
    file = workspace.file_of(workspace.row("A harbour"))
    told = await workspace.fluxbatch("explain", str(file.rename(workspace.root / "found.jpg")))
    assert told.code == 0, told.err
    row = workspace.row("A harbour")
    first, *lines = told.out.splitlines()
    assert first == f"{row.key[:12]} stored: A harbour"
    assert "seed 7" in lines[0]
    assert "by batch / first, row 1" in lines[1]
    assert "(gone)" in lines[1]
    assert "$0.035 spent" in lines[2]
    assert [word in told.out for word in ("reserved (run ", "bought for $0.035", "stored; its URL was ")] == [True] * 3
    assert lines[-1] == "-> fluxbatch ledger verify"


async def test_the_story_ends_with_what_to_do_next(workspace: Workspace, simulator: Simulator) -> None:
    prompts = {"Lost [fault:lost]": "--billed", "Refused [fault:invalid]": "--retry-failed"}
    await workspace.run(workspace.manifest(*prompts), "--output", "pictures")
    for row in (await workspace.fluxbatch("ledger", "export", "--output", "pictures")).out.splitlines():
        key = row.split('"')[3]
        prompt = next(each for each in prompts if each in row)
        told = await workspace.fluxbatch("explain", key, "--output", "pictures")
        assert prompts[prompt] in told.out.splitlines()[-1]
        assert "--output pictures" in told.out.splitlines()[-1]


async def test_a_story_as_json_has_its_money_as_text(workspace: Workspace, simulator: Simulator) -> None:
    await workspace.run(workspace.manifest("One"))
    told = (await workspace.fluxbatch("explain", workspace.row("One").key[:8], "--json")).json
    (job,) = told["jobs"]
    assert (job["state"], job["spend_usd"], job["attempts"][0]["price_usd"]) == ("stored", "0.035", "0.035")
    assert job["rows"][0]["file"] == "ok"


async def test_what_nobody_knows_is_told_as_such(workspace: Workspace, simulator: Simulator) -> None:
    await workspace.run(workspace.manifest("One"))
    assert_told(await workspace.fluxbatch("explain", "abcdefabcdef"), 66, "begins with", "ledger export")


async def test_a_file_that_is_gone_is_known_by_its_place(workspace: Workspace, simulator: Simulator) -> None:
    await workspace.run(workspace.manifest("One"))
    row = workspace.row("One")
    file = workspace.file_of(row)
    file.unlink()
    told = await workspace.fluxbatch("explain", str(file))
    assert told.code == 0, told.err
    assert told.out.startswith(f"{row.key[:12]} stored: One\n")
    assert "(gone)" in told.out


@pytest.mark.parametrize("named", ["7e6", "nobodys.png"])
async def test_what_is_neither_a_key_nor_a_file_is_told_as_such(
    workspace: Workspace, simulator: Simulator, named: str
) -> None:
    await workspace.run(workspace.manifest("One"))
    assert_told(await workspace.fluxbatch("explain", named), 66, "No such file", "6 to 64 hex digits", "ledger export")


async def test_joined_emoji_stay_whole(workspace: Workspace, simulator: Simulator) -> None:
    await workspace.run(workspace.manifest("A \U0001f469\u200d\U0001f467 \u200e trap"))
    told = await workspace.fluxbatch("explain", workspace.rows()[0].key)
    assert "\U0001f469\u200d\U0001f467 \\u200e trap" in told.out


async def test_a_prompt_cannot_play_with_the_terminal(workspace: Workspace, simulator: Simulator) -> None:
    await workspace.run(workspace.manifest("A \u202e trap"))
    told = await workspace.fluxbatch("explain", workspace.rows()[0].key)
    assert "\u202e" not in told.out
