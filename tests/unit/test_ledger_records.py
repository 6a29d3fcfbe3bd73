"""What the ledger's values decide by themselves."""

from datetime import datetime

import apsw
import pytest

from pipeline.ledger import Caps, JobState, Policy, Run
from pipeline.ledger.schema import MIGRATIONS
from pipeline.ledger.states import AttemptMoney
from pipeline.ledger.states import __doc__ as drawing
from pipeline.ledger.steps import give_up
from pipeline.ledger.sums import local_day, move, reserve, scopes

BOUGHT_BY: dict[JobState, set[str]] = {
    JobState.PLANNED: {"nothing", "retry_failed", "resend_unknown", "rebuy_lost"},
    JobState.BUYING: set(),
    JobState.BOUGHT: set(),
    JobState.STORED: set(),
    JobState.FAILED: {"retry_failed"},
    JobState.UNKNOWN: {"resend_unknown"},
    JobState.LOST: {"rebuy_lost"},
    JobState.SPOILED: {"rebuy_lost"},
}

POLICIES = {
    "nothing": Policy(),
    "retry_failed": Policy(retry_failed=True),
    "resend_unknown": Policy(resend_unknown=True),
    "rebuy_lost": Policy(rebuy_lost=True),
}


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("state", JobState)
def test_a_policy_buys_what_its_name_says(state: JobState, name: str) -> None:
    assert POLICIES[name].buys(state, passing=False) is (name in BOUGHT_BY[state])


@pytest.mark.parametrize("state", JobState)
def test_a_passing_reason_matters_only_to_what_failed(state: JobState) -> None:
    expected = state in {JobState.PLANNED, JobState.FAILED}
    assert Policy().buys(state, passing=True) is expected


def test_the_drawing_shows_every_state() -> None:
    assert drawing is not None
    for state in JobState:
        assert state in drawing


def test_the_schema_knows_every_state() -> None:
    connection = apsw.Connection(":memory:")
    for migration in MIGRATIONS:
        connection.execute(migration)
    for number, state in enumerate(JobState):
        connection.execute(
            "INSERT INTO jobs (key, state, model, prompt, asked) VALUES (?, ?, '', '', '')", (bytes([number]), state)
        )
    with pytest.raises(apsw.ConstraintError):
        connection.execute("INSERT INTO jobs (key, state, model, prompt, asked) VALUES (x'00', 'sold', '', '', '')")
    connection.close()


def test_a_day_is_the_local_one() -> None:
    late = datetime(2026, 11, 30, 23, 59, 59).astimezone().timestamp()
    assert (local_day(late), local_day(late + 1)) == ("2026-11-30", "2026-12-01")


def test_real_and_simulated_money_share_no_scope() -> None:
    real = scopes(1, "2026-11-23", simulated=False)
    assert real == ("batch:1", "day:2026-11-23", "month:2026-11", "total")
    assert not set(real) & set(scopes(2, "2026-11-23", simulated=True))


@pytest.mark.parametrize("state", [state for state in JobState if state not in {JobState.LOST, JobState.SPOILED}])
def test_what_is_paid_is_given_up_as_lost_or_spoiled_only(state: JobState) -> None:
    connection = apsw.Connection(":memory:")
    with pytest.raises(ValueError, match="cannot become"):
        give_up(connection, attempt=1, state=state, kind="k", message="m")
    connection.close()


def test_a_run_without_caps_has_none() -> None:
    run = Run(id=1, run_id="r", batch=1, manifest="m", edition="", simulated=False)
    assert run.caps == Caps(batch=None, daily=None, monthly=None, total=None)


def test_money_that_was_reserved_nowhere_is_not_moved() -> None:
    connection = apsw.Connection(":memory:")
    for migration in MIGRATIONS:
        connection.execute(migration)
    names = scopes(1, "2026-11-23", simulated=False)
    reserve(connection, names, 40)
    reserve(connection, names, 2)
    move(connection, names, 40, to=AttemptMoney.SPENT, out_of=AttemptMoney.RESERVED)
    connection.execute("DELETE FROM sums WHERE scope = 'total'")

    with pytest.raises(ValueError, match="total"):
        move(connection, names, 2, to=AttemptMoney.SPENT, out_of=AttemptMoney.RESERVED)
    left = connection.execute("SELECT spent, reserved FROM sums WHERE scope = 'batch:1'").get
    connection.close()
    assert left == (42, 0)
