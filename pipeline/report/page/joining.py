"""The only module that knows how a page is put together: one file, from a template, with nothing that can break out."""

import base64
import hashlib
import json
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

#: What a page of this program's begins with.
MARK = '<meta name="generator" content="fluxbatch">'
#: The script's parts, in their order.
SCRIPTS = ("words", "values", "state", "details", "grid", "problems", "charts", "live", "page")

#: Characters that may end a script or a line of one, whatever stands around them.
_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def joined(data: dict[str, Any]) -> str:
    """The page as text.

    Args:
        data: JSON values; see ``document``.
    """
    looks, script = style(), scripts()
    page: str = _template().render(
        mark=Markup(MARK),  # noqa: S704 - written above
        policy=policy(looks, script, connect="'self'" if "live" in data else "'none'"),
        style=Markup(looks),  # noqa: S704 - a file of this package
        script=Markup(script),  # noqa: S704 - files of this package
        words=_block(words()),
        data=_block(data),
        title=data["manifest"] or data["run"],
    )
    return page


def policy(looks: str, script: str, *, connect: str = "'none'") -> str:
    """The Content-Security-Policy: this page's own style and script, pictures from beside it, and nothing else."""
    return (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(looks)}'; img-src 'self' data: file:;"
        f" connect-src {connect}; base-uri 'none'; form-action 'none'"
    )


def style() -> str:
    """The whole style."""
    return _text("style.css")


def scripts() -> str:
    """The whole script."""
    return "\n".join(['"use strict";', *(_text(f"{name}.js") for name in SCRIPTS)])


@cache
def words() -> dict[str, dict[str, str]]:
    """Every word that a page shows, by its name and language."""
    return tomllib.loads(_text("words.toml"))


def escaped(value: Any) -> str:
    """JSON that may stand inside a ``<script>``."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).translate(_ESCAPES)


def _block(value: Any) -> Markup:
    return Markup(escaped(value))  # noqa: S704 - escaped for where it stands


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _text(name: str) -> str:
    return files("pipeline.report.page").joinpath("assets", name).read_text("utf-8")


@cache
def _template() -> Any:
    environment = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)
    environment.globals["word"] = _word
    environment.globals["label"] = _label
    return environment.from_string(_text("template.html"))


def _word(name: str) -> Markup:
    """A word that changes with the language."""
    return Markup('<span data-word="{}">{}</span>').format(name, words()[name]["en"])


def _label(name: str) -> Markup:
    """The same, as the name of something that shows none."""
    return Markup('data-label="{}" aria-label="{}"').format(name, words()[name]["en"])
