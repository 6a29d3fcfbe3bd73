"""The account, the gate and the settings."""

import pytest

from pipeline.simulator import Bill, Charge, SimulatorSettings
from pipeline.simulator.account import Account
from pipeline.simulator.gate import Gate
from pipeline.simulator.refusals import RefusalError
from pipeline.simulator.settings import RateKind


class FakeClock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def charge(account: Account, request_id: str = "req_1", microusd: int = 35_000) -> Charge:
    return account.charge(model="m", prompt="p", microusd=microusd, request_id=request_id)


def admit(gate: Gate) -> None:
    with gate.admitted():
        pass


def bill_of(microusd: int) -> Bill:
    return Bill(
        charges=(),
        charged_microusd=microusd,
        pictures=0,
        balance_microusd=None,
        requests=0,
        throttled=0,
        in_flight_peak=0,
        downloads=0,
    )


def test_a_charge_is_recorded_with_its_moment() -> None:
    account = Account(None, wall=FakeClock())
    charge(account)
    expected = Charge(time=1000.0, model="m", prompt="p", microusd=35_000, request_id="req_1", delivered=False)
    assert account.charges == (expected,)
    assert account.charged_microusd == 35_000


def test_a_balance_goes_down_to_nothing_and_no_further() -> None:
    account = Account(70_000, wall=FakeClock())
    charge(account, "req_1")
    charge(account, "req_2")
    with pytest.raises(RefusalError) as refused:
        charge(account, "req_3")
    assert refused.value.body["error"]["code"] == "insufficient_user_quota"
    assert (refused.value.status, account.balance_microusd, account.pictures) == (403, 0, 2)


def test_an_endless_account_has_no_balance() -> None:
    account = Account(None, wall=FakeClock())
    account.require(10**12)
    assert account.balance_microusd is None


def test_delivery_is_noted_on_its_own_charge() -> None:
    account = Account(None, wall=FakeClock())
    charge(account, "req_1")
    charge(account, "req_2")
    account.mark_delivered("req_2")
    assert [one.delivered for one in account.charges] == [False, True]


def test_old_charges_are_dropped_and_still_counted() -> None:
    account = Account(None, wall=FakeClock(), kept_charges=2)
    for number in range(3):
        charge(account, f"req_{number}")
    account.mark_delivered("req_0")
    assert [one.request_id for one in account.charges] == ["req_1", "req_2"]
    assert (account.pictures, account.charged_microusd) == (3, 105_000)


@pytest.mark.parametrize(
    ("microusd", "text"), [(0, "0.000"), (35_000, "0.035"), (1_000_001, "1.000001"), (2_500_000, "2.500")]
)
def test_a_bill_is_exact_in_dollars(microusd: int, text: str) -> None:
    assert bill_of(microusd).charged_usd == text


def test_a_minute_admits_its_number_and_the_next_one_more() -> None:
    clock = FakeClock()
    gate = Gate(SimulatorSettings(requests_per_minute=2), monotonic=clock)
    admit(gate)
    clock.now_s += 30
    admit(gate)
    with pytest.raises(RefusalError):
        admit(gate)
    clock.now_s += 30
    admit(gate)
    with pytest.raises(RefusalError):
        admit(gate)
    assert gate.refused == 2


def test_a_shorter_window_admits_its_share() -> None:
    clock = FakeClock()
    gate = Gate(SimulatorSettings(requests_per_minute=120, rate_window_s=1), monotonic=clock)
    admit(gate)
    admit(gate)
    with pytest.raises(RefusalError):
        admit(gate)
    clock.now_s += 1
    admit(gate)


def test_a_fixed_window_is_whole_again_at_its_border() -> None:
    clock = FakeClock()
    clock.now_s = 60 * 1_000_000 + 50.0
    gate = Gate(SimulatorSettings(requests_per_minute=2, rate_kind="fixed"), monotonic=clock)
    admit(gate)
    admit(gate)
    with pytest.raises(RefusalError):
        admit(gate)
    clock.now_s += 9.9
    with pytest.raises(RefusalError):
        admit(gate)
    clock.now_s += 0.1
    admit(gate)
    admit(gate)


