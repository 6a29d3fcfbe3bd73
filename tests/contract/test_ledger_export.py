"""The export's columns, its three forms, and that its money is the ledger's."""

import csv
import io
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.errors import ConfigurationError, ExitCode, OutputError, UsageError
from pipeline.ledger import COLUMNS, JobState, Ledger, Row, SpendLine, export
from pipeline.money import parse_usd
from tests.contract.ledger_scene import PRICE, Scene

CONTRACT = (
    "key, manifest, edition, index, model, prompt, ratio, seed, state, attempts, spend_usd, unknown_usd, path, sha256,"
    " bytes, width, height, format, verdict, bought_at, deadline, stored_at, url_age_s, error_kind, error_message,"
    " request_id, provider"
)


async def _every_state(scene: Scene) -> list[Row]:
    """One job in each state, and one attempt more for money that changed rows."""
    run = await scene.begin()
    for index, state in enumerate(JobState, start=1):
        await scene.bring_to(state, run, scene.job(f"picture {index}", index=index))
    later = await scene.begin(manifest="other")
    await scene.bring_to(JobState.UNKNOWN, later, scene.job("picture 7", index=7))
    return scene.rows()


def test_the_columns_are_the_contracts_in_the_contracts_order() -> None:
    assert ", ".join(COLUMNS) == CONTRACT


async def test_a_stored_row_says_everything(scene: Scene) -> None:
    run = await scene.begin()
    await scene.bring_to(JobState.STORED, run, scene.job())
    with Ledger(scene.address) as ledger:
        [row] = ledger.rows()
    assert asdict(row) | {"bought_at": "", "deadline": "", "stored_at": ""} == {
        "key": scene.job().key,
        "manifest": "poster",
        "edition": "",
        "index": 1,
        "model": "flux-kontext-pro",
        "prompt": "a lighthouse",
        "ratio": "16:9",
        "seed": None,
        "state": "stored",
        "attempts": 1,
        "spend_usd": "0.035",
        "unknown_usd": "0.000",
        "path": "pictures/001.jpeg",
        "sha256": scene.picture().sha256,
        "bytes": 7,
        "width": 1392,
        "height": 752,
        "format": "jpeg",
        "verdict": "ok",
        "bought_at": "",
        "deadline": "",
        "stored_at": "",
        "url_age_s": 1.25,
        "error_kind": None,
        "error_message": None,
        "request_id": "req-1",
        "provider": "apiyi",
    }


async def test_times_are_utc_with_milliseconds(scene: Scene) -> None:
    run = await scene.begin()
    scene.clock.at = 1_795_000_000.25
    await scene.bring_to(JobState.BOUGHT, run, scene.job())
    [row] = scene.rows()
    assert (row.bought_at, row.deadline) == ("2026-11-18T11:06:40.250Z", "2026-11-18T11:16:40.250Z")


async def test_jsonl_round_trips(scene: Scene) -> None:
    rows = await _every_state(scene)
    out = io.StringIO()
    export(rows, to=None, form="jsonl", stdout=out)
    lines = out.getvalue().splitlines()
    assert [Row(**json.loads(line)) for line in lines] == rows
    assert list(json.loads(lines[0])) == list(COLUMNS)


async def test_csv_round_trips(scene: Scene, tmp_path: Path) -> None:
    rows = await _every_state(scene)
    export(rows, to=tmp_path / "rows.csv", form="csv", stdout=io.StringIO())
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as handle:
        read = list(csv.DictReader(handle))
    assert read == [{name: "" if value is None else str(value) for name, value in asdict(row).items()} for row in rows]


async def test_parquet_round_trips(scene: Scene, tmp_path: Path) -> None:
    rows = await _every_state(scene)
    export(rows, to=tmp_path / "rows.parquet", form="parquet", stdout=io.StringIO())
    table = pq.read_table(tmp_path / "rows.parquet")
    assert table.to_pylist() == [asdict(row) for row in rows]
    assert tuple(table.column_names) == COLUMNS


def test_an_empty_export_still_has_its_columns(tmp_path: Path) -> None:
    out = io.StringIO()
    export([], to=None, form="csv", stdout=out)
    export([], to=tmp_path / "rows.parquet", form="parquet", stdout=out)
    assert out.getvalue().strip().split(",") == list(COLUMNS)
    assert tuple(pq.read_table(tmp_path / "rows.parquet").column_names) == COLUMNS


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
async def test_csv_text_that_a_spreadsheet_would_run_is_guarded(scene: Scene, start: str) -> None:
    await scene.see(await scene.begin(), scene.job(f"{start}HYPERLINK(1)"))
    out = io.StringIO()
    export(scene.rows(), to=None, form="csv", stdout=out)
    [read] = csv.DictReader(io.StringIO(out.getvalue(), newline=""))
    assert read["prompt"] == f"'{start}HYPERLINK(1)"


