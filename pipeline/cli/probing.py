"""``fluxbatch probe``: one picture, the cheapest, and what it tells of a provider."""

import sys
from dataclasses import replace
from functools import partial
from typing import Any

import anyio
from rich.console import Console
from rich.text import Text

from pipeline.catalog import Profile
from pipeline.cli.plain import plain
from pipeline.errors import DeclinedError, UsageError
from pipeline.manifest import known_profiles
from pipeline.money import format_usd
from pipeline.report import to_json
from pipeline.runner import RunOptions, Stop, asked_by_signals, check_sellers
from pipeline.runner.probe import Probed, cheapest, probe


def probe_provider(name: str, options: RunOptions, *, model: str | None, yes: bool, json: bool) -> int:
    """Ask, buy one picture, and print what it tells.

    Raises:
        UsageError: There is no such profile, or nobody can be asked whether to spend.
        DeclinedError: Somebody was asked, and said no.
    """
    known = known_profiles()
    if name not in known:
        raise UsageError(f"there is no provider profile named {name}", remedy=f"one of {', '.join(known)}")
    profile = known[name]
    chosen, price = cheapest(profile, model)
    check_sellers([profile], options.environment)
    if not (yes or profile.simulated):
        _ask(profile, chosen, price)
    err = Console(stderr=True, highlight=False)
    probed = anyio.run(partial(_probe, profile, options, chosen, err))
    if json:
        sys.stdout.write(to_json(_as_json(probed)) + "\n")
    else:
        _show(probed, Console(highlight=False))
    return int(probed.summary.exit_code)


async def _probe(profile: Profile, options: RunOptions, model: str, err: Console) -> Probed:
    stop = Stop()

    def notice(text: str) -> None:
        err.print(plain(text), markup=False, soft_wrap=True)

    async with asked_by_signals(stop, notice):
        return await probe(profile, replace(options, stop=stop, notice=notice), model=model)


def _ask(profile: Profile, model: str, price: int) -> None:
    if not sys.stdin.isatty():
        raise UsageError(
            f"this buys one picture of {model} at {profile.name} for ${format_usd(price)}, and nobody can be asked",
            remedy="say --yes",
        )
    sys.stderr.write(f"This buys one picture of {model} at {profile.name} for ${format_usd(price)}. Go on? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise DeclinedError("nothing was bought, as you wished")


def _as_json(probed: Probed) -> dict[str, Any]:
    row = probed.row
    return {
        "provider": probed.profile.name,
        "model": probed.model,
        "price_usd": format_usd(probed.price_microusd),
        "state": row.state if row else None,
        "answer": probed.answer,
        "status": probed.status,
        "wire": probed.wire,
        "shape": probed.shape,
        "width": row.width if row else None,
        "height": row.height if row else None,
        "format": row.format if row else None,
        "window_s": None if probed.window_s is None else round(probed.window_s),
        "latency_s": None if probed.latency_s is None else round(probed.latency_s, 3),
        "headers": dict(probed.headers),
        "message": row.error_message if row else None,
        "spend_usd": format_usd(probed.summary.spend_microusd),
        "unknown_usd": format_usd(probed.summary.unknown_microusd),
        "exit_code": int(probed.summary.exit_code),
    }


def _show(probed: Probed, console: Console) -> None:
    for name, told in _facts(probed):
        console.print(Text(f"{name:10}", style="bold").append(Text(plain(told), style="not bold")), soft_wrap=True)


def _facts(probed: Probed) -> list[tuple[str, str]]:
    row = probed.row
    facts = [
        ("asked", f"{probed.profile.name} for one picture of {probed.model}, ${format_usd(probed.price_microusd)}")
    ]
    if row is not None:
        facts.append(("became", f"{row.state}{f': {row.error_message}' if row.error_message else ''}"))
    if row is not None and row.width:
        facts.append(("picture", f"{row.width} x {row.height}, {row.format}, {row.path}"))
    if probed.answer:
        facts.append(("answer", _ANSWERS[probed.answer]))
    if probed.wire is not None:
        facts.append(("wire", _WIRES[probed.wire].format(probed.shape)))
        if probed.wire == "flat" and probed.shape != "aspect_ratio" and probed.tells:
            told = f"whether aspect_ratio is, which gateways drop first, one of {probed.tells} tells"
            facts.append(("", f"{told}: --model {probed.tells}"))
    if probed.answer == "url":
        told = "the URL does not say" if probed.window_s is None else f"the URL lives {probed.window_s:.0f} s"
        facts.append(("window", f"{told}; the profile reckons with {probed.profile.window_s:.0f} s"))
    if probed.latency_s is not None:
        facts.append(("latency", f"{probed.latency_s:.1f} s until the request was answered ({probed.status})"))
    facts += [("header", f"{name}: {value}") for name, value in sorted(probed.headers.items())]
    return facts


_ANSWERS = {"url": "a URL", "b64": "the picture inside the answer", "task": "a task, which is asked after"}
_WIRES = {
    "flat": "flat: {} at the top level is read",
    "extra_body": "extra_body: {} is read only inside it; say wire: extra_body",
    "neither": "neither: {} is ignored; every picture would be square",
}
