"""Holds a ledger against the provider's own log: opens both, asks both, and changes neither."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pipeline.catalog import Profile, ProviderLog
from pipeline.clock import Clock, SystemClock
from pipeline.errors import ConfigurationError, UsageError
from pipeline.ledger import Address, Ledger
from pipeline.provider import Billed, BillingLog
from pipeline.reconcile import Period, Reconciliation, compare
from pipeline.runner.endpoint import BASE_URL_VARIABLE, base_url_of
from pipeline.runner.keyfile import FILE_SUFFIX, secret
from pipeline.transport import LookupTransport

#: How far back a comparison begins when nobody says.
USUAL_DAYS = 31


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to compare.

    Attributes:
        since: The first day; None: the ledger's first of this provider, at most USUAL_DAYS back.
        until: The last day; None: today.
        token_name: Only what came with the API key of that name; "" for all of the account.
    """

    since: date | None = None
    until: date | None = None
    token_name: str = ""


async def reconcile(
    profile: Profile, *, ledger: Address, asked: Asked, environment: Mapping[str, str], clock: Clock | None = None
) -> Reconciliation:
    """Compare day by day, model by model, and request by request.

    Raises:
        NotFoundError: There is no ledger.
        UsageError: The period ends before it begins.
        ConfigurationError: The profile names no log, or there is no token for it.
        KeyRefusedError: The token is refused.
        ProviderUnavailableError: The log cannot be read.
    """
    clock = clock or SystemClock()
    period = _period(profile, ledger, asked, today=_day(clock.wall()))
    log, transport = _transport(profile, environment)
    read_at = clock.wall()
    async with transport:
        entries = await _read(transport, log, period, asked, clock)
    # After the log: whatever it tells of was in the ledger before its request left.
    with Ledger(ledger) as book:
        attempts = book.attempts(
            provider=profile.name,
            simulated=profile.simulated,
            since=period.around.since.isoformat(),
            until=period.around.until.isoformat(),
        )
    return compare(
        attempts,
        entries,
        period=period,
        models=profile.prices,
        read_at=read_at,
        unit_microusd=max(1, 1_000_000 // log.units_per_usd),
        token_name=asked.token_name,
    )


async def _read(
    transport: LookupTransport, log: ProviderLog, period: Period, asked: Asked, clock: Clock
) -> list[Billed]:
    since, until = period.moments
    reader = BillingLog(transport, log=log, clock=clock)
    return await reader.read(since=since, until=until, token_name=asked.token_name)


def _period(profile: Profile, ledger: Address, asked: Asked, *, today: date) -> Period:
    with Ledger(ledger) as book:
        first = book.first_day(provider=profile.name, simulated=profile.simulated)
    until = asked.until or today
    usual = max(date.fromisoformat(first or today.isoformat()), until - timedelta(days=USUAL_DAYS - 1))
    since = asked.since or min(usual, until)
    if since > until:
        raise UsageError(f"the period would end on {until}, before it begins on {since}", remedy="see --since, --until")
    return Period(since=since, until=until)


def _transport(profile: Profile, environment: Mapping[str, str]) -> tuple[ProviderLog, LookupTransport]:
    log = profile.log
    if log is None:
        raise ConfigurationError(
            f"the profile {profile.name} names no log of what its provider billed",
            remedy="name one in the manifest, provider: {log: {kind: one-api}}, or read the bill in its console",
        )
    base_url = base_url_of(profile, environment)
    if not base_url:
        raise ConfigurationError(
            "the simulator of a run is gone when the run ends, and its log with it",
            remedy=f"start one that stays, fluxbatch simulate, and set {BASE_URL_VARIABLE}",
        )
    token = secret(environment, log.token_env)
    if not token:
        raise ConfigurationError(
            f"no token for the provider's log: the environment variable {log.token_env} is not set",
            remedy=f"export {log.token_env}=... (the account's system token, from the provider's console; not the"
            f" API key), or name a file that holds it: {log.token_env}{FILE_SUFFIX}=...",
        )
    user = environment.get(log.user_env, "").strip()
    headers = {"New-Api-User": user} if user else {}
    return log, LookupTransport(base_url=base_url, token=token, headers=headers)


def _day(at: float) -> date:
    return datetime.fromtimestamp(at).astimezone().date()
