"""When a worker rests before it takes another shard, and for how long: something is in its way, or in everybody's."""

from dataclasses import dataclass, field

from pipeline.errors import ExitCode
from pipeline.money import format_usd
from pipeline.report import Summary
from pipeline.wording import counted

#: Seconds of a first rest, and of the longest: each is twice the one before.
SHORTEST_S, LONGEST_S = 5.0, 300.0


@dataclass(slots=True)
class Rest:
    """A worker's rests. Times are those of one clock, in seconds.

    Attributes:
        why: What the last was for.
        until: When it is over.
    """

    shortest_s: float = SHORTEST_S
    longest_s: float = LONGEST_S
    why: str = ""
    until: float = field(default=float("-inf"))
    _in_a_row: int = 0

    def after(self, summary: Summary, *, now: float) -> bool:
        """Hear what a run of a shard came to; whether that is a reason to rest.

        Rests grow while nothing comes of it: a shard that brings pictures makes the next one the first again, and so
        does one that leaves some to be fetched, for these do not wait. What other shards meet that were in hand
        meanwhile is the same trouble.
        """
        if summary.stored or summary.unfetched:
            self._in_a_row = 0
        trouble = trouble_of(summary)
        if not trouble:
            return False
        if not self.is_on(now):
            self.until = now + min(self.longest_s, self.shortest_s * 2.0 ** min(self._in_a_row, 60))
            self._in_a_row += 1
        self.why = trouble
        return True

    def is_on(self, now: float) -> bool:
        """Whether the worker rests."""
        return now < self.until

    def left_s(self, now: float) -> float:
        """How long it still does."""
        return max(0.0, self.until - now)


def trouble_of(summary: Summary) -> str:
    """What the next shard would meet here, too, in words; "" where there is nothing.

    That is a provider that cannot be reached or serves nobody, and money that became unclear: a rest is cheap, and
    what causes that may be over then.
    """
    if ExitCode.UNAVAILABLE in summary.causes:
        return summary.notes[summary.causes.index(ExitCode.UNAVAILABLE)]
    if summary.unknown_microusd:
        return f"answers were lost: ${format_usd(summary.unknown_microusd)} may have been billed"
    if summary.unfetched:
        return f"{counted(summary.unfetched, 'picture')} paid for and not to be fetched from here"
    gone = summary.lost + summary.spoiled
    if gone and not summary.stored:
        return f"{counted(gone, 'picture')} paid for and not to be had"
    return ""
