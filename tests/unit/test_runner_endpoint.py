"""Where the provider is and with what key."""

import pytest

from pipeline.catalog import Profile, profiles
from pipeline.errors import ConfigurationError
from pipeline.runner.endpoint import Endpoint, check_sellers, configured, open_endpoint

REAL, SIMULATED = profiles()["apiyi"], profiles()["simulator"]
KEY = {"FLUXBATCH_API_KEY": "sk-123"}


def changed(profile: Profile, **changes: object) -> Profile:
    return profile.model_copy(update=changes)


def test_the_profile_says_where_and_the_environment_with_what_key() -> None:
    assert configured(REAL, KEY) == Endpoint(base_url="https://api.apiyi.com/v1", api_key="sk-123")


@pytest.mark.parametrize("environment", [{}, {"FLUXBATCH_API_KEY": ""}, {"FLUXBATCH_API_KEY": " \n"}])
def test_without_a_key_nothing_begins_and_the_variable_is_named(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="FLUXBATCH_API_KEY is not set") as caught:
        configured(REAL, environment)

    assert caught.value.remedy.startswith("export FLUXBATCH_API_KEY=")
    assert caught.value.exit_code == 78


def test_a_profile_may_keep_its_key_in_a_variable_of_its_own() -> None:
    profile = changed(REAL, api_key_env="ACME_KEY")

    assert configured(profile, {"ACME_KEY": "k"}) == Endpoint(base_url=REAL.base_url, api_key="k")
    with pytest.raises(ConfigurationError, match="ACME_KEY is not set"):
        configured(profile, KEY)


def test_the_environment_replaces_the_base_url() -> None:
    found = configured(REAL, {**KEY, "FLUXBATCH_BASE_URL": " https://gateway.test/v1 "})

    assert found == Endpoint(base_url="https://gateway.test/v1", api_key="sk-123")


def test_an_empty_base_url_replaces_nothing() -> None:
    found = configured(REAL, {**KEY, "FLUXBATCH_BASE_URL": ""})

    assert found is not None
    assert found.base_url == REAL.base_url


def test_the_ends_of_a_key_are_stripped_because_people_paste_them() -> None:
    found = configured(REAL, {"FLUXBATCH_API_KEY": " sk-123\n"})

    assert found is not None
    assert found.api_key == "sk-123"


@pytest.mark.parametrize("key", ["sk 123", "sk\n123", "sk\x00", "clé", "sk-“123”"])
def test_a_key_with_characters_no_key_has_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ConfigurationError, match="the key in FLUXBATCH_API_KEY has characters no key has") as caught:
        configured(REAL, {"FLUXBATCH_API_KEY": key})

    assert key not in str(caught.value)


def test_the_key_is_not_shown_by_repr() -> None:
    assert "sk-123" not in repr(configured(REAL, KEY))


def test_the_simulator_needs_no_key_and_is_started_for_the_run() -> None:
    assert configured(SIMULATED, {}) is None


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "[::1]:8765"])
def test_a_simulator_on_this_machine_may_be_named_in_the_environment(host: str) -> None:
    found = configured(SIMULATED, {"FLUXBATCH_BASE_URL": f"http://{host}/v1"})

    assert found == Endpoint(base_url=f"http://{host}/v1", api_key=None)


def test_real_money_is_never_spent_as_make_believe_because_the_environment_says_so() -> None:
    """The profile's money is not counted as real, so the environment alone may not lead it to a real provider."""
    with pytest.raises(ConfigurationError, match="FLUXBATCH_BASE_URL names another machine"):
        configured(SIMULATED, {**KEY, "FLUXBATCH_BASE_URL": "https://api.apiyi.com/v1"})


def test_a_manifest_may_say_that_its_provider_elsewhere_is_a_simulator() -> None:
    found = configured(changed(SIMULATED, base_url="https://simulator.test/v1"), {})

    assert found == Endpoint(base_url="https://simulator.test/v1", api_key=None)


async def test_a_configured_endpoint_is_opened_as_it_is() -> None:
    async with open_endpoint(REAL, KEY) as endpoint:
        assert endpoint == configured(REAL, KEY)


async def test_an_endpoint_without_a_key_is_not_opened() -> None:
    with pytest.raises(ConfigurationError):
        async with open_endpoint(REAL, {}):
            pass


def test_one_profiles_address_is_replaced_by_a_variable_of_its_own() -> None:
    environment = {
        **KEY,
        "FLUXBATCH_BASE_URL_APIYI": "https://a.test/v1",
        "FLUXBATCH_BASE_URL_MY_GATE": "https://b.test",
    }
    assert configured(REAL, environment) == Endpoint(base_url="https://a.test/v1", api_key="sk-123")
    assert configured(changed(REAL, name="my-gate"), environment) == Endpoint(
        base_url="https://b.test", api_key="sk-123"
    )


def test_one_address_for_several_providers_is_refused() -> None:
    check_sellers([REAL], {**KEY, "FLUXBATCH_BASE_URL": "https://a.test/v1"})
    check_sellers([REAL, profiles()["bfl"]], {**KEY, "BFL_API_KEY": "k", "FLUXBATCH_BASE_URL": " "})
    with pytest.raises(ConfigurationError, match="several providers") as caught:
        check_sellers([REAL, profiles()["bfl"]], {"FLUXBATCH_BASE_URL": "https://a.test/v1"})
    assert "FLUXBATCH_BASE_URL_BFL" in caught.value.remedy


def test_a_profile_without_an_address_needs_one() -> None:
    with pytest.raises(ConfigurationError, match="nobody says where openai-compatible is"):
        configured(profiles()["openai-compatible"], KEY)


def test_a_host_that_cuts_answers_off_is_refused_from_the_environment_too() -> None:
    with pytest.raises(ConfigurationError, match="cuts answers off"):
        configured(REAL, {**KEY, "FLUXBATCH_BASE_URL": "https://API-CF.apiyi.com/v1"})


def test_every_provider_of_a_manifest_needs_its_key() -> None:
    with pytest.raises(ConfigurationError, match="BFL_API_KEY is not set"):
        check_sellers([REAL, profiles()["bfl"]], KEY)
