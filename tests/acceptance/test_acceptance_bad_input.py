"""What bad input gets: one clear line with its remedy and its own exit code; nothing bought, nothing lost."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.simulator import Fault, Simulator
from tests.acceptance.conftest import Simulate
from tests.acceptance.stage import Ended, Workspace, spent_usd, until


def assert_told(ended: Ended, code: int, *words: str) -> None:
    """The exit code, and the words on standard error in a few plain lines without a traceback."""
    assert ended.code == code, ended.err
    assert "Traceback" not in ended.err
    assert ended.err.count("\n") <= 3, ended.err
    for word in words:
        assert word in ended.err, ended.err


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


# --- the ledger and the disk -------------------------------------------------------------------------------------


async def test_a_corrupt_ledger_is_74_and_left_as_it_is(workspace: Workspace, simulator: Simulator) -> None:
    manifest = workspace.manifest("A cat", "A dog")
    await workspace.run(manifest)
    damaged = bytearray(workspace.ledger.read_bytes())
    damaged[100:2000] = b"\xff" * 1900
    for leftover in workspace.output.glob("ledger.db-*"):
        leftover.unlink()
    workspace.ledger.write_bytes(damaged)
    for words in (("run", manifest), ("status",), ("ledger", "verify")):
        assert_told(await workspace.fluxbatch(*words), 74, "ledger.db", "  -> ")
    assert workspace.ledger.read_bytes() == damaged
    assert simulator.bill.pictures == 2


async def test_a_ledger_that_is_none_is_74(workspace: Workspace, simulator: Simulator) -> None:
    workspace.write("notes.txt", "These are notes, and long enough to be taken for a page of something. " * 100)
    ended = await workspace.fluxbatch("run", workspace.manifest("A cat"), "--ledger", "notes.txt")
    assert_told(ended, 74, "notes.txt", "  -> ")
    assert simulator.bill.requests == 0


async def test_a_second_run_on_the_same_ledger_is_75(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(latency_s=2.0)
    manifest = workspace.manifest("A cat")
    async with workspace.started("run", manifest) as first:
        await until(lambda: simulator.bill.requests == 1)
        assert_told(await workspace.fluxbatch("run", manifest), 75, f"process {first.pid}", "another run", "  -> ")
        assert (await first.end()).code == 0
    assert simulator.bill.pictures == 1


@contextmanager
def little_disk(folder: Path, size_kib: int) -> Iterator[None]:
    """A real file system of that size, mounted there for the length of the block."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], capture_output=True, check=True)


async def test_a_disk_with_next_to_no_room_is_74_before_anything_is_bought(
    workspace: Workspace, simulator: Simulator
) -> None:
    with little_disk(workspace.output, 4_096):
        ended = await workspace.fluxbatch("run", workspace.manifest("A cat"))
    assert_told(ended, 74, "only 4 MB are free", "  -> ")
    assert simulator.bill.requests == 0


async def test_a_disk_that_fills_up_is_74_and_what_is_paid_is_fetched_by_the_next_run(
    workspace: Workspace, simulate: Simulate
) -> None:
    simulator = await simulate(scale=1)  # some 70 kilobytes a picture
    manifest = workspace.manifest(*(f"Scene {number}" for number in range(30)))
    with little_disk(workspace.output / "batch", 160):
        full = await workspace.run(manifest, "--concurrency", "1")
        assert full.code == 74, full.err
        assert "No space left" in full.err
        assert "free some space" in full.err
        bought = simulator.bill.pictures
        assert 1 <= full.json["lost"] == bought - full.json["stored"] <= 20
        assert full.json["skipped"] == 30 - bought
    again = await workspace.run(manifest, "--limit", str(bought))
    assert simulator.bill.pictures == bought
    assert again.json["stored"] == full.json["lost"]
    assert workspace.findings() <= {"missing"}  # what the little disk took with it
    assert spent_usd(workspace) == simulator.bill.charged_usd


async def test_a_ledger_that_cannot_be_made_is_74_and_nothing_is_bought(
    workspace: Workspace, simulator: Simulator
) -> None:
    ended = await workspace.fluxbatch("run", workspace.manifest("A cat"), file_limit_bytes=8_192)
    assert_told(ended, 74, "ledger.db", "  -> ")
    assert simulator.bill.requests == 0


