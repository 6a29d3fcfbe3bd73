"""The only module that says what an answer without a picture means: one table, the first row that fits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.catalog import Meaning
from pipeline.provider.complaints import Complaint, as_code, clean, read_complaint
from pipeline.provider.errors import (
    AccountRefusedError,
    AnswerLostError,
    BadKeyError,
    EmptyAccountError,
    ModelRefusedError,
    Money,
    OverloadedError,
    ProviderError,
    RefusedError,
    ThrottledError,
)
from pipeline.provider.waits import allowance, retry_after_s, should_retry
from pipeline.transport import ApiResponse


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row: it fits when every column that is filled in does.

    Attributes:
        error: What it means.
        kind: The error's kind.
        codes: Codes or types, any of which the body must carry; a pattern over the whole code.
        words: What the body's message must contain; a pattern, whatever the case.
        statuses: What the status must be one of; empty for any.
    """

    error: type[ProviderError]
    kind: str
    codes: str = ""
    words: str = ""
    statuses: frozenset[int] = frozenset()

    def fits(self, status: int, complaint: Complaint) -> bool:
        """Whether this row is about such an answer."""
        if self.statuses and status not in self.statuses:
            return False
        if self.codes and not any(re.fullmatch(self.codes, code) for code in complaint.codes):
            return False
        return not self.words or re.search(self.words, complaint.words, re.IGNORECASE) is not None


def _either(*alternatives: str) -> str:
    return "|".join(alternatives)


_MODERATION = _either(
    "content_policy_violation",
    "sensitive_words_detected",
    "(request|content)_moderated",
    "moderation_blocked",
    "content_filter",
)
_MODERATION_WORDS = _either("(request|content) moderated", "content_policy_violation", "sensitive_words_detected")
_LOOSE_MODERATION_WORDS = _either(
    "moderat(ed|ion)", "content policy", "safety system", "sensitive (word|content)", "nsfw", "敏感", "违规"
)
_NO_BALANCE = _either(
    "insufficient_user_quota",
    "insufficient_quota",
    "credit_balance_exhausted",
    r"\w+_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "budget_exceeded",
)
_NO_BALANCE_WORDS = _either("insufficient (balance|credits?|quota|funds)", "(余额|额度)不足")
_NO_MODEL_WORDS = _either(
    "no available channel", "invalid model name", "无可用渠道", "not have access to (the )?model", "无权(访问|使用)模型"
)
#: A connection that broke under a gateway once its request was on its way.
_BROKEN_BEHIND_WORDS = _either("ECONNRESET", "socket hang up", "connection reset by peer", "proxy to upstream failed")

_CLIENT, _SERVER = frozenset({400, 413, 422}), frozenset({500, 502, 503})

#: The wire facts' "Errors and money", in the order it is decided: what the body says goes before the status, a stated
#: refusal of the account before one of the request. Rows without a status also hold inside a 200. A row that goes by
#: words alone names its statuses, lest a gateway's page about a lost answer be taken for the provider's refusal.
RULES: tuple[Rule, ...] = (
    # --- what the body says -------------------------------------------------------------------------------------
    Rule(error=EmptyAccountError, kind="no_balance", codes=_NO_BALANCE),
    Rule(error=BadKeyError, kind="key_refused", codes=_either("invalid_api_key", "no_db_connection")),
    Rule(error=ModelRefusedError, kind="unknown_model", codes="model_not_found"),
    Rule(error=RefusedError, kind="moderated", codes=_MODERATION),
    Rule(
        error=RefusedError,
        kind="moderated",
        words=_MODERATION_WORDS,
        statuses=frozenset({200, 403}) | _CLIENT | _SERVER,
    ),
    Rule(error=ThrottledError, kind="throttled", codes=_either("rate_limit_exceeded", "rate_limit_error")),
    Rule(error=RefusedError, kind="invalid", codes="invalid_request_error", statuses=frozenset({200})),
    # --- a 403 that names no code -------------------------------------------------------------------------------
    Rule(error=EmptyAccountError, kind="no_balance", words=_NO_BALANCE_WORDS, statuses=frozenset({403, 429})),
    Rule(error=ModelRefusedError, kind="unknown_model", words=_NO_MODEL_WORDS, statuses=frozenset({400, 403, 503})),
    Rule(error=RefusedError, kind="moderated", words=_LOOSE_MODERATION_WORDS, statuses=frozenset({403})),
    # Nothing was billed either way. Stopping leaves every job as it was, for the next run; going on would mark a whole
    # manifest refused, one useless request at a time, when it is the key, the address or the region that is barred.
    Rule(error=BadKeyError, kind="forbidden", statuses=frozenset({403})),
    Rule(error=AnswerLostError, kind="lost_behind_gateway", words=_BROKEN_BEHIND_WORDS, statuses=_SERVER),
    # --- what the status says -----------------------------------------------------------------------------------
    Rule(error=RefusedError, kind="invalid", statuses=_CLIENT),
    Rule(error=BadKeyError, kind="key_refused", statuses=frozenset({401})),
    Rule(error=EmptyAccountError, kind="no_balance", statuses=frozenset({402})),
    Rule(error=ModelRefusedError, kind="unknown_model", statuses=frozenset({404})),
    Rule(error=ThrottledError, kind="throttled", statuses=frozenset({429})),
    Rule(error=OverloadedError, kind="overloaded", statuses=_SERVER),  # write_response_body_failed among them
    # --- 408, 504, 520 to 524, redirects, and whatever else nobody explained: perhaps billed ---------------------
    Rule(error=AnswerLostError, kind="unexplained_status", statuses=frozenset({*range(100, 200), *range(300, 1000)})),
    Rule(error=AnswerLostError, kind="no_picture"),
)

