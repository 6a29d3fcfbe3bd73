"""fluxbatch: buys images in bulk from a paid API, with every cent and every picture accounted for.

For scripts::

    from pipeline import Ledger, load_manifest, run

    manifest = load_manifest("jobs/first-batch.yaml")
    summary = run(manifest, output="output", budget_usd="5.00")
    print(summary.stored, summary.exit_code)
    with Ledger("output/ledger.db") as ledger:
        for row in ledger.rows():
            print(row.index, row.state, row.path)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.ledger import Ledger
    from pipeline.manifest import load_manifest
    from pipeline.runner import run, run_async

__all__ = ["Ledger", "load_manifest", "run", "run_async"]

_HOMES = {
    "Ledger": "pipeline.ledger",
    "load_manifest": "pipeline.manifest",
    "run": "pipeline.runner",
    "run_async": "pipeline.runner",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that a command loads only what it needs."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
