"""Every error of aiohttp's client has its place, and says nothing that must stay secret."""

import socket
import ssl
from typing import Any

import aiohttp
import pytest
from aiohttp import client_exceptions
from aiohttp.client_reqrep import ConnectionKey, RequestInfo
from aiohttp.http import HttpProcessingError
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from pipeline.transport.faults import (
    FAULTS,
    KINDS,
    ForbiddenAddressError,
    LostError,
    NeverSentError,
    TransportError,
    broken,
    kind_of,
    translate,
)
from pipeline.transport.guard import GuardedSocketError

EXPORTED = [getattr(client_exceptions, name) for name in client_exceptions.__all__]
OTHERS = [
    client_exceptions.TooManyRedirects,
    client_exceptions.UnixClientConnectorError,
    HttpProcessingError,
    TimeoutError,
    OSError,
    UnicodeError,
    socket.gaierror,
    ssl.SSLError,
    ssl.SSLCertVerificationError,
]
SIGNED = URL("https://pictures.example/x.png?sig=SECRET")
KEY = ConnectionKey("pictures.example", 443, True, True, None, None, None)


@pytest.mark.parametrize("fault", [*EXPORTED, *OTHERS])
def test_every_error_of_the_client_has_a_kind_of_its_own(fault: type[BaseException]) -> None:
    assert fault in KINDS


@pytest.mark.parametrize("fault", [*EXPORTED, *OTHERS])
def test_every_error_of_the_client_is_caught(fault: type[BaseException]) -> None:
    assert issubclass(fault, FAULTS)


def test_an_error_the_library_adds_one_day_has_the_kind_of_its_base() -> None:
    class BrandNewError(aiohttp.ServerTimeoutError):
        pass

    assert kind_of(BrandNewError()) == "timeout"


def test_a_stranger_has_no_kind() -> None:
    with pytest.raises(KeyError):
        kind_of(ZeroDivisionError())


def _faults() -> list[Any]:
    request = RequestInfo(SIGNED, "POST", CIMultiDictProxy(CIMultiDict({"Authorization": "Bearer SECRET"})), SIGNED)
    return [
        aiohttp.ClientResponseError(request, (), status=400, message="SECRET"),
        aiohttp.InvalidURL(SIGNED, "SECRET"),
        aiohttp.ConnectionTimeoutError(f"Connection timeout to host {SIGNED}"),
        aiohttp.ClientConnectorError(KEY, ConnectionRefusedError(111, "Connection refused")),
        aiohttp.ClientOSError(104, f"Can not write request body for {SIGNED}"),
        aiohttp.ServerDisconnectedError("SECRET"),
        aiohttp.ClientPayloadError("SECRET"),
        TimeoutError("SECRET"),
    ]


@pytest.mark.parametrize("fault", _faults(), ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("sent", [True, False])
def test_no_message_holds_a_query_or_a_key(fault: BaseException, sent: bool) -> None:
    error = translate(fault, host="pictures.example:443", sent=sent)
    assert "SECRET" not in f"{error}{error!r}"
    assert "pictures.example:443" in str(error)


@pytest.mark.parametrize("fault", _faults(), ids=lambda fault: type(fault).__name__)
def test_only_whether_it_was_sent_decides_between_lost_and_never_sent(fault: BaseException) -> None:
    assert type(translate(fault, host="h", sent=True)) is LostError
    assert type(translate(fault, host="h", sent=False)) is NeverSentError


def test_the_systems_own_words_are_kept() -> None:
    fault = aiohttp.ClientConnectorError(KEY, ConnectionRefusedError(111, "Connection refused"))
    assert str(translate(fault, host="h", sent=False)) == "h: cannot connect (Connection refused)"


def test_the_guards_refusal_comes_out_as_itself() -> None:
    fault = aiohttp.ClientConnectorError(KEY, GuardedSocketError("10.0.0.1"))
    error = translate(fault, host="pictures.example:443", sent=False)
    assert isinstance(error, ForbiddenAddressError)
    assert (error.kind, error.host, error.address) == ("forbidden_address", "pictures.example:443", "10.0.0.1")


@pytest.mark.parametrize("kind", sorted(set(KINDS.values())))
def test_every_kind_has_words(kind: str) -> None:
    assert isinstance(broken(kind, host="h", sent=False), TransportError)
