"""When a worker leaves what is paid for to others: its pictures do not come here, and their URLs die."""

from dataclasses import dataclass

from pipeline.report import Snapshot

#: Seconds in which nothing comes of any picture before others are let try: well within a URL's ten minutes.
NOTHING_S = 30.0
#: The same where pictures go on to a bucket, which takes its time, too.
NOTHING_SENT_S = 150.0


@dataclass(slots=True)
class Patience:
    """How long a run may wait for pictures of which nothing comes. Times are those of one clock, in seconds."""

    nothing_s: float
    _since: float | None = None
    _seen: tuple[int, int] = (0, 0)

    def is_over(self, run: Snapshot, *, now: float, away: bool = False) -> bool:
        """Look at the run, again and again; whether what it waits for is better left to others.

        A run with a request under way is never left: its answer may still come, and be paid. Nor is one while the
        database is away: what has come cannot be recorded then, here or by others.

        Args:
            away: Whether the database is.
        """
        seen = run.stored, run.received_bytes
        if away or run.in_flight or not run.queued or seen != self._seen or self._since is None:
            self._since, self._seen = now, seen
        return now - self._since >= self.nothing_s
