"""``fluxbatch reconcile`` as people read it, on a terminal and elsewhere, and what it compares when nobody says."""

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.catalog import Profile, profiles
from pipeline.cli.options import places
from pipeline.cli.reconciling import show_reconciliation
from pipeline.errors import ConfigurationError, UsageError
from pipeline.reconcile import Reconciliation
from pipeline.runner.reconciling import Asked, reconcile
from pipeline.simulator import Simulator
from tests.contract.ledger_scene import FakeClock, Scene, opened

REAL = profiles()["apiyi"]
TODAY = date(2026, 11, 23)


def ask(path: Path, **asked: str | None) -> int:
    return show_reconciliation(
        path,
        manifest=None,
        provider=asked.get("provider"),
        since=asked.get("since"),
        until=asked.get("until"),
        token_name="",
        words=" --ledger x",
        json=False,
    )


async def lose(scene: Scene, count: int) -> None:
    run = await scene.begin()
    for index in range(1, count + 1):
        await scene.lose_answer(await scene.reserve(run, scene.job(str(index), index=index)))


async def compared(
    scene: Scene, simulator: Simulator, asked: Asked | None = None, profile: Profile = REAL
) -> Reconciliation:
    async with simulator:
        environment = {"FLUXBATCH_BASE_URL": simulator.base_url, "FLUXBATCH_LOG_TOKEN": "a-token"}
        return await reconcile(
            profile, ledger=scene.path, asked=asked or Asked(), environment=environment, clock=scene.clock
        )


async def test_it_begins_with_the_ledgers_first_day_and_at_most_31_days_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        found = await compared(scene, Simulator())
        assert (found.period.since, found.period.until) == (TODAY, TODAY)
        await lose(scene, 1)
        for later_days, since in ((10, TODAY), (30, TODAY), (31, TODAY + timedelta(days=1))):
            scene.clock.at = FakeClock().at + later_days * 86_400
            found = await compared(scene, Simulator())
            assert (found.period.since, found.period.until) == (since, TODAY + timedelta(days=later_days))
        found = await compared(scene, Simulator(), Asked(since=date(2026, 1, 1), until=date(2026, 12, 1)))
        assert (found.period.since, found.period.until) == (date(2026, 1, 1), date(2026, 12, 1))


async def test_an_end_before_the_first_day_is_a_day_of_its_own(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        await lose(scene, 1)
        found = await compared(scene, Simulator(), Asked(until=date(2026, 1, 1)))
        assert (found.period.since, found.lines) == (date(2026, 1, 1), ())
        with pytest.raises(UsageError, match="before it begins"):
            await compared(scene, Simulator(), Asked(since=TODAY, until=date(2026, 1, 1)))


async def test_a_profile_without_a_log_is_told_in_a_line(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        with pytest.raises(ConfigurationError, match="names no log") as caught:
            await compared(scene, Simulator(), profile=REAL.model_copy(update={"log": None}))
    assert caught.value.exit_code == 78
    assert "provider: {log: {kind: one-api}}" in caught.value.remedy


async def test_a_number_of_the_account_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    environment = {"FLUXBATCH_LOG_TOKEN": "a-token", "FLUXBATCH_LOG_USER": "1\r\nX-Injected: 1"}
    async with opened(tmp_path) as scene:
        with pytest.raises(ConfigurationError, match="New-Api-User"):
            await reconcile(REAL, ledger=scene.path, asked=Asked(), environment=environment, clock=scene.clock)


async def test_which_provider_is_asked_for_only_where_it_is_not_plain(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        with pytest.raises(UsageError, match="the ledger has no runs"):
            ask(scene.path)
        with pytest.raises(UsageError, match="no provider profile named 'nobody'"):
            ask(scene.path, provider="nobody")
        with pytest.raises(UsageError, match="--since soon: not a date"):
            ask(scene.path, since="soon")


@pytest.mark.parametrize(
    ("output", "ledger", "words"),
    [
        ("output", None, ""),
        ("my pictures", None, " --output 'my pictures'"),
        ("output", "a b.db", " --ledger 'a b.db'"),
    ],
)
def test_the_commands_lead_to_the_same_ledger(output: str, ledger: str | None, words: str) -> None:
    assert places(Path(output), ledger) == words


def test_a_day_is_local() -> None:
    assert datetime.fromtimestamp(FakeClock().at).astimezone().date() == TODAY
