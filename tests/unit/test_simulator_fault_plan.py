"""Faults: their names, their markers, and when they strike."""

import pytest

from pipeline.simulator import FAULTS, Fault
from pipeline.simulator.faults import FaultPlan, Marker, Stage, read_markers

BEFORE, AFTER, PICTURE, DOWNLOAD = Stage.BEFORE_CHARGE, Stage.AFTER_CHARGE, Stage.PICTURE, Stage.DOWNLOAD


def picks(plan: FaultPlan, times: int, stage: Stage = BEFORE, prompt: str = "a") -> list[str | None]:
    return [plan.pick(stage, read_markers(prompt), prompt) for _ in range(times)]


def test_the_names_are_sorted_and_unique() -> None:
    assert list(FAULTS) == sorted(set(FAULTS))
    assert len(FAULTS) == 56


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="'throttel'; the nearest is 'throttle'"):
        Fault("throttel")


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_a_rate_is_a_share(rate: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        Fault("lost", rate)


def test_times_are_at_least_one() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Fault("lost", 0.5, 0)


def test_markers_are_read_in_order() -> None:
    found = read_markers("a [fault:lost*2] cat [fault:dl_cut]")
    assert found == (Marker(name="lost", times=2), Marker(name="dl_cut"))


def test_a_prompt_without_markers_has_none() -> None:
    assert read_markers("a [cat] by a fault:line") == ()


@pytest.mark.parametrize("text", ["[fault:]", "[fault:lost*]", "[fault:lost*0]", "[fault:lost*x]", "[fault:l0st]"])
def test_a_marker_that_is_off_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_markers(text)


def test_a_marker_without_times_strikes_always() -> None:
    assert picks(FaultPlan((), seed=0), 3, prompt="[fault:throttle]") == ["throttle"] * 3


def test_a_marker_with_times_strikes_that_often() -> None:
    assert picks(FaultPlan((), seed=0), 3, prompt="[fault:throttle*2]") == ["throttle", "throttle", None]


def test_times_of_a_marker_are_counted_for_each_prompt() -> None:
    plan = FaultPlan((), seed=0)
    assert picks(plan, 1, prompt="a [fault:lost*1]", stage=AFTER) == ["lost"]
    assert picks(plan, 1, prompt="b [fault:lost*1]", stage=AFTER) == ["lost"]


def test_several_markers_strike_one_after_the_other() -> None:
    found = picks(FaultPlan((), seed=0), 3, prompt="[fault:throttle*1] [fault:invalid*1]")
    assert found == ["throttle", "invalid", None]


def test_a_fault_strikes_at_its_own_stage_only() -> None:
    plan = FaultPlan((Fault("lost", 1.0),), seed=0)
    assert [plan.pick(stage, (), "a") for stage in Stage] == [None, "lost", None, None, None, None]


def test_a_rate_of_one_strikes_always() -> None:
    assert picks(FaultPlan((Fault("moderated", 1.0),), seed=0), 3) == ["moderated"] * 3


def test_a_rate_of_nothing_strikes_never() -> None:
    assert picks(FaultPlan((Fault("moderated"),), seed=0), 3) == [None] * 3


def test_times_alone_strike_the_first_requests() -> None:
    assert picks(FaultPlan((Fault("moderated", times=2),), seed=0), 3) == ["moderated", "moderated", None]


def test_a_rate_strikes_about_that_share() -> None:
    struck = picks(FaultPlan((Fault("invalid", 0.25),), seed=0), 2000).count("invalid")
    assert 420 < struck < 580


def test_the_same_seed_decides_alike() -> None:
    first, second, other = (picks(FaultPlan((Fault("invalid", 0.5),), seed=seed), 64) for seed in (1, 1, 2))
    assert first == second != other


def test_a_spared_fault_is_not_counted() -> None:
    plan = FaultPlan((Fault("dl_500", times=1),), seed=0)
    markers = read_markers("[fault:dl_redirect*1]")
    spared = frozenset({"dl_redirect", "dl_500"})
    assert plan.pick(DOWNLOAD, markers, "id", spared=spared) is None
    assert plan.pick(DOWNLOAD, markers, "id") == "dl_redirect"
    assert plan.pick(DOWNLOAD, markers, "id") == "dl_500"


def test_faults_of_the_picture_go_together() -> None:
    markers = read_markers("[fault:wrong_shape] [fault:wrong_format]")
    assert FaultPlan((), seed=0).pick_all(PICTURE, markers, "a") == {"wrong_shape", "wrong_format"}


def test_the_counts_of_old_prompts_are_forgotten() -> None:
    plan = FaultPlan((), seed=0, remembered=2)
    for prompt in ("a [fault:lost*1]", "b [fault:lost*1]", "c [fault:lost*1]"):
        picks(plan, 1, AFTER, prompt)
    assert picks(plan, 1, AFTER, "c [fault:lost*1]") == [None]
    assert picks(plan, 1, AFTER, "a [fault:lost*1]") == ["lost"]
