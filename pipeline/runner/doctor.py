"""Whether this machine could run a manifest: looks at everything a run needs, and spends nothing."""

import errno
import fcntl
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Literal

import anyio
import anyio.to_thread

from pipeline.bucket import BucketAddress
from pipeline.catalog import Profile
from pipeline.clock import Clock
from pipeline.deliver import Disk
from pipeline.deliver.room import PICTURE_BYTES, SPARE_BYTES
from pipeline.errors import ConfigurationError, ExitCode, FluxbatchError, most_serious
from pipeline.ledger import BALLAST_BYTES, Address, Ledger, exists, sqlite_version
from pipeline.runner.endpoint import Endpoint, configured
from pipeline.runner.keeping import trouble_with
from pipeline.runner.sellers import TASK_KEY_HEADER
from pipeline.transport import ApiTimeouts, LookupTransport, TransportError
from pipeline.wording import counted

#: A clock that is further off misjudges when a URL dies, and what day money counts in; in seconds.
SKEW_S = 30.0
#: A clock before this was never set: no version of this program is older.
_NEVER_SET = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
#: The releases in which two connections that checkpoint at the same instant no longer corrupt a ledger.
_SOUND = ((3, 51, 3), (3, 50, 7), (3, 44, 6))
_TIMEOUTS = ApiTimeouts(connect_s=10, first_byte_s=20, body_s=20)

