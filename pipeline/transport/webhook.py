"""The only module that posts a notice: to an address somebody named, with no key, no cookie and no redirect."""

import json
from collections.abc import Mapping
from typing import Any

import aiohttp
import anyio

from pipeline.errors import ConfigurationError
from pipeline.transport.faults import FAULTS, broken, translate
from pipeline.transport.origins import Target, is_loopback, parse_target
from pipeline.transport.session import open_session

#: How long one try may take, in seconds, from the name's look-up to the answer's headers.
WEBHOOK_S = 10.0


def parse_webhook(text: str) -> Target:
    """Read a webhook's address: ``https``, or ``http`` on this machine's own loopback. A message never repeats it.

    Raises:
        ConfigurationError: It is none, has credentials in it, or would go out in the clear.
    """
    remedy = "write it as https://host/path"
    try:
        target = parse_target(text)
    except ValueError as problem:
        raise ConfigurationError(f"the webhook will not do: {problem}", remedy=remedy) from None
    if target.origin.scheme == "http" and not is_loopback(target.origin.host):
        raise ConfigurationError(f"the webhook at {target.origin.authority} would be sent in the clear", remedy=remedy)
    return target


async def post_notice(target: Target, payload: Mapping[str, Any], *, within_s: float = WEBHOOK_S) -> int:
    """Post a JSON document once; the status of the answer, whose body nobody reads.

    Raises:
        NeverSentError: There is no connection.
        LostError: There was one, and no answer in time.
    """
    host = target.origin.authority
    async with open_session(aiohttp.TCPConnector(limit=1, force_close=True)) as session:
        with anyio.move_on_after(within_s):
            try:
                response = await session.post(
                    target.url,
                    data=json.dumps(payload).encode(),
                    headers={"Content-Type": "application/json"},
                    allow_redirects=False,
                )
            except FAULTS as fault:
                sent = not isinstance(fault, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
                raise translate(fault, host=host, sent=sent) from None
            response.close()
            return response.status
    raise broken("timeout", host=host, sent=True)