def test_a_bucket_begins_full_and_fills_steadily() -> None:
    clock = FakeClock()
    gate = Gate(SimulatorSettings(requests_per_minute=60, rate_kind="bucket", rate_burst=2), monotonic=clock)
    admit(gate)
    admit(gate)
    with pytest.raises(RefusalError):
        admit(gate)
    clock.now_s += 0.5
    with pytest.raises(RefusalError):
        admit(gate)
    clock.now_s += 0.5
    admit(gate)
    clock.now_s += 3600
    admit(gate)
    admit(gate)
    with pytest.raises(RefusalError):
        admit(gate)


@pytest.mark.parametrize(
    ("kind", "headers"),
    [
        ("sliding", ("4", "3", "60000ms")),
        ("bucket", ("4", "3", "15000ms")),
        ("fixed", ("4", "3", "20000ms")),
    ],
)
def test_a_limit_by_time_is_told_in_headers_if_told_to(kind: RateKind, headers: tuple[str, str, str]) -> None:
    clock = FakeClock()
    clock.now_s = 60 * 1_000_000 + 40.0
    gate = Gate(SimulatorSettings(requests_per_minute=4, rate_kind=kind, rate_headers=True), monotonic=clock)
    admit(gate)

    names = ("limit", "remaining", "reset")
    assert gate.headers() == {f"x-ratelimit-{name}-requests": said for name, said in zip(names, headers, strict=True)}
    assert Gate(SimulatorSettings(requests_per_minute=4, rate_kind=kind), monotonic=clock).headers() == {}


def test_limits_may_change_some_time_after_the_first_request() -> None:
    clock = FakeClock()
    gate = Gate(
        SimulatorSettings(max_in_flight=1, limits_change_after_s=10.0, limits_change_factor=2.0), monotonic=clock
    )
    clock.now_s += 100
    with gate.admitted():
        clock.now_s += 9.9
        with pytest.raises(RefusalError):
            admit(gate)
        clock.now_s += 0.1
        admit(gate)


def test_only_so_many_are_inside_at_a_time() -> None:
    gate = Gate(SimulatorSettings(max_in_flight=1), monotonic=FakeClock())
    with gate.admitted(), pytest.raises(RefusalError):
        admit(gate)
    admit(gate)
    assert gate.peak == 1


@pytest.mark.parametrize(
    ("retry_after_s", "headers"),
    [
        (None, {}),
        (2.0, {"Retry-After": "2", "Retry-After-Ms": "2000"}),
        (0.25, {"Retry-After": "1", "Retry-After-Ms": "250"}),
    ],
)
def test_a_limit_says_when_to_come_back_if_told_to(retry_after_s: float | None, headers: dict[str, str]) -> None:
    gate = Gate(SimulatorSettings(max_in_flight=1, retry_after_s=retry_after_s), monotonic=FakeClock())
    with gate.admitted(), pytest.raises(RefusalError) as refused:
        admit(gate)
    assert (refused.value.status, refused.value.headers) == (429, headers)


def refused_settings() -> list[dict[str, object]]:
    return [
        {"window_s": -1},
        {"latency_s": float("inf")},
        {"retry_after_s": float("nan")},
        {"rate_window_s": 0},
        {"requests_per_minute": 0},
        {"max_in_flight": 0},
        {"rate_burst": 0},
        {"rate_kind": "leaky"},
        {"limits_change_factor": 0},
        {"balance_microusd": -1},
        {"prices_microusd": {"m": -1}},
        {"expired_status": 200},
        {"trickle_bytes_per_s": 0},
        {"scale": 3},
    ]


@pytest.mark.parametrize("wrong", refused_settings(), ids=str)
def test_settings_out_of_bounds_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        SimulatorSettings(**wrong)  # type: ignore[arg-type]
