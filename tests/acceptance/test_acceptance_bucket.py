"""Pictures in a bucket, by the installed command: kept, found again, verified; and what trouble does to them."""

import hashlib
import signal
from typing import Any

import anyio
import pytest

from pipeline.simulator import Simulator
from tests.acceptance.stage import Workspace, assert_told, money, until
from tests.buckets import CREDENTIALS, Fault, Gate, Shop

PATIENCE_S = 120
ROWS = (["A cat", "3:2"], ["A dog", "1:1"], ["A cat", "3:2"])


@pytest.fixture(autouse=True)
def keys(workspace: Workspace, gate: Gate) -> None:
    """What the environment of a command says of the bucket."""
    workspace.environment |= {**CREDENTIALS, "AWS_MAX_ATTEMPTS": "2", "AWS_ENDPOINT_URL_S3": gate.url}


def batch(workspace: Workspace, shop: Shop, *rows: list[str], **output: Any) -> str:
    return workspace.manifest(*(rows or ROWS), output={"store": f"s3://{shop.name}/spring", **output})


async def test_a_run_keeps_its_pictures_in_the_bucket(
    workspace: Workspace, simulator: Simulator, gate: Gate, shop: Shop
) -> None:
    name = batch(workspace, shop)
    told = (await workspace.run(name)).json
    assert (told["stored"], told["reused"], told["exit_code"]) == (2, 1, 0)
    objects = await shop.objects()
    assert sorted(objects) == [
        "spring/batch/00001-a-cat-3x2.jpg",
        "spring/batch/00002-a-dog-1x1.jpg",
        "spring/batch/00003-a-cat-3x2.jpg",
    ]
    for row in workspace.rows():
        assert row.path is not None
        data = objects[row.path.removeprefix(f"s3://{shop.name}/")]
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (row.sha256, row.bytes)
    assert not list(workspace.output.rglob("*.part"))  # nothing waits any more
    assert workspace.pictures() == set()

    asked = len(gate.asked)
    told = (await workspace.run(name)).json
    assert (told["stored"], told["reused"], told["spend_usd"]) == (0, 3, "0.000")
    assert len(gate.asked) - asked < 10  # it does not ask for each picture again
    assert (await workspace.fluxbatch("ledger", "verify")).code == 0
    assert "in a bucket" in (await workspace.fluxbatch("explain", told_key(workspace))).out
    secret = CREDENTIALS["AWS_SECRET_ACCESS_KEY"].encode()
    files = [path.read_bytes() for path in workspace.root.rglob("*") if path.is_file()]
    assert not any(secret in each for each in [*workspace.told, *files])


def told_key(workspace: Workspace) -> str:
    return next(row.key for row in workspace.rows())


@pytest.mark.parametrize("trouble", ["no bucket", "denied", "down"])
async def test_nothing_is_bought_where_pictures_cannot_be_kept(
    workspace: Workspace, simulator: Simulator, gate: Gate, shop: Shop, trouble: str
) -> None:
    match trouble:
        case "no bucket":
            shop.name, code, words = "nobodys-bucket", 73, "there is no such bucket; make it"
        case "denied":
            gate.faults.append(Fault(what="denied", times=100))
            code, words = 73, "permission is denied; allow s3:PutObject"
        case _:
            gate.down, code, words = True, 74, "does not answer"
    ended = await workspace.run(batch(workspace, shop))
    assert ended.code == code, ended.err
    assert words in ended.err
    assert "Traceback" not in ended.err
    assert money(ended.json) == ("0.000", "0.000")
    assert workspace.states() == {}


async def test_an_outage_in_the_run_loses_nothing(
    workspace: Workspace, simulator: Simulator, gate: Gate, shop: Shop
) -> None:
    gate.faults.append(Fault(what="slow_down", within="batch/", times=10_000))
    name = batch(workspace, shop)
    ended = await workspace.run(name)
    assert ended.code == 74, ended.err
    assert "run again when the bucket answers" in ended.err
    bought = len({row.key for row in workspace.rows() if row.state == "bought"})
    parts = [path.read_bytes() for path in workspace.output.rglob("*.part")]
    assert len(parts) == bought > 0
    assert await shop.objects() == {}

    await simulator.__aexit__(None, None, None)  # their URLs are dead: only what was kept can save them
    gate.faults.clear()
    told = (await workspace.run(name)).json
    assert told["lost"] == told["spoiled"] == 0
    assert set(parts) <= set((await shop.objects()).values())
    assert "bought" not in workspace.states()
    assert not list(workspace.output.rglob("*.part"))


