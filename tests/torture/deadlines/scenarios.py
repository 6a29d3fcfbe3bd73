"""The grid: providers by bandwidths by faults, and what does not fit a grid.

What is possible: whatever is under way cannot be taken back. With pictures that take 8 s to make, a link that is kept
full has about ``8 s * bandwidth`` on order; a hundredth of the bandwidth would need 800 s for that. So a full link is
given a hundredth for a while, and one with room to spare for ever after.
"""

from dataclasses import replace

from tests.torture.deadlines.link import HostModel
from tests.torture.deadlines.stage import Scenario

#: What the providers can make, in pictures of 1,500 KB on the average.
PROVIDERS = {
    "steady": Scenario(name="steady", concurrency=16),  # 1.9 pictures a second, 2.9 MB/s
    "many": Scenario(name="many", concurrency=64, spread=0.5),  # 7.1 a second, 10.6 MB/s
    "throttling": Scenario(name="throttling", making_s=4.0, concurrency=32, at_once=12),  # 2.9 a second, 4.3 MB/s
}
#: In KB/s: what it makes is a sixth of this, twice, ten times as much.
BANDWIDTHS = {
    "ample": {"steady": 18_000.0, "many": 64_000.0, "throttling": 26_000.0},
    "half": {"steady": 1_450.0, "many": 5_300.0, "throttling": 2_150.0},
    "tenth": {"steady": 290.0, "many": 1_060.0, "throttling": 430.0},
}
FAULTS = ("none", "collapse", "connections", "standstill")
#: When a fault that does not last begins, and how long it does, in seconds.
BEGINS_S, LASTS_S = 120.0, 60.0
_ENDS_S = BEGINS_S + LASTS_S


def grid() -> list[Scenario]:
    """Every provider at every bandwidth with every fault."""
    return [
        _struck(replace(provider, name=f"{name}, {width}, {fault}"), BANDWIDTHS[width][name], width, fault)
        for name, provider in PROVIDERS.items()
        for width in BANDWIDTHS
        for fault in FAULTS
    ]


def _struck(calm: Scenario, speed: float, width: str, fault: str) -> Scenario:
    full = width != "ample"
    calm = replace(calm, speed=((0.0, speed),), full=full, narrow=full)
    match fault:
        case "collapse":
            return replace(calm, speed=((0.0, speed), (BEGINS_S, speed / 100), (_ENDS_S, speed)), narrow=True)
        case "connections":
            return replace(calm, stalls=0.03, cuts=0.03)
        case "standstill":
            stands = HostModel(speed=((0.0, 1e9), (BEGINS_S, 0.0), (_ENDS_S, 1e9)))
            hosts = {"one.example": stands, "two.example": HostModel()}
            return replace(calm, hosts=hosts, full=False, narrow=True)
    return calm


def others() -> list[Scenario]:
    """What does not fit the grid."""
    return [*_changing(), *_hosts()]


def _changing() -> list[Scenario]:
    """Bandwidths that change in other ways."""
    steady, many = (replace(PROVIDERS[name], narrow=True) for name in ("steady", "many"))
    wide, wider = BANDWIDTHS["ample"]["steady"], BANDWIDTHS["ample"]["many"]
    half, halves = BANDWIDTHS["half"]["steady"], BANDWIDTHS["half"]["many"]
    speeds = {
        "a hundredth for 240 s": ((0.0, half), (120.0, half / 100), (360.0, half)),
        "a quarter for ever": ((0.0, halves), (120.0, halves / 4)),
        "up and down": tuple((30.0 * step, halves if step % 2 else halves / 10) for step in range(11)),
        "all stands still for 120 s": ((0.0, halves), (120.0, 0.0), (240.0, halves)),
    }
    return [
        replace(steady, name="steady, ample, a hundredth for ever", speed=((0.0, wide), (120.0, wide / 100))),
        replace(many, name="many, ample, a hundredth for ever", speed=((0.0, wider), (120.0, wider / 100))),
        *(
            replace(
                steady if speed[0][1] == half else many,
                name=f"{'steady' if speed[0][1] == half else 'many'}, half, {name}",
                speed=speed,
                full=True,
                buying_s=480.0,
            )
            for name, speed in speeds.items()
        ),
    ]


def _hosts() -> list[Scenario]:
    """Hosts that are slow, few-handed, late, or do not resume."""
    steady = PROVIDERS["steady"]
    halves = ((0.0, BANDWIDTHS["half"]["many"]),)
    full = replace(PROVIDERS["many"], speed=halves, full=True, narrow=True)
    beside = {"one.example": HostModel(share=0.2, per_connection=150.0), "two.example": HostModel(share=0.8)}
    return [
        replace(full, name="many, half, slow connections", hosts={"cdn.example": HostModel(per_connection=300.0)}),
        replace(full, name="many, half, no ranges", stalls=0.03, hosts={"cdn.example": HostModel(ranges=False)}),
        replace(steady, name="steady, ample, three connections", hosts={"cdn.example": HostModel(most=3)}),
        replace(steady, name="steady, ample, not at once", hosts={"cdn.example": HostModel(not_yet_s=2.0)}),
        replace(PROVIDERS["many"], name="many, ample, a slow host beside", hosts=beside, speed=((0.0, 64_000.0),)),
    ]


def scenarios() -> list[Scenario]:
    """All of them."""
    return [*grid(), *others()]
