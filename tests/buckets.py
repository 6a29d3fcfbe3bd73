"""A real S3 server (moto's, in a process of its own) and a gate before it, where faults happen to real connections."""

import asyncio
import contextlib
import itertools
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

#: Credentials that open nothing: the server takes any.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIDforthetests00",
    "AWS_SECRET_ACCESS_KEY": "s3cret-that-must-not-be-told",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}
_numbers = itertools.count(1)


@contextmanager
def serve() -> Iterator[int]:
    """Run the server; its port."""
    process = subprocess.Popen([sys.executable, "-m", "tests.buckets"], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


@dataclass(kw_only=True)
class Fault:
    """What becomes of the next requests of a kind.

    Attributes:
        what: ``slow_down`` and ``error`` are answers; ``hang`` never answers; ``cut`` breaks off in the body;
            ``flip`` passes on another body; ``unheard`` does as asked, and the answer is lost; ``ignorant`` passes the
            request on without its condition; ``meet`` holds each until so many are there; others are answers.
        method: Of the requests.
        within: What their path has in it.
    """

    what: Literal[
        "slow_down",
        "error",
        "hang",
        "cut",
        "flip",
        "unheard",
        "ignorant",
        "denied",
        "skewed",
        "refused",
        "garbage",
        "meet",
    ]
    method: str = "PUT"
    within: str = ""
    times: int = 1


def _answer(status: str, code: str) -> bytes:
    body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (status.encode(), len(body), body)


_ANSWERS = {
    "slow_down": _answer("503 Slow Down", "SlowDown"),
    "error": _answer("500 Internal Server Error", "InternalError"),
    "garbage": b"HTTP/1.1 500 No\r\nContent-Length: 5\r\nConnection: close\r\n\r\n<html",
    "refused": _answer("400 Bad Request", "BadDigest"),
    "denied": _answer("403 Forbidden", "AccessDenied"),
    "skewed": _answer("403 Forbidden", "RequestTimeTooSkewed"),
}


def _spoilt(fault: str, head: bytes, body: bytes) -> tuple[bytes, bytes]:
    """A request as it is passed on."""
    if fault == "flip":
        body = bytes([body[0] ^ 1]) + body[1:]
    if fault == "ignorant":
        head = head.replace(b"If-None-Match:", b"X-Ignored:")
    return head, body


@dataclass(kw_only=True)
class Gate:
    """Stands before the server.

    Attributes:
        down: No connection is answered.
        asked: Each request: its method and path.
        reached: Set when a request meets a fault, for whoever waits for that.
        met: Set when all that were to meet are there.
    """

    server: int
    port: int = 0
    down: bool = False
    faults: list[Fault] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    met: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def count(self, method: str, within: str = "") -> int:
        return sum(each == method and within in path for each, path in self.asked)

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if not self.down:
                await self._one(reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, path = head.split(b" ", 2)[:2]
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
        }
        self.asked.append((method.decode(), path.decode()))
        fault = self._fault(method.decode(), path.decode())
        if b"expect" in fields:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await writer.drain()
        length = int(fields.get(b"content-length", b"0"))
        if fault == "cut":
            await reader.read(max(1, length // 2))
            return
        body = await reader.readexactly(length)
        if fault == "hang":
            await reader.read()
            return
        if fault in _ANSWERS:
            writer.write(_ANSWERS[fault])
            await writer.drain()
            return
        if fault == "meet":
            await self.met.wait()
        answer = await self._ask(*_spoilt(fault, head, body))
        if fault != "unheard":
            writer.write(answer)
            await writer.drain()

    def _fault(self, method: str, path: str) -> str:
        for fault in self.faults:
            if fault.times and fault.method == method and fault.within in path:
                fault.times -= 1
                self.reached.set()
                if fault.what == "meet" and not fault.times:
                    self.met.set()
                return fault.what
        return ""

    async def _ask(self, head: bytes, body: bytes) -> bytes:
        line, _, rest = head.partition(b"\r\n")
        kept = [
            each for each in rest.split(b"\r\n") if each and not each.lower().startswith((b"connection", b"expect"))
        ]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server)
        writer.write(b"\r\n".join([line, *kept, b"Connection: close", b"", b""]) + body)
        await writer.drain()
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer


@asynccontextmanager
async def gate_before(server: int) -> AsyncIterator[Gate]:
    """A gate of one's own before the server."""
    gate = Gate(server=server)
    listener = await asyncio.start_server(gate.pass_on, "127.0.0.1", 0, limit=1 << 20)
    gate.port = listener.sockets[0].getsockname()[1]
    try:
        yield gate
    finally:
        listener.close()


class Shop:
    """A bucket of one's own, as somebody else's client sees it."""

    def __init__(self, client: Any, name: str) -> None:
        self.client = client
        self.name = name

    async def objects(self) -> dict[str, bytes]:
        """Every object but the one that stays of the check."""
        page = await self.client.list_objects_v2(Bucket=self.name)
        names = [each["Key"] for each in page.get("Contents", ()) if ".fluxbatch-check" not in each["Key"]]
        return {name: await (await self.client.get_object(Bucket=self.name, Key=name))["Body"].read() for name in names}

    async def put(self, key: str, data: bytes) -> None:
        await self.client.put_object(Bucket=self.name, Key=key, Body=data)


@asynccontextmanager
async def shop(server: int) -> AsyncIterator[Shop]:
    """A new bucket on the server."""
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    keys = {"aws_access_key_id": "somebody", "aws_secret_access_key": "else", "region_name": "us-east-1"}
    config = AioConfig(s3={"addressing_style": "path"}, response_checksum_validation="when_required")
    url = f"http://127.0.0.1:{server}"
    async with get_session().create_client("s3", endpoint_url=url, config=config, **keys) as client:
        name = f"pictures-{next(_numbers)}"
        await client.create_bucket(Bucket=name)
        yield Shop(client, name)


def main() -> None:
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    sys.stdout.write(f"{server.get_host_and_port()[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()  # until whoever started it is gone


if __name__ == "__main__":
    main()
