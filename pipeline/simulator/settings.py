"""What of the simulator can be set."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, get_args

from pipeline.simulator.faults import Fault

Wire = Literal["flat", "extra_body", "both"]
LogForm = Literal["list", "items"]
RateKind = Literal["sliding", "fixed", "bucket"]
Answer = Literal["url", "relative_url", "b64_json", "b64_json_prefixed", "data_url"]

#: Tasks that the vendor's own API lets be active at once: in all, and of single models (wire facts).
VENDOR_TASKS = 24
VENDOR_TASKS_BY_MODEL: Mapping[str, int] = MappingProxyType({"flux-kontext-max": 6})

#: The real sizes are multiples of 16, so these leave the ratio exact.
_SCALES = (1, 2, 4, 8, 16)


def _usual_prices() -> Mapping[str, int]:
    return MappingProxyType(
        {
            "flux-kontext-pro": 35_000,
            "flux-kontext-max": 70_000,
            "flux-2-max": 70_000,
            "flux-2-pro": 30_000,
            "flux-2-flex": 60_000,
            "flux-2-klein-9b": 10_000,
            "flux-2-klein-4b": 10_000,
            "flux-pro-1.1-ultra": 50_000,
            "flux-pro-1.1": 35_000,
            "flux-pro": 40_000,
            "flux-dev": 20_000,
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """How the simulator behaves; the defaults are a patient provider without limits.

    Attributes:
        host: The address to listen on.
        port: 0 for any free one.
        keys: The API keys it accepts; empty: any, or none.
        window_s: How long a result URL lives, in seconds.
        signature_mark: How each URL's signature begins, so that one is recognised where none should be.
        latency_s: How long a picture takes, in seconds: the median.
        latency_spread: The sigma of a log-normal distribution around it; 0: always the same.
        requests_per_minute: More than these are refused with 429; None: no limit.
        rate_window_s: What ``requests_per_minute`` is measured over, in seconds: with 600 a minute and a window
            of 1 second, 10 are admitted in any second.
        rate_kind: How it is measured: over any such window, over windows with borders, or by tokens that come steadily.
        rate_burst: How many such tokens there are at most, and to begin with; None: as many as a window admits.
        rate_headers: Whether answers say in x-ratelimit headers what is allowed, and what is left.
        limits_change_after_s: When, counted from the first request, both limits become others; None: never.
        limits_change_factor: What they are multiplied by then.
        max_in_flight: More at a time are refused with 429; None: no limit.
        active_tasks: Of the vendor's own API: more tasks that are not ready yet are refused with 429; None: no limit.
        active_tasks_by_model: The same, of single models.
        retry_after_s: Sent with such a 429 when given.
        balance_microusd: What the account holds, in micro-dollars; None: endless.
        prices_microusd: Micro-dollars a picture, by model; any other model is refused.
        wire: Where Flux parameters are looked for; elsewhere they are ignored without a word, as real gateways do.
        answer: How the picture comes back.
        expired_status: What a dead URL answers.
        faults: Those that strike by chance.
        slow_end_s: How late the end marker of the fault ``slow_end`` comes, in seconds.
        trickle_bytes_per_s: The speed of the fault ``dl_trickle``; by default far below any honest line.
        download_bytes_per_s: The bandwidth that all downloads share; None: no bound. ``Simulator.throttle`` changes it.
        scale: Pictures are drawn at one over this of their real size: 1, 2, 4, 8 or 16.
        seed: Of everything random.
        log_tokens: The tokens that the log of charges is shown to; empty: any, but not none.
        log_form: How a page of it comes: as a ``list``, with pages from 0, or as ``items``, with pages from 1.
        log_request_ids: Whether its entries name the request.
        max_body_bytes: A request with more is refused with 413; by default eight images of 20 MB in base64 fit.

    Raises:
        ValueError: A number is out of its bounds.
    """

    host: str = "127.0.0.1"
    port: int = 0
    keys: frozenset[str] = frozenset()
    window_s: float = 600.0
    signature_mark: str = ""
    latency_s: float = 0.0
    latency_spread: float = 0.0
    requests_per_minute: int | None = None
    rate_window_s: float = 60.0
    rate_kind: RateKind = "sliding"
    rate_burst: int | None = None
    rate_headers: bool = False
    limits_change_after_s: float | None = None
    limits_change_factor: float = 1.0
    max_in_flight: int | None = None
    active_tasks: int | None = None
    active_tasks_by_model: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    retry_after_s: float | None = None
    balance_microusd: int | None = None
    prices_microusd: Mapping[str, int] = field(default_factory=_usual_prices)
    wire: Wire = "flat"
    answer: Answer = "url"
    expired_status: int = 404
    faults: tuple[Fault, ...] = ()
    slow_end_s: float = 10.0
    trickle_bytes_per_s: int = 400
    download_bytes_per_s: int | None = None
    scale: int = 1
    seed: int = 0
    log_tokens: frozenset[str] = frozenset()
    log_form: LogForm = "list"
    log_request_ids: bool = True
    max_body_bytes: int = 216 * 1024 * 1024

    def __post_init__(self) -> None:
        spans = (self.window_s, self.latency_s, self.latency_spread, self.slow_end_s, self.retry_after_s or 0)
        if not all(math.isfinite(span) and span >= 0 for span in spans):
            raise ValueError("window_s, latency_s, latency_spread, slow_end_s and retry_after_s must be 0 or more")
        self._check_limits()
        if self.trickle_bytes_per_s < 1 or (self.download_bytes_per_s is not None and self.download_bytes_per_s < 1):
            raise ValueError("trickle_bytes_per_s and download_bytes_per_s must be at least 1")
        if any(amount < 0 for amount in (self.balance_microusd or 0, *self.prices_microusd.values())):
            raise ValueError("amounts of money must be 0 or more")
        if not 400 <= self.expired_status <= 599:
            raise ValueError("expired_status must be an error, from 400 to 599")
        if self.scale not in _SCALES:
            raise ValueError(f"scale must be one of {', '.join(map(str, _SCALES))}")

    def _check_limits(self) -> None:
        if not (math.isfinite(self.rate_window_s) and self.rate_window_s > 0):
            raise ValueError("rate_window_s must be more than 0")
        limits = (
            self.requests_per_minute,
            self.max_in_flight,
            self.rate_burst,
            self.active_tasks,
            *self.active_tasks_by_model.values(),
        )
        if any(limit is not None and limit < 1 for limit in limits):
            raise ValueError(
                "requests_per_minute, max_in_flight, rate_burst and active_tasks must be at least 1 or None"
            )
        if self.rate_kind not in get_args(RateKind):
            raise ValueError(f"rate_kind must be one of {', '.join(get_args(RateKind))}")
        if not (math.isfinite(self.limits_change_factor) and self.limits_change_factor > 0):
            raise ValueError("limits_change_factor must be more than 0")
