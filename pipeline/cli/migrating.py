"""``fluxbatch ledger migrate``: a ledger on a server, made or brought up to date."""

import sys

from pipeline.cli.plain import plain
from pipeline.errors import ExitCode, UsageError
from pipeline.ledger import Address, Server, migrate
from pipeline.report import to_json


def migrate_ledger(address: Address, *, json: bool) -> int:
    """Make or update the tables, and mark the folder of the pictures as theirs.

    Raises:
        UsageError: It is a file, which every run brings up to date by itself.
        LedgerBusyError: A run is on.
        OutputError: The folder cannot be marked.
    """
    if not isinstance(address, Server):
        raise UsageError(f"{address}: a file is brought up to date by any run", remedy="name a database with --ledger")
    before, now = migrate(address)
    if json:
        told = {"ledger": str(address), "output": str(address.folder), "before": before, "version": now}
        sys.stdout.write(to_json(told | {"exit_code": int(ExitCode.OK)}) + "\n")
        return int(ExitCode.OK)
    what = "made" if not before else "up to date" if before == now else f"brought from version {before} to {now}"
    sys.stdout.write(plain(f"{address}: {what}; its pictures are in {address.folder}") + "\n")
    return int(ExitCode.OK)
