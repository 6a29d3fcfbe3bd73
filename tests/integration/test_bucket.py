"""A bucket on a real S3 server over real sockets: never over another object, and kept only once shown."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from botocore.exceptions import BotoCoreError, EndpointConnectionError, NoCredentialsError

from pipeline.bucket import Bucket, Contents, open_bucket, parse_address
from pipeline.bucket.bucket import CHECK
from pipeline.bucket.client import told
from pipeline.bucket.sending import PIECE_BYTES, WHOLE_BYTES
from pipeline.errors import ConfigurationError, ExitCode, FluxbatchError, OutputError, StorageError
from tests.buckets import CREDENTIALS, Fault, Gate, Shop

PATIENCE_S = 90


def contents(folder: Path, data: bytes, name: str = "part") -> Contents:
    file = folder / name
    file.write_bytes(data)
    return Contents(file=file, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data), media="image/png")


async def put(shop: Shop, sent: Contents, path: str = "a/cat", **options: Any) -> str:
    async with open_bucket(parse_address(f"s3://{shop.name}/spring"), **options) as bucket:
        with anyio.fail_after(PATIENCE_S):
            return await bucket.put(sent, path, ".png")


async def check(store: str) -> None:
    async with open_bucket(parse_address(store)) as bucket:
        with anyio.fail_after(PATIENCE_S):
            await bucket.check()


async def test_a_picture_is_kept_with_its_type_and_digest(gate: Gate, shop: Shop, tmp_path: Path) -> None:
    sent = contents(tmp_path, b"cat")
    assert await put(shop, sent) == "a/cat.png"
    assert await shop.objects() == {"spring/a/cat.png": b"cat"}
    head = await shop.client.head_object(Bucket=shop.name, Key="spring/a/cat.png")
    assert (head["ContentType"], head["Metadata"]) == ("image/png", {"sha256": sent.sha256})


async def test_a_name_taken_by_something_else_is_left_alone(gate: Gate, shop: Shop, tmp_path: Path) -> None:
    await shop.put("spring/a/cat.png", b"dog")
    await shop.put("spring/a/cat-2.png", b"cow")  # of the same length, too
    assert await put(shop, contents(tmp_path, b"cat")) == "a/cat-3.png"
    assert (await shop.objects())["spring/a/cat.png"] == b"dog"


async def test_equal_bytes_that_are_there_are_taken_over(gate: Gate, shop: Shop, tmp_path: Path) -> None:
    for _ in range(2):
        assert await put(shop, contents(tmp_path, b"cat")) == "a/cat.png"
    assert await shop.objects() == {"spring/a/cat.png": b"cat"}


async def test_writers_at_once_get_a_name_each(gate: Gate, shop: Shop, tmp_path: Path) -> None:
    made = []

    async def one(number: int) -> None:
        made.append(await put(shop, contents(tmp_path, b"cat %d" % number, f"part{number}")))

    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as group:
            for number in range(4):
                group.start_soon(one, number)
    assert sorted(made) == ["a/cat-2.png", "a/cat-3.png", "a/cat-4.png", "a/cat.png"]
    assert sorted((await shop.objects()).values()) == [b"cat 0", b"cat 1", b"cat 2", b"cat 3"]


async def test_what_is_large_goes_in_pieces(gate: Gate, shop: Shop, tmp_path: Path) -> None:
    data = bytes(range(256)) * ((WHOLE_BYTES + 5_000) // 256)
    sent = contents(tmp_path, data)
    assert await put(shop, sent) == "a/cat.png"
    assert (await shop.objects())["spring/a/cat.png"] == data
    assert gate.count("PUT", "partNumber") == -(-len(data) // PIECE_BYTES)
    await shop.put("spring/b/cat.png", b"dog")
    assert await put(shop, sent, "b/cat") == "b/cat-2.png"
    assert (await shop.objects())["spring/b/cat.png"] == b"dog"
    assert "Uploads" not in await shop.client.list_multipart_uploads(Bucket=shop.name)


@pytest.mark.parametrize("what", ["slow_down", "error", "cut", "unheard"])
async def test_a_passing_fault_is_tried_again(gate: Gate, shop: Shop, tmp_path: Path, what: str) -> None:
    gate.faults.append(Fault(what=what))  # type: ignore[arg-type]
    assert await put(shop, contents(tmp_path, b"cat")) == "a/cat.png"
    assert await shop.objects() == {"spring/a/cat.png": b"cat"}


async def test_bytes_altered_on_the_way_are_not_taken_for_the_picture(gate: Gate, shop: Shop, tmp_path: Path) -> None:
    gate.faults.append(Fault(what="flip"))
    name = await put(shop, contents(tmp_path, b"cat"))
    assert (await shop.objects())[f"spring/{name}"] == b"cat"


async def test_a_server_that_keeps_other_bytes_is_given_up(gate: Gate, shop: Shop, tmp_path: Path) -> None:
    gate.faults.append(Fault(what="flip", times=100))
    with pytest.raises(StorageError, match="keeps other bytes than it is sent"):
        await put(shop, contents(tmp_path, b"cat"))
    assert gate.count("PUT", "cat") == 3


async def test_a_server_that_hangs_is_given_up(gate: Gate, shop: Shop, tmp_path: Path) -> None:
    gate.faults.append(Fault(what="hang", times=100))
    with pytest.raises(StorageError, match=r"does not answer .*run again when the bucket answers"):
        await put(shop, contents(tmp_path, b"cat"), read_s=1)


async def test_a_second_place_is_copied_by_the_server(gate: Gate, shop: Shop, tmp_path: Path) -> None:
    sent = contents(tmp_path, b"cat")
    await put(shop, sent)
    await shop.put("spring/b/cat.png", b"dog")
    async with open_bucket(parse_address(f"s3://{shop.name}/spring")) as bucket:
        with anyio.fail_after(PATIENCE_S):
            assert await bucket.place("a/cat.png", "b/cat", sha256=sent.sha256) == "b/cat-2.png"
            assert await bucket.place("a/cat.png", "b/cat", sha256=sent.sha256) == "b/cat-2.png"
            with pytest.raises(OutputError, match="is not the picture that was stored"):
                await bucket.place("b/cat.png", "c/cat", sha256=sent.sha256)
            with pytest.raises(OutputError, match="is not there any more"):
                await bucket.place("b/cow.png", "c/cat", sha256=sent.sha256)
    assert await shop.objects() == {
        "spring/a/cat.png": b"cat",
        "spring/b/cat.png": b"dog",
        "spring/b/cat-2.png": b"cat",
    }


async def test_the_check_leaves_one_object_and_needs_no_right_to_delete(gate: Gate, shop: Shop) -> None:
    for _ in range(2):
        await check(f"s3://{shop.name}/spring")
    page = await shop.client.list_objects_v2(Bucket=shop.name)
    assert [each["Key"] for each in page["Contents"]] == [f"spring/{CHECK}"]
    assert gate.count("DELETE") == 0


async def test_a_server_that_overwrites_is_refused(gate: Gate, shop: Shop) -> None:
    gate.faults.append(Fault(what="ignorant", times=100))
    with pytest.raises(ConfigurationError, match="overwrites what it is asked not to"):
        await check(f"s3://{shop.name}")


@pytest.mark.parametrize(
    ("what", "method", "error", "words"),
    [
        ("denied", "PUT", OutputError, "permission is denied; allow s3:PutObject"),
        ("denied", "GET", OutputError, "permission is denied; allow s3:PutObject"),
        ("skewed", "PUT", ConfigurationError, "clock is too far off; set it"),
        ("slow_down", "PUT", StorageError, "refuses .503 SlowDown"),
        ("garbage", "PUT", StorageError, "the server "),
    ],
)
async def test_the_check_says_what_is_wrong_in_one_line(
    gate: Gate, shop: Shop, what: str, method: str, error: type[FluxbatchError], words: str
) -> None:
    gate.faults.append(Fault(what=what, method=method, times=100))  # type: ignore[arg-type]
    with pytest.raises(error, match=words) as told:
        await check(f"s3://{shop.name}")
    assert "\n" not in str(told.value)
    assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in str(told.value)


async def test_a_bucket_that_is_not_there(gate: Gate) -> None:
    with pytest.raises(OutputError, match="s3://nobodys-bucket/x: there is no such bucket; make it"):
        await check("s3://nobodys-bucket/x")


async def test_a_server_that_is_not_there(gate: Gate, shop: Shop) -> None:
    gate.down = True
    with pytest.raises(StorageError, match="the server does not answer"):
        await check(f"s3://{shop.name}")


async def test_no_credentials(gate: Gate, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(ConfigurationError, match="there are no credentials for it; set AWS_ACCESS_KEY_ID"):
        await check(f"s3://{shop.name}")


async def test_the_manifests_server_comes_before_the_environments(gate: Gate, shop: Shop, tmp_path: Path) -> None:
    gate.down = True
    address = parse_address(f"s3://{shop.name}", endpoint=f"http://127.0.0.1:{gate.server}")
    async with open_bucket(address) as bucket:
        assert isinstance(bucket, Bucket)
        with anyio.fail_after(PATIENCE_S):
            assert await bucket.put(contents(tmp_path, b"cat"), "cat", ".png") == "cat.png"


async def test_a_server_that_refuses_a_wrong_digest_is_believed_and_not_read_back(
    gate: Gate, shop: Shop, tmp_path: Path
) -> None:
    gate.faults.append(Fault(what="refused", within=f"{CHECK}-digest"))
    await put(shop, contents(tmp_path, b"cat"))
    assert gate.count("GET") == 0


async def test_a_server_that_takes_any_digest_is_read_back(gate: Gate, shop: Shop, tmp_path: Path) -> None:
    await put(shop, contents(tmp_path, b"cat"))
    assert gate.count("GET", "cat.png") == 1


def test_the_client_is_imported_only_for_a_bucket() -> None:
    words = "import sys; from pipeline.cli import main; import pipeline.runner, pipeline.ledger.verification"
    words += "; sys.exit(any(name in sys.modules for name in ('aiobotocore', 'botocore')))"
    assert subprocess.run([sys.executable, "-c", words], check=False).returncode == 0


def every(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for child in kind.__subclasses__():
        yield from every(child)


def test_every_error_of_the_client_is_told_in_a_line_without_its_own_words() -> None:
    found = set(every(BotoCoreError)) - {BotoCoreError}
    assert len(found) > 50
    for kind in found:
        error = kind.__new__(kind)
        error.args = ("X-Amz-Signature=5ecret",)
        said = told(error, parse_address("s3://pictures"))
        assert said.exit_code in {ExitCode.CONFIGURATION, ExitCode.STORAGE}
        assert "5ecret" not in str(said)
        assert said.remedy
    assert told(EndpointConnectionError(endpoint_url="https://x"), parse_address("s3://pictures")).exit_code == 74
    assert told(NoCredentialsError(), parse_address("s3://pictures")).exit_code == 78
    assert told(TimeoutError(), parse_address("s3://pictures")).exit_code == 74
