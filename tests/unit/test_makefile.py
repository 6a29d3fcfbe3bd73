"""The Makefile has a target for each way of use, and each runs a command that there is."""

import re
from pathlib import Path

import pytest
import typer

from pipeline.cli.commands import app

MAKEFILE = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
WAYS = "run plan init report watch status verify export simulate doctor cron prune"


@pytest.mark.parametrize("way", WAYS.split())
def test_each_way_of_use_has_a_target_that_help_tells_of(way: str) -> None:
    [recipe] = re.findall(rf"^{way}: setup ## .+\n\t(.+)$", MAKEFILE, re.MULTILINE)
    words = recipe.removeprefix("$(BIN)/fluxbatch ").split()
    command = typer.main.get_command(app)
    while isinstance(command, typer.core.TyperGroup):
        command = command.commands[words.pop(0)]
    options = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options
