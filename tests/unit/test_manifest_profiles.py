"""Profiles of one's own: in a manifest, in the file of settings, and what is wrong with them, with its place."""

from pathlib import Path

import pytest

from pipeline.catalog import profiles
from pipeline.errors import ManifestError, NotFoundError
from pipeline.manifest import known_profiles, load_manifest
from pipeline.manifest.profiles import MAX_BYTES, profiles_path
from tests.unit.manifest_writing import load, only_problem, problems

OURS = """profiles:
  ours:
    base_url: https://gate.test/v1/
    api_key_env: OURS_KEY
    wire: both
    answers: b64
    sizes: width_height
    ratio_models: [flux-dev]
    codes: {quota_gone: no_balance}
    rate_per_minute: 30
    prices: {flux-kontext-pro: 0.04, flux-dev: 0.02}
"""
JOBS = "jobs: [[a, 1:1]]\n"


def kept(folder: Path, text: str) -> Path:
    path = folder / "profiles.yaml"
    path.write_text(text)
    return path


def wrong(folder: Path, text: str) -> str:
    """The one problem of a file of profiles, as it is shown."""
    with pytest.raises(ManifestError) as caught:
        known_profiles(kept(folder, text))
    (problem,) = caught.value.problems
    return str(problem)


def test_a_manifest_brings_its_own_profile(tmp_path: Path) -> None:
    profile = load(tmp_path, f"version: 1\nprovider: ours\n{OURS}{JOBS}").profile
    assert (profile.name, profile.base_url, profile.api_key_env) == ("ours", "https://gate.test/v1", "OURS_KEY")
    assert (profile.wire, profile.answers, profile.sizes, profile.rate_per_minute) == (
        "both",
        "b64",
        "width_height",
        30,
    )
    assert profile.codes == {"quota_gone": "no_balance"}
    assert profile.ratio_models == {"flux-dev"}
    assert profile.prices == {"flux-kontext-pro": 40_000, "flux-dev": 20_000}
    assert profile.log is None, "it extends openai-compatible, not the first profile"


def test_the_file_of_settings_serves_every_manifest(tmp_path: Path) -> None:
    manifest = tmp_path / "m.yaml"
    manifest.write_text(f"version: 1\nprovider: {{profile: ours, window_s: 60}}\n{JOBS}")
    profile = load_manifest(manifest, profiles=kept(tmp_path, OURS)).profile
    assert (profile.name, profile.window_s, profile.api_key_env) == ("ours", 60, "OURS_KEY")


def test_a_profile_extends_one_before_it(tmp_path: Path) -> None:
    known = known_profiles(kept(tmp_path, f"{OURS}  night: {{profile: ours, rate_per_minute: 5}}\n"))
    assert (known["night"].base_url, known["night"].rate_per_minute) == ("https://gate.test/v1", 5)
    assert list(known) == [*profiles(), "ours", "night"]


def test_without_a_file_there_are_the_built_in_ones(tmp_path: Path) -> None:
    assert known_profiles(tmp_path / "none.yaml") == profiles()
    assert known_profiles(kept(tmp_path, "\n")) == profiles()


def test_the_file_is_where_the_system_keeps_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert profiles_path() == tmp_path / "fluxbatch" / "profiles.yaml"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("profiles:\n  ours: {wire: round}\n", "profiles.yaml:2:16: profiles.ours.wire: must be"),
        ("profiles:\n  ours: {wrie: flat}\n", "profiles.yaml:2:10: profiles.ours.wrie: there is no key named 'wrie'"),
        ("profiles:\n  ours: {profile: apiy}\n", "profiles.yaml:2:19: profiles.ours.profile: there is no provider"),
        ("profiles:\n  apiyi: {wire: flat}\n", "profiles.yaml:2:10: profiles.apiyi: is the name of another profile"),
        ("profiles:\n  Ours: {wire: flat}\n", "profiles.yaml:2:9: profiles.Ours: is no name for a profile"),
        ("profiles:\n  ours: {prices: {dall-e: 1}}\n", "profiles.yaml:2:18: profiles.ours.prices: there is no model"),
        ("profiles:\n  ours: {codes: {gone: free}}\n", "profiles.ours.codes.gone: must be"),
        ("profiles:\n  ours: flat\n", "profiles.ours: must be a mapping of keys"),
        ("profiles: [ours]\n", "profiles.yaml:1:11: profiles: must be a mapping of names"),
        ("- ours\n", "profiles.yaml:1:1: must be a mapping of keys"),
        ("ours: {}\n", "there is no key named 'ours' here"),
        ("profiles:\n  ours: {codes: {' ': throttled}}\n", "profiles.ours.codes: has a code without a name"),
        (
            "profiles:\n  ours: {profile: simulator, base_url: 'https://api.test/v1'}\n",
            "profiles.ours.base_url: names another machine, but the money of simulator is make-believe",
        ),
        ("profiles:\n  ours: {api_key: s3cret}\n", "a key or password never stands in a manifest"),
    ],
)
def test_what_is_wrong_with_the_file_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ManifestError) as caught:
        known_profiles(kept(tmp_path, text))
    assert told in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_file_that_is_no_text_or_too_large_is_refused(tmp_path: Path) -> None:
    kept(tmp_path, "").write_bytes(b"\xff\xfe")
    with pytest.raises(ManifestError, match="not UTF-8"):
        known_profiles(tmp_path / "profiles.yaml")
    assert "larger than 1 MiB" in wrong(tmp_path, "#" * (MAX_BYTES + 1))


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        known_profiles(tmp_path)


