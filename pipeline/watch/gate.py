"""Who may ask for what: this machine's own browser, by the page's own address, with the token in it."""

import secrets

from aiohttp import web
from aiohttp.typedefs import Handler

#: Sent with every answer.
HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def new_token() -> str:
    """Make a token that nobody can guess."""
    return secrets.token_urlsafe(24)


async def mark(_: web.Request, answer: web.StreamResponse) -> None:
    """Give an answer the headers, whatever it is, before its first byte leaves."""
    answer.headers.update(HEADERS)


#: What a scraper asks for, with the token in a header: the path of its settings is no place for a secret.
METRICS = "/metrics"


class Gate:
    """Refuses whoever comes by another name, from another page, or without the token.

    A page from elsewhere can make a browser ask 127.0.0.1, also under a name of its own (DNS rebinding): the Host and
    Origin headers give it away, and it cannot know the token.

    Args:
        token: None for a new one.
    """

    def __init__(self, token: str | None = None) -> None:
        self.token = token or new_token()
        self._hosts: frozenset[str] = frozenset()

    def open(self, port: int) -> None:
        """Say which port is listened on; nobody gets in before."""
        self._hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})

    @web.middleware
    async def attend(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through, or refuse it without a word about what is here."""
        self._check(request)
        return await handler(request)

    def _check(self, request: web.Request) -> None:
        host = request.headers.getall("Host", [])
        if len(host) != 1 or host[0] not in self._hosts:
            raise web.HTTPForbidden(text="not this host\n")
        origins = request.headers.getall("Origin", [])
        own = f"http://{host[0]}"
        if any(origin != own for origin in origins) or (request.method == "POST" and not origins):
            raise web.HTTPForbidden(text="not from that page\n")
        given = _bearer(request) if request.path == METRICS else request.match_info.get("token", "")
        if not secrets.compare_digest(given.encode(errors="replace"), self.token.encode()):
            raise web.HTTPNotFound(text="not found\n")


def _bearer(request: web.Request) -> str:
    """The token of an ``Authorization: Bearer`` header (RFC 6750); "" where there is not exactly one."""
    given = request.headers.getall("Authorization", [])
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return token.strip() if scheme.lower() == "bearer" else ""
