"""What bad input gets: one clear line with its remedy and its own exit code; nothing bought, nothing lost."""

import os

import pytest

from pipeline.simulator import Simulator
from tests.acceptance.stage import Workspace, assert_told

# --- the manifest ------------------------------------------------------------------------------------------------

HEAD = "version: 1\nname: bad\n"
BAD_MANIFESTS = {
    "unreadable_yaml": (HEAD + "jobs: [a, [b\n", "batch.yaml:4:1:"),
    "not_text": ("\x00\x01\x02", "batch.yaml:1:1:"),
    "empty_file": ("", "batch.yaml:1:1:"),
    "unknown_key": (
        HEAD + "limits: {budgt_usd: 5}\njobs: [[a]]\n",
        "batch.yaml:3:10: limits.budgt_usd: ",
        "budget_usd",
    ),
    "unknown_top_key": (HEAD + "job: [[a]]\njobs: [[a]]\n", "batch.yaml:3:1: job: ", "'jobs'"),
    "unknown_model": (HEAD + "jobs:\n  - [a, 1:1, flux-kontext-prp]\n", "batch.yaml:4:14:", "flux-kontext-pro"),
    "unknown_use": (HEAD + "jobs:\n  - {prompt: a, use: instagram_storry}\n", "batch.yaml:4:", "instagram_story"),
    "unknown_provider": (HEAD + "provider: apiyii\njobs: [[a]]\n", "batch.yaml:3:11:", "apiyi"),
    "bad_ratio": (HEAD + "jobs:\n  - [a, 5:1]\n", "batch.yaml:4:9:", "3:7", "7:3"),
    "ratio_is_a_number": (HEAD + "jobs:\n  - {prompt: a, ratio: 1.5}\n", "batch.yaml:4:24:", "16:9"),
    "seed_out_of_range": (HEAD + "jobs:\n  - {prompt: a, seed: 99999999999999999999}\n", "batch.yaml:4:23:", "seed"),
    "tolerance_out_of_range": (HEAD + "jobs:\n  - {prompt: a, safety_tolerance: 7}\n", "batch.yaml:4:35:", "0 to 6"),
    "concurrency_out_of_range": (HEAD + "limits: {concurrency: 0}\njobs: [[a]]\n", "batch.yaml:3:23:", "1"),
    "infinite_budget": (HEAD + "limits: {budget_usd: .inf}\njobs: [[a]]\n", "batch.yaml:3:22:"),
    "duplicate_key": (HEAD + "limits: {budget_usd: 1, budget_usd: 1000}\njobs: [[a]]\n", "batch.yaml:3:25:", "twice"),
    "missing_csv_column": (
        HEAD + 'jobs:\n  - {rows: rows.csv, prompt: "{titel}"}\n',
        "batch.yaml:4:",
        "titel",
        "title",
    ),
    "empty_prompt": (HEAD + "jobs:\n  - ['  ', 1:1]\n", "batch.yaml:4:6:", "is empty", "say what to draw"),
    "leaves_the_folder": (HEAD + "output: {folder: ../out}\njobs: [[a]]\n", "batch.yaml:3:18:", "output"),
    "version_of_tomorrow": ("version: 2\njobs: [[a]]\n", "batch.yaml:1:10:", "must be 1"),
}


@pytest.mark.parametrize("case", BAD_MANIFESTS)
async def test_a_bad_manifest_is_65_with_place_and_hint(workspace: Workspace, case: str) -> None:
    text, *words = BAD_MANIFESTS[case]
    workspace.write("rows.csv", "title,shape\nOne,1:1\n")
    workspace.write("batch.yaml", text)
    ended = await workspace.fluxbatch("check", "batch.yaml")
    assert_told(ended, 65, *words, "nothing was bought")
    assert ended.out == ""


async def test_all_mistakes_are_shown_at_once_in_the_order_of_the_file(workspace: Workspace) -> None:
    workspace.write("batch.yaml", HEAD + "limit: {}\njobs:\n  - [a, 9:1]\n  - [b, 1:1, flux]\n")
    ended = await workspace.fluxbatch("check", "batch.yaml")
    assert ended.code == 65
    lines = ended.err.splitlines()
    assert [line.split(":")[1] for line in lines[:3]] == ["3", "5", "6"]
    assert lines[3].startswith("3 problems")


async def test_one_bad_manifest_keeps_all_from_being_bought(workspace: Workspace, simulator: Simulator) -> None:
    good = workspace.manifest("Good", file="good.yaml")
    workspace.write("bad.yaml", "version: 1\n")
    ended = await workspace.fluxbatch("run", good, "bad.yaml")
    assert_told(ended, 65)
    assert simulator.bill.requests == 0


# --- files and settings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "check"])
async def test_a_missing_manifest_is_66(workspace: Workspace, command: str) -> None:
    assert_told(await workspace.fluxbatch(command, "nowhere.yaml"), 66, "nowhere.yaml: no such file")


async def test_a_missing_rows_file_is_a_mistake_of_the_manifest_with_its_place(workspace: Workspace) -> None:
    manifest = workspace.manifest({"rows": "gone.csv", "prompt": "{title}"})
    ended = await workspace.fluxbatch("run", manifest)
    assert_told(ended, 65, "batch.yaml:4:", "gone.csv: cannot be read", "nothing was bought")


