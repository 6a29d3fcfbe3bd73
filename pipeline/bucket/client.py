"""The only module that knows the S3 client: how it is opened, and what its errors mean."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

from pipeline.bucket.address import BucketAddress
from pipeline.errors import ConfigurationError, FluxbatchError, OutputError, StorageError

#: How long a connection may take, in seconds.
CONNECT_S = 10
#: How long the next bytes of an answer may take, in seconds.
READ_S = 60.0
#: So often a request is made before it is given up, in half a minute or so; ``AWS_MAX_ATTEMPTS`` replaces it.
ATTEMPTS = 8
#: Before anything is bought somebody may be waiting for an answer.
FEW_ATTEMPTS = 3

_AGAIN = "what is fetched is kept in the output folder: run again when the bucket answers"
_CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with AWS_PROFILE"
_REGION = "set AWS_REGION to the bucket's region"
#: What a server's code says of the settings, and what to do.
_SETTINGS = {
    "InvalidAccessKeyId": ("the access key is not known there", _CREDENTIALS),
    "SignatureDoesNotMatch": ("the secret key is not the access key's", _CREDENTIALS),
    "InvalidToken": ("the session token is not valid", _CREDENTIALS),
    "ExpiredToken": ("the credentials have expired", "renew them"),
    "RequestTimeTooSkewed": ("this machine's clock is too far off", "set it, best by NTP: timedatectl set-ntp true"),
    "PermanentRedirect": ("the bucket is in another region", _REGION),
    "TemporaryRedirect": ("the bucket is in another region", _REGION),
    "AuthorizationHeaderMalformed": ("the bucket is in another region", _REGION),
    "IllegalLocationConstraintException": ("the bucket is in another region", _REGION),
    "301": ("the bucket is in another region", _REGION),
    "InvalidBucketName": ("the server takes no such name for a bucket", "change output.store"),
    "NotImplemented": ("the server does not know conditional writes", "use a newer one, or a folder"),
}
#: What it says of the place.
_PLACE = {
    "NoSuchBucket": ("there is no such bucket", "make it, or change output.store or the endpoint"),
    "AccessDenied": ("permission is denied", "allow s3:PutObject, s3:GetObject and s3:ListBucket there"),
    "AllAccessDisabled": ("the bucket is closed", "change output.store"),
    "403": ("permission is denied", "allow s3:PutObject, s3:GetObject and s3:ListBucket there"),
}
TAKEN = "PreconditionFailed"
CONFLICT = "ConditionalRequestConflict"


@asynccontextmanager
async def open_client(
    address: BucketAddress, *, attempts: int = ATTEMPTS, read_s: float = READ_S
) -> AsyncIterator[Any]:
    """A client for a bucket's server, with the credentials that the environment and its settings give.

    Args:
        attempts: How often each request is made at most.
        read_s: How long the next bytes of an answer may take.

    Raises:
        ConfigurationError: The client is not installed, or its settings are off.
    """
    session, config = _session(address, read_s)
    from botocore.handlers import add_expect_header

    with translated(address):
        own = session.get_scoped_config()
        style = own.get("s3", {}).get("addressing_style")
        named = (os.environ.get(name) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))
        server = address.endpoint or next(filter(None, named), own.get("endpoint_url"))
        if server and not _is_amazons(server):
            style = style or "path"  # others rarely have a host's name for each bucket
        settings = config(attempts, style)
        async with session.create_client("s3", endpoint_url=address.endpoint, config=settings) as client:
            # A request that waits for leave to send its body is left to itself where the server goes away meanwhile,
            # and Python tells of that on standard error.
            client.meta.events.unregister("before-call.s3", add_expect_header)
            yield client


def _session(address: BucketAddress, read_s: float) -> tuple[Any, Any]:
    """The library's own session, and what makes settings for it."""
    try:
        from aiobotocore.config import AioConfig
        from aiobotocore.session import get_session
    except ImportError as error:
        raise ConfigurationError(
            f"{address}: the client for buckets is not installed", remedy="pip install 'fluxbatch[s3]'"
        ) from error

    def config(attempts: int, style: str | None) -> Any:
        own = {} if "AWS_MAX_ATTEMPTS" in os.environ else {"total_max_attempts": attempts}
        return AioConfig(
            connect_timeout=CONNECT_S,
            read_timeout=read_s,
            max_pool_connections=64,
            retries={"mode": "standard", **own},
            s3={"addressing_style": style or "auto"},
            # Digests are given where they are wanted; what the library adds besides, not every server takes.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )

    return get_session(), config


def _is_amazons(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


@contextmanager
def translated(address: BucketAddress) -> Iterator[None]:
    """Raise what goes wrong inside as this program's own errors."""
    from aiohttp import ClientError as BrokenOff
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except (BotoCoreError, ClientError, ResponseParserError, BrokenOff, TimeoutError) as error:
        raise told(error, address) from error


def code_of(error: Exception) -> str:
    """What the server calls the refusal; "" where it did not answer."""
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code", "") if isinstance(response, dict) else ""
    return str(code)


def told(error: Exception, address: BucketAddress) -> FluxbatchError:
    """What an error of the client's means for the run; its own words may hold keys and signatures, and stay out."""
    from botocore import exceptions as theirs

    where, code = str(address), code_of(error)
    if code in _SETTINGS:
        message, remedy = _SETTINGS[code]
        return ConfigurationError(f"{where}: {message}", remedy=remedy)
    if code in _PLACE:
        message, remedy = _PLACE[code]
        return OutputError(f"{where}: {message}", remedy=remedy)
    if isinstance(error, theirs.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "no status")
        return StorageError(f"{where}: the server refuses ({status} {code[:60]})", remedy=_AGAIN)
    if isinstance(error, theirs.NoCredentialsError | theirs.PartialCredentialsError | theirs.CredentialRetrievalError):
        return ConfigurationError(f"{where}: there are no credentials for it", remedy=_CREDENTIALS)
    name = type(error).__name__
    answers = (theirs.HTTPClientError, theirs.ConnectionError, theirs.IncompleteReadError)
    if isinstance(error, theirs.BotoCoreError) and not isinstance(error, answers):
        return ConfigurationError(f"{where}: the client's settings are off ({name})", remedy="see to AWS_* and ~/.aws")
    return StorageError(f"{where}: the server does not answer ({name})", remedy=_AGAIN)
