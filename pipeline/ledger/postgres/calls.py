"""A run's steps as calls to the functions of ``steps.sql``: what is sent, and what an outcome means."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from pipeline.errors import FluxbatchError, LedgerBusyError
from pipeline.ledger import recovery, steps, sums, tasks
from pipeline.ledger.address import Server
from pipeline.ledger.postgres.translation import cleaned
from pipeline.ledger.records import CapReached, HeldForPerson, InOtherHands, Picture, Reservation, Run, Share

#: Steps that the server does. All others are single statements, or questions.
_STEPS: dict[Callable[..., Any], str] = {
    recovery.begin: "begin",
    recovery.end: "end",
    recovery.bury_dead: "bury_dead",
    steps.reserve: "reserve",
    tasks.submit: "submit",
    steps.answer: "answer",
    steps.release: "release",
    steps.lose_answer: "lose_answer",
    steps.store: "store",
    steps.give_up: "give_up",
    steps.place: "place",
    steps.abandon_reserved: "abandon_reserved",
}
#: How long after it was asked for a reservation may be used, in seconds; less than ``send_within`` of ``steps.sql``.
SEND_WITHIN_S = 5.0
#: Those that end what a run has under way; what a provider has taken is said to wait for the next.
_ABANDONING = (recovery.begin, recovery.end, recovery.bury_dead, steps.abandon_reserved)
#: Steps that say what became of money or of a paid picture: these outlive the program, whatever the server does.
RECORDS = {"submit", "answer", "release", "lose_answer", "store", "give_up"}


def as_call(step: Callable[..., Any]) -> dict[str, Any] | None:
    """A step as the server is asked for it; None for one that is not the server's."""
    if not isinstance(step, partial) or step.func not in _STEPS:
        return None
    values: dict[str, Any] = {}
    for name, value in step.keywords.items():
        values |= _sent(name, value)
    if step.func is steps.reserve:
        values["day"] = sums.local_day(values["at"])
    if step.func in _ABANDONING:
        values["submitted"] = steps.SUBMITTED
    return {"step": _STEPS[step.func], "with": cleaned(values)}


def _sent(name: str, value: Any) -> dict[str, Any]:
    """What of a step's argument is sent."""
    match name, value:
        case "alive", _:
            return {}  # the server knows
        case "batch", (manifest, edition, simulated):
            return {"manifest": manifest, "edition": edition, "simulated": simulated}
        case "caps", _:
            return {"caps": recovery.caps_told(value)}
        case _, Run():
            return {"run": value.id, "caps": asdict(value.caps)}
        case "share", Share():
            return {"fleet": True, "shard": value.shard}
        case _, Picture():
            return {name: asdict(value)}
        case _:
            return {name: value}


def outcome(
    call: dict[str, Any], came: dict[str, Any], server: Server, *, sent_at: float
) -> tuple[Any, FluxbatchError | None]:
    """What a call has come to: a value, or an error.

    Args:
        sent_at: When it was first sent, by ``clock.uptime``.
    """
    if "refused" in came:
        return None, FluxbatchError(f"{server}: a step was refused: {came['refused']}")
    value = came["came"]
    match call["step"], value:
        case "reserve", dict():
            return _reserved(call["with"], value, server, sent_at)
        case "begin", {"alone": True}:
            return None, LedgerBusyError(
                f"{server}: somebody has this ledger alone", remedy="let it end (--wait SECONDS)"
            )
        case "begin", {"on": other}:
            return None, recovery.already_on(call["with"]["manifest"], other)
        case "begin", {"finished": True}:
            return None, LedgerBusyError(f"{server}: somebody has seen this shard through")
        case "begin", [run, batch, wait_s]:
            return (int(run), int(batch), float(wait_s)), None
        case _:
            return value, None


def _reserved(
    asked: dict[str, Any], value: dict[str, Any], server: Server, sent_at: float
) -> tuple[Reservation | CapReached | InOtherHands | HeldForPerson | None, FluxbatchError | None]:
    match value:
        case {"attempt": attempt}:
            good_until = sent_at + SEND_WITHIN_S
            return Reservation(attempt=attempt, price_microusd=asked["price_microusd"], good_until=good_until), None
        case {"in_other_hands": True}:
            return InOtherHands(), None
        case {"held_for_person": True}:
            return HeldForPerson(), None
        case {"scope": scope, "cap": cap, "committed": committed}:
            reached = CapReached(
                scope=sums.in_words(scope),
                cap_microusd=cap,
                committed_microusd=committed,
                price_microusd=asked["price_microusd"],
            )
            return reached, None
        case {"superseded": True}:
            return None, LedgerBusyError(f"{server}: another worker has this shard now, or it was cancelled")
        case _:
            return None, LedgerBusyError(
                f"{server}: nothing was heard of this run for so long that it was taken for dead",
                remedy="run it again; what it paid for is recorded",
            )
