"""How the provider says no: every error's status, body and headers, in the shape of OpenAI's API."""

import math
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

_GATEWAY_PAGE = """<html>
<head><title>{title}</title></head>
<body>
<center><h1>{title}</h1></center>
<hr><center>{server}</center>
</body>
</html>
"""


class RefusalError(Exception):
    """A request is refused; nothing is charged for it.

    Attributes:
        status: Of the answer; 200 for a gateway that hides errors.
        body: The answer's JSON.
        headers: To send besides.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"error": {"message": message, "type": kind, "param": param, "code": code}}
        self.headers = headers or {}

    def response(self) -> web.Response:
        """The answer that says so."""
        return web.json_response(self.body, status=self.status, headers=self.headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    status: int
    message: str
    kind: str = "api_error"
    code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


_NO_BALANCE = "The account's balance is not enough for this request"

#: The faults that are refusals, by name; ``overload_502`` is a page, see ``gateway_page``.
_BY_FAULT = {
    # Real gateways throttle without a word more than this: the empty code is theirs.
    "throttle": _Words(status=429, message="Too many requests", kind="", code=""),
    "throttle_retry_after": _Words(
        status=429,
        message="Rate limit reached",
        kind="rate_limit_error",
        code="rate_limit_exceeded",
        headers={"Retry-After": "1"},
    ),
    "overload_500": _Words(status=500, message="The server had an error", kind="server_error", code="server_error"),
    "overload_503": _Words(status=503, message="The service is overloaded", kind="server_error", code="overloaded"),
    # Moderation is told by its text alone here, as the model's vendor does it.
    "moderated": _Words(status=403, message="Request Moderated"),
    "invalid": _Words(status=400, message="The request is invalid", kind="invalid_request_error", code="invalid_value"),
    "bad_key": _Words(
        status=401, message="Incorrect API key provided", kind="invalid_request_error", code="invalid_api_key"
    ),
    "no_balance": _Words(status=403, message=_NO_BALANCE, code="insufficient_user_quota"),
    "no_balance_429": _Words(status=429, message=_NO_BALANCE, kind="insufficient_quota", code="insufficient_quota"),
    "model_gone": _Words(status=503, message="No available channel for the model", code="model_not_found"),
    "error_in_200": _Words(status=200, message="The service is overloaded", kind="server_error", code="overloaded"),
    "moderated_in_200": _Words(status=200, message="Content Moderated", code="content_policy_violation"),
    "timeout_408": _Words(status=408, message="The upstream did not answer in time", code="timeout"),
}


def refusal_for(fault: str, **headers: str) -> RefusalError:
    """The refusal that a fault of that name, or a rule of the same kind, amounts to."""
    words = _BY_FAULT[fault]
    return RefusalError(
        words.status, words.message, kind=words.kind, code=words.code, headers={**words.headers, **headers}
    )


def throttled(retry_after_s: float | None) -> RefusalError:
    """A 429 for a limit that is exceeded, with both forms of Retry-After when a time is given."""
    refusal = refusal_for("throttle_retry_after")
    refusal.headers = {}
    if retry_after_s is not None:
        # The standard header knows whole seconds only; the other is what the SDKs look for first.
        refusal.headers = {
            "Retry-After": str(math.ceil(retry_after_s)),
            "Retry-After-Ms": str(round(retry_after_s * 1000)),
        }
    return refusal


def gateway_page(fault: str) -> web.Response:
    """The HTML that a gateway in front of the provider answers: for a 502, 504 or 524, or with a 200 that is none."""
    status, title, server = {
        "overload_502": (502, "502 Bad Gateway", "nginx"),
        "gateway_504": (504, "504 Gateway Time-out", "nginx"),
        "gateway_524": (524, "524: A timeout occurred", "cloudflare"),
        "html_200": (200, "One moment, please", "nginx"),
    }[fault]
    page = _GATEWAY_PAGE.format(title=title, server=server)
    return web.Response(status=status, text=page, content_type="text/html")


def as_refusal(error: web.HTTPException) -> RefusalError:
    """What the HTTP library refuses by itself (no such path, body too large), in the API's shape."""
    allow = {name: value for name, value in error.headers.items() if name == "Allow"}
    return RefusalError(error.status, error.reason, headers=allow)


def invalid(message: str, param: str | None = None) -> RefusalError:
    """A 400 for a parameter that is not as the document says."""
    return RefusalError(400, message, param=param, code="invalid_value" if param else None)