#: What a gateway says when it cannot say what its upstream did.
_LOST_BEHIND = Rule(error=AnswerLostError, kind="lost_behind_gateway")

#: Statuses whose meaning the table knows to be unbilled; only these may be replaced by one hidden in the body.
_EXPLAINED = frozenset(
    status
    for rule in RULES
    if rule.error.money is Money.UNBILLED and not rule.codes and not rule.words
    for status in rule.statuses
)


_MEANINGS: Mapping[Meaning, type[ProviderError]] = {
    "invalid": RefusedError,
    "moderated": RefusedError,
    "key_refused": BadKeyError,
    "no_balance": EmptyAccountError,
    "unknown_model": ModelRefusedError,
    "throttled": ThrottledError,
    "overloaded": OverloadedError,
    "answer_lost": AnswerLostError,
}


def rules_of(codes: Mapping[str, Meaning]) -> tuple[Rule, ...]:
    """A provider's own error codes as rows, to go before the table's.

    Raises:
        ValueError: A code has no name: its row would fit whatever has no picture.
    """
    named = {as_code(code): meaning for code, meaning in codes.items()}
    if "" in named:
        raise ValueError("a code has no name")
    return tuple(Rule(error=_MEANINGS[meaning], kind=meaning, codes=re.escape(code)) for code, meaning in named.items())


def classify(response: ApiResponse, *, wall: float, kind: str = "", own_rules: tuple[Rule, ...] = ()) -> ProviderError:
    """Say what a response without a picture means.

    Args:
        response: As it came.
        wall: Now, in seconds since 1970, for a ``Retry-After`` that is a date.
        kind: What was wrong with a success, to be used instead of the table's ``no_picture``.
        own_rules: What goes before the table; see ``rules_of``.
    """
    complaint = read_complaint(response.body)
    hidden = complaint.hidden_status
    status = hidden if hidden is not None and response.status in _EXPLAINED else response.status
    rule = next(rule for rule in (*own_rules, *RULES) if rule.fits(status, complaint))
    if rule in RULES and rule.kind in {"overloaded", "invalid"} and _hides_its_upstream(response, complaint):
        rule = _LOST_BEHIND
    return rule.error(
        _message(complaint),
        kind=kind if kind and rule is RULES[-1] else rule.kind,
        status=response.status,
        request_id=request_id(response.headers),
        retry_after_s=retry_after_s(response.headers, wall=wall),
        allowance=allowance(response.headers),
        retryable=_retryable(rule, response.headers),
        body=clean(response.body),
    )


def _hides_its_upstream(response: ApiResponse, complaint: Complaint) -> bool:
    """Whether this is LiteLLM's proxy with a status that says nothing of what its upstream did (measured, 1.106).

    Its 500 stands for an upstream's 500, for a connection that broke after the picture was made, and for its own
    stumbling over an answer; its error in a 200 for an answer that it could not read.
    """
    is_litellm = "x-litellm-call-id" in response.headers or complaint.words.startswith("litellm.")
    return is_litellm and response.status in {200, 500}


def request_id(headers: Mapping[str, str]) -> str:
    """The provider's name for the exchange, or "" where it gave none.

    A gateway's own header goes first: its log of what it billed knows that name, while the others may be those of the
    model's vendor, handed through.
    """
    names = ("x-oneapi-request-id", "x-request-id", "request-id")
    return clean(next(filter(None, map(headers.get, names)), ""))[:200]


def _message(complaint: Complaint) -> str:
    """The words, and those codes that they do not already hold."""
    codes = ", ".join(sorted(code for code in complaint.codes if code not in complaint.words))
    return f"{complaint.words} ({codes})".strip() if codes else complaint.words


def _retryable(rule: Rule, headers: Mapping[str, str]) -> bool | None:
    """What ``x-should-retry`` says, where it decides: never on a lost answer, a barred account or model, moderation."""
    if rule.kind == "moderated" or issubclass(rule.error, AnswerLostError | AccountRefusedError | ModelRefusedError):
        return None
    return should_retry(headers)
