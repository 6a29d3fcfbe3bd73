"""Every way a purchase can go wrong, and what happened to the money; the stages decide by class, never by status.

ProviderError                 money      passing
├── RefusedError              unbilled   no       this request will not be drawn: "invalid" or "moderated"
├── ThrottledError            unbilled   yes      slow down, then again
├── OverloadedError           unbilled   yes      the provider cannot just now
├── UnreachableError          unbilled   yes      nothing left this machine
├── AnswerLostError           unknown    no       perhaps billed in full, and the picture cannot be recovered
├── StillPendingError         pending    no       the provider has the task: it can be asked after later
├── ModelRefusedError         unbilled   no       every job of this model will be refused
└── AccountRefusedError       unbilled   no       every job of this run will be refused
    ├── BadKeyError                               "key_refused", or "forbidden" where a 403 does not say why
    └── EmptyAccountError                         "no_balance"
"""

from enum import StrEnum
from typing import ClassVar

from pipeline.provider.waits import Allowance


class Money(StrEnum):
    """What happened to the money."""

    UNBILLED = "unbilled"
    UNKNOWN = "unknown"
    PENDING = "pending"


class ProviderError(Exception):
    """The root.

    Attributes:
        money: What happened to it, by class.
        passing: Whether a rerun may try the job again by itself, by class.
        kind: One word, for records and counts.
        message: The provider's own words, at most 2,000 characters, without secrets and without URLs' queries.
        body: What the provider sent, cut and cleaned the same way; it keeps no log of failed calls.
        status: The response's own, or None where none came.
        request_id: The provider's, or "".
        retry_after_s: Seconds the provider asks to be left alone, or None.
        allowance: What the answer's headers say the provider allows, or None.
        retryable: Whether this run may send the request again: ``passing``, unless the provider said otherwise.
    """

    money: ClassVar[Money] = Money.UNBILLED
    passing: ClassVar[bool] = False
    usual_kind: ClassVar[str] = "refused"

    def __init__(
        self,
        message: str = "",
        *,
        kind: str = "",
        status: int | None = None,
        request_id: str = "",
        retry_after_s: float | None = None,
        allowance: Allowance | None = None,
        retryable: bool | None = None,
        body: str = "",
    ) -> None:
        super().__init__(message)
        self.kind = kind or self.usual_kind
        self.message = message
        self.status = status
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        self.allowance = allowance
        self.retryable = self.passing if retryable is None else retryable
        self.body = body

    def __str__(self) -> str:
        status = f"HTTP {self.status}: " if self.status is not None else ""
        return f"{status}{self.message or self.kind}"


class RefusedError(ProviderError):
    """The provider will not draw this request."""

    usual_kind = "invalid"


class ThrottledError(ProviderError):
    """Too many requests: congestion, not a fault of this one."""

    passing = True
    usual_kind = "throttled"


class OverloadedError(ProviderError):
    """The provider cannot just now."""

    passing = True
    usual_kind = "overloaded"


class UnreachableError(ProviderError):
    """Nothing left this machine."""

    passing = True
    usual_kind = "unreachable"


class AnswerLostError(ProviderError):
    """The request may have been carried out and billed; its answer is lost. Never to be resent by itself."""

    money = Money.UNKNOWN
    usual_kind = "answer_lost"


class StillPendingError(ProviderError):
    """The provider has taken the task, and nobody could find out what came of it yet: its money stays reserved."""

    money = Money.PENDING
    usual_kind = "pending"


class ModelRefusedError(ProviderError):
    """The provider does not have this model, or no channel to it."""

    usual_kind = "unknown_model"


class AccountRefusedError(ProviderError):
    """The provider refuses the account, whatever is asked."""

    usual_kind = "account_refused"


class BadKeyError(AccountRefusedError):
    """The key is wrong, or may not do this."""

    usual_kind = "key_refused"


class EmptyAccountError(AccountRefusedError):
    """The account has no money left, or has reached its spending limit."""

    usual_kind = "no_balance"
