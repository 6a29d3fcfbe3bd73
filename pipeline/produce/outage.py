"""Telling a provider that answers nobody from a job that was unlucky: what opens a provider's circuit breaker."""

from typing import Protocol

from pipeline.errors import ExitCode
from pipeline.provider import ProviderError, UnreachableError

#: Jobs in a row that used up their attempts on overload, with no good answer in between, before buying stops.
EXHAUSTED_JOBS = 5
#: Answers lost in a row, with no good one in between, before buying stops: each may have cost its price for nothing.
LOST_ANSWERS = 10


class Breaker(Protocol):
    """What an outage opens."""

    def call(self, code: ExitCode, message: str) -> None:
        """Stop asking this provider, for that cause."""
        ...


class Outage:
    """Stops asking a provider when jobs fail for passing reasons and nothing gets through meanwhile.

    One job that could not connect in all its attempts is enough, because the others go the same way; overload and
    congestion are judged by several, and so are lost answers, whose jobs are not tried again but whose money is gone.
    """

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self._answers = 0
        self._exhausted = 0
        self._lost = 0

    @property
    def answers(self) -> int:
        """How many requests the provider has dealt with; what ``exhausted`` compares with."""
        return self._answers

    def over(self) -> None:
        """The provider has dealt with a request: whatever there was is over."""
        self._answers += 1
        self._exhausted = 0
        self._lost = 0

    def lost(self, fault: ProviderError) -> None:
        """An answer is lost: perhaps billed."""
        self._lost += 1
        if self._lost >= LOST_ANSWERS:
            self._breaker.call(
                ExitCode.UNAVAILABLE,
                f"{self._lost} answers in a row were lost, each perhaps billed, the last with: {fault}",
            )

    def exhausted(self, fault: ProviderError, *, answers_before: int) -> None:
        """A job has used up its attempts.

        Args:
            fault: The last attempt's.
            answers_before: ``answers`` when the job began.
        """
        if self._answers != answers_before:
            return
        self._exhausted += 1
        if isinstance(fault, UnreachableError):
            self._breaker.call(ExitCode.UNAVAILABLE, f"the provider cannot be reached: {fault}")
        elif self._exhausted >= EXHAUSTED_JOBS:
            self._breaker.call(
                ExitCode.UNAVAILABLE,
                f"the provider serves nobody: {self._exhausted} jobs in a row were turned away, the last with: {fault}",
            )
