"""Whose completion is meant, whatever this process was started from."""

from pathlib import Path

import pytest

from pipeline.cli.completion import complete_for
from pipeline.errors import OutputError, UsageError

_FIRST_LINES = {
    "bash": "_fluxbatch_completion() {",
    "zsh": "#compdef fluxbatch",
    "fish": "complete --command fluxbatch",
    "pwsh": "Import-Module PSReadLine",
}


def unseen() -> str | None:
    return None


@pytest.mark.parametrize("words", [["--show-completion", "{}"], ["--show-completion={}"]])
@pytest.mark.parametrize("shell", _FIRST_LINES)
def test_the_shell_that_is_named_wins(capsys: pytest.CaptureFixture[str], words: list[str], shell: str) -> None:
    assert complete_for([word.format(shell) for word in words], lambda: "fish" if shell == "bash" else "bash") == 0
    assert capsys.readouterr().out.startswith(_FIRST_LINES[shell])


def test_without_a_name_it_is_the_shell_around(capsys: pytest.CaptureFixture[str]) -> None:
    assert complete_for(["--show-completion"], lambda: "zsh") == 0
    assert capsys.readouterr().out.startswith(_FIRST_LINES["zsh"])


@pytest.mark.parametrize(
    ("words", "around", "message"),
    [
        (["--show-completion"], None, "which shell is meant? This process was started from none"),
        (["--install-completion"], None, "which shell is meant? This process was started from none"),
        (["--show-completion"], "dash", "there is no completion for the shell 'dash'"),
        (["--show-completion", "csh"], "bash", "there is no completion for the shell 'csh'"),
        (["--show-completion", "zsh", "bash"], "bash", "--show-completion takes one shell"),
    ],
)
def test_a_shell_that_nobody_knows_is_one_clear_line(words: list[str], around: str | None, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        complete_for(words, lambda: around)
    assert refused.value.message == message
    assert f"fluxbatch {words[0]} " in refused.value.remedy


def test_what_cannot_be_installed_says_how_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    with pytest.raises(OutputError) as refused:
        complete_for(["--install-completion", "fish"], unseen)
    assert refused.value.remedy == "fluxbatch --show-completion fish prints it, to be put there by hand"
