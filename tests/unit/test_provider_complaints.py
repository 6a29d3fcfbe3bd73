"""What a provider complains of, in every shape."""

import json

import pytest

from pipeline.provider.complaints import MAX_WORDS, clean, read_complaint


@pytest.mark.parametrize(
    "document",
    [
        {"error": {"message": "No.", "type": "t", "param": "p", "code": "c"}},
        {"error": {"msg": "No."}},
        {"error": "No."},
        {"message": "No."},
        {"msg": "No."},
        {"err": "No."},
        {"error_msg": "No."},
        {"detail": "No."},
        {"detail": [{"loc": ["body"], "msg": "No.", "type": "missing"}]},
        {"detail": {"message": "No."}},
        {"err": {"message": "No."}},
        {"header": {"message": "No."}},
        {"response": {"error": {"message": "No."}}},
        {"error": {"message": ""}, "message": "No."},
        {"error": None, "message": " No. "},
        {"error": [], "response": [], "msg": "No."},
        "No.",
    ],
)
def test_the_message_is_found_wherever_it_is(document: object) -> None:
    assert read_complaint(json.dumps(document).encode()).words == "No."


@pytest.mark.parametrize("document", [{}, [], None, 7, {"error": {}}, {"error": {"message": 7}}, {"detail": [7, None]}])
def test_no_message_is_an_empty_one(document: object) -> None:
    assert read_complaint(json.dumps(document).encode()).words == ""


@pytest.mark.parametrize(
    ("document", "codes"),
    [
        ({"error": {"code": "Model_Not_Found", "type": "new api-error"}}, {"model_not_found", "new_api_error"}),
        ({"response": {"error": {"code": "x"}}}, {"x"}),
        ({"code": "y", "error": "No."}, {"y"}),
        ({"status": "Request Moderated"}, {"request_moderated"}),
        ({"error": {"code": 429, "type": None}}, set()),
        ({"error": {"code": "", "type": " "}}, set()),
    ],
)
def test_codes_and_types_are_found(document: object, codes: set[str]) -> None:
    assert read_complaint(json.dumps(document).encode()).codes == codes


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"error": {"message": "", "param": "504"}}, 504),
        ({"error": {"message": "", "param": 429}}, 429),
        ({"error": {"param": "size"}}, None),
        ({"error": {"param": "5040"}}, None),
        ({"error": {"message": "No.", "param": "504"}}, None),
        ({"param": "503"}, 503),
    ],
)
def test_only_an_empty_message_hides_its_status_in_param(document: object, status: int | None) -> None:
    assert read_complaint(json.dumps(document).encode()).hidden_status == status


def test_what_is_not_json_is_its_own_message() -> None:
    assert read_complaint(b"<h1>Bad\n Gateway</h1>").words == "<h1>Bad Gateway</h1>"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("see https://h/x.png?sig=SECRET&a=1 now", "see https://h/x.png?... now"),
        ("HTTPS://h/x?SECRET", "HTTPS://h/x?..."),
        ('{"url":"https://h?SECRET"}', '{"url":"https://h?..."}'),
        ("https://user:SECRET@h/x", "https://h/x"),
        ("Incorrect API key provided: sk-SECRET_12-3.", "Incorrect API key provided: sk-..."),
        ("Authorization: Bearer SECRET.x/y=", "Authorization: Bearer ..."),
        ("two\r\n lines\x1b[31m\u202e", "two lines [31m"),
        ("task-based risk-free", "task-based risk-free"),
    ],
)
def test_words_are_cleaned_of_secrets_and_control_characters(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_words_are_cut() -> None:
    assert len(clean("x" * 10_000)) == len(clean(b"\xe6" * 10_000_000)) == MAX_WORDS
