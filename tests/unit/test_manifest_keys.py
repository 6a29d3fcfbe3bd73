"""The keys of a manifest: what each may say, and what is said when it may not."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import BaseModel

from pipeline.catalog import profiles
from pipeline.errors import ManifestError
from pipeline.manifest import Limits, json_schema, load_manifest
from pipeline.manifest.schema import JobKeys, LimitsKeys, LogKeys, ProviderKeys
from tests.unit.manifest_writing import HEAD, NOON, load, made, only_problem, problems

JOBS_FOLDER = Path(__file__).parents[2] / "jobs"
JOBS = "jobs: [[a cat]]\n"
ISSUE = """\
version: 1
name: spring-campaign
edition: "{date}"
provider: apiyi
limits: {concurrency: 16, budget_usd: 5.00}
defaults: {model: flux-kontext-pro, ratio: 1:1, format: jpeg, safety_tolerance: 2}
output: {folder: "{name}/{edition}", file: "{index:05}-{slug}-{ratio}"}
jobs:
  - [A beautiful sunset over mountains, 3:2, flux-kontext-pro]
  - prompt: Portrait of a wise old wizard
    use: portrait_photo
    seed: 42
    prompt_upsampling: true
  - prompt: "{animal} by a window, {light}"
    vars: {animal: [cat, dog], light: [golden hour, moonlight]}
    repeat: 3
  - rows: prompts.csv
    prompt: "{title}, {style}"
    ratio: "{ratio}"