async def test_a_ledger_that_can_grow_no_more_stops_buying_and_every_cent_is_found_again(
    workspace: Workspace, simulator: Simulator
) -> None:
    manifest = workspace.manifest(*(f"Scene {number}" for number in range(30)))
    failed = await workspace.run(manifest, file_limit_bytes=400_000)
    assert failed.code == 74, failed.err
    assert "ledger.db" in failed.err
    assert simulator.bill.pictures < 30
    again = await workspace.run(manifest)
    assert again.code in {0, 5}, again.err
    assert set(workspace.states()) <= {"stored", "unknown"}
    prompts = [charge.prompt for charge in simulator.bill.charges]
    assert len(prompts) == len(set(prompts))
    assert workspace.findings() <= {"unknown"}


# --- the provider ------------------------------------------------------------------------------------------------


async def test_a_wrong_key_is_77_and_the_jobs_stay_as_they_were(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(keys=frozenset({"right"}))
    workspace.environment["FLUXBATCH_API_KEY"] = "wrong"
    manifest = workspace.manifest("A cat", "A dog")
    ended = await workspace.run(manifest)
    assert ended.code == 77
    assert (ended.json["skipped"], ended.json["spend_usd"], ended.json["unknown_usd"]) == (2, "0.000", "0.000")
    assert "Incorrect API key" in ended.err
    workspace.environment["FLUXBATCH_API_KEY"] = "right"
    assert (await workspace.run(manifest)).json["stored"] == 2
    assert simulator.bill.pictures == 2


@pytest.mark.parametrize("prompt", ["", "[fault:no_balance_429]"])
async def test_no_balance_is_77_and_what_is_bought_is_stored(
    workspace: Workspace, simulate: Simulate, prompt: str
) -> None:
    simulator = await simulate(balance_microusd=80_000)
    manifest = workspace.manifest("One", "Two", f"Three {prompt}", "Four", limits={"concurrency": 1})
    ended = await workspace.run(manifest)
    assert ended.code == 77, ended.err
    assert (ended.json["stored"], ended.json["skipped"], ended.json["spend_usd"]) == (2, 2, "0.070")
    assert simulator.bill.charged_usd == "0.070"
    assert "balance" in ended.err


async def test_a_model_the_provider_does_not_serve_is_3_and_other_models_go_on(
    workspace: Workspace, simulate: Simulate
) -> None:
    await simulate(prices_microusd={"flux-kontext-pro": 35_000})
    manifest = workspace.manifest(["A", "1:1", "flux-kontext-max"], ["B", "1:1", "flux-kontext-pro"])
    ended = await workspace.run(manifest)
    assert ended.code == 3, ended.err
    assert (ended.json["stored"], ended.json["failed"]) == (1, 1)
    assert "does not serve flux-kontext-max" in ended.err


async def test_an_unreachable_provider_is_69_and_nothing_is_spent(workspace: Workspace) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else gets the port
        port = taken.getsockname()[1]
        workspace.environment = {"FLUXBATCH_BASE_URL": f"http://127.0.0.1:{port}/v1", "FLUXBATCH_API_KEY": "k"}
        ended = await workspace.run(workspace.manifest(*map(str, range(30))))
    assert ended.code == 69, ended.err
    assert "cannot be reached" in ended.err
    assert ended.json["unknown_usd"] == ended.json["spend_usd"] == "0.000"
    assert ended.json["stored"] == ended.json["unknown"] == 0


async def test_a_provider_that_is_overloaded_for_everybody_is_69(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(faults=(Fault("overload_503", rate=1.0),))
    ended = await workspace.run(workspace.manifest(*map(str, range(60))))
    assert ended.code == 69, ended.err
    assert "serves nobody" in ended.err
    assert simulator.bill.pictures == 0
    assert simulator.bill.requests < 180
    assert ended.json["skipped"] > 0


# --- the command's words -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("run",),
        ("rnu", "batch.yaml"),
        ("run", "batch.yaml", "--buget", "5"),
        ("run", "batch.yaml", "--budget", "five"),
        ("run", "batch.yaml", "--concurrency", "0"),
        ("run", "batch.yaml", "--ledger", "postgresql://server/ledger"),
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
