"""``fluxbatch models``, ``ratios`` and ``schema``: what may be asked for."""

import json as json_text
import sys

from rich.text import Text

from pipeline.catalog import ModelSpec, models, profiles, uses
from pipeline.cli.tables import say, stdout_console, table
from pipeline.errors import ExitCode
from pipeline.money import format_usd
from pipeline.report import to_json


def show_models(*, json: bool) -> int:
    """List the models: prices, parameters, and when to use which."""
    if json:
        sys.stdout.write(to_json({"models": [_model_json(spec) for spec in models().values()]}) + "\n")
        return int(ExitCode.OK)
    console = stdout_console()
    for spec in models().values():
        console.print(Text(f"{spec.id}  {spec.title}", style="bold"))
        say(console, _prices(spec), label="  price   ")
        say(console, spec.best_for, label="  for     ")
        say(console, ", ".join(_parameters(spec)), label="  takes   ")
    say(console, "-> fluxbatch ratios")
    return int(ExitCode.OK)


def show_ratios(*, json: bool) -> int:
    """List the ratios by use, with the size to expect."""
    if json:
        listed = [
            {"use": use, "ratio": str(ratio), "width": ratio.expected_size[0], "height": ratio.expected_size[1]}
            for use, ratio in uses().items()
        ]
        sys.stdout.write(to_json({"ratios": listed, "from": "3:7", "to": "7:3"}) + "\n")
        return int(ExitCode.OK)
    rows = [(use, str(ratio), f"{ratio.expected_size[0]} x {ratio.expected_size[1]}") for use, ratio in uses().items()]
    console = stdout_console()
    console.print(table([("use", "left"), ("ratio", "right"), ("expected size", "right")], rows))
    say(console, "Any ratio from 3:7 to 7:3 may be asked for, also as a decimal such as 1.91:1.")
    say(console, "-> fluxbatch init")
    return int(ExitCode.OK)


def show_schema() -> int:
    """Print the JSON schema of a manifest."""
    from pipeline.manifest import json_schema

    sys.stdout.write(json_text.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
    return int(ExitCode.OK)


def _prices(spec: ModelSpec) -> str:
    sellers = (profile for profile in profiles().values() if not profile.simulated and spec.id in profile.prices)
    told = [f"${format_usd(profile.prices[spec.id])} at {profile.name}" for profile in sellers]
    if spec.official_usd is not None:
        told.append(f"${format_usd(spec.official_usd)} at its vendor")
    return ", ".join(told)


def _parameters(spec: ModelSpec) -> list[str]:
    taken = spec.parameters
    told = []
    if taken.ratio:
        step = taken.ratio.step
        told.append("ratio 3:7 to 7:3" + (f" (as a size in multiples of {step})" if step else ""))
    if taken.seed:
        told.append("seed")
    if taken.safety_tolerance:
        told.append(f"safety_tolerance {taken.safety_tolerance.minimum}-{taken.safety_tolerance.maximum}")
    told.append(f"format {' or '.join(taken.format.choices)}")
    if taken.prompt_upsampling:
        told.append("prompt_upsampling")
    if taken.images:
        told.append(f"{taken.images} input image{'s' if taken.images > 1 else ''}")
    return told


def _model_json(spec: ModelSpec) -> dict[str, object]:
    return {
        "model": spec.id,
        "title": spec.title,
        "best_for": spec.best_for,
        "official_usd": None if spec.official_usd is None else format_usd(spec.official_usd),
        "prices_usd": {
            name: format_usd(profile.prices[spec.id])
            for name, profile in profiles().items()
            if spec.id in profile.prices
        },
        "parameters": spec.parameters.model_dump(exclude_none=True),
    }
