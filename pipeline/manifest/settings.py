"""The only module that turns a manifest's provider and limits into what the stages take: a Profile and Limits."""

from dataclasses import dataclass, field

from pipeline.catalog import Profile, ProviderLog, models, profiles
from pipeline.manifest.complaints import Gathering, UnfitError, listed, nearest, shown
from pipeline.manifest.schema import LimitsKeys, NotifyKeys, ProviderKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much at once, and how much money at most.

    Attributes:
        concurrency: The most requests in flight, 1 to 512.
        rate_per_minute: The most requests started in a minute, of each model; None: what is found.
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


def limits_of(keys: LimitsKeys) -> Limits:
    """Take the limits as written."""
    return Limits(
        concurrency=keys.concurrency,
        rate_per_minute=keys.rate_per_minute,
        downloads=keys.downloads,
        budget_microusd=keys.budget_usd,
        daily_microusd=keys.daily_usd,
        monthly_microusd=keys.monthly_usd,
        total_microusd=keys.total_usd,
        resend_microusd=keys.resend_usd,
        max_throttle_s=keys.max_throttle_s,
    )


def profile_of(written: str | ProviderKeys) -> Profile:
    """Take a profile by its name, with the manifest's own settings over it; ``prices`` are added to the profile's.

    Raises:
        UnfitError: No such profile, or prices for models that the catalog does not have.
    """
    faults = Gathering()
    keys = ProviderKeys(profile=written) if isinstance(written, str) else written
    if keys.profile not in profiles():
        hint = nearest(keys.profile, profiles()) or listed(profiles())
        where = "" if isinstance(written, str) else "profile"
        faults.found.append(UnfitError(where, f"there is no provider profile named {shown(keys.profile)}", hint))
    for model in keys.prices:
        if model not in models():
            hint = nearest(model, models()) or listed(models())
            faults.found.append(UnfitError("prices", f"there is no model named {shown(model)} in the catalog", hint))
    faults.settle()
    changed = keys.model_dump(exclude_none=True, exclude={"profile", "prices", "log"})
    base = profiles()[keys.profile]
    log = base.log
    if keys.log is not None:
        log = (log or ProviderLog()).model_copy(update=keys.log.model_dump(exclude_none=True))
    return base.model_copy(update={**changed, "prices": {**base.prices, **keys.prices}, "log": log})
