"""What a report is told: every row and cent once, the budgets in force, and only what it is about."""

from pipeline.ledger import BudgetLine, Caps, JobState, Ledger, Scope, Survey
from tests.contract.ledger_scene import PRICE, Scene


def survey(scene: Scene, scope: Scope | None = None, *, limit: int = 100, prompts: int = 100_000) -> Survey:
    with Ledger(scene.address) as ledger:
        return ledger.survey(scope or Scope(), limit=limit, prompts=prompts, clock=scene.clock)


async def test_rows_and_counts_agree_in_every_state(scene: Scene) -> None:
    run = await scene.begin()
    states = [state for state in JobState if state is not JobState.BUYING]
    for index, state in enumerate(states, start=1):
        await scene.bring_to(state, run, scene.job(f"picture {index}", index=index))
    found = survey(scene)
    assert sorted(row.state for row in found.rows) == sorted(states)
    assert {count.state: (count.rows, count.open) for count in found.counts} == {
        state: (1, int(state not in {JobState.PLANNED, JobState.STORED})) for state in states
    }
    assert found.total == len(states)


async def test_a_row_says_who_was_asked_and_whether_it_is_open(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.STORED, run, scene.job("one", index=1))
    await scene.bring_to(JobState.FAILED, run, scene.job("two", index=2))
    rows = {row.index: (row.provider, row.open) for row in survey(scene).rows}
    assert rows == {1: ("apiyi", False), 2: ("apiyi", True)}


async def test_money_is_told_by_day_and_model_with_what_is_unknown_apart(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.STORED, run, scene.job("one", index=1))
    scene.clock.set(2026, 11, 24)
    await scene.bring_to(JobState.UNKNOWN, run, scene.job("two", index=2))
    await scene.reserve(run, scene.job("three", index=3))
    scene.clock.set(2026, 11, 25)
    await scene.bring_to(JobState.FAILED, run, scene.job("four", index=4))
    told = [(line.day, line.pictures, line.spent_microusd, line.unknown_microusd) for line in survey(scene).money]
    assert told == [("2026-11-23", 1, PRICE, 0), ("2026-11-24", 0, 0, 2 * PRICE)]


async def test_money_stands_in_the_row_it_was_spent_for(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.STORED, run, scene.job())
    await scene.see(run, scene.job(index=2))
    rows = {row.index: row for row in survey(scene).rows}
    assert (rows[1].spent_microusd, rows[1].duplicate) == (PRICE, False)
    assert (rows[2].spent_microusd, rows[2].duplicate) == (0, True)


async def test_the_budgets_are_those_of_the_last_run(scene: Scene) -> None:
    first = await scene.begin(caps=Caps(batch=1_000_000))
    await scene.bring_to(JobState.STORED, first, scene.job())
    await scene.writer.end(first, exit_code=0)
    await scene.begin(caps=Caps(batch=2_000_000, daily=300_000, monthly=400_000, total=500_000))
    told = survey(scene).budgets
    assert [(line.kind, line.name, line.cap_microusd) for line in told] == [
        ("batch", "poster", 2_000_000),
        ("daily", "2026-11-23", 300_000),
        ("monthly", "2026-11", 400_000),
        ("total", "", 500_000),
    ]
    assert {line.spent_microusd for line in told} == {PRICE}
    scene.clock.set(2026, 12, 1)
    assert [line.spent_microusd for line in survey(scene).budgets] == [PRICE, 0, 0, PRICE]


async def test_make_believe_money_is_apart(scene: Scene) -> None:
    real = await scene.begin(caps=Caps(total=1_000_000))
    await scene.bring_to(JobState.STORED, real, scene.job())
    await scene.writer.end(real, exit_code=0)
    await scene.begin(manifest="play", simulated=True, caps=Caps(total=2_000_000))
    found = survey(scene)
    assert found.budgets == (
        BudgetLine(
            kind="total", name="", simulated=False, cap_microusd=1_000_000, spent_microusd=PRICE, unknown_microusd=0
        ),
        BudgetLine(kind="total", name="", simulated=True, cap_microusd=2_000_000, spent_microusd=0, unknown_microusd=0),
    )


async def test_a_run_of_an_earlier_version_had_budgets_that_nobody_knows(scene: Scene) -> None:
    await scene.begin(caps=Caps(batch=1))
    scene.tamper("UPDATE runs SET caps = NULL")
    assert survey(scene).budgets == ()


async def test_ages_fall_into_the_bar_that_they_reach(scene: Scene) -> None:
    run = await scene.begin()
    ages = [0.0, 0.999, 1.0, 599.9, 600.0, 5_000.0]
    for index, _ in enumerate(ages, start=1):
        await scene.bring_to(JobState.STORED, run, scene.job(f"picture {index}", index=index))
    for index, age in enumerate(ages, start=1):
        scene.tamper(f"UPDATE jobs SET url_age_s = {age} WHERE prompt = 'picture {index}'")
    bars = survey(scene).ages
    assert {(bar.from_s, bar.to_s): bar.pictures for bar in bars if bar.pictures} == {
        (0, 1): 2, (1, 2): 1, (300, 600): 1, (600, None): 2,
    }  # fmt: skip
    assert [bar.to_s for bar in bars][:-1] == [bar.from_s for bar in bars][1:]


async def test_a_run_has_what_it_saw_last_and_what_it_bought(scene: Scene) -> None:
    first = await scene.begin()
    await scene.bring_to(JobState.STORED, first, scene.job("one", index=1))
    await scene.bring_to(JobState.STORED, first, scene.job("two", index=2))
    await scene.writer.end(first, exit_code=0)
    second = await scene.begin()
    await scene.see(second, scene.job("two", index=2))
    await scene.bring_to(JobState.STORED, second, scene.job("three", index=3))
    of = {run: survey(scene, Scope(run=run.run_id)) for run in (first, second)}
    assert sorted(row.prompt for row in of[first].rows) == ["one", "two"]
    assert sorted(row.prompt for row in of[second].rows) == ["three", "two"]
    assert [sum(line.pictures for line in each.money) for each in of.values()] == [2, 1]


async def test_rows_end_where_their_prompts_get_too_long_and_are_counted_all_the_same(scene: Scene) -> None:
    run = await scene.begin()
    for index in range(1, 6):
        await scene.see(run, scene.job(f"{index}" * 100, index=index))
    found = survey(scene, prompts=250)
    assert [row.index for row in found.rows] == [5, 4]
    assert found.total == 5
