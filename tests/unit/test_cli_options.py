"""Options that several commands share, and what becomes of them."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.options import ledger_path, run_options, same_places
from pipeline.errors import NotFoundError, UsageError
from pipeline.ledger import Policy, Server
from pipeline.runner import RunOptions


def options(**changes: Any) -> RunOptions:
    usual: dict[str, Any] = {
        "output": Path("output"),
        "ledger": None,
        "budget": None,
        "concurrency": None,
        "limit": None,
        "resend_unknown": False,
        "retry_failed": False,
        "rebuy_lost": False,
    }
    return run_options(**usual | changes)


def test_the_ledger_is_in_the_output_folder(tmp_path: Path) -> None:
    assert ledger_path(tmp_path, None) == tmp_path / "ledger.db"


def test_an_output_folder_that_is_not_there_is_named_with_the_remedy() -> None:
    with pytest.raises(NotFoundError, match="no such output folder") as caught:
        ledger_path(Path("no-such-folder"), None)

    assert "--output" in caught.value.remedy


def test_a_named_ledger_needs_no_output_folder() -> None:
    assert ledger_path(Path("no-such-folder"), "books/l.db") == Path("books/l.db")


def test_a_ledger_is_a_file_or_a_postgresql_database_and_another_address_is_not_repeated() -> None:
    with pytest.raises(UsageError, match="a ledger is a file or a PostgreSQL database") as caught:
        ledger_path(Path("output"), "mysql://user:secret@host/db")

    assert "secret" not in str(caught.value)
    assert "mysql" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:secret@host/db",
        "postgres://user:secret@host:5432/db?sslmode=require",
        "postgresql://host/db?user=me&password=secret",
        "postgresql://me:se%63ret@host/db?sslpassword=secret",
        "postgresql://me:secret@[::1]:5432/db",
        "postgresql://me:secret@a,b:1,c/db",
        "POSTGRESQL://me:secret@host/db",
        "postgresql://me:secret@[broken/db",
    ],
)
def test_a_servers_password_is_told_to_nobody(url: str) -> None:
    address = ledger_path(Path("output"), url)
    assert isinstance(address, Server)
    assert address.url == url
    for told in (str(address), repr(address), f"{address}", same_places(Path("elsewhere"), url)):
        assert "secret" not in told
        assert "se%63ret" not in told
    assert same_places(Path("elsewhere"), url).endswith(" --output elsewhere")


def test_nothing_given_means_the_manifests_own() -> None:
    made = options()

    assert (made.budget_microusd, made.concurrency, made.limit, made.ledger) == (None, None, None, None)
    assert made.policy == Policy()


def test_what_is_given_is_passed_on() -> None:
    made = options(output=Path("p"), ledger="l.db", concurrency=3, limit=7)

    assert (made.output, made.ledger, made.concurrency, made.limit) == (Path("p"), Path("l.db"), 3, 7)


@pytest.mark.parametrize(("written", "microusd"), [("5", 5_000_000), ("$0.035", 35_000), ("0", 0)])
def test_a_budget_is_an_amount_of_dollars(written: str, microusd: int) -> None:
    assert options(budget=written).budget_microusd == microusd


@pytest.mark.parametrize("written", ["", "plenty", "-1", "nan", "inf", "1e99", "0.0000001", "5 dollars"])
def test_anything_else_is_no_budget(written: str) -> None:
    with pytest.raises(UsageError, match=r"^--budget: "):
        options(budget=written)


@pytest.mark.parametrize("name", ["resend_unknown", "retry_failed", "rebuy_lost"])
def test_each_permission_is_its_own(name: str) -> None:
    assert options(**{name: True}).policy == Policy(**{name: True})