Verdict = Literal["ok", "warning", "trouble"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        remedy: What to do about it; "" where all is well.
        code: What a run would end with because of it.
    """

    name: str
    verdict: Verdict
    message: str
    remedy: str = ""
    code: ExitCode = ExitCode.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """All that was looked at."""

    checks: tuple[Check, ...]

    @property
    def exit_code(self) -> ExitCode:
        """The most serious of the troubles; a warning is none."""
        return most_serious(check.code for check in self.checks if check.verdict == "trouble")


async def examine(
    profiles: Sequence[Profile],
    *,
    output: Path,
    ledger: Address,
    environment: Mapping[str, str],
    clock: Clock,
    disk: Disk | None = None,
    store: BucketAddress | None = None,
) -> Examination:
    """Look at keys, clock, disk, SQLite, ledger, network and bucket, in that order; nothing is bought.

    Nothing stays behind but, in a bucket, what each run's own check leaves there.

    Args:
        profiles: Every provider that a run may ask, in its order.
    """
    keys = [(profile, *_key(profile, environment)) for profile in profiles]
    several = len(profiles) > 1
    checks = [_of(profile, key, several=several) for profile, _, key in keys]
    checks += [_clock(clock), await anyio.to_thread.run_sync(_room, output, disk or Disk())]
    checks += [judge_sqlite(sqlite_version()), await anyio.to_thread.run_sync(_ledger, ledger)]
    for profile, endpoint, _ in keys:
        if endpoint is not None:
            found = await _network(profile, endpoint, clock)
            checks += [_of(profile, check, several=several) for check in found]
    if store is not None:
        error = await trouble_with(store)
        well = Check(name="bucket", verdict="ok", message=f"{store}: pictures can be kept there")
        checks.append(well if error is None else _trouble("bucket", error))
    return Examination(checks=tuple(checks))


def _of(profile: Profile, check: Check, *, several: bool) -> Check:
    """A check that says of which provider it is, where there are several."""
    return replace(check, message=f"{profile.name}: {check.message}") if several else check


def _key(profile: Profile, environment: Mapping[str, str]) -> tuple[Endpoint | None, Check]:
    try:
        endpoint = configured(profile, environment)
    except FluxbatchError as error:
        return None, _trouble("key", error)
    if endpoint is None:
        return None, Check(name="key", verdict="ok", message=f"{profile.name} is started for each run, and needs none")
    told = "is set" if endpoint.api_key else "is not set, and not needed"
    return endpoint, Check(name="key", verdict="ok", message=f"{profile.api_key_env or 'FLUXBATCH_API_KEY'} {told}")


def _clock(clock: Clock) -> Check:
    now = clock.wall()
    told = f"{datetime.fromtimestamp(now).astimezone():%Y-%m-%d %H:%M:%S %Z}"
    if now < _NEVER_SET:
        return Check(
            name="clock",
            verdict="trouble",
            message=f"{told} cannot be right: budgets by day and the URLs' deadlines depend on it",
            remedy="set it, best by NTP: timedatectl set-ntp true",
            code=ExitCode.CONFIGURATION,
        )
    return Check(name="clock", verdict="ok", message=told)


def _room(output: Path, disk: Disk) -> Check:
    """Whether a picture can be written, locked and linked where pictures go, and how many fit."""
    folder = output.absolute()
    while not folder.exists():
        folder = folder.parent
    try:
        _try_folder(folder)
        free = disk.free_bytes(folder)
    except OSError as error:
        code = ExitCode.STORAGE if error.errno in {errno.ENOSPC, errno.EIO, errno.EDQUOT} else ExitCode.CANNOT_CREATE
        return Check(
            name="disk",
            verdict="trouble",
            message=f"{folder}: cannot be written ({error.strerror})",
            remedy="name another folder with --output, or see to its permissions",
            code=code,
        )
    pictures = (free - SPARE_BYTES - BALLAST_BYTES) // PICTURE_BYTES
    if pictures < 1:
        return Check(
            name="disk",
            verdict="trouble",
            message=f"{folder}: only {free // 1_000_000:,} MB are free",
            remedy="make room: fluxbatch prune says what could go",
            code=ExitCode.STORAGE,
        )
    return Check(
        name="disk",
        verdict="ok",
        message=f"{folder}: {free // 1_000_000:,} MB free, room for {counted(pictures, 'picture')} or more",
    )


def _try_folder(folder: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".fluxbatch-doctor-") as file:
        file.write(b"a picture would be")
        file.flush()
        os.fsync(file.fileno())
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        second = Path(file.name + "-2")
        second.hardlink_to(file.name)
        second.unlink()


def judge_sqlite(version: str) -> Check:
    """Whether a release of SQLite is one that keeps a ledger whole.

    Args:
        version: Such as ``3.53.0``.
    """
    numbers = tuple(int(part) for part in version.split(".")[:3])
    if numbers >= _SOUND[0] or any(numbers >= sound and numbers[:2] == sound[:2] for sound in _SOUND[1:]):
        return Check(name="sqlite", verdict="ok", message=version)
    return Check(
        name="sqlite",
        verdict="trouble",
        message=f"{version} can corrupt a ledger that two processes use",
        remedy="pip install --upgrade apsw",
        code=ExitCode.CONFIGURATION,
    )


def _ledger(path: Address) -> Check:
    try:
        if not exists(path):
            return Check(name="ledger", verdict="ok", message=f"{path}: none yet; the first run makes it")
        with Ledger(path) as ledger:
            batches = ledger.status()
    except FluxbatchError as error:
        return _trouble("ledger", error)
    return Check(
        name="ledger",
        verdict="ok",
        message=f"{path}: {counted(len(batches), 'manifest and edition', 'manifests and editions')}",
    )


async def _network(profile: Profile, endpoint: Endpoint, clock: Clock) -> list[Check]:
    """Ask for the list of models: costs nothing, and tells of name, TLS, key and clock."""
    try:
        tasks = profile.api == "bfl"
        lookup = LookupTransport(
            base_url=endpoint.base_url,
            token=endpoint.api_key or "",
            scheme="" if tasks else "Bearer ",
            header=TASK_KEY_HEADER if tasks else "Authorization",
            timeouts=_TIMEOUTS,
        )
        async with lookup:
            response = await lookup.get(f"{lookup.base_path}/models", {})
    except ConfigurationError as error:
        return [_trouble("network", error)]
    except TransportError as error:
        return [
            Check(
                name="network",
                verdict="trouble",
                message=error.message,
                remedy=_REMEDIES.get(error.kind, "see to the network, or to FLUXBATCH_BASE_URL"),
                code=ExitCode.UNAVAILABLE,
            )
        ]
    checks = [Check(name="network", verdict="ok", message=f"{lookup.host} answers ({response.status})")]
    judges: tuple[Callable[[], Check | None], ...] = (
        partial(_accepted, profile, response.status),
        partial(_skew, response.headers.get("date", ""), clock.wall()),
    )
    return checks + [check for judge in judges if (check := judge()) is not None]


_REMEDIES = {
    "dns": "see to the name service, or to the host's name in FLUXBATCH_BASE_URL",
    "tls": "see to the clock and to the system's certificates (package ca-certificates)",
    "connect": "see to the firewall and the route; no proxy from the environment is used",
    "connect_timeout": "see to the firewall and the route; no proxy from the environment is used",
}


def _accepted(profile: Profile, status: int) -> Check | None:
    if status in {401, 403}:
        return Check(
            name="account",
            verdict="trouble",
            message=f"the provider refuses the key ({status})",
            remedy=f"put the right one into {profile.api_key_env or 'FLUXBATCH_API_KEY'}",
            code=ExitCode.ACCOUNT,
        )
    if status >= 500 or status == 429:
        return Check(
            name="account",
            verdict="warning",
            message=f"the provider answers with {status}",
            remedy="try again in a while",
        )
    if status == 200:
        return Check(name="account", verdict="ok", message="the key is taken")
    return None


def _skew(date: str, now: float) -> Check | None:
    """Hold the clock against the one the provider's answer names."""
    try:
        off = now - parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError):
        return None
    if abs(off) <= SKEW_S:
        return None
    return Check(
        name="clock",
        verdict="trouble",
        message=f"{abs(off):,.0f} s {'ahead of' if off > 0 else 'behind'} the provider's",
        remedy="set it, best by NTP: timedatectl set-ntp true",
        code=ExitCode.CONFIGURATION,
    )


def _trouble(name: str, error: FluxbatchError) -> Check:
    return Check(name=name, verdict="trouble", message=error.message, remedy=error.remedy, code=error.exit_code)
