"""The only module that turns a manifest's provider and limits into what the stages take: a Profile and Limits."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pipeline.bucket import BucketAddress, parse_address
from pipeline.catalog import Profile, ProviderLog, models, reason_to_avoid
from pipeline.manifest.complaints import Gathering, UnfitError, listed, nearest, shown
from pipeline.manifest.fields import PROFILE_NAME
from pipeline.manifest.schema import LimitsKeys, NotifyKeys, OutputKeys, ProviderKeys

#: What a profile of one's own extends, unless it says so.
ANY_SERVER = "openai-compatible"
_STEP = "\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much at once, and how much money at most.

    Attributes:
        concurrency: The most requests in flight, 1 to 512.
        rate_per_minute: The most requests started in a minute, of each model; None: what is found.
        processes: What a run's work is divided over, 1 to 32.
        downloads: The most pictures fetched at once, 1 to 128; each host learns a number of its own below that.
        budget_microusd: For this manifest and edition, over all its runs; None for no limit, as below.
        daily_microusd: For the ledger's calendar day, local time.
        monthly_microusd: For the ledger's calendar month, local time.
        total_microusd: For the whole ledger.
        resend_microusd: What lost answers may cost once more, for this manifest and edition over all its runs; None:
            they are held for a person.
        max_throttle_s: How long one job may wait on rate limits, in seconds.
    """

    concurrency: int = 16
    rate_per_minute: int | None = None
    processes: int = 1
    downloads: int = 32
    budget_microusd: int | None = None
    daily_microusd: int | None = None
    monthly_microusd: int | None = None
    total_microusd: int | None = None
    resend_microusd: int | None = None
    max_throttle_s: float = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Who is told how a run ended.

    Attributes:
        webhook: An address; perhaps a secret.
        webhook_env: The environment variable that holds it instead.
        command: A program and its arguments.
        on: When: ``finish``, ``trouble`` or both.
    """

    webhook: str = field(default="", repr=False)
    webhook_env: str = ""
    command: tuple[str, ...] = ()
    on: tuple[str, ...] = ("finish", "trouble")


def notify_of(keys: NotifyKeys) -> Notify:
    """Take it as written.

    Raises:
        UnfitError: It names nobody to tell, or two addresses.
    """
    if keys.webhook and keys.webhook_env:
        raise UnfitError("webhook_env", "names a second address", "keep one of webhook and webhook_env")
    if not (keys.webhook or keys.webhook_env or keys.command):
        raise UnfitError("", "names nobody to tell", "add webhook: https://... or command: [program, argument]")
    return Notify(
        webhook=keys.webhook or "", webhook_env=keys.webhook_env or "", command=keys.command or (), on=keys.on
    )


def store_of(keys: OutputKeys) -> BucketAddress | None:
    """The bucket that pictures go to; None: they stay in the output folder.

    Raises:
        UnfitError: A server is named, and no bucket.
    """
    if keys.store is not None:
        return parse_address(keys.store, endpoint=keys.endpoint)
    if keys.endpoint is not None:
        raise UnfitError("endpoint", "names a server, but no bucket", "add store: s3://bucket/prefix")
    return None


def limits_of(keys: LimitsKeys) -> Limits:
    """Take the limits as written."""
    return Limits(
        concurrency=keys.concurrency,
        rate_per_minute=keys.rate_per_minute,
        processes=keys.processes,
        downloads=keys.downloads,
        budget_microusd=keys.budget_usd,
        daily_microusd=keys.daily_usd,
        monthly_microusd=keys.monthly_usd,
        total_microusd=keys.total_usd,
        resend_microusd=keys.resend_usd,
        max_throttle_s=keys.max_throttle_s,
    )


def profiles_of(
    written: str | ProviderKeys | Sequence[str | ProviderKeys], known: Mapping[str, Profile]
) -> tuple[Profile, ...]:
    """Take the providers of a manifest, in their order.

    Raises:
        UnfitError: As ``profile_of``, with paths for keys (see ``steps_of``); or one
            stands there twice, or make-believe money is mixed with real.
    """
    if isinstance(written, str | ProviderKeys):
        return (profile_of(written, known),)
    faults = Gathering()
    found = []
    for number, each in enumerate(written):
        try:
            found.append(profile_of(each, known))
        except UnfitError as exc:
            faults.found += [_below(str(number), fault) for fault in exc.each()]
    names = [profile.name for profile in found]
    for name in sorted({name for name in names if names.count(name) > 1}):
        faults.found.append(UnfitError("", f"names {name} twice", "each provider stands there once"))
    if len({profile.simulated for profile in found}) > 1:
        faults.found.append(UnfitError("", "mixes make-believe money with real", "keep one kind of provider"))
    faults.settle()
    return tuple(found)


def own_profiles(written: Mapping[str, ProviderKeys], known: Mapping[str, Profile]) -> dict[str, Profile]:
    """Add profiles that people wrote to those that are known; each extends one that is, or an earlier one.

    Raises:
        UnfitError: One does not fit; its ``key`` is a path, see ``steps_of``.
    """
    faults = Gathering()
    found = dict(known)
    for name, keys in written.items():
        if not re.fullmatch(PROFILE_NAME, name):
            faults.found.append(UnfitError(name, "is no name for a profile", "small letters, digits, '-', '_' and '.'"))
        elif name in found:
            faults.found.append(UnfitError(name, "is the name of another profile", "choose another name"))
        else:
            base = keys if "profile" in keys.model_fields_set else keys.model_copy(update={"profile": ANY_SERVER})
            try:
                found[name] = profile_of(base, found).model_copy(update={"name": name, "title": name})
            except UnfitError as exc:
                faults.found += [_below(name, fault) for fault in exc.each()]
    faults.settle()
    return found


def steps_of(key: str) -> tuple[str | int, ...]:
    """The steps of a path below ``provider`` or ``profiles``."""
    return tuple(int(step) if step.isdigit() else step for step in key.split(_STEP) if step)


def _below(name: str, fault: UnfitError) -> UnfitError:
    return UnfitError(f"{name}{_STEP}{fault.key}", fault.message, fault.hint)


def profile_of(written: str | ProviderKeys, known: Mapping[str, Profile]) -> Profile:
    """Take a profile by its name, with the manifest's own settings over it; prices and codes are added to its own.

    Raises:
        UnfitError: No such profile or host, models that the catalog does not have, or an address that is to be avoided.
    """
    faults = Gathering()
    keys = ProviderKeys(profile=written) if isinstance(written, str) else written
    if keys.profile not in known:
        hint = nearest(keys.profile, known) or listed(known)
        where = "" if isinstance(written, str) else "profile"
        faults.found.append(UnfitError(where, f"there is no provider profile named {shown(keys.profile)}", hint))
    for key, named in (("prices", keys.prices), ("ratio_models", keys.ratio_models or ())):
        for model in named:
            if model not in models():
                hint = nearest(model, models()) or listed(models())
                faults.found.append(UnfitError(key, f"there is no model named {shown(model)} in the catalog", hint))
    if not all(code.strip() for code in keys.codes):
        # It would fit whatever has no picture, lost answers included.
        faults.found.append(UnfitError("codes", "has a code without a name", "write the provider's own code"))
    faults.settle()
    base = known[keys.profile]
    apart = {"profile", "host", "base_url", "prices", "codes", "ratio_models", "log"}
    changed = keys.model_dump(exclude_none=True, exclude=apart)
    if keys.ratio_models is not None:
        changed["ratio_models"] = frozenset(keys.ratio_models)
    log = base.log
    if keys.log is not None:
        log = (log or ProviderLog()).model_copy(update=keys.log.model_dump(exclude_none=True))
    added = {"prices": {**base.prices, **keys.prices}, "codes": {**base.codes, **keys.codes}}
    return base.model_copy(update={**changed, **added, "base_url": _address(keys, base), "log": log})


def _address(keys: ProviderKeys, base: Profile) -> str:
    """Where the provider is.

    Raises:
        UnfitError: There is no such host, two addresses are named, or it is one to be avoided.
    """
    if keys.host is not None and keys.base_url is not None:
        raise UnfitError("host", "names a second address", "keep one of host and base_url")
    if keys.host is not None and keys.host not in base.hosts:
        hint = nearest(keys.host, base.hosts) or (listed(base.hosts) if base.hosts else "write base_url")
        raise UnfitError("host", f"{base.name} has no host named {shown(keys.host)}", hint)
    if keys.host is not None:
        return base.hosts[keys.host]
    address = keys.base_url or base.base_url
    if base.simulated and keys.base_url is not None and not _is_loopback(address):
        message = f"names another machine, but the money of {base.name} is make-believe"
        raise UnfitError("base_url", message, f"extend a profile whose money is real, such as {ANY_SERVER}")
    why = reason_to_avoid((urlsplit(address).hostname or "").lower())
    if why is not None:
        raise UnfitError(
            "base_url", f"is not to be used: {why}", f"such as {next(iter(base.hosts.values()), 'another')}"
        )
    return address


def _is_loopback(address: str) -> bool:
    from pipeline.transport.origins import is_loopback  # with what asks providers, which most manifests have no need of

    return is_loopback((urlsplit(address).hostname or "").lower())
