"""Shell completion, as the shells ask for it."""

import pytest

from tests.acceptance.stage import Workspace


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("fluxbatch cron inst", {"install"}),
        ("fluxbatch run --re", {"--resend-unknown", "--retry-failed", "--rebuy-lost"}),
        ("fluxbatch doctor --provider a", {"apiyi"}),
        ("fluxbatch reconcile --provider s", {"simulator"}),
        ("fluxbatch run --log-format ", {"text", "json"}),
    ],
)
async def test_bash_is_offered_what_may_follow(workspace: Workspace, words: str, offered: set[str]) -> None:
    workspace.environment |= {"_FLUXBATCH_COMPLETE": "complete_bash", "COMP_WORDS": words}
    workspace.environment["COMP_CWORD"] = str(words.count(" "))
    ended = await workspace.fluxbatch()
    assert (ended.code, ended.err) == (0, "")
    assert set(ended.out.split()) == offered


async def test_the_script_is_shown_and_installed_for_a_shell(workspace: Workspace) -> None:
    workspace.environment["HOME"] = str(workspace.root)
    shown = await workspace.fluxbatch("--show-completion", "bash")
    assert (shown.code, shown.err) == (0, "")
    assert "complete -o default -F _fluxbatch_completion fluxbatch" in shown.out
    installed = await workspace.fluxbatch("--install-completion", "bash")
    assert installed.code == 0, installed.err
    assert ".bash_completions/fluxbatch.sh" in (workspace.root / ".bashrc").read_text(encoding="utf-8")
