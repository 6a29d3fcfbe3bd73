"""Placeholders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.manifest.complaints import UnfitError
from pipeline.manifest.template import Placeholder, compile_template


def test_words_and_braces() -> None:
    template = compile_template("prompt", "{{a}} {b} c {d-e}")
    assert template.pieces == ("{a} ", Placeholder("b"), " c ", Placeholder("d-e"))
    assert template.fill({"b": "1", "d-e": "2"}) == "{a} 1 c 2"
    assert template.literal is None


def test_letters_of_any_script_make_a_name() -> None:
    assert compile_template("prompt", "{标题}").words == {"标题"}


def test_values_are_never_templates_themselves() -> None:
    assert compile_template("prompt", "{a}!").bind(("a",))(("{a}",)) == "{a}!"


def test_bound_values_stand_in_the_order_of_the_names() -> None:
    assert compile_template("prompt", "{b}-{a}").bind(("a", "b"))(("1", "2")) == "2-1"


@pytest.mark.parametrize("text", ["{}", "{a.b}", "{a[0]}", "{a!r}", "{1}", "{a b}", "{ a }", "{:05}"])
def test_only_plain_names_are_placeholders(text: str) -> None:
    with pytest.raises(UnfitError, match="is not a placeholder") as caught:
        compile_template("prompt", text)
    assert "{{" in caught.value.hint


@pytest.mark.parametrize("text", ["{", "a } b", "{{}", "{a{b}}", "}{"])
def test_a_lone_brace_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(UnfitError, match="stands alone") as caught:
        compile_template("prompt", text)
    assert "for the brace itself" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "specs"), [("{a:05}", False), ("{a:x}", True), ("{a:>5}", True), ("{a:999}", True), ("{a:}", True)]
)
def test_a_width_is_only_for_output_and_only_a_width(text: str, specs: bool) -> None:
    with pytest.raises(UnfitError, match="has a format"):
        compile_template("file", text, specs=specs)


@pytest.mark.parametrize("specs", [False, True])
def test_an_unknown_word_is_told_before_its_format(specs: bool) -> None:
    with pytest.raises(UnfitError, match="no variable named 'animl'") as caught:
        compile_template("prompt", "{animl:x}", specs=specs, known=("animal",))
    assert caught.value.hint == "did you mean 'animal'?"


def test_the_format_of_a_known_word_is_told() -> None:
    with pytest.raises(UnfitError, match="has a format"):
        compile_template("prompt", "{animal:05}", known=("animal",))


def test_a_width_is_kept() -> None:
    assert compile_template("file", "{index:05}", specs=True).pieces == (Placeholder("index", "05"),)


def test_a_word_without_a_variable_names_the_nearest() -> None:
    with pytest.raises(UnfitError, match="no variable named 'animl'") as caught:
        compile_template("prompt", "{animl}").check("prompt", ("animal",))
    assert caught.value.hint == "did you mean 'animal'?"


def test_a_word_without_any_variable_shows_how_to_write_braces() -> None:
    with pytest.raises(UnfitError) as caught:
        compile_template("prompt", "{word}").check("prompt", ())
    assert caught.value.hint == "write {{word}} for the text itself"


@given(st.text(max_size=40))
def test_escaped_text_comes_back_as_it_was(text: str) -> None:
    assert compile_template("prompt", text.replace("{", "{{").replace("}", "}}")).literal == text