async def test_what_is_paid_is_fetched_although_the_bucket_is_away(
    workspace: Workspace, simulator: Simulator, gate: Gate, shop: Shop
) -> None:
    name = batch(workspace, shop, ["A cat", "3:2"])
    gate.faults.append(Fault(what="hang", within="batch/", times=100))
    async with workspace.started("run", name, "--json", "--no-report") as running:
        with anyio.fail_after(PATIENCE_S):
            await gate.reached.wait()  # fetched, and on its way
        running.signal(signal.SIGKILL)
        await running.killed()
    (part,) = workspace.output.rglob("*.part")
    part.unlink()  # as if it had been killed before: then the URL is all there is
    gate.down = True
    ended = await workspace.run(name)
    assert ended.code == 74, ended.err
    (part,) = workspace.output.rglob("*.part")
    data = part.read_bytes()
    gate.down = False
    gate.faults.clear()
    assert (await workspace.run(name)).json["exit_code"] == 0
    assert list((await shop.objects()).values()) == [data]


@pytest.mark.parametrize("what", ["hang", "unheard"])
async def test_a_kill_before_the_record_buys_and_keeps_nothing_twice(
    workspace: Workspace, simulator: Simulator, gate: Gate, shop: Shop, what: str
) -> None:
    """``hang``: fetched and not sent. ``unheard``: sent, and killed before it was recorded."""
    name = batch(workspace, shop, ["A cat", "3:2"])
    gate.faults += [Fault(what=what, within="batch/"), Fault(what="hang", within="batch/", times=100)]  # type: ignore[arg-type]
    async with workspace.started("run", name, "--json", "--no-report") as running:
        with anyio.fail_after(PATIENCE_S):
            await until(lambda: gate.count("PUT", "batch/") >= (1 if what == "hang" else 2))
        running.signal(signal.SIGKILL)
        await running.killed()
    assert len(await shop.objects()) == (0 if what == "hang" else 1)
    gate.faults.clear()
    told = (await workspace.run(name)).json
    assert (told["exit_code"], told["spend_usd"]) == (0, "0.000")
    assert list(await shop.objects()) == ["spring/batch/00001-a-cat-3x2.jpg"]
    assert workspace.states() == {"stored": 1}


async def test_two_runs_at_once_keep_out_of_each_others_way(
    workspace: Workspace, simulator: Simulator, gate: Gate, shop: Shop
) -> None:
    """Two ledgers, as two people would have, and the same names for other pictures, sent at the same moment."""
    gate.faults.append(Fault(what="meet", within="cat.jpg", times=2))
    names = [
        workspace.manifest([f"A cat {number}", "3:2"], file=f"{number}.yaml", output=wanted(shop)) for number in (1, 2)
    ]
    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as group:
            for number, name in enumerate(names):
                group.start_soon(run_alone, workspace, name, f"out{number}")
    assert sorted(await shop.objects()) == ["spring/cat-2.jpg", "spring/cat.jpg"]


def wanted(shop: Shop) -> dict[str, str]:
    return {"store": f"s3://{shop.name}/spring", "folder": "", "file": "cat"}


async def run_alone(workspace: Workspace, name: str, output: str) -> None:
    async with workspace.started("run", name, "--json", "--no-report", "--output", output) as running:
        ended = await running.end()
    assert ended.json["stored"] == 1, ended.err


async def test_verify_finds_what_is_gone_and_repair_takes_it_back(
    workspace: Workspace, simulator: Simulator, gate: Gate, shop: Shop
) -> None:
    await workspace.run(batch(workspace, shop, ["A cat", "3:2"], ["A dog", "1:1"]))
    objects = await shop.objects()
    cat, dog = sorted(objects)
    await shop.client.delete_object(Bucket=shop.name, Key=cat)
    await shop.put(dog, b"x" * len(objects[dog]))
    ended = await workspace.fluxbatch("ledger", "verify")
    assert ended.code == 5
    assert "no such object" in ended.out
    assert "not the bytes that were stored" in ended.out
    gate.down = True
    assert "were not looked at" in (await workspace.fluxbatch("ledger", "verify")).out
    assert (await workspace.fluxbatch("ledger", "verify", "--repair")).code == 74
    assert workspace.states() == {"stored": 2}  # what nobody has seen is not lost
    gate.down = False
    await workspace.fluxbatch("ledger", "verify", "--repair")
    assert workspace.states() == {"lost": 2}
    for key, data in objects.items():
        await shop.put(key, data)
    await workspace.fluxbatch("ledger", "verify", "--repair")
    assert workspace.states() == {"stored": 2}