"""


def test_every_key_of_the_format_works(tmp_path: Path) -> None:
    (tmp_path / "prompts.csv").write_text("title,style,ratio\nharbour,oil,16:9\n")
    manifest = load(tmp_path, ISSUE)
    jobs = made(manifest)
    assert [job.index for job in jobs] == list(range(1, 16))
    assert jobs[0].path == "spring-campaign/2026-11-23/00001-a-beautiful-sunset-over-mountains-3x2"
    wizard = jobs[1].request
    assert (str(wizard.ratio), wizard.seed, wizard.prompt_upsampling) == ("2:3", 42, True)
    assert (jobs[2].request.prompt, jobs[2].repeat, jobs[4].repeat) == ("cat by a window, golden hour", 1, 3)
    assert (jobs[-1].request.prompt, jobs[-1].source) == ("harbour, oil", "prompts.csv:2")
    assert (manifest.limits.budget_microusd, manifest.profile.name) == (5_000_000, "apiyi")
    assert manifest.rows_files == (tmp_path / "prompts.csv",)


def test_silence_is_sensible(tmp_path: Path) -> None:
    manifest = load(tmp_path, "version: 1\n" + JOBS)
    request = made(manifest)[0].request
    assert (manifest.name, manifest.edition, manifest.profile.name) == ("m", "", "apiyi")
    assert manifest.limits == Limits()
    assert manifest.rows_files == ()
    assert (request.model, str(request.ratio), request.seed) == ("flux-kontext-pro", "1:1", None)
    assert (request.output_format, request.safety_tolerance, request.prompt_upsampling) == ("jpeg", 2, False)


@pytest.mark.parametrize("path", sorted(JOBS_FOLDER.glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_loads_within_its_budget(path: Path) -> None:
    assert path.read_text("utf-8").startswith("# yaml-language-server: $schema=manifest.schema.json\n")
    manifest = load_manifest(path, now=NOON)
    worst = sum(manifest.profile.prices[job.request.model] for job in made(manifest))
    assert 0 < worst <= (manifest.limits.budget_microusd or 0)


def test_the_demo_shows_twelve_pictures_and_needs_no_key() -> None:
    manifest = load_manifest(JOBS_FOLDER / "demo.yaml")
    assert len(made(manifest)) == 12
    assert (manifest.profile.api_key_env, manifest.profile.simulated) == ("", True)


def test_the_schema_file_is_what_the_models_say() -> None:
    written = (JOBS_FOLDER / "manifest.schema.json").read_text("utf-8")
    assert written == json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


#: What JSON schema calls a bound, by what the models call it.
BOUNDS = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}


@pytest.mark.parametrize("keys", [LimitsKeys, ProviderKeys, LogKeys, JobKeys], ids=lambda keys: keys.__name__)
def test_the_schema_has_every_bound_that_is_checked(keys: type[BaseModel]) -> None:
    """Those of keys that may be left out stood there as ge and le, which no editor knows."""
    properties = json_schema()["$defs"][keys.__name__]["properties"]
    for name, field in keys.model_fields.items():
        checked = {
            BOUNDS[bound]: getattr(rule, bound) for rule in field.metadata for bound in BOUNDS if hasattr(rule, bound)
        }
        assert {bound: properties[name].get(bound) for bound in checked} == checked


def test_the_schema_speaks_json_schema_alone() -> None:
    provider = json_schema()["$defs"]["ProviderKeys"]["properties"]
    assert provider["window_s"] == {
        "description": "How long a result's URL lives, in seconds.",
        "exclusiveMinimum": 0,
        "maximum": 86_400,
        "type": "number",
    }
    assert provider["allow_hosts"]["maxItems"] == 100
    assert "maxLength" not in provider["allow_hosts"]
    told = json.dumps(json_schema())
    assert [word for word in ("ge", "le", "gt", "lt", "max_length", "min_length") if f'"{word}":' in told] == []


def test_the_schema_describes_every_key() -> None:
    schema = json_schema()
    for definition in [schema, *schema["$defs"].values()]:
        for name, key in definition.get("properties", {}).items():
            # A section's description is that of what it refers to.
            target = schema["$defs"][key["$ref"].rpartition("/")[2]] if "$ref" in key else key
            assert target.get("description"), name
    assert schema["title"] == "fluxbatch manifest"
    assert schema["required"] == ["version", "jobs"]


def test_all_problems_are_shown_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        "version: 2\nnmae: x\nprovider: apiy\nlimits: {concurrency: 0, budget_usd: lots}\ndefaults: {ratio: 9:1}\n"
        "output: {folder: ../x}\njobs:\n  - [a, 99:1]\n  - {prompt: b, modle: x}\n  - prompt: '{c}'\n"
    )
    found = problems(tmp_path, text)
    assert [problem.path for problem in found] == [
        "version", "nmae", "provider", "limits.concurrency", "limits.budget_usd", "defaults.ratio", "output.folder",
        "jobs[0][1]", "jobs[1].modle", "jobs[2].prompt",
    ]  # fmt: skip
    assert [(problem.line, problem.column) for problem in found][:4] == [(1, 10), (2, 1), (3, 11), (4, 23)]
    assert found[1].hint == "did you mean 'name'?"
    assert found[2].hint == "did you mean 'apiyi'?"
    assert str(found[7]).startswith(f"{tmp_path / 'm.yaml'}:8:9: jobs[0][1]: 99:1 is outside the range 3:7 to 7:3")


def test_more_than_a_hundred_problems_are_counted(tmp_path: Path) -> None:
    found = problems(tmp_path, HEAD + "jobs:\n" + "  - [a, 9:1]\n" * 150)
    assert len(found) == 101
    assert found[-1].message == "and 50 more problems; mend these first"


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("limits: {concurrency: 513}", "limits.concurrency", "must be at most 512"),
        ("limits: {concurrency: 1.5}", "limits.concurrency", "must be a whole number"),
        ("limits: {concurrency: '8'}", "limits.concurrency", "must be a whole number"),
        ("limits: {downloads: 0}", "limits.downloads", "must be at least 1"),
        ("limits: {downloads: true}", "limits.downloads", "must be a whole number"),
        ("on_unknown: retry", "on_unknown", "needs a cap in dollars"),
        ("on_unknown: perhaps", "on_unknown", "must be 'hold' or 'retry'"),
        ("limits: {resend_usd: 1}", "limits.resend_usd", "caps nothing"),
        ("limits: {max_throttle_s: 0}", "limits.max_throttle_s", "must be more than 0"),
        ("limits: {max_throttle_s: soon}", "limits.max_throttle_s", "must be a number of seconds, such as 600"),
        ("limits: {budget_usd: .inf}", "limits.budget_usd", "must be an ordinary number"),
        ("limits: {budget_usd: '.nan'}", "limits.budget_usd", "must be an ordinary number"),
        ("limits: {budget_usd: -1}", "limits.budget_usd", "-1 is not an amount in dollars, such as 5.00"),
        ("limits: {budget_usd: 1e999999}", "limits.budget_usd", "must be an ordinary number"),
        ("limits: {budget_usd: 0.0000001}", "limits.budget_usd", "finer than a millionth"),
        ("limits: {budget_usd: [1]}", "limits.budget_usd", "must be an amount in US dollars, such as 5.00"),
        ("limits: {budget_usd: ~}", "limits.budget_usd", "has no value"),
        ("limits: [1]", "limits", "must be a mapping of keys"),
        ("limits: {budgt_usd: 1}", "limits.budgt_usd", "there is no key named 'budgt_usd' here"),
        ("edition: [a]", "edition", "must be a text"),
        ("provider: ~", "provider", "has no value"),
        ("provider: {profile: nobody}", "provider.profile", "there is no provider profile named 'nobody'"),
        ("provider: {prices: {flux-kontext-por: 1}}", "provider.prices", "no model named 'flux-kontext-por'"),
        ("provider: {prices: {flux-kontext-pro: x}}", "provider.prices.flux-kontext-pro", "must be an amount"),
        ("provider: {prices: 3}", "provider.prices", "must be a mapping of names"),
        ("provider: {wire: round}", "provider.wire", "must be 'flat', 'extra_body' or 'both'"),
        ("provider: {window_s: 0}", "provider.window_s", "must be more than 0"),
        ("provider: {credit_factor: 0.5}", "provider.credit_factor", "must be at least 1"),
        ("provider: {credit_factor: much}", "provider.credit_factor", "must be a number, such as 1.15"),
        ("provider: {base_url: 'ftp://x'}", "provider.base_url", "must be an address such as"),
        ("provider: {allow_hosts: [a/b]}", "provider.allow_hosts[0]", "must be a host, or host:port"),
        ("provider: {allow_hosts: x}", "provider.allow_hosts", "must be a list"),
        ("defaults: {ratio: '{a}'}", "defaults.ratio", "placeholders cannot stand in the defaults"),
        ("defaults: {ratio: 1:1, use: app_icon}", "defaults.use", "stands beside ratio"),
        ("defaults: {safety_tolerance: 7}", "defaults.safety_tolerance", "7 is outside 0 to 6"),
        ("defaults: {prompt_upsampling: yes}", "defaults.prompt_upsampling", "must be true or false"),
        ("defaults: {format: webp}", "defaults.format", "there is no format named 'webp'"),
        ("defaults: {model: flux-kontext-mx}", "defaults.model", "there is no model named 'flux-kontext-mx'"),
        ("name: {a: 1}", "name", "must be a text"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_in_plain_words(tmp_path: Path, text: str, path: str, message: str) -> None:
    problem = only_problem(tmp_path, f"version: 1\n{text}\njobs: [[a cat]]\n")
    assert problem.path == path
    assert message in problem.message
    assert problem.line == 2
    assert "pydantic" not in str(problem)


@pytest.mark.parametrize("text", ["", "jobs: []\n", "jobs: a cat\n", "jobs: ~\n"])
def test_a_manifest_without_jobs_is_a_problem(tmp_path: Path, text: str) -> None:
    assert only_problem(tmp_path, "version: 1\n" + text).path == "jobs"


def test_the_version_is_required(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, JOBS)
    assert (problem.path, problem.message) == ("version", "is missing")


@pytest.mark.parametrize("version", ["2", "'1'", "1.5", "one"])
def test_only_version_1_is_read(tmp_path: Path, version: str) -> None:
    assert only_problem(tmp_path, f"version: {version}\n{JOBS}").message == "must be 1"


@pytest.mark.parametrize("key", ["api_key", "API_KEY", "token", "password"])
def test_a_key_in_the_manifest_is_refused_and_never_shown(tmp_path: Path, key: str) -> None:
    problem = only_problem(tmp_path, f"version: 1\nprovider: {{profile: apiyi, {key}: sk-s3cret}}\n{JOBS}")
    assert "never stands in a manifest" in problem.message
    assert "api_key_env" in problem.hint
    assert "s3cret" not in str(problem)


@pytest.mark.parametrize("text", ["api_key_env: sk-s3cret", "base_url: 'https://s3cret@api.example.com/v1'"])
def test_what_may_be_a_key_is_never_shown(tmp_path: Path, text: str) -> None:
    assert "s3cret" not in str(only_problem(tmp_path, f"version: 1\nprovider: {{{text}}}\n{JOBS}"))


def test_a_provider_extends_a_profile(tmp_path: Path) -> None:
    provider = (
        "{profile: apiyi, base_url: 'http://127.0.0.1:8080/v1/', api_key_env: MY_KEY, wire: both, window_s: 60,"
        " allow_hosts: [CDN.example.com, '127.0.0.1:9000', '[::1]:80'], prices: {flux-kontext-max: 0.0651},"
        " credit_factor: 1.10}"
    )
    profile = load(tmp_path, f"version: 1\nprovider: {provider}\n{JOBS}").profile
    assert profile.base_url == "http://127.0.0.1:8080/v1"
    assert (profile.name, profile.api_key_env, profile.wire, profile.window_s) == ("apiyi", "MY_KEY", "both", 60)
    assert profile.allow_hosts == ("cdn.example.com", "127.0.0.1:9000", "[::1]:80")
    assert profile.prices == profiles()["apiyi"].prices | {"flux-kontext-max": 65_100}
    assert profile.credit_factor == Decimal("1.10")


def test_limits_are_exact(tmp_path: Path) -> None:
    limits = "{concurrency: 4, downloads: 2, budget_usd: '0.000001', daily_usd: 0.1, monthly_usd: 1e2, total_usd: 3}"
    found = load(tmp_path, f"version: 1\nlimits: {limits}\n{JOBS}").limits
    assert found == Limits(
        concurrency=4,
        downloads=2,
        budget_microusd=1,
        daily_microusd=100_000,
        monthly_microusd=100_000_000,
        total_microusd=3_000_000,
    )


def test_a_name_that_looks_like_a_number_stays_as_written(tmp_path: Path) -> None:
    assert load(tmp_path, f"version: 1\nname: 1.10\nedition: 007\n{JOBS}").name == "1.10"


def test_a_manifest_error_shows_each_problem_on_a_line(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        load(tmp_path, "version: 1\nlimits: {downloads: 0}\njobs: [[a, 9:1]]\n")
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ("{prompt: a, model: flux-2-klein-4b, prompt_upsampling: true}", "does not take prompt_upsampling"),
        ("{prompt: a, model: flux-2-pro, safety_tolerance: 6}", "6 is outside 0 to 5, which flux-2-pro takes"),
    ],
)
def test_what_a_model_does_not_take_is_refused_at_its_place(tmp_path: Path, job: str, message: str) -> None:
    problem = only_problem(tmp_path, f"version: 1\njobs:\n  - {job}\n")
    assert (problem.line, message in problem.message) == (3, True)
