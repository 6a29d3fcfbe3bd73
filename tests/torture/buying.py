"""One process of several on a ledger: buys its jobs in lanes, and says what became of each as soon as that is written.

``python -m tests.torture.buying LEDGER NUMBER SEED CAPS SHARED``; starts at a line on standard input.
"""

import asyncio
import json
import sys
from pathlib import Path
from random import Random

from pipeline.clock import SystemClock
from pipeline.job import Job, PictureRequest, job_key
from pipeline.ledger import Admission, Caps, LedgerWriter, Policy, Reservation, Run
from pipeline.ratio import Ratio

JOBS_EACH, LANES = 25, 4
PRICE = 35_000
#: How often a job that was refused is tried again.
_TRIES = 3


def say(what: str, attempt: int = 0) -> None:
    """Tell whoever started it, at once."""
    sys.stdout.write(json.dumps([what, attempt]) + "\n")
    sys.stdout.flush()


class Buyer:
    """What happens to its requests, by a seed."""

    def __init__(self, writer: LedgerWriter, run: Run, chance: Random) -> None:
        self._writer = writer
        self._run = run
        self._chance = chance

    async def buy(self, seen: list[Admission]) -> None:
        """Try for each until it is bought, lost, refused for good, or a cap says no."""
        waiting = [(one, _TRIES) for one in seen]
        self._chance.shuffle(waiting)
        await asyncio.gather(*(self._lane(waiting) for _ in range(LANES)))

    async def _lane(self, waiting: list[tuple[Admission, int]]) -> None:
        while waiting:
            one, tries = waiting.pop()
            outcome = await self._writer.reserve(
                self._run, placement=one.placement, key=one.row.key, price_microusd=PRICE
            )
            if not isinstance(outcome, Reservation):
                continue
            say("got", outcome.attempt)
            fate = await self._become(outcome)
            say(fate, outcome.attempt)
            if fate == "released" and tries:
                waiting.insert(0, (one, tries - 1))

    async def _become(self, reservation: Reservation) -> str:
        """What became of the money."""
        chance, writer = self._chance, self._writer
        await asyncio.sleep(chance.random() * 0.01)
        fate = chance.random()
        if fate < 0.5:
            at = SystemClock().wall()
            await writer.answer(reservation, url="https://host/a", bought_at=at, deadline=None, request_id="")
            return "spent"
        if fate < 0.8:
            final, counted = chance.random() < 0.3, chance.random() < 0.5
            await writer.release(reservation, kind="k", message="m", final=final, passing=True, counted=counted)
            return "released"
        if fate < 0.95:
            await writer.lose_answer(reservation, kind="k", message="m")
            return "unknown"
        return "reserved"


def job(number: int, index: int, *, shared: bool) -> Job:
    """One of a process's jobs, or one that all of them want."""
    prompt = f"{'everybody' if shared else number} {index}"
    request = PictureRequest(model="flux-kontext-pro", prompt=prompt, ratio=Ratio(1, 1))
    key = job_key(request, repeat=1, edition="", simulated=False)
    return Job(index=index, key=key, request=request, repeat=1, path=f"{index}", source=f"m.yaml:{index}")


async def main(ledger: Path, number: int, seed: int, caps: Caps, *, shared: bool) -> None:
    """Begin, wait for the word, and buy."""
    async with LedgerWriter(ledger, clock=SystemClock()) as writer:
        run = await writer.begin(manifest=f"m{number}", edition="", provider="p", simulated=False, caps=caps)
        jobs = [job(number, index, shared=shared) for index in range(1, JOBS_EACH + 1)]
        seen = await writer.admit(run, [(one, f"{number}/{one.index}") for one in jobs], Policy())
        say("begun")
        sys.stdin.readline()
        await Buyer(writer, run, Random(seed * 10 + number)).buy(seen)
        say("done")


if __name__ == "__main__":
    asyncio.run(
        main(
            Path(sys.argv[1]),
            int(sys.argv[2]),
            int(sys.argv[3]),
            Caps(**json.loads(sys.argv[4])),
            shared=sys.argv[5] == "shared",
        )
    )
