"""The environment file of a run that nobody watches."""

from pathlib import Path

import pytest

from pipeline.errors import ConfigurationError
from pipeline.runner.keyfile import environment_of


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "env"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_each_line_sets_a_variable(tmp_path: Path) -> None:
    text = "# comment\n\nFLUXBATCH_API_KEY=sk-1\n export LANG='C.UTF-8'\nQ=\"a b\"\nE=\nX=a=b # not a comment\nH='\n"
    assert environment_of(written(tmp_path, text)) == {
        "FLUXBATCH_API_KEY": "sk-1",
        "LANG": "C.UTF-8",
        "Q": "a b",
        "E": "",
        "X": "a=b # not a comment",
        "H": "'",
    }


def test_nothing_in_it_is_expanded(tmp_path: Path) -> None:
    assert environment_of(written(tmp_path, "A=$(touch x) ${HOME} `id`\n")) == {"A": "$(touch x) ${HOME} `id`"}


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_one_that_others_may_read_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigurationError, match="others than its owner") as caught:
        environment_of(written(tmp_path, "A=1\n", mode))
    assert "chmod 600" in caught.value.remedy


def test_a_line_that_sets_nothing_is_told_by_its_number_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="line 2 sets no variable") as caught:
        environment_of(written(tmp_path, "A=1\nsk-canary\n"))
    assert "canary" not in str(caught.value)


def test_one_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        environment_of(tmp_path / "env")
