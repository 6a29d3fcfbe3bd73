"""What a manifest may say of who is told how a run ended."""

from pathlib import Path

import pytest

from pipeline.manifest import Notify
from tests.unit.manifest_writing import load, problems


def written(notify: str) -> str:
    return f"version: 1\nname: test\nprovider: simulator\nnotify: {notify}\njobs:\n  - [A cat]\n"


def test_nobody_is_told_unless_it_says_so(tmp_path: Path) -> None:
    assert load(tmp_path, "version: 1\nprovider: simulator\njobs:\n  - [A cat]\n").notify is None


def test_each_way_is_taken_as_written_and_the_address_is_not_shown(tmp_path: Path) -> None:
    address = "https://hooks.example.com/T0/B0?thread=1"
    told = load(tmp_path, written(f"{{webhook: '{address}', command: [mail, -s, news], on: [trouble]}}")).notify
    assert told == Notify(webhook=address, command=("mail", "-s", "news"), on=("trouble",))
    assert "hooks.example.com" not in repr(told)
    assert load(tmp_path, written("{webhook_env: HOOK}")).notify == Notify(webhook_env="HOOK")
    assert load(tmp_path, written("{webhook: 'http://127.0.0.1:9/x'}")).notify is not None


@pytest.mark.parametrize(
    ("notify", "path"),
    [
        ("{}", "notify"),
        ("{on: [trouble]}", "notify"),
        ("{webhook: 'http://hooks.example.com/x'}", "notify.webhook"),
        ("{webhook: 'http://127.0.0.1.example.com/x'}", "notify.webhook"),
        ("{webhook: 'https://user:canary@hooks.example.com/x'}", "notify.webhook"),
        ("{webhook: 'ftp://hooks.example.com/x'}", "notify.webhook"),
        ("{webhook: 'https://a.example/x', webhook_env: HOOK}", "notify.webhook_env"),
        ("{webhook_env: 'https://canary.example'}", "notify.webhook_env"),
        ("{command: mail}", "notify.command"),
        ("{command: []}", "notify.command"),
        ("{command: [mail], on: []}", "notify.on"),
        ("{command: [mail], on: [sometimes]}", "notify.on[0]"),
        ("{comand: [mail]}", "notify.comand"),
    ],
)
def test_what_will_not_do_is_told_where_it_stands_and_never_repeated(tmp_path: Path, notify: str, path: str) -> None:
    found = problems(tmp_path, written(notify))
    assert path in [problem.path for problem in found]
    assert "canary" not in "".join(map(str, found))
