"""Where the provider of a run is and with what key: the profile, the environment, or a simulator started for it."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pipeline.catalog import Profile, reason_to_avoid
from pipeline.errors import ConfigurationError
from pipeline.runner.keyfile import FILE_SUFFIX, secret
from pipeline.transport.origins import is_loopback, parse_base_url

#: Replaces the profile's base URL; with ``_`` and the profile's name in capitals, that one's alone.
BASE_URL_VARIABLE = "FLUXBATCH_BASE_URL"
#: Holds the key, unless the profile names another variable; the same with ``_FILE`` names a file that holds it.
KEY_VARIABLE = "FLUXBATCH_API_KEY"

#: The built-in simulator's pace: slow enough to watch, in seconds.
SIMULATED_LATENCY_S = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A provider, ready to be asked."""

    base_url: str
    api_key: str | None = field(repr=False)


def configured(profile: Profile, environment: Mapping[str, str]) -> Endpoint | None:
    """The endpoint that profile and environment name; None when the simulator is to be started.

    Raises:
        ConfigurationError: The profile needs a key, and none is set or its file will not do (see ``secret``); or
            make-believe money would be spent elsewhere than on this machine because the environment says so.
    """
    base_url = base_url_of(profile, environment)
    if not base_url:
        return None
    variable = profile.api_key_env or KEY_VARIABLE
    key = secret(environment, variable)
    if not key and profile.api_key_env:
        raise ConfigurationError(
            f"no API key: the environment variable {variable} is not set",
            remedy=f"export {variable}=..., or name a file that holds it: {variable}{FILE_SUFFIX}=..."
            " (or try without a key: provider: simulator)",
        )
    return Endpoint(base_url=base_url, api_key=key or None)


def base_url_variable(profile: Profile) -> str:
    """The environment variable that replaces this profile's base URL, and no other's."""
    return f"{BASE_URL_VARIABLE}_{re.sub('[^A-Z0-9]', '_', profile.name.upper())}"


def check_sellers(profiles: Sequence[Profile], environment: Mapping[str, str]) -> None:
    """See that each provider of a manifest can be asked. One address for several would be sent all their keys.

    Raises:
        ConfigurationError: As ``configured``, of any of them; or one address is set for several.
    """
    if len(profiles) > 1 and environment.get(BASE_URL_VARIABLE, "").strip():
        raise ConfigurationError(
            f"{BASE_URL_VARIABLE} names one address, but the manifest several providers",
            remedy=f"unset it, or set {' and '.join(map(base_url_variable, profiles))}",
        )
    for profile in profiles:
        configured(profile, environment)


def base_url_of(profile: Profile, environment: Mapping[str, str]) -> str:
    """Where the provider is; "" for a simulator that is started for the run.

    Raises:
        ConfigurationError: Make-believe money would be spent elsewhere than on this machine; or nobody says where the
            provider is, or it is a host to be avoided.
    """
    own = environment.get(base_url_variable(profile), "").strip()
    replaced = own or environment.get(BASE_URL_VARIABLE, "").strip()
    if replaced and profile.simulated and not is_loopback(parse_base_url(replaced).origin.host):
        raise ConfigurationError(
            f"{BASE_URL_VARIABLE} names another machine, but the money of profile {profile.name} is make-believe",
            remedy=f"unset {BASE_URL_VARIABLE}, or choose a profile whose money is real",
        )
    base_url = replaced or profile.base_url
    if not base_url and not profile.simulated:
        raise ConfigurationError(
            f"nobody says where {profile.name} is",
            remedy=f"write provider: {{profile: {profile.name}, base_url: https://host/v1}}",
        )
    why = reason_to_avoid(_host(base_url))
    if why is not None:
        raise ConfigurationError(f"the base URL is not to be used: {why}", remedy="name another host of the provider's")
    return base_url


def _host(base_url: str) -> str:
    """The host in an address that nobody has judged yet; "" where there is none."""
    try:
        return (urlsplit(base_url).hostname or "").lower()
    except ValueError:
        return ""


@asynccontextmanager
async def open_endpoint(profile: Profile, environment: Mapping[str, str]) -> AsyncIterator[Endpoint]:
    """The run's provider; a simulator, when it is one, lives as long as this context.

    Raises:
        ConfigurationError: As ``configured``.
    """
    endpoint = configured(profile, environment)
    if endpoint is not None:
        yield endpoint
        return
    from pipeline.simulator import Simulator, SimulatorSettings

    settings = SimulatorSettings(latency_s=SIMULATED_LATENCY_S, latency_spread=0.3, prices_microusd=profile.prices)
    async with Simulator(settings) as simulator:
        yield Endpoint(base_url=simulator.base_url, api_key=None)