def test_what_is_wrong_in_a_manifests_profiles_is_told_there_and_once(tmp_path: Path) -> None:
    text = f"version: 1\nprovider: ours\nprofiles: {{ours: {{prices: {{dall-e: 1}}}}}}\n{JOBS}"
    problem = only_problem(tmp_path, text)
    assert (problem.path, problem.line) == ("profiles.ours.prices", 3)


@pytest.mark.parametrize(
    ("provider", "path", "told"),
    [
        ("{profile: apiyi, host: vap}", "provider.host", "no host named 'vap'"),
        ("{profile: bfl, host: eu}", "provider.host", "no host named 'eu'"),
        ("{profile: apiyi, host: vip, base_url: 'https://h/v1'}", "provider.host", "names a second address"),
        ("{profile: apiyi, base_url: 'https://api-cf.apiyi.com/v1'}", "provider.base_url", "cuts answers off"),
        ("{codes: {'': overloaded, gone: no_balance}}", "provider.codes", "has a code without a name"),
        ("{profile: simulator, base_url: 'https://api.test/v1'}", "provider.base_url", "names another machine"),
        ("{ratio_models: [flux]}", "provider.ratio_models", "no model named 'flux'"),
        ("[apiyi, apiyi]", "provider", "names apiyi twice"),
        ("[apiyi, simulator]", "provider", "mixes make-believe money with real"),
        ("[apiyi, blf]", "provider[1]", "no provider profile named 'blf'"),
        ("[]", "provider", "must not be empty"),
        ("[apiyi, {profile: bfl, wrie: flat}]", "provider[1].wrie", "there is no key named 'wrie'"),
    ],
)
def test_what_is_wrong_with_a_provider_is_told(tmp_path: Path, provider: str, path: str, told: str) -> None:
    (problem,) = problems(tmp_path, f"version: 1\nprovider: {provider}\n{JOBS}")
    assert told in problem.message
    assert problem.path == path


def test_a_host_of_the_same_account_is_taken_by_its_name(tmp_path: Path) -> None:
    profile = load(tmp_path, f"version: 1\nprovider: {{profile: apiyi, host: vip}}\n{JOBS}").profile
    assert profile.base_url == "https://vip.apiyi.com/v1"


def test_make_believe_money_may_be_spent_at_another_simulator_here(tmp_path: Path) -> None:
    """Elsewhere it was real money that no real budget counted."""
    for here in ("http://127.0.0.1:8765/v1", "http://[::1]:8765/v1", "http://localhost/v1"):
        text = f"version: 1\nprovider: {{profile: simulator, base_url: '{here}'}}\n{JOBS}"
        assert load(tmp_path, text).profile.base_url == here


def test_a_model_without_a_stated_price_at_the_vendor_is_one_clear_problem(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, "version: 1\nprovider: bfl\njobs: [[a, 1:1, flux-2-pro]]\n")
    assert problem.message == "no price is known for flux-2-pro at bfl"
    text = "version: 1\nprovider: {profile: bfl, prices: {flux-2-pro: 0.06}}\njobs: [[a, 1:1, flux-2-pro]]\n"
    assert load(tmp_path, text).prices["flux-2-pro"] == 60_000


def test_several_providers_keep_their_order_and_the_dearest_that_may_serve_is_the_price(tmp_path: Path) -> None:
    manifest = load(tmp_path, f"version: 1\nprovider: [apiyi, {{profile: bfl, api_key_env: K}}]\n{JOBS}")
    assert [profile.name for profile in manifest.profiles] == ["apiyi", "bfl"]
    assert manifest.prices["flux-kontext-pro"] == 40_000
    assert manifest.prices["flux-pro-1.1-ultra"] == 50_000, "the vendor states none, and is not asked"
    assert manifest.profiles[1].api_key_env == "K"
