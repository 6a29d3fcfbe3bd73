"""``fluxbatch simulate``: a make-believe provider, served until stopped."""

import signal
import sys
from typing import Any, get_args

import anyio

from pipeline.errors import ExitCode, OutputError, UsageError
from pipeline.money import format_usd, parse_usd
from pipeline.simulator import FAULTS, Fault, Simulator, SimulatorSettings
from pipeline.simulator.settings import VENDOR_TASKS, VENDOR_TASKS_BY_MODEL, Answer, LogForm, Wire


def serve(
    *,
    keys: list[str],
    log_tokens: list[str],
    balance: str | None,
    faults: list[str],
    answer: str,
    wire: str,
    log_form: str,
    vendor_limits: bool,
    **others: Any,
) -> int:
    """Serve until SIGINT or SIGTERM, then say what was charged.

    Raises:
        UsageError: A setting is out of its bounds, or names no fault there is.
        OutputError: The address cannot be listened on.
    """
    if answer not in get_args(Answer) or wire not in get_args(Wire):
        raise UsageError(f"--answer is one of {', '.join(get_args(Answer))}; --wire one of {', '.join(get_args(Wire))}")
    if log_form not in get_args(LogForm):
        raise UsageError(f"--log-form is one of {', '.join(get_args(LogForm))}")
    if vendor_limits:
        others |= {"active_tasks": VENDOR_TASKS, "active_tasks_by_model": VENDOR_TASKS_BY_MODEL}
    others |= {"answer": answer, "wire": wire, "log_form": log_form}
    try:
        made = SimulatorSettings(
            keys=frozenset(keys),
            log_tokens=frozenset(log_tokens),
            balance_microusd=None if balance is None else parse_usd(balance),
            faults=tuple(_fault(text) for text in faults),
            **others,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    return anyio.run(_serve, made)


async def _serve(settings: SimulatorSettings) -> int:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        try:
            async with Simulator(settings) as simulator:
                sys.stdout.write(f"FLUXBATCH_BASE_URL={simulator.base_url}\n")
                sys.stdout.flush()
                sys.stderr.write("a simulated provider is listening; Ctrl-C stops it and prints its bill\n")
                async for _ in signals:
                    break
                charged, pictures = simulator.bill.charged_microusd, simulator.bill.pictures
        except OSError as error:
            raise OutputError(
                f"{settings.host}:{settings.port} cannot be listened on ({error.strerror or error})",
                remedy="choose another --port",
            ) from error
    sys.stderr.write(f"charged ${format_usd(charged)} of make-believe money for {pictures} pictures\n")
    return int(ExitCode.OK)


def _fault(text: str) -> Fault:
    name, _, rate = text.partition("=")
    try:
        return Fault(name, rate=float(rate or 1.0))
    except ValueError as error:
        raise ValueError(f"--fault {text}: {error} (NAME=RATE; names: {', '.join(FAULTS)})") from error
