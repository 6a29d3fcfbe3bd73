"""Wherever an answer, a redirect, a name or an old ledger leads: no download reaches a private address.

Each form of a URL goes four ways, through the real courier and transport: as the URL in the provider's answer; as the
target of a redirect from the provider itself; at the end of a chain of a relative and a protocol-relative redirect; and
out of a ledger that an earlier run left, through a whole run. Names resolve as ``NAMES`` says, to a private address
among public ones, or to one first and another then. A canary listens where the forms lead.
"""

import asyncio
import json
import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from pipeline.clock import SystemClock
from pipeline.errors import ConfigurationError, ExitCode
from pipeline.job import Job
from pipeline.ledger import Caps, Ledger, LedgerWriter, Policy, Reservation, Row
from pipeline.manifest import load_manifest
from pipeline.provider.answers import NoPictureError, read_picture
from pipeline.runner import RunOptions, run_async
from pipeline.transport import ApiTimeouts, ApiTransport, DownloadTransport, NeverSentError
from tests.integration.deliver_doubles import picture
from tests.torture.canary import CAGES, Island, Server, redirects, says
from tests.torture.receiving import End, Receiving

PNG = picture()
GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n%s" % (len(PNG), PNG)
PUBLIC, PUBLIC_6 = "8.8.4.4", "2606:4700:4700::1111"

