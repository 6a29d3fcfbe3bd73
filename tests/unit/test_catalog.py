"""The catalog's data: what the document says, and that it fits together."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from pipeline.catalog import ModelSpec, Profile, Usd, models, profiles, uses
from pipeline.ratio import parse_ratio

AMOUNT: TypeAdapter[int] = TypeAdapter(Usd)


@pytest.mark.parametrize(
    ("value", "microusd"),
    [("5.00", 5_000_000), (5, 5_000_000), (0.035, 35_000), (Decimal("0.035"), 35_000), (1e-6, 1), ("0", 0)],
)
def test_an_amount_is_taken_as_people_write_it(value: Any, microusd: int) -> None:
    assert AMOUNT.validate_python(value) == microusd


@pytest.mark.parametrize("value", [True, None, [], "five", -1, float("nan"), float("inf"), 1e-7, "0.0000001", 1e10])
def test_what_is_no_amount_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        AMOUNT.validate_python(value)


def test_an_amount_in_a_schema_is_dollars_as_a_number_or_a_text() -> None:
    schema = AMOUNT.json_schema()
    assert {one["type"] for one in schema["anyOf"]} == {"number", "string"}


@pytest.mark.parametrize(
    ("model", "price", "official"), [("flux-kontext-pro", 35_000, 40_000), ("flux-kontext-max", 70_000, 80_000)]
)
def test_the_prices_are_the_documents(model: str, price: int, official: int) -> None:
    assert profiles()["apiyi"].prices[model] == price
    assert models()[model].official_usd == official


def test_a_price_is_there_only_where_somebody_states_it() -> None:
    """The vendor's were partly from memory: an edit by flux-2-pro costs half as much again as what stood there."""
    stated = {name: set(profile.prices) for name, profile in profiles().items()}
    official = {name for name, spec in models().items() if spec.official_usd is not None}
    assert stated == {
        "apiyi": set(models()),
        "simulator": set(models()),
        "openai-compatible": set(),
        "bfl": official,
    }
    assert profiles()["bfl"].prices == {name: models()[name].official_usd for name in official}


@pytest.mark.parametrize(
    ("model", "price"),
    [
        ("flux-2-max", 70_000),
        ("flux-2-pro", 30_000),
        ("flux-2-flex", 60_000),
        ("flux-2-klein-9b", 10_000),
        ("flux-2-klein-4b", 10_000),
        ("flux-pro-1.1-ultra", 50_000),
        ("flux-pro-1.1", 35_000),
        ("flux-pro", 40_000),
        ("flux-dev", 20_000),
    ],
)
def test_the_other_models_cost_what_the_wire_facts_say(model: str, price: int) -> None:
    assert profiles()["apiyi"].prices[model] == price


def test_only_kontext_takes_a_ratio_and_the_others_a_size_of_their_step() -> None:
    steps = {name: spec.parameters.ratio.step for name, spec in models().items() if spec.parameters.ratio}
    assert {name for name, step in steps.items() if step is None} == {"flux-kontext-pro", "flux-kontext-max"}
    assert {step for name, step in steps.items() if name.startswith("flux-2-")} == {16}
    assert {step for name, step in steps.items() if name in {"flux-pro-1.1", "flux-pro", "flux-dev"}} == {32}


def test_the_catalog_knows_how_many_input_images_a_model_takes() -> None:
    images = {name: spec.parameters.images for name, spec in models().items()}
    assert (images["flux-kontext-max"], images["flux-2-max"], images["flux-dev"]) == (1, 8, 0)


def test_a_host_that_cuts_answers_off_is_named_with_the_reason() -> None:
    assert set(profiles()["apiyi"].hosts) == {"api", "vip", "b"}
    assert "524" in profiles()["apiyi"].avoid["api-cf.apiyi.com"]


@pytest.mark.parametrize("name", list(models()))
def test_a_models_defaults_are_among_what_it_takes(name: str) -> None:
    parameters = models()[name].parameters
    assert parameters.format.default in parameters.format.choices
    for number in (parameters.seed, parameters.safety_tolerance):
        assert number is not None
        assert number.minimum <= (number.default or 0) <= number.maximum
    assert parameters.ratio is not None
    assert parse_ratio(parameters.ratio.default).value == 1
    assert parameters.prompt_upsampling is None or parameters.prompt_upsampling.default is False


def test_the_parameters_are_the_documents() -> None:
    tolerance = models()["flux-kontext-pro"].parameters.safety_tolerance
    assert tolerance is not None
    assert (tolerance.minimum, tolerance.maximum, tolerance.default) == (0, 6, 2)
    assert models()["flux-kontext-pro"].parameters.format.choices == ("jpeg", "png")


def test_a_model_knows_its_name() -> None:
    assert [model.id for model in models().values()] == list(models())


def test_a_profile_knows_its_name() -> None:
    assert [profile.name for profile in profiles().values()] == list(profiles())


def test_only_the_simulator_is_make_believe() -> None:
    assert [profile.name for profile in profiles().values() if profile.simulated] == ["simulator"]


def test_the_provider_is_asked_over_https_with_a_key() -> None:
    provider = profiles()["apiyi"]
    assert provider.base_url == "https://api.apiyi.com/v1"
    assert (provider.api_key_env, provider.wire, provider.window_s) == ("FLUXBATCH_API_KEY", "flat", 600)
    assert provider.credit_factor == Decimal("1.15")


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError):
        ModelSpec.model_validate(models()["flux-kontext-pro"].model_dump() | {"colour": "red"})


def _profile(**change: Any) -> Profile:
    return Profile.model_validate(profiles()["apiyi"].model_dump() | {"prices": {}} | change)


@pytest.mark.parametrize("factor", [1.15, "1.15", Decimal("1.15")])
def test_a_credit_factor_is_what_was_written(factor: Any) -> None:
    assert _profile(credit_factor=factor).credit_factor == Decimal("1.15")


@pytest.mark.parametrize(
    "change",
    [
        {"credit_factor": "much"},
        {"credit_factor": None},
        {"credit_factor": float("nan")},
        {"credit_factor": 0.99},
        {"credit_factor": 11},
        {"window_s": 0},
        {"window_s": 86_401},
        {"wire": "round"},
        {"prices": {"flux-kontext-pro": "free"}},
    ],
)
def test_a_profile_out_of_bounds_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        _profile(**change)


def test_the_named_uses_begin_with_the_documents() -> None:
    assert [(name, str(ratio)) for name, ratio in uses().items()][:7] == [
        ("social_media_post", "1:1"),
        ("mobile_wallpaper", "9:16"),
        ("desktop_wallpaper", "16:9"),
        ("portrait_photo", "2:3"),
        ("landscape_photo", "3:2"),
        ("website_banner", "7:3"),
        ("bookmark_design", "3:7"),
    ]


def test_the_catalog_is_read_once() -> None:
    assert models() is models()
    assert profiles() is profiles()
    assert uses() is uses()


def test_the_providers_log_is_the_documents() -> None:
    log = profiles()["apiyi"].log
    assert log is not None
    assert (log.kind, log.path, log.units_per_usd) == ("one-api", "/api/log/self", 500_000)
    assert (log.token_env, log.user_env) == ("FLUXBATCH_LOG_TOKEN", "FLUXBATCH_LOG_USER")
    assert profiles()["simulator"].log == log
