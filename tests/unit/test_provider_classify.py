"""How the table decides, where the wire facts leave a choice."""

import json

import pytest

from pipeline.catalog import Meaning
from pipeline.provider.classify import RULES, classify, rules_of
from pipeline.provider.errors import (
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
from pipeline.transport import ApiResponse


def _error(status: int, document: object = None, **headers: str) -> ProviderError:
    body = document if isinstance(document, bytes) else json.dumps(document).encode() if document is not None else b""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return classify(ApiResponse(status=status, headers=names, body=body, complete=True), wall=0.0)


UNBILLED_STATUSES = {400, 401, 402, 403, 404, 413, 422, 429, 500, 502, 503}


def test_a_status_that_nobody_explained_may_have_been_billed() -> None:
    """Whatever is not in the wire facts' table leaves the money unknown; the table's statuses do not."""
    assert {status for status in range(100, 1000) if _error(status).money is Money.UNBILLED} == UNBILLED_STATUSES


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.error.__name__}-{rule.kind}")
def test_a_row_that_goes_by_words_alone_names_its_statuses(rule: object) -> None:
    assert not getattr(rule, "words", "") or getattr(rule, "statuses", None)


@pytest.mark.parametrize("status", [408, 504, 520, 522, 524])
def test_words_do_not_turn_a_lost_answer_into_a_refusal(status: int) -> None:
    assert isinstance(_error(status, {"error": {"message": "Request Moderated"}}), AnswerLostError)


@pytest.mark.parametrize(
    ("outer", "hidden", "expected"),
    [
        (500, 429, ThrottledError),
        (500, 504, AnswerLostError),
        (400, 503, OverloadedError),
        (504, 400, AnswerLostError),
        (200, 400, AnswerLostError),
        (302, 400, AnswerLostError),
    ],
)
def test_a_hidden_status_counts_but_never_makes_unknown_money_sure(
    outer: int, hidden: int, expected: type[ProviderError]
) -> None:
    error = _error(outer, {"error": {"message": "", "param": str(hidden)}})
    assert (type(error), error.status) == (expected, outer)


@pytest.mark.parametrize(
    ("document", "expected", "kind"),
    [
        ({"error": {"message": "Your request was rejected by our safety system"}}, RefusedError, "moderated"),
        ({"error": {"message": "提示词包含敏感词"}}, RefusedError, "moderated"),
        ({"error": {"message": "用户额度不足"}}, EmptyAccountError, "no_balance"),
        ({"error": {"message": "Insufficient balance"}}, EmptyAccountError, "no_balance"),
        ({"error": {"message": "该令牌无权访问模型 flux"}}, ModelRefusedError, "unknown_model"),
        ({"error": {"message": "Forbidden"}}, BadKeyError, "forbidden"),
        (b"<html>Sorry, you have been blocked</html>", BadKeyError, "forbidden"),
        (None, BadKeyError, "forbidden"),
    ],
)
def test_a_403_without_a_known_code_goes_by_its_words_or_stops_the_run(
    document: object, expected: type[ProviderError], kind: str
) -> None:
    error = _error(403, document)
    assert (type(error), error.kind) == (expected, kind)


@pytest.mark.parametrize(
    ("status", "said", "retryable"),
    [
        (503, "false", False),
        (503, "true", True),
        (429, "false", False),
        (400, "true", True),
        (400, "false", False),
        (503, "perhaps", True),
        (504, "true", False),  # it never makes unknown money resendable
        (401, "true", False),
        (404, "true", False),
        (302, "true", False),
    ],
)
def test_x_should_retry_decides_only_what_surely_was_not_billed(status: int, said: str, retryable: bool) -> None:
    assert _error(status, x_should_retry=said).retryable is retryable


def test_what_was_moderated_is_never_sent_again_as_it_is() -> None:
    document = {"error": {"code": "content_policy_violation"}}
    assert not _error(500, document, x_should_retry="true").retryable


def test_the_facts_of_the_response_are_kept() -> None:
    document = {"error": {"message": "Slow down", "code": "rate_limit_exceeded", "type": "slow"}}
    error = _error(429, document, retry_after="3", x_request_id="req-1")
    assert (error.status, error.request_id, error.retry_after_s) == (429, "req-1", 3.0)
    assert error.message == "Slow down (rate_limit_exceeded, slow)"
    assert json.loads(error.body) == document


@pytest.mark.parametrize(
    ("headers", "request_id"),
    [
        ({"request_id": "b"}, "b"),
        ({"x_request_id": "a", "request_id": "b"}, "a"),
        ({"x_request_id": "", "request_id": "b"}, "b"),
        ({"x_oneapi_request_id": "c", "x_request_id": "a", "request_id": "b"}, "c"),
        ({"x_request_id": "x" * 999}, "x" * 200),
        ({}, ""),
    ],
)
def test_the_request_id_has_three_names(headers: dict[str, str], request_id: str) -> None:
    assert _error(500, **headers).request_id == request_id


def test_a_code_that_the_words_already_hold_is_not_repeated() -> None:
    assert _error(400, {"error": {"message": "bad_size: 7", "code": "bad_size"}}).message == "bad_size: 7"


@pytest.mark.parametrize(
    ("meaning", "expected"),
    [
        ("invalid", RefusedError),
        ("moderated", RefusedError),
        ("key_refused", BadKeyError),
        ("no_balance", EmptyAccountError),
        ("unknown_model", ModelRefusedError),
        ("throttled", ThrottledError),
        ("overloaded", OverloadedError),
        ("answer_lost", AnswerLostError),
    ],
)
def test_a_providers_own_codes_go_before_the_table(meaning: Meaning, expected: type[ProviderError]) -> None:
    body = json.dumps({"error": {"code": "Quota-Gone", "message": "x"}}).encode()
    response = ApiResponse(status=402, headers={}, body=body, complete=True)
    fault = classify(response, wall=0.0, own_rules=rules_of({"quota gone": meaning}))
    assert (type(fault), fault.kind) == (expected, meaning)
    assert isinstance(classify(response, wall=0.0, own_rules=rules_of({"quota": meaning})), EmptyAccountError)


def test_a_code_without_a_name_is_no_rule() -> None:
    """It fitted every answer without a picture: lost ones were called overloads, and bought again."""
    for name in ("", "  "):
        with pytest.raises(ValueError, match="no name"):
            rules_of({name: "overloaded"})


def test_a_gateway_that_stumbled_may_have_been_handed_a_picture() -> None:
    """LiteLLM's proxy breaks on some answers of its upstream with a Python error of its own, and a plain 500."""
    stumbled = {"error": {"message": "'>=' not supported between instances of 'str' and 'int'", "code": "500"}}
    assert isinstance(_error(500, stumbled, x_litellm_call_id="c"), AnswerLostError)
    assert isinstance(_error(500, stumbled), OverloadedError)
    assert isinstance(_error(503, stumbled, x_litellm_call_id="c"), OverloadedError)


def test_what_a_gateway_hands_on_of_a_refusal_stays_one() -> None:
    moderated = {"error": {"message": "litellm.InternalServerError: OpenAIException - Request Moderated"}}
    assert _error(500, moderated, x_litellm_call_id="c").kind == "moderated"
    refused = {"error": {"message": "litellm.BadRequestError: OpenAIException - no", "type": "invalid_request_error"}}
    assert _error(400, refused, x_litellm_call_id="c").kind == "invalid"
