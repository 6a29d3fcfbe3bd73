"""A page is one file that asks for nothing, and nothing in its data gets out of where it stands."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

from pipeline.report.page.joining import escaped, joined, scripts

NASTY = "</script><script>alert(1)</script><!--\u2028\u2029&<img src=x onerror=alert(1)>"


def data(**changes: Any) -> dict[str, Any]:
    return {"manifest": None, "run": None, "rows": [], **changes}


class Reader(HTMLParser):
    """Takes a page apart as a browser does."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = dict(attrs).get("id") or tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        self.texts[self._inside] = self.texts.get(self._inside, "") + data

    def attribute(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.tags if name in attributes]


def test_no_prompt_breaks_out_of_its_script() -> None:
    page = Reader(joined(data(rows=[{"prompt": NASTY}])))
    plain = Reader(joined(data()))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert json.loads(page.texts["data"])["rows"] == [{"prompt": NASTY}]


def test_what_is_escaped_is_still_the_same_value() -> None:
    assert not set("<>&\u2028\u2029") & set(escaped({"a": NASTY}))
    assert json.loads(escaped({"a": NASTY})) == {"a": NASTY}


def test_no_name_breaks_out_of_the_title() -> None:
    page = Reader(joined(data(manifest=NASTY)))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in Reader(joined(data())).tags]
    assert page.texts["title"].startswith("</script><script>")


def test_the_policy_lets_only_this_script_and_style_in() -> None:
    page = Reader(joined(data()))
    [policy] = [attributes["content"] for tag, attributes in page.tags if "http-equiv" in attributes]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    for kind in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(page.texts[kind].encode()).digest()).decode()
        assert rules[f"{kind}-src"] == f"'sha256-{digest}'"
    assert rules["default-src"] == rules["connect-src"] == rules["base-uri"] == "'none'"


def test_nothing_is_asked_of_anywhere() -> None:
    page = joined(data())
    assert Reader(page).attribute("src") == []
    assert [each for each in Reader(page).attribute("href") if not each.startswith("#")] == ["data:,"]
    assert set(re.findall(r"\w+://[^\s\"'<]+", page)) == {"http://www.w3.org/2000/svg"}
    assert "@import" not in page
    assert "url(" not in page


def test_the_script_builds_from_values_never_from_text() -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|</"
    assert re.findall(forbidden, scripts()) == []


def test_no_element_carries_style_or_code_of_its_own() -> None:
    attributes = {name for _, found in Reader(joined(data())).tags for name in found}
    assert {name for name in attributes if name == "style" or name.startswith("on")} == set()
