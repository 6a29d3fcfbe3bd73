"""Edits by the installed command: bought once, by their inputs' bytes, whatever happens."""

import hashlib
import io
import os
import signal
from functools import partial

import anyio
from PIL import Image

from pipeline.simulator import Simulator
from tests.acceptance.conftest import Simulate
from tests.acceptance.stage import PATIENCE_S, Workspace, until

PAIRS = 12


def pairs(workspace: Workspace, count: int = PAIRS) -> str:
    """A manifest of pairs, each of its own colours."""
    lines = ["reference,base"]
    for number in range(count):
        Image.new("RGB", (24, 16), (number, 200, 0)).save(workspace.root / f"p{number}.png")
        Image.new("RGB", (16, 24), (0, number, 200)).save(workspace.root / f"m{number}.png")
        lines.append(f"p{number}.png,m{number}.png")
    workspace.write("pairs.csv", "\n".join(lines) + "\n")
    return workspace.manifest({"rows": "pairs.csv", "prompt": "Pair", "images": ["{reference}", "{base}"]})


def asked(simulator: Simulator, times: int) -> bool:
    """Whether it was asked that often."""
    return simulator.bill.requests >= times


def bought_keys(workspace: Workspace) -> set[str]:
    return {row.key for row in workspace.rows() if row.state == "stored"}


async def test_a_pair_is_bought_once_wherever_its_files_are(workspace: Workspace, simulator: Simulator) -> None:
    manifest = pairs(workspace, 3)
    first = await workspace.run(manifest, report=True)
    assert (first.code, first.json["stored"]) == (0, 3), first.err
    digests = {
        hashlib.sha256((workspace.root / f"{side}{n}.png").read_bytes()).hexdigest() for side in "pm" for n in range(3)
    }
    assert {path.stem for path in (workspace.output / ".thumbnails").iterdir()} >= digests
    page = (workspace.output / "report.html").read_text(encoding="utf-8")
    assert all(f'"{digest}":"data:image/webp' in page for digest in digests)
    assert {row.verdict for row in workspace.rows()} == {"ok"}
    assert len([name for name in workspace.pictures() if ".input-" in name]) == 3
    assert workspace.findings() == set()
    elsewhere = workspace.root / "elsewhere"
    elsewhere.mkdir()
    lines = ["reference,base"]
    for number in range(3):
        os.rename(workspace.root / f"p{number}.png", elsewhere / f"renamed-{number}.png")  # noqa: PTH104
        lines.append(f"elsewhere/renamed-{number}.png,m{number}.png")
    workspace.write("pairs.csv", "\n".join(lines) + "\n")
    again = await workspace.run(manifest)
    assert (again.code, again.json["reused"]) == (0, 3), again.err
    Image.new("RGB", (24, 16), "pink").save(elsewhere / "renamed-1.png")
    changed = await workspace.run(manifest)
    assert (changed.json["stored"], changed.json["reused"]) == (1, 2)
    assert simulator.bill.pictures == 4


async def test_one_bad_pair_fails_by_itself_and_nothing_is_billed_for_it(
    workspace: Workspace, simulator: Simulator
) -> None:
    manifest = pairs(workspace, 3)
    data = bytearray((workspace.root / "m1.png").read_bytes())
    data[len(data) // 2] ^= 0xFF  # only a decode tells
    (workspace.root / "m1.png").write_bytes(data)
    ended = await workspace.run(manifest)
    assert (ended.code, ended.json["stored"], ended.json["failed"]) == (3, 2, 1), ended.err
    assert simulator.bill.pictures == 2
    [failed] = [row for row in workspace.rows() if row.state == "failed"]
    assert failed.error_kind == "input_unfit"
    assert workspace.findings() == set()


async def test_torn_jpegs_fail_by_themselves_and_nothing_is_billed_for_them(
    workspace: Workspace, simulator: Simulator
) -> None:
    for name, progressive in (("plain.jpg", False), ("passes.jpg", True)):
        buffer = io.BytesIO()
        Image.effect_noise((64, 48), 90).save(buffer, "jpeg", progressive=progressive)
        cut = buffer.getvalue().rindex(b"\xff\xda") if progressive else len(buffer.getvalue()) // 2
        (workspace.root / name).write_bytes(buffer.getvalue()[:cut] + b"\xff\xd9")
    manifest = workspace.manifest(
        {"prompt": "Torn", "images": ["plain.jpg"]}, {"prompt": "Coarse", "images": ["passes.jpg"]}
    )
    planned = await workspace.fluxbatch("plan", manifest)
    assert "batch.yaml:5: images: passes.jpg: is torn: it lacks passes" in planned.out
    ended = await workspace.run(manifest)
    assert (ended.code, ended.json["failed"]) == (3, 2), ended.err
    assert "plain.jpg: is torn: its pixels end before its end mark; save or download it anew" in ended.err
    assert simulator.bill.requests == 0


async def test_edits_travel_as_forms_where_the_profile_says_so(workspace: Workspace, simulator: Simulator) -> None:
    Image.new("RGB", (24, 16), "red").save(workspace.root / "one.png")
    manifest = workspace.manifest(
        {"prompt": "Form", "images": ["one.png"], "seed": 7, "prompt_upsampling": True},
        provider={"profile": "apiyi", "edits": "multipart"},
    )
    ended = await workspace.run(manifest)
    assert (ended.code, ended.json["stored"]) == (0, 1), ended.err
    row = workspace.row("Form")
    assert row.verdict == "ok"
    assert (row.width or 0) > (row.height or 0)


async def test_edits_are_bought_once_through_a_kill(workspace: Workspace, simulate: Simulate) -> None:
    simulator = await simulate(latency_s=0.15)
    manifest = pairs(workspace)
    text = (workspace.root / manifest).read_text().replace("jobs:", "limits: {concurrency: 2}\njobs:")
    workspace.write(manifest, text)
    for kills in (2, 6):
        with anyio.fail_after(PATIENCE_S):
            async with workspace.started("run", manifest, "--no-report", "--quiet") as running:
                await until(partial(asked, simulator, kills))
                running.signal(signal.SIGKILL)
                await running.end()
    ended = await workspace.run(manifest)
    unknown = ended.json["unknown"]
    assert ended.json["stored"] + ended.json["reused"] + unknown == PAIRS, ended.err
    assert unknown <= 4  # what was in flight when it was killed: at most two, twice
    assert simulator.bill.pictures <= PAIRS
    assert len(bought_keys(workspace)) == PAIRS - unknown