async def test_jsonl_text_is_left_as_it_is(scene: Scene) -> None:
    await scene.see(await scene.begin(), scene.job('=1+1 "灯塔"\u2028'))
    out = io.StringIO()
    export(scene.rows(), to=None, form="jsonl", stdout=out)
    assert json.loads(out.getvalue())["prompt"] == '=1+1 "灯塔"\u2028'


def test_parquet_needs_a_file() -> None:
    with pytest.raises(UsageError, match="--to"):
        export([], to=None, form="parquet", stdout=io.StringIO())


def test_parquet_without_its_library_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigurationError, match="fluxbatch\\[parquet\\]"):
        export([], to=tmp_path / "rows.parquet", form="parquet", stdout=io.StringIO())


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_an_export_that_cannot_be_written_says_so(tmp_path: Path, form: str) -> None:
    with pytest.raises(OutputError, match="cannot be written") as caught:
        export([], to=tmp_path / "missing" / "rows", form=form, stdout=io.StringIO())  # type: ignore[arg-type] # of the three
    assert caught.value.exit_code is ExitCode.CANNOT_CREATE
    assert "\n" not in str(caught.value)


async def test_the_money_of_the_rows_is_the_ledgers(scene: Scene) -> None:
    rows = await _every_state(scene)
    spent = sum(parse_usd(row.spend_usd) for row in rows)
    unknown = sum(parse_usd(row.unknown_usd) for row in rows)
    with Ledger(scene.address) as ledger:
        lines = ledger.spend("manifest")
        assert sum(line.spent_microusd for line in lines) == spent
        assert sum(line.unknown_microusd + line.reserved_microusd for line in lines) == unknown
    assert spent + unknown == scene.committed("total")


async def test_a_rows_money_is_where_it_was_spent(scene: Scene) -> None:
    """A picture that two manifests want is paid for by the first only."""
    run = await scene.begin()
    await scene.bring_to(JobState.STORED, run, scene.job())
    await scene.see(await scene.begin(manifest="other"), scene.job())
    assert [(row.manifest, row.spend_usd) for row in scene.rows()] == [("poster", "0.035"), ("other", "0.000")]


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("day", ["2026-11-23", "2026-12-01"]),
        ("month", ["2026-11", "2026-12"]),
        ("model", ["flux-kontext-pro"]),
        ("manifest", ["poster", "poster / nightly"]),
        ("provider", ["apiyi"]),
    ],
)
async def test_spend_groups(scene: Scene, by: str, groups: list[str]) -> None:
    await scene.bring_to(JobState.STORED, await scene.begin(), scene.job("one"))
    scene.clock.set(2026, 12, 1)
    await scene.bring_to(JobState.STORED, await scene.begin(edition="nightly"), scene.job("two", index=2))
    with Ledger(scene.address) as ledger:
        lines = ledger.spend(by)  # type: ignore[arg-type] # of the five
    assert [line.group for line in lines] == groups
    assert sum(line.spent_microusd for line in lines) == 2 * PRICE
    assert sum(line.pictures for line in lines) == 2


async def test_spend_keeps_simulated_money_on_lines_of_its_own(scene: Scene) -> None:
    await scene.bring_to(JobState.STORED, await scene.begin(), scene.job("one"))
    await scene.bring_to(JobState.UNKNOWN, await scene.begin(simulated=True), scene.job("two", index=2))
    real = SpendLine(
        group="2026-11-23",
        simulated=False,
        models={"flux-kontext-pro": 1},
        spent_microusd=PRICE,
        unknown_microusd=0,
        reserved_microusd=0,
        providers={"apiyi": PRICE},
    )
    with Ledger(scene.address) as ledger:
        assert ledger.spend() == [
            real,
            replace(
                real,
                simulated=True,
                models={},
                spent_microusd=0,
                unknown_microusd=PRICE,
                providers={"simulator": 0},
            ),
        ]


async def test_spend_leaves_out_what_was_given_back(scene: Scene) -> None:
    await scene.bring_to(JobState.FAILED, await scene.begin(), scene.job())
    with Ledger(scene.address) as ledger:
        assert ledger.spend() == []
