"""Buying from a make-believe provider, event by event: at the program's own pace, and as one would who knows it all."""

import heapq
import math
from dataclasses import dataclass, field
from enum import Enum
from itertools import count
from random import Random

from benchmarks.pace_gates import Gate, Provider
from pipeline.produce.pace.pacer import Pacer
from pipeline.produce.pace.start import Start
from pipeline.provider import Allowance

#: The way to the provider, or back, in seconds; and how much later than that a request may arrive.
WAY_S, JITTER_S = 0.05, 0.002
#: Seconds that a limit on requests in flight names in Retry-After, where others know when they open.
UNKNOWN_WAIT_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it: how long it took, in seconds, and how many of the requests were refused."""

    elapsed_s: float
    requests: int
    refused: int = 0

    @property
    def refused_share(self) -> float:
        """The share of requests answered 429."""
        return self.refused / self.requests


def oracle(provider: Provider, *, jobs: int, ceiling: int, seed: int) -> Outcome:
    """Buy so many pictures the way one would who sees when the gate is open, and needs no way to it.

    Whoever is refused by chance tries again at once, which takes no time.
    """
    gate, chance = provider.gate(), Random(seed)
    now, begun = 0.0, 0
    ends: list[float] = []
    while begun < jobs or ends:
        while ends and ends[0] <= now:
            heapq.heappop(ends)
            gate.leave()
        opens = gate.opens_at(now) if begun < jobs and len(ends) < ceiling else math.inf
        if opens <= now:
            gate.enter(now)
            begun += 1
            heapq.heappush(ends, now + _latency_s(provider, chance) + 2 * WAY_S)
        elif ends or begun < jobs:
            now = min(opens, ends[0] if ends else math.inf)
    return Outcome(elapsed_s=now, requests=jobs)


class Kind(Enum):
    """What happens."""

    ARRIVES = "a request comes to the provider's gate"
    LEAVES = "a picture is made, and its place is free"
    ANSWERS = "the picture comes back"
    REFUSES = "a refusal comes back"
    WAKES = "the pacer has asked for this moment"


@dataclass(slots=True, kw_only=True)
class _Event:
    kind: Kind
    start: Start | None = None
    retry_after_s: float | None = None
    allowance: Allowance | None = None


@dataclass
class Trial:
    """Buying at the program's own pace: the pacer itself, on a clock of events."""

    provider: Provider
    jobs: int
    ceiling: int
    seed: int
    now: float = field(default=0.0, init=False)
    refused: int = field(default=0, init=False)
    requests: int = field(default=0, init=False)
    done: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._gate: Gate = self.provider.gate()
        self._chance = Random(self.seed)
        self._events: list[tuple[float, int, _Event]] = []
        self._order = count()
        self._wakes = math.inf
        self.pacer = Pacer(
            ceiling=self.ceiling,
            now=0.0,
            jitter=self._chance.random,
            most_per_s=None if self.provider.stated is None else self.provider.stated / 60,
        )

    def run(self) -> Outcome:
        """Buy all."""
        todo = self.jobs
        while self.done < self.jobs:
            opens = math.inf
            while todo and (opens := self.pacer.opens_at(self.now)) <= self.now:
                self._send()
                todo -= 1
            if todo and opens < self._wakes:
                self._wakes = opens
                self._post(opens, _Event(kind=Kind.WAKES))
            self.now, _, event = heapq.heappop(self._events)
            todo += self._happen(event)
        return Outcome(elapsed_s=self.now, requests=self.requests, refused=self.refused)

    def _send(self) -> None:
        self.requests += 1
        start = self.pacer.start(self.now)
        self._post(self.now + WAY_S + self._chance.random() * JITTER_S, _Event(kind=Kind.ARRIVES, start=start))

    def _happen(self, event: _Event) -> int:
        """One event; how many jobs are to be asked for again."""
        start, allowance = event.start, event.allowance
        if start is not None and allowance is not None and event.kind is not Kind.ARRIVES:
            self.pacer.told(start, allowance, self.now)
        match event.kind:
            case Kind.WAKES if self.now >= self._wakes:
                self._wakes = math.inf
            case Kind.ARRIVES if start is not None:
                self._arrive(start)
            case Kind.LEAVES:
                self._gate.leave()
            case Kind.ANSWERS if start is not None:
                self.pacer.succeeded(start, self.now)
                self.done += 1
            case Kind.REFUSES if start is not None:
                self.pacer.refused(start, self.now, retry_after_s=event.retry_after_s)
                self.refused += 1
                return 1
        return 0

    def _arrive(self, start: Start) -> None:
        opens = self._gate.opens_at(self.now)
        if opens > self.now or (self.provider.by_chance and self._chance.random() < self.provider.by_chance):
            back = self.now + WAY_S + self.provider.refusal_s
            wait_s = self._wait_s(opens)
            self._post(back, _Event(kind=Kind.REFUSES, start=start, retry_after_s=wait_s, allowance=self._words()))
            return
        self._gate.enter(self.now)
        made = self.now + _latency_s(self.provider, self._chance)
        self._post(made + self.provider.late_s, _Event(kind=Kind.LEAVES))
        self._post(made + WAY_S, _Event(kind=Kind.ANSWERS, start=start, allowance=self._words()))

    def _wait_s(self, opens: float) -> float | None:
        """What Retry-After says: whole seconds, as the header has them."""
        if self.provider.retry_after_s is not None or not self.provider.tells_when:
            return self.provider.retry_after_s
        return float(math.ceil(opens - self.now)) if opens < math.inf else UNKNOWN_WAIT_S

    def _words(self) -> Allowance | None:
        words = self._gate.words(self.now) if self.provider.headers else None
        if words is None:
            return None
        return Allowance(limit=words.limit, remaining=words.remaining, reset_s=words.reset_s)

    def _post(self, at: float, event: _Event) -> None:
        heapq.heappush(self._events, (at, next(self._order), event))


def _latency_s(provider: Provider, chance: Random) -> float:
    return chance.lognormvariate(math.log(provider.latency_s), provider.spread)
