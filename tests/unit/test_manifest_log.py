"""What a manifest may say of its provider's log."""

from pathlib import Path

import pytest

from pipeline.catalog import ProviderLog, profiles
from tests.unit.manifest_writing import load, problems

JOBS = "jobs:\n  - [A cat]\n"


def written(provider: str) -> str:
    return f"version: 1\nname: test\nprovider: {provider}\n{JOBS}"


def test_what_it_says_replaces_the_profiles_and_the_rest_stays(tmp_path: Path) -> None:
    log = "{path: /log, token_env: ACME_LOG, user_env: ACME_USER, units_per_usd: 1000, kind: one-api}"
    assert load(tmp_path, written(f"{{log: {log}}}")).profile.log == ProviderLog(
        path="/log", token_env="ACME_LOG", user_env="ACME_USER", units_per_usd=1_000
    )
    assert load(tmp_path, written("{log: {path: /log}}")).profile.log == ProviderLog(path="/log")
    assert load(tmp_path, written("{window_s: 60}")).profile.log == profiles()["apiyi"].log


@pytest.mark.parametrize(
    ("log", "path"),
    [
        ("{path: log}", "provider.log.path"),
        ("{path: /log?p=1}", "provider.log.path"),
        ("{path: 'https://elsewhere.test/log'}", "provider.log.path"),
        ("{token_env: 'a-token-that-is-one'}", "provider.log.token_env"),
        ("{units_per_usd: 0}", "provider.log.units_per_usd"),
        ("{kind: other}", "provider.log.kind"),
        ("{token: x}", "provider.log.token"),
    ],
)
def test_what_will_not_do_is_told_where_it_stands(tmp_path: Path, log: str, path: str) -> None:
    (problem,) = problems(tmp_path, written(f"{{log: {log}}}"))
    assert problem.path == path
    assert "a-token-that-is-one" not in str(problem)
