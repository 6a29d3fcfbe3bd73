"""Whether refusals come by chance, whatever the pace: the provider is short of something that others use as well."""

from collections import deque
from math import log, sqrt

# Chosen by ``python -m benchmarks.pace``, and with ``--by-chance``.

#: A pace within so much of the one refused before is the same.
SAME = 0.97
#: How much likelier chance must be than a limit, as a logarithm; twice as much after each error.
SURE = 4.0
#: Refusals that may tell.
FEWEST, MOST = 3, 10
#: A limit is never quite at the lowest pace it refused.
LEAST_SHARE = 0.02
#: Outcomes that tell whether refusals still come no oftener than chance has it, and how many deviations that allows.
WATCHED, DEVIATIONS = 32, 3.0
#: Who refuses more of all requests than this wants fewer of them, by chance or not.
MOST_SHARE = 0.15


class Chance:
    """Holds two explanations against each other: a limit below all that was refused, or chance.

    A pace that refusals lower step by step is either still above a limit, and then ever fewer are refused, or it is not
    about the pace. How many were let in between the refusals says which is likelier: a limit at ``r`` lets in each
    request at a pace of ``p`` with probability ``r / p``, chance with the same one at every pace (a test of Wald's).
    """

    def __init__(self) -> None:
        self._refused: list[tuple[float, int]] = []
        self._sure = SURE
        self._share = 0.0
        self._outcomes: deque[bool] = deque(maxlen=WATCHED)

    @property
    def rules(self) -> bool:
        """Whether refusals are put down to chance."""
        return self._share > 0

    def admitted(self) -> None:
        """A request was let in."""
        self._outcomes.append(False)

    def forget(self) -> None:
        """Nothing but refusals came for a while: that is no chance, and ends what was gathered."""
        self._refused.clear()

    def refused(self, pace: float, let_in: int) -> float | None:
        """A request was refused; the pace to go back to, where that was chance and the ones before it, too.

        Args:
            pace: Requests sent in a second since the refusal before.
            let_in: How many of them were let in.
        """
        if self.rules:
            self._doubt()
            return None
        if self._refused and pace >= SAME * max(earlier for earlier, _ in self._refused):
            self._refused.clear()
        self._refused.append((pace, let_in if self._refused else 0))
        del self._refused[:-MOST]
        if len(self._refused) < FEWEST or self._chance_of_refusal() > MOST_SHARE or self._advantage() < self._sure:
            return None
        self._share = self._chance_of_refusal()
        self._outcomes.clear()
        back = max(pace for pace, _ in self._refused)
        self._refused.clear()
        return back

    def _doubt(self) -> None:
        """See whether there are more refusals than chance explains: then the pace matters after all."""
        self._outcomes.append(True)
        usual = len(self._outcomes) * self._share
        if sum(self._outcomes) > 1 + usual + DEVIATIONS * sqrt(usual * (1 - self._share)):
            self._share = 0.0
            self._sure *= 2

    def _chance_of_refusal(self) -> float:
        refusals = len(self._refused) - 1
        return refusals / (refusals + sum(let_in for _, let_in in self._refused))

    def _advantage(self) -> float:
        """By how much chance is likelier than a limit, as a logarithm."""
        share = self._chance_of_refusal()
        limit = min(pace for pace, _ in self._refused)
        by_chance = by_limit = 0.0
        for pace, let_in in self._refused[1:]:
            by_chance += let_in * log(max(1 - share, LEAST_SHARE)) + log(share)
            refused = max(LEAST_SHARE, 1 - limit / pace)
            by_limit += let_in * log(limit / pace) + log(refused)
        return by_chance - by_limit
