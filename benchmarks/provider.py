"""A provider that costs next to nothing, so that what is measured is its clients. Run as a process of its own."""

import argparse
import asyncio
import json
import resource
import sys
import time
from importlib.util import find_spec
from typing import cast

import anyio

from benchmarks.pictures import VARIANTS, Size, variant

_END = b"\r\n\r\n"


class Till:
    """What the provider has done since it was last asked."""

    def __init__(self, *, size: Size, latency_s: float, in_flight: int) -> None:
        self.size: Size = size
        self.latency_s = latency_s
        self.in_flight = in_flight
        self.base = ""
        self.flying = 0
        self.charges = self.throttled = self.downloads = 0

    def told(self) -> bytes:
        """The counts as JSON, with the processor time used up to now; they start anew."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        told = {
            "charges": self.charges,
            "throttled": self.throttled,
            "downloads": self.downloads,
            "cpu_s": usage.ru_utime + usage.ru_stime,
        }
        self.charges = self.throttled = self.downloads = 0
        return json.dumps(told).encode()


class Connection(asyncio.Protocol):
    """One client's connection: requests one after the other, kept alive unless the client says otherwise."""

    def __init__(self, till: Till) -> None:
        self._till = till
        self._held = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take hold of the socket."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is none by name

    def data_received(self, data: bytes) -> None:
        """Answer every request that is here whole."""
        self._held += data
        while (end := self._held.find(_END)) >= 0:
            head = self._held[:end]
            length = _length(head)
            if len(self._held) < end + len(_END) + length:
                return
            body = self._held[end + len(_END) : end + len(_END) + length]
            self._held = self._held[end + len(_END) + length :]
            self._route(head, body)

    def _route(self, head: bytes, body: bytes) -> None:
        method, path, _ = head.split(b" ", 2)
        stays = b"connection: close" not in head.lower()
        if method == b"POST":
            self._generate(body, stays=stays)
        elif path.startswith(b"/p/"):
            self._till.downloads += 1
            number = int(path[3:].partition(b".")[0])
            self._answer(variant(self._till.size, number), kind=b"image/jpeg", stays=stays)
        else:
            self._answer(self._till.told(), stays=stays)

    def _generate(self, body: bytes, *, stays: bool) -> None:
        till = self._till
        if till.in_flight and till.flying >= till.in_flight:
            till.throttled += 1
            refusal = b'{"error": {"message": "too many requests", "type": "rate_limit_error"}}'
            self._answer(refusal, status=b"429 Too Many Requests", stays=stays)
            return
        till.flying += 1
        number = int(json.loads(body)["prompt"].rpartition(" ")[2])
        asyncio.get_running_loop().call_later(till.latency_s, self._sell, number, stays)

    def _sell(self, number: int, stays: bool) -> None:  # noqa: FBT001 - the loop passes no keywords
        till = self._till
        till.flying -= 1
        till.charges += 1
        url = f"{till.base}/p/{number}.jpg"
        self._answer(json.dumps({"created": int(time.time()), "data": [{"url": url}]}).encode(), stays=stays)

    def _answer(
        self, body: bytes, *, stays: bool, status: bytes = b"200 OK", kind: bytes = b"application/json"
    ) -> None:
        end = b"" if stays else b"Connection: close\r\n"
        head = b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b\r\n" % (status, kind, len(body), end)
        self._transport.write(head + body)
        if not stays:
            self._transport.close()


def _length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


async def serve(till: Till) -> None:
    """Serve on a free port of the loopback until killed; its base URL is printed first."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(till), "127.0.0.1", 0, backlog=1024)
    till.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    for number in range(VARIANTS):
        variant(till.size, number)  # made before anybody waits for it
    sys.stdout.write(f"{till.base}/v1\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    """Read the words and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=("small", "large"), required=True)
    parser.add_argument("--latency", type=float, required=True, help="seconds a picture takes")
    parser.add_argument("--in-flight", type=int, default=0, help="more at a time are refused with 429; 0: no limit")
    words = parser.parse_args()
    till = Till(size=words.size, latency_s=words.latency, in_flight=words.in_flight)
    anyio.run(serve, till, backend_options={"use_uvloop": find_spec("uvloop") is not None})


if __name__ == "__main__":
    main()
