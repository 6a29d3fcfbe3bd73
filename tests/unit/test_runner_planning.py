"""The plan of a run, and the cap it sets where nobody has set one."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.errors import DeclinedError
from pipeline.ledger import Caps, LedgerWriter, Reservation
from pipeline.manifest import Manifest
from pipeline.plan import Plan
from pipeline.runner import RunOptions, plan_of
from pipeline.runner.planning import bounded
from tests.unit.manifest_writing import load

ROWS = "jobs:\n  - [a, 1:1, flux-kontext-pro]\n  - [b, 1:1, flux-kontext-max]\n"


def manifest(folder: Path, head: str = "") -> Manifest:
    return load(folder, f"version: 1\nname: t\n{head}{ROWS}")


class FakePerson:
    """Answers what is asked, and remembers it."""

    def __init__(self, answer: bool) -> None:
        self.answer = answer
        self.asked: list[Plan] = []

    async def __call__(self, plan: Plan) -> bool:
        self.asked.append(plan)
        return self.answer


async def spend(wanted: Manifest, options: RunOptions) -> None:
    """Let an earlier run have bought the first job."""
    async with LedgerWriter(options.ledger_path, clock=SystemClock()) as ledger:
        run = await ledger.begin(manifest="t", edition="", provider="apiyi", simulated=False, caps=Caps())
        first = next(iter(wanted.jobs()))
        [admission] = await ledger.admit(run, [(first, "x")], options.policy)
        reserved = await ledger.reserve(run, placement=admission.placement, key=first.key, price_microusd=35_000)
        assert isinstance(reserved, Reservation)
        await ledger.answer(reserved, url="https://x.test/a", bought_at=1.0, deadline=601.0, request_id="r")


def test_a_plan_without_a_ledger_makes_none(tmp_path: Path) -> None:
    options = RunOptions(output=tmp_path / "output", limit=1, concurrency=2, budget_microusd=9)

    plan = plan_of(manifest(tmp_path), options)

    assert (plan.new, plan.concurrency, plan.budget_microusd) == (1, 2, 9)
    assert not (tmp_path / "output").exists()


async def test_a_plan_is_held_against_the_ledger(tmp_path: Path) -> None:
    wanted, options = manifest(tmp_path), RunOptions(output=tmp_path)
    await spend(wanted, options)

    plan = plan_of(wanted, options)

    assert (plan.kept, plan.new, plan.committed_microusd) == (1, 1, 35_000)


@pytest.mark.parametrize("limit", ["budget_usd", "daily_usd", "monthly_usd", "total_usd"])
async def test_with_any_cap_nothing_is_planned_or_asked(tmp_path: Path, limit: str) -> None:
    person = FakePerson(answer=False)
    options = RunOptions(output=tmp_path, confirm=person)

    assert await bounded(manifest(tmp_path, f"limits: {{{limit}: 1}}\n"), options) is options
    assert not person.asked


async def test_without_a_cap_the_worst_case_is_the_budget(tmp_path: Path) -> None:
    options = RunOptions(output=tmp_path)

    assert await bounded(manifest(tmp_path), options) == replace(options, budget_microusd=105_000)


async def test_what_is_committed_already_is_added_to_the_worst_case(tmp_path: Path) -> None:
    wanted, options = manifest(tmp_path), RunOptions(output=tmp_path)
    await spend(wanted, options)

    assert (await bounded(wanted, options)).budget_microusd == 35_000 + 70_000


async def test_somebody_is_asked_before_money_is_spent_without_a_budget(tmp_path: Path) -> None:
    person = FakePerson(answer=True)

    made = await bounded(manifest(tmp_path), RunOptions(output=tmp_path, confirm=person))

    assert [(plan.to_buy, plan.worst_case_microusd) for plan in person.asked] == [(2, 105_000)]
    assert made.budget_microusd == 105_000


async def test_somebody_who_says_no_is_obeyed(tmp_path: Path) -> None:
    with pytest.raises(DeclinedError, match="nothing was bought") as caught:
        await bounded(manifest(tmp_path), RunOptions(output=tmp_path, confirm=FakePerson(answer=False)))

    assert caught.value.exit_code == 75


async def test_nobody_is_asked_about_make_believe_money(tmp_path: Path) -> None:
    person = FakePerson(answer=False)

    made = await bounded(manifest(tmp_path, "provider: simulator\n"), RunOptions(output=tmp_path, confirm=person))

    assert not person.asked
    assert made.budget_microusd == 105_000


async def test_nobody_is_asked_when_there_is_nothing_to_buy(tmp_path: Path) -> None:
    person = FakePerson(answer=False)
    wanted = manifest(tmp_path)
    options = RunOptions(output=tmp_path, confirm=person, limit=1)
    await spend(wanted, options)

    assert (await bounded(wanted, options)).budget_microusd == 35_000
    assert not person.asked
