"""What the unit tests of the download side share."""

from pipeline.deliver import Purchase


class FakeClock:
    """Time passes when somebody sleeps or a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + 1_000_000

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def purchase(name: str, deadline: float = 1.0, *, host: str = "cdn.test") -> Purchase:
    return Purchase(
        job_key=name, attempt=1, url=f"https://{host}/", bought_at=0, deadline=deadline, path=name, ratio=None
    )