@pytest.mark.parametrize("words", [("status",), ("ledger", "export"), ("ledger", "verify"), ("ledger", "spend")])
async def test_a_missing_ledger_is_66(workspace: Workspace, words: tuple[str, ...]) -> None:
    workspace.output.mkdir()
    assert_told(await workspace.fluxbatch(*words), 66, "ledger.db: no such ledger", "  -> ")


async def test_a_missing_output_folder_is_66(workspace: Workspace) -> None:
    assert_told(await workspace.fluxbatch("status"), 66, "output: no such output folder", "  -> ")


async def test_no_key_is_78_with_the_variables_name(workspace: Workspace) -> None:
    ended = await workspace.fluxbatch("run", workspace.manifest("A cat"))
    assert_told(ended, 78, "no API key", "FLUXBATCH_API_KEY", "  -> export FLUXBATCH_API_KEY=")
    assert not workspace.output.exists()


async def test_no_key_names_the_profiles_own_variable(workspace: Workspace) -> None:
    manifest = workspace.manifest("A cat", provider={"api_key_env": "STUDIO_KEY"})
    assert_told(await workspace.fluxbatch("run", manifest), 78, "STUDIO_KEY")


@pytest.mark.parametrize("url", ["ftp://example.com/v1", "http://user:word@example.com/v1"])
async def test_a_base_url_that_is_none_is_78(workspace: Workspace, url: str) -> None:
    workspace.environment = {"FLUXBATCH_BASE_URL": url, "FLUXBATCH_API_KEY": "k"}
    ended = await workspace.fluxbatch("run", workspace.manifest("A cat"))
    assert_told(ended, 78, "  -> ")
    assert "word" not in ended.err


async def test_an_unwritable_output_is_73(workspace: Workspace, simulator: Simulator) -> None:
    workspace.write("file", "in the way")
    manifest = workspace.manifest("A cat")
    assert_told(await workspace.fluxbatch("run", manifest, "--output", "file/output"), 73, "file", "  -> ")
    ended = await workspace.fluxbatch("run", manifest, "--ledger", "file/ledger.db")
    assert_told(ended, 73, "file", "  -> ")
    assert simulator.bill.requests == 0


async def test_an_export_that_cannot_be_written_is_73(workspace: Workspace, simulator: Simulator) -> None:
    await workspace.run(workspace.manifest("A cat"))
    assert_told(await workspace.fluxbatch("ledger", "export", "--to", "nowhere/rows.jsonl"), 73, "nowhere", "  -> ")


# --- the command's words -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("run",),
        ("rnu", "batch.yaml"),
        ("run", "batch.yaml", "--buget", "5"),
        ("run", "batch.yaml", "--budget", "five"),
        ("run", "batch.yaml", "--concurrency", "0"),
        ("run", "batch.yaml", "--ledger", "mysql://server/ledger"),
        ("ledger", "export", "--format", "xlsx"),
        ("ledger", "export", "--format", "parquet"),
        ("simulate", "--fault", "nonsense=0.5"),
    ],
    ids=" ".join,
)
async def test_words_that_are_off_are_64(workspace: Workspace, simulator: Simulator, words: tuple[str, ...]) -> None:
    workspace.manifest("A cat")
    if words[0] == "ledger":
        await workspace.run("batch.yaml")
    bought = simulator.bill.requests
    ended = await workspace.fluxbatch(*words)
    assert_told(ended, 64, "fluxbatch: ")
    assert ended.out == ""
    assert simulator.bill.requests == bought


# --- how it is said ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "code"), [(("run", "nowhere.yaml"), 66), (("run", "bad.yaml"), 65), (("run",), 64)])
async def test_with_json_an_error_is_exactly_one_object(
    workspace: Workspace, words: tuple[str, ...], code: int
) -> None:
    workspace.write("bad.yaml", "version: 1\n")
    ended = await workspace.fluxbatch(*words, "--json")
    assert ended.code == ended.json["exit_code"] == code
    assert ended.json["error"]
    assert set(ended.json) == {"error", "remedy", "exit_code"}


async def test_debug_shows_where_an_error_comes_from(workspace: Workspace) -> None:
    ended = await workspace.fluxbatch("run", "nowhere.yaml", "--debug")
    assert ended.code == 66
    assert "Traceback (most recent call last)" in ended.err


async def test_help_names_every_command(workspace: Workspace) -> None:
    shown = await workspace.fluxbatch("--help")
    assert shown.code == 0
    for command in ("run", "plan", "check", "status", "models", "ratios", "schema", "simulate", "ledger"):
        assert f" {command} " in shown.out


async def test_a_reader_that_goes_away_ends_an_export_quietly(workspace: Workspace, simulator: Simulator) -> None:
    await workspace.run(workspace.manifest(*(f"Prompt {number} " + "x" * 4000 for number in range(60))))
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = await workspace.fluxbatch("ledger", "export", stdout=writing)
    finally:
        os.close(writing)
    assert (ended.code, ended.err) == (0, "")