NAMES = {
    "localhost": ["127.0.0.1", "::1"],
    "x.localhost": ["127.0.0.1"],
    "localhost.localdomain": ["127.0.0.1"],
    "ip6-localhost": ["::1"],
    "one.test": ["127.0.0.1"],
    "six.test": ["::1"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "metadata.test": ["169.254.169.254"],
    "first.test": [PUBLIC, "127.0.0.1"],
    "last.test": ["127.0.0.1", PUBLIC],
    "both.test": [PUBLIC_6, "::1", PUBLIC, "127.0.0.1"],
    "xn--bcher-kva.test": ["127.0.0.1"],
    "public.test": [PUBLIC, PUBLIC_6],
}

#: The guard refuses the address; it is no URL; the system knows no such host; nobody is at the public address.
ADDRESS, NO_URL, NO_HOST, NOBODY = "forbidden_address", "bad_url", "dns", "connect"

#: ``{p}`` is the canary's port.
FORMS: dict[str, str] = {
    # IPv4, in all the ways it can be written
    "https://127.0.0.1:{p}/": ADDRESS,
    "https://127.0.0.2:{p}/": ADDRESS,
    "https://127.127.127.127:{p}/": ADDRESS,
    "https://127.1:{p}/": NO_URL,
    "https://127.0.1:{p}/": NO_URL,
    "https://127.0.0.1.:{p}/": NO_URL,
    "https://2130706433:{p}/": NO_URL,
    "https://0x7f000001:{p}/": ADDRESS,
    "https://0x7f.0.0.1:{p}/": ADDRESS,
    "https://0x7f.1:{p}/": ADDRESS,
    "https://0X7F.0x0.0x0.0x1:{p}/": ADDRESS,
    "https://0177.0.0.1:{p}/": NO_URL,
    "https://017700000001:{p}/": NO_URL,
    "https://0:{p}/": NO_URL,
    "https://0.0.0.0:{p}/": ADDRESS,
    "https://127.000.000.001:{p}/": NO_URL,
    # other people's places
    "https://10.0.0.1:{p}/": ADDRESS,
    "https://172.16.0.1:{p}/": ADDRESS,
    "https://192.168.0.1:{p}/": ADDRESS,
    "https://169.254.169.254/latest/meta-data/": ADDRESS,
    "https://100.64.0.1:{p}/": ADDRESS,
    "https://100.100.100.200:{p}/": ADDRESS,
    "https://198.18.0.1:{p}/": ADDRESS,
    "https://192.0.0.8:{p}/": ADDRESS,
    "https://192.88.99.1:{p}/": ADDRESS,
    "https://203.0.113.1:{p}/": ADDRESS,
    "https://224.0.0.1:{p}/": ADDRESS,
    "https://240.0.0.1:{p}/": ADDRESS,
    "https://255.255.255.255:{p}/": ADDRESS,
    # IPv6, and IPv4 inside it
    "https://[::1]:{p}/": ADDRESS,
    "https://[0:0:0:0:0:0:0:1]:{p}/": ADDRESS,
    "https://[::]:{p}/": ADDRESS,
    "https://[::ffff:127.0.0.1]:{p}/": ADDRESS,
    "https://[::ffff:7f00:1]:{p}/": ADDRESS,
    "https://[::FFFF:0.0.0.0]:{p}/": ADDRESS,
    "https://[::127.0.0.1]:{p}/": ADDRESS,
    "https://[::ffff:0:127.0.0.1]:{p}/": ADDRESS,
    "https://[64:ff9b::127.0.0.1]:{p}/": ADDRESS,
    "https://[64:ff9b:1::127.0.0.1]:{p}/": ADDRESS,
    "https://[2002:7f00:1::]:{p}/": ADDRESS,
    "https://[2001:0:7f00:1::]:{p}/": ADDRESS,
    "https://[2606:4700::5efe:127.0.0.1]:{p}/": ADDRESS,
    "https://[fe80::1%25lo]:{p}/": ADDRESS,
    "https://[::1%25lo]:{p}/": ADDRESS,
    "https://[::1%25]:{p}/": ADDRESS,
    "https://[fc00::1]:{p}/": ADDRESS,
    "https://[fd00:ec2::254]/latest/meta-data/": ADDRESS,
    "https://[fec0::1]:{p}/": ADDRESS,
    "https://[ff02::1]:{p}/": ADDRESS,
    "https://[2001:db8::1]:{p}/": ADDRESS,
    "https://[3fff::1]:{p}/": ADDRESS,
    "https://[::ffff:127.1]:{p}/": NO_URL,
    # characters that are read as others
    "https://①②⑦.⓪.⓪.①:{p}/": ADDRESS,
    "https://１２７.0.0.1:{p}/": ADDRESS,
    "https://127。0。0。1:{p}/": ADDRESS,
    "https://127．0．0．1:{p}/": ADDRESS,
    "https://ｌｏｃａｌｈｏｓｔ:{p}/": ADDRESS,
    "https://bücher.test:{p}/": ADDRESS,
    "https://%31%32%37.0.0.1:{p}/": NO_HOST,
    "https://127%2e0%2e0%2e1:{p}/": NO_HOST,
    "https://127.0.0.1%00.public.test:{p}/": NO_HOST,
    # who is before the @, and what is behind it
    "https://user@127.0.0.1:{p}/": NO_URL,
    "https://public.test:443@127.0.0.1:{p}/": NO_URL,
    "https://public.test%2f@127.0.0.1:{p}/": NO_URL,
    "https://public.test\\@127.0.0.1:{p}/": NO_URL,
    "https://127.0.0.1:{p}\\@public.test/": NO_URL,
    "https://127.0.0.1:{p}#@public.test/": ADDRESS,
    "https://127.0.0.1:{p}?@public.test/": ADDRESS,
    "https://127.0.0.1:{p}:443/": NO_URL,
    "https://127.0.0.1:99999/": NO_URL,
    # names
    "https://localhost:{p}/": ADDRESS,
    "https://LOCALHOST.:{p}/": ADDRESS,
    "https://x.localhost:{p}/": ADDRESS,
    "https://localhost.localdomain:{p}/": ADDRESS,
    "https://ip6-localhost:{p}/": ADDRESS,
    "https://one.test:{p}/": ADDRESS,
    "https://one.test.:{p}/": ADDRESS,
    "https://six.test:{p}/": ADDRESS,
    "https://mapped.test:{p}/": ADDRESS,
    "https://metadata.test/": ADDRESS,
    "https://first.test:{p}/": ADDRESS,
    "https://last.test:{p}/": NOBODY,
    "https://both.test:{p}/": ADDRESS,
    "https://nowhere.test:{p}/": NO_HOST,
    # what no download speaks, or not like this
    "HTTPS://127.0.0.1:{p}/": ADDRESS,
    "https:127.0.0.1:{p}/": NO_URL,
    "https:///127.0.0.1:{p}/": NO_URL,
    "https:\\\\127.0.0.1:{p}/": NO_URL,
    "file:///etc/passwd": NO_URL,
    "ftp://127.0.0.1:{p}/": NO_URL,
    "gopher://127.0.0.1:{p}/_GET": NO_URL,
    "unix:///var/run/docker.sock": NO_URL,
    "ws://127.0.0.1:{p}/": NO_URL,
    "wss://127.0.0.1:{p}/": NO_URL,
    "dict://127.0.0.1:{p}/": NO_URL,
    "jar:https://127.0.0.1:{p}!/": NO_URL,
    "javascript:0": NO_URL,
    # white space, which some readers of URLs leave out
    "https://127.0.0.1\t:{p}/": ADDRESS,
    "https://127.0.0.1\n:{p}/": ADDRESS,
    "\thttps://127.0.0.1:{p}/": ADDRESS,
    "https://127.0.0.1 :{p}/": NO_HOST,
}


class Scene:
    """A provider whose every answer leads where a test says, and a canary."""

    def __init__(self, folder: Path, island: Island) -> None:
        self.folder = folder
        self.island = island
        self.canary = Server(says(GOOD))
        #: The locations of the redirects that a download meets, by its path; "" for the picture itself.
        self.turns: dict[str, str] = {}
        self.own = Server(self._answer)

    async def _answer(self, head: bytes, writer: Any) -> None:
        turn = self.turns.get(head.split(b" ", 2)[1].decode(), "")
        writer.write(redirects(turn) if turn else GOOD)

    async def deliver(self, url: str, *allow_hosts: str) -> End:
        """One try to fetch what a URL leads to."""
        async with DownloadTransport(
            own_origin=f"{self.own.origin}/v1", allow_hosts=allow_hosts, connect_s=2, read_s=2
        ) as transport:
            return await Receiving(self.folder, transport).deliver(url, late=True)

    def reached(self) -> tuple[int, int, list[str]]:
        """Connections to the canary and to the provider since it was last asked, and where others were tried."""
        told = self.canary.connections, self.own.connections, sorted(set(self.island.attempts) - {PUBLIC, PUBLIC_6})
        self.canary.connections = self.own.connections = 0
        self.island.attempts.clear()
        return told


@asynccontextmanager
async def opened(folder: Path, island: Island) -> AsyncIterator[Scene]:
    scene = Scene(folder, island)
    with anyio.fail_after(30):
        async with scene.canary.listening(*CAGES), scene.own.listening("127.0.0.1"):
            yield scene


@pytest.fixture
def island(monkeypatch: pytest.MonkeyPatch) -> Island:
    island = Island(NAMES)
    island.seal(monkeypatch)
    return island


# --- the routes --------------------------------------------------------------------------------------------------

Route = Callable[..., Awaitable[End]]


async def by_answer(scene: Scene, url: str, *allow_hosts: str) -> End:
    body = json.dumps({"created": 0, "data": [{"url": url}]}).encode()
    try:
        found = read_picture(body, base_url=f"{scene.own.origin}/v1").url
    except NoPictureError as error:
        return End(outcome="no picture", kind=error.kind, message=f"{error.kind}:")
    assert found is not None
    return await scene.deliver(found, *allow_hosts)


async def by_redirect(scene: Scene, url: str, *allow_hosts: str) -> End:
    scene.turns = {"/a.png": url}
    return await scene.deliver(f"{scene.own.origin}/a.png", *allow_hosts)


async def by_chain(scene: Scene, url: str, *allow_hosts: str) -> End:
    """The last turn keeps the scheme of the one before: plain http, which is only for the provider's own origin."""
    scene.turns = {"/v1/a.png": "hop?b", "/v1/hop?b": url.partition(":")[2] if inherits(url) else url}
    return await scene.deliver(f"{scene.own.origin}/v1/a.png", *allow_hosts)


#: With how often the provider is asked on the way.
ROUTES: dict[str, tuple[Route, int]] = {"answer": (by_answer, 0), "redirect": (by_redirect, 1), "chain": (by_chain, 2)}


def inherits(url: str) -> bool:
    """Whether a redirect can lead there without naming the scheme."""
    return re.match("https://[^/]", url, re.IGNORECASE) is not None


def expected_of(route: str, form: str) -> set[str]:
    if route != "answer" and "\n" in form:
        return {"malformed"}  # no header can hold it
    if route == "chain" and inherits(form):
        return {"forbidden_scheme", NO_URL} if FORMS[form] == NO_URL else {"forbidden_scheme"}
    return {FORMS[form]}


def refused_as(end: End) -> str:
    if end.outcome == "left":
        return ADDRESS if "is not a public one" in end.message else "forbidden_scheme"
    return end.message.partition(":")[0] if end.outcome in {"lost", "no picture"} else end.outcome


@pytest.mark.parametrize("route", ROUTES)
async def test_no_form_of_a_url_reaches_the_canary(tmp_path: Path, island: Island, route: str) -> None:
    go, own = ROUTES[route]
    wrong: list[Any] = []
    async with opened(tmp_path, island) as scene:
        for form, expected in FORMS.items():
            end = await go(scene, form.format(p=scene.canary.port))
            reached = scene.reached()
            if refused_as(end) not in expected_of(route, form) or reached != (0, own, ["127.0.0.1"] * bool(own)):
                wrong.append((form, expected, end, reached))
    assert wrong == []
    assert len(FORMS) >= 60


async def left_in_a_ledger(scene: Scene, urls: list[str], *allow_hosts: str) -> tuple[int, list[Row]]:
    """Let a run that died have bought these, and run the manifest again: the exit code, and the rows in their order."""
    file = scene.folder / "manifest.yaml"
    provider = json.dumps({"profile": "simulator", "allow_hosts": allow_hosts})
    jobs = json.dumps([{"prompt": f"a cat {number}"} for number in range(len(urls))])
    file.write_text(f"version: 1\nprovider: {provider}\njobs: {jobs}\n")
    manifest, output, clock = load_manifest(file), scene.folder / "output", SystemClock()
    output.mkdir()
    async with LedgerWriter(output / "ledger.db", clock=clock) as ledger:
        run = await ledger.begin(manifest=manifest.name, edition="", provider="simulator", simulated=True, caps=Caps())
        wanted = [(job, job.path) for job in manifest.jobs() if isinstance(job, Job)]
        for (job, _), admitted, url in zip(wanted, await ledger.admit(run, wanted, Policy()), urls, strict=True):
            bought = await ledger.reserve(run, placement=admitted.placement, key=job.key, price_microusd=35_000)
            assert isinstance(bought, Reservation)
            now = clock.wall()
            await ledger.answer(bought, url=url, bought_at=now - 601, deadline=now - 1, request_id="")
    options = RunOptions(output=output, environment={"FLUXBATCH_BASE_URL": f"{scene.own.origin}/v1"})
    summary = await run_async(manifest, options)
    with Ledger(output / "ledger.db") as read:
        return int(summary.exit_code), list(read.rows())


async def test_no_url_of_an_earlier_run_reaches_the_canary_and_none_is_sent_for_again(
    tmp_path: Path, island: Island
) -> None:
    async with opened(tmp_path, island) as scene:
        code, rows = await left_in_a_ledger(scene, [form.format(p=scene.canary.port) for form in FORMS])
        assert scene.reached() == (0, 0, [])
    ends = {
        form: (row.state, (row.error_message or "").partition(":")[0]) for form, row in zip(FORMS, rows, strict=True)
    }
    # What the guard refuses stays bought: its host may be allowed, and the picture be had within its window.
    assert ends == {form: ("bought", "") if why == ADDRESS else ("lost", why) for form, why in FORMS.items()}
    assert code == ExitCode.MONEY_UNCLEAR


# --- the canary would sing ---------------------------------------------------------------------------------------

#: What leads to the canary once it is allowed, and the entry that allows it.
ALLOWED = {
    "http://127.0.0.1:{p}/": "127.0.0.1:{p}",
    "http://127.127.127.127:{p}/": "127.127.127.127",
    "http://[::1]:{p}/": "[::1]:{p}",
    "http://localhost:{p}/": "localhost:{p}",
    "http://one.test:{p}/": "one.test",
    "http://both.test:{p}/": "both.test:{p}",
    "http://①②⑦.⓪.⓪.①:{p}/": "127.0.0.1:{p}",
}
#: Where the canary hears it only if this machine has that address.
NEEDS = {"http://127.127.127.127:{p}/": "127.127.127.127", "http://[::1]:{p}/": "::1"}


@pytest.mark.parametrize("route", ROUTES)
async def test_what_is_allowed_gets_through_and_nothing_beside_it(tmp_path: Path, island: Island, route: str) -> None:
    go, own = ROUTES[route]
    async with opened(tmp_path, island) as scene:
        for form, entry in ALLOWED.items():
            if NEEDS.get(form, "127.0.0.1") not in CAGES:
                continue
            url, allowed = form.format(p=scene.canary.port), entry.format(p=scene.canary.port)
            assert (await go(scene, url, allowed)).outcome == "stored", form
            assert scene.reached()[:2] == (1, own), form
            for other in ("public.test", "127.0.0.1:1", "localhost:1", "[::1]:1"):
                assert refused_as(await go(scene, url, other)) == "forbidden_scheme", (form, other)
                assert scene.reached()[:2] == (0, own)


async def test_what_an_earlier_run_left_is_fetched_where_it_is_allowed(tmp_path: Path, island: Island) -> None:
    async with opened(tmp_path, island) as scene:
        url = f"http://localhost:{scene.canary.port}/"
        code, (row,) = await left_in_a_ledger(scene, [url], f"localhost:{scene.canary.port}")
        assert (code, row.state, scene.reached()[:2]) == (0, "stored", (1, 0))


@pytest.mark.parametrize("route", ROUTES)
async def test_the_providers_own_origin_is_reached_on_every_route(tmp_path: Path, island: Island, route: str) -> None:
    go, own = ROUTES[route]
    async with opened(tmp_path, island) as scene:
        assert (await go(scene, f"{scene.own.origin}/real.png")).outcome == "stored"
        assert scene.reached() == (0, own + 1, ["127.0.0.1"])


async def test_a_name_that_was_public_and_is_private_now_is_refused_at_its_socket(
    tmp_path: Path, island: Island
) -> None:
    """Rebinding: whoever looks the name up first and connects later would have let it pass."""
    async with opened(tmp_path, island) as scene:
        island.names["rebound.test"] = [[PUBLIC], ["127.0.0.1"]]
        url = f"https://rebound.test:{scene.canary.port}/"
        assert refused_as(await scene.deliver(url)) == "connect"
        assert island.attempts == [PUBLIC]
        assert refused_as(await scene.deliver(url)) == ADDRESS
        assert scene.reached() == (0, 0, [])


# --- what the sessions carry -------------------------------------------------------------------------------------

KEY = "sk-canary-0123456789"
NO_TIME = ApiTimeouts(connect_s=2, first_byte_s=2, chunk_s=2, body_s=2)


async def test_a_download_carries_nothing_of_ours_and_heeds_no_proxy(
    tmp_path: Path, island: Island, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, island) as scene:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, scene.canary.origin)
            monkeypatch.setenv(name.lower(), scene.canary.origin)
        netrc = tmp_path / "netrc"
        netrc.write_text(f"machine 127.0.0.1 login me password {KEY}\ndefault login me password {KEY}\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("FLUXBATCH_API_KEY", KEY)
        cookie = b"HTTP/1.1 302 Moved\r\nSet-Cookie: a=b; Path=/\r\nLocation: /b.png\r\nContent-Length: 0\r\n\r\n"

        async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(cookie if b"/a.png" in head else GOOD)

        scene.own.answer = answer
        assert (await scene.deliver(f"{scene.own.origin}/a.png?signature=s")).outcome == "stored"
        async with ApiTransport(base_url=f"{scene.own.origin}/v1", api_key=KEY) as api:
            await api.post_json("/images", {}, timeouts=NO_TIME)
        assert scene.canary.connections == 0
        *downloads, post = scene.own.heads
        assert [head.split(b" ", 2)[1] for head in downloads] == [b"/a.png?signature=s", b"/b.png"]
        for head in downloads:
            lines = head.decode().split("\r\n")[1:-2]
            assert {line.partition(":")[0] for line in lines} == {"Host", "User-Agent", "Accept-Encoding", "Accept"}
            assert "Accept-Encoding: identity" in lines
            assert KEY not in head.decode()
        assert f"Authorization: Bearer {KEY}\r\n".encode() in post


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_the_paid_request_follows_no_redirect(tmp_path: Path, island: Island, status: int) -> None:
    async with opened(tmp_path, island) as scene:
        for place in (f"{scene.canary.origin}/v1", "/v1/again", f"{scene.own.origin}/v1/again"):
            scene.own.answer = says(redirects(place, status))
            async with ApiTransport(base_url=f"{scene.own.origin}/v1", api_key=KEY) as api:
                assert (await api.post_json("/images", {"prompt": "a cat"}, timeouts=NO_TIME)).status == status
            assert scene.reached()[:2] == (0, 1)


@pytest.mark.parametrize("host", ["one.test", "10.0.0.1", "0.0.0.0", "[::]", "localhost.test", "127.0.0.1.test"])
def test_the_key_leaves_this_machine_over_tls_only(host: str) -> None:
    with pytest.raises(ConfigurationError, match="in the clear"):
        ApiTransport(base_url=f"http://{host}:8000/v1", api_key=KEY)
    ApiTransport(base_url=f"https://{host}:8000/v1", api_key=KEY)


async def test_a_certificate_that_nobody_vouches_for_is_refused_before_anything_is_said(
    tmp_path: Path, island: Island
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command here to make a certificate with")
    context = self_signed(tmp_path)
    async with opened(tmp_path, island) as scene, Server(says(GOOD)).listening("127.0.0.1", tls=context) as false:
        url = f"https://localhost:{false.port}"
        async with ApiTransport(base_url=f"{url}/v1", api_key=KEY) as api:
            with pytest.raises(NeverSentError) as caught:
                await api.post_json("/images", {}, timeouts=NO_TIME)
        assert caught.value.kind == "tls"
        assert refused_as(await scene.deliver(f"{url}/a.png", f"localhost:{false.port}")) == "tls"
        assert false.heads == []


def self_signed(folder: Path) -> ssl.SSLContext:
    words = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=localhost",
    ]
    files = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(folder / "key"), "-out", str(folder / "cert")]
    subprocess.run(["openssl", "req", "-x509", *words, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert", folder / "key")
    return context