async def test_verify_takes_the_bucket_s_server_as_it_is_named(
    workspace: Workspace, simulator: Simulator, gate: Gate, shop: Shop
) -> None:
    await workspace.run(batch(workspace, shop, ["A cat", "3:2"]))
    workspace.environment["AWS_ENDPOINT_URL_S3"] = "http://127.0.0.1:1"
    ended = await workspace.fluxbatch("ledger", "verify")
    assert ended.code == 5
    assert "--endpoint names a server" in ended.out
    ended = await workspace.fluxbatch("ledger", "verify", "--repair", "--endpoint", gate.url)
    assert ended.code == 0, ended.out + ended.err
    ended = await workspace.fluxbatch("ledger", "verify", "--endpoint", "http://me:secret@127.0.0.1")
    assert (ended.code, "no address of a server" in ended.err, "secret" in ended.err) == (64, True, False)


async def test_prune_leaves_the_bucket_alone(
    workspace: Workspace, simulator: Simulator, gate: Gate, shop: Shop
) -> None:
    await workspace.run(batch(workspace, shop, ["A cat", "3:2"]))
    ended = await workspace.fluxbatch("prune", "--pictures", "--older-than", "0", "--apply")
    assert ended.code == 0, ended.err
    assert len(await shop.objects()) == 1
    assert [row.error_kind for row in workspace.rows()] == [None]


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ({"store": "pictures"}, "must be a bucket such as s3://bucket/prefix"),
        ({"store": "s3://key:secret@pictures"}, "must hold no key or password"),
        ({"store": "s3://Pictures!/x"}, "names no bucket"),
        ({"store": "s3://pictures/../x"}, "has a prefix with an empty or dotted part"),
        ({"store": "s3://pictures", "endpoint": "https://a:b@host"}, "without a user"),
        ({"endpoint": "https://host"}, "names a server, but no bucket"),
    ],
)
async def test_a_wrong_address_is_told_in_a_line(workspace: Workspace, output: dict[str, str], words: str) -> None:
    assert_told(await workspace.fluxbatch("plan", workspace.manifest("A cat", output=output)), 65, words)


async def test_doctor_looks_at_the_bucket(workspace: Workspace, simulator: Simulator, gate: Gate, shop: Shop) -> None:
    name = batch(workspace, shop)
    ended = await workspace.fluxbatch("doctor", name)
    assert (ended.code, "pictures can be kept there" in ended.out) == (0, True), ended.out + ended.err
    gate.faults.append(Fault(what="denied", times=100))
    ended = await workspace.fluxbatch("doctor", name)
    assert (ended.code, "permission is denied" in ended.out) == (73, True), ended.out + ended.err


async def test_a_ledger_on_a_server_knows_pictures_in_a_bucket(
    workspace: Workspace, simulator: Simulator, gate: Gate, shop: Shop, database: str
) -> None:
    name = batch(workspace, shop)
    told = (await workspace.run(name, "--ledger", database)).json
    assert (told["stored"], told["reused"], told["exit_code"]) == (2, 1, 0)
    assert len(await shop.objects()) == 3
    assert (await workspace.run(name, "--ledger", database)).json["reused"] == 3
    cat = min(await shop.objects())
    await shop.client.delete_object(Bucket=shop.name, Key=cat)
    ended = await workspace.fluxbatch("ledger", "verify", "--ledger", database)
    assert (ended.code, "no such object" in ended.out) == (5, True), ended.out + ended.err


async def test_several_processes_keep_their_pictures_in_one_bucket(
    workspace: Workspace, simulator: Simulator, gate: Gate, shop: Shop
) -> None:
    name = batch(workspace, shop, *([f"A cat {number}", "3:2"] for number in range(6)))
    told = (await workspace.run(name, "--processes", "2")).json
    assert (told["stored"], told["exit_code"]) == (6, 0)
    assert len(await shop.objects()) == 6


async def test_a_new_ledger_refuses_pictures_of_another(
    workspace: Workspace, simulator: Simulator, gate: Gate, shop: Shop
) -> None:
    name = batch(workspace, shop)
    await workspace.run(name)
    ended = await workspace.run(name, "--ledger", "other.db")
    assert (ended.code, ended.json["spend_usd"]) == (78, "0.000")
    assert f"knows nothing of s3://{shop.name}/spring/batch/" in ended.err


async def test_without_the_client_nothing_is_bought(workspace: Workspace, simulator: Simulator, shop: Shop) -> None:
    hidden = workspace.root / "hidden" / "aiobotocore"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError('as if it were not installed')")
    workspace.environment["PYTHONPATH"] = str(hidden.parent)
    async with workspace.started("run", batch(workspace, shop), "--no-report") as running:
        ended = await running.end()
    assert_told(ended, 78, "the client for buckets is not installed", "pip install 'fluxbatch[s3]'")
