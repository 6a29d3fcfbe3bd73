"""Provider profiles: where a provider is, how it wants to be asked, what it charges. Reads ``profiles.toml``."""

import tomllib
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from pipeline.catalog.amounts import Usd

Wire = Literal["flat", "extra_body", "both"]
LogKind = Literal["one-api"]
EditRoute = Literal["json", "multipart"]
Api = Literal["images", "bfl"]
Answers = Literal["url", "b64"]
Sizes = Literal["size", "width_height"]
#: What an error code may mean; see ``pipeline.provider.classify`` for what each does to the money.
Meaning = Literal[
    "invalid", "moderated", "key_refused", "no_balance", "unknown_model", "throttled", "overloaded", "answer_lost"
]


def _to_decimal(value: Any) -> Decimal:
    try:
        # As written: repr() gives back the digits that a YAML float was written with.
        return Decimal(repr(value) if isinstance(value, float) else value)
    except (InvalidOperation, TypeError):
        raise ValueError("write a number, such as 1.15") from None


class ProviderLog(BaseModel):
    """Where a provider tells what it billed.

    Attributes:
        kind: What it speaks: ``one-api``, as the gateways of that family do.
        path: Below the base URL's origin, with its leading ``/``.
        token_env: The environment variable that holds the account's token for it, which is not the API key.
        user_env: The one that holds the account's number, which newer gateways want besides.
        units_per_usd: How many of the log's units are a dollar.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    kind: LogKind = "one-api"
    path: str = "/api/log/self"
    token_env: str = "FLUXBATCH_LOG_TOKEN"  # noqa: S105 - a variable's name
    user_env: str = "FLUXBATCH_LOG_USER"
    units_per_usd: Annotated[int, Field(ge=1, le=1_000_000_000)] = 500_000


class Profile(BaseModel):
    """One provider.

    Attributes:
        api: What it speaks: the Images API, or the vendor's own submitting and polling.
        base_url: Up to and with ``/v1``; empty for the built-in simulator, which is started for the run, and where
            only the manifest can say.
        hosts: Other addresses of the same account, by a short name.
        avoid: Hosts that are refused, each with the reason.
        api_key_env: The environment variable that holds the key; empty when none is needed.
        wire: Where Flux parameters travel: at the top level of the body, inside a literal ``extra_body``, or both.
        edits: How input images travel: inside the JSON, or as a form to ``/images/edits``, which takes one.
        answers: How pictures are asked to come (``response_format``); None where that is not asked.
        sizes: How a size is asked for, of models that want one instead of a ratio.
        ratio_models: Models that take a ratio here, although the catalog says a size.
        codes: What its own error codes mean, by code.
        poll_hosts: Domains to whose hosts it may send whoever asks after a task, besides its own origin.
        window_s: How long a result URL lives, in seconds.
        credit_factor: What a dollar paid is credited as; only for the cost comparison, never for a budget.
        simulated: Whether its pictures and money are make-believe.
        allow_hosts: Hosts (``host`` or ``host:port``) that downloads may reach although their addresses are private.
        prices: Micro-dollars a picture, by model id; a model without one is refused.
        rate_per_minute: The most requests it lets start in a minute, of each model; None where it does not say.
        log: Where it tells what it billed; None where it does not.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    name: str
    title: str
    api: Api = "images"
    base_url: str
    hosts: dict[str, str] = Field(default_factory=dict)
    avoid: dict[str, str] = Field(default_factory=dict)
    api_key_env: str
    wire: Wire
    edits: EditRoute = "json"
    answers: Answers | None = None
    sizes: Sizes = "size"
    ratio_models: frozenset[str] = Field(default=frozenset(), strict=False)
    codes: dict[str, Meaning] = Field(default_factory=dict)
    poll_hosts: tuple[str, ...] = Field(default=(), strict=False)
    window_s: Annotated[float, Field(gt=0, le=86_400, strict=False)]
    credit_factor: Annotated[Decimal, BeforeValidator(_to_decimal), Field(ge=1, le=10)]
    simulated: bool = False
    allow_hosts: tuple[str, ...] = Field(default=(), strict=False)
    prices: dict[str, Usd]
    rate_per_minute: Annotated[int, Field(ge=1, le=100_000)] | None = None
    log: ProviderLog | None = None


def reason_to_avoid(host: str) -> str | None:
    """Why a host is never to be asked, where a built-in profile says so.

    Args:
        host: Its name alone, in lower case.
    """
    return next((profile.avoid[host] for profile in profiles().values() if host in profile.avoid), None)


@cache
def profiles() -> dict[str, Profile]:
    """Every built-in profile by its name, in the order of the file."""
    table = tomllib.loads(files("pipeline.catalog").joinpath("profiles.toml").read_text("utf-8"))
    return {name: Profile.model_validate({"name": name, **entry}) for name, entry in table.items()}
