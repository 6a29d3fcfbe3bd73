"""The providers that the pace of buying is measured against."""

from collections.abc import Callable

from benchmarks.pace_gates import (
    MINUTE_S,
    AllOf,
    Bucket,
    FixedWindow,
    Gate,
    InFlight,
    Overload,
    Provider,
    SlidingWindow,
)

#: What a picture takes on average, the way included, in seconds: for the moments at which limits change.
MEAN_S = 8.7

Maker = Callable[[], Gate]


def in_flight(first: float, *later: tuple[float, float]) -> Maker:
    """So many at a time; ``(jobs, limit)``: another limit after about so many jobs."""
    return lambda: InFlight(_course(first, later, lambda limit: limit / MEAN_S))


def bucket(a_minute: float, burst: float, *later: tuple[float, float]) -> Maker:
    """Tokens at a steady rate."""
    return lambda: Bucket(_course(a_minute, later, lambda limit: limit / MINUTE_S), burst=burst)


def window(a_minute: float, *later: tuple[float, float]) -> Maker:
    """So many in each minute of the clock; buying begins 23 seconds into one."""
    return lambda: FixedWindow(_course(a_minute, later, lambda limit: limit / MINUTE_S), begun_s=23.0)


def sliding(a_minute: float) -> Maker:
    """So many in any minute."""
    return lambda: SlidingWindow(((0.0, a_minute),))


def both(*makers: Maker) -> Maker:
    """All of these limits."""
    return lambda: AllOf([maker() for maker in makers])


def _course(
    first: float, later: tuple[tuple[float, float], ...], speed: Callable[[float], float]
) -> list[tuple[float, float]]:
    """When which limit holds, if each is used in full until the next."""
    course, at, limit = [(0.0, first)], 0.0, first
    for jobs, following in later:
        at += jobs / speed(limit)
        limit = following
        course.append((at, limit))
    return course


def grid(jobs: int) -> list[Provider]:
    """All of them; limits that change do so when about half of so many jobs are done."""
    return [*_by_number(jobs), *_by_rate(jobs), *_by_both(jobs), *_with_words()]


def _by_number(jobs: int) -> list[Provider]:
    made = [Provider(name=f"{limit} in flight", gate=in_flight(limit)) for limit in (2, 6, 12, 24, 30, 64)]
    half, third = jobs / 2, jobs / 3
    return [
        *made,
        Provider(name="24 in flight, Retry-After 1 s", gate=in_flight(24), retry_after_s=1.0),
        Provider(name="30 in flight, Retry-After 5 s", gate=in_flight(30), retry_after_s=5.0),
        Provider(name="24 in flight, wide latency", gate=in_flight(24), spread=0.8),
        Provider(name="24 in flight, free 50 ms late", gate=in_flight(24), late_s=0.05),
        Provider(name="24, then 12 in flight", gate=in_flight(24, (half, 12))),
        Provider(name="12, then 24 in flight", gate=in_flight(12, (half, 24))),
        Provider(name="30, then 15, then 30 in flight", gate=in_flight(30, (third, 15), (third, 30))),
    ]


def _by_rate(jobs: int) -> list[Provider]:
    half = jobs / 2
    buckets = [(rate, burst) for rate in (20, 60, 120, 300) for burst in (1, 5, rate)]
    made = [Provider(name=f"{rate} a minute, burst {burst}", gate=bucket(rate, burst)) for rate, burst in buckets]
    for burst in (1, 5, 60):
        made += [
            Provider(name=f"60, then 30 a minute, burst {burst}", gate=bucket(60, burst, (half, 30))),
            Provider(name=f"60, then 120 a minute, burst {burst}", gate=bucket(60, burst, (half, 120))),
        ]
    return [
        *made,
        Provider(name="60 a minute, burst 5, wide latency", gate=bucket(60, 5), spread=0.8),
        *(Provider(name=f"{rate} in each minute", gate=window(rate)) for rate in (30, 60, 120)),
        *(Provider(name=f"{rate} in any minute", gate=sliding(rate)) for rate in (60, 120)),
        Provider(name="120, then 60 in each minute", gate=window(120, (half, 60))),
        Provider(name="60, then 120 in each minute", gate=window(60, (half, 120))),
    ]


def _by_both(jobs: int) -> list[Provider]:
    half = jobs / 2
    return [
        Provider(name="24 in flight, 120 a minute", gate=both(in_flight(24), bucket(120, 10))),
        Provider(name="8 in flight, 60 a minute, burst 1", gate=both(in_flight(8), bucket(60, 1))),
        Provider(name="8 in flight, 60 a minute, burst 60", gate=both(in_flight(8), bucket(60, 60))),
        Provider(name="12 in flight, 300 a minute", gate=both(in_flight(12), bucket(300, 20))),
        Provider(name="20 in flight, 120 in each minute", gate=both(in_flight(20), window(120))),
        Provider(
            name="20 in flight, 120 a minute, then half",
            gate=both(in_flight(20, (half, 10)), bucket(120, 10, (half, 60))),
        ),
        Provider(
            name="10 in flight, 60 a minute, then double",
            gate=both(in_flight(10, (half, 20)), bucket(60, 10, (half, 120))),
        ),
    ]


def by_chance() -> list[Provider]:
    """Those that are short of capacity which others use as well: a limit, if there is any, is not all that refuses."""
    free = in_flight(10_000)
    shares = (0.02, 0.06, 0.2)
    return [
        *(Provider(name=f"{share:.0%} by chance", gate=free, by_chance=share) for share in shares),
        *(
            Provider(name=f"24 in flight, {share:.0%} by chance", gate=in_flight(24), by_chance=share)
            for share in shares
        ),
        *(
            Provider(name=f"120 a minute, burst 10, {share:.0%} by chance", gate=bucket(120, 10), by_chance=share)
            for share in shares
        ),
        Provider(name="overloaded for 5 s of each minute", gate=lambda: Overload(lasts_s=5.0, first_s=20.0)),
        Provider(
            name="24 in flight, overloaded for 5 s of each minute",
            gate=both(in_flight(24), lambda: Overload(lasts_s=5.0, first_s=20.0)),
        ),
    ]


def _with_words() -> list[Provider]:
    """Those that say something about their limits, or about whose a person does."""
    return [
        Provider(name="60 a minute, burst 1, Retry-After", gate=bucket(60, 1), tells_when=True),
        Provider(name="300 a minute, burst 10, Retry-After", gate=bucket(300, 10), tells_when=True),
        Provider(name="60 in each minute, Retry-After", gate=window(60), tells_when=True),
        Provider(name="60 a minute, burst 60, headers", gate=bucket(60, 60), headers=True),
        Provider(name="300 a minute, burst 300, headers", gate=bucket(300, 300), headers=True),
        Provider(name="60 in each minute, headers", gate=window(60), headers=True),
        Provider(name="60 a minute, burst 1, stated", gate=bucket(60, 1), stated=60),
    ]
