"""A folder as a run of many rows leaves it, made without a provider: rows, manifest, pictures, and their ledger."""

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from benchmarks.pictures import digest, variant
from pipeline.job import Job
from pipeline.ledger import Caps, Picture, Policy, Reservation, Run
from pipeline.ledger.admission import admit
from pipeline.ledger.connection import Connection, open_writing
from pipeline.ledger.recovery import begin
from pipeline.ledger.steps import answer, reserve, store
from pipeline.manifest import Manifest, load_manifest

#: Rows admitted and settled in one transaction.
CHUNK = 1_000
#: Names one file may have; ext4 allows 65,000.
_LINKS = 60_000
_AT = 1_800_000_000.0
_PRICE = 35_000


def write_manifest(folder: Path, count: int) -> Path:
    """A manifest of so many rows in a CSV file, each of them different."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "rows.csv").open("w") as rows:
        rows.write("subject,style,ratio\n")
        rows.writelines(
            f'"A quiet harbour at dawn with {number} boats, mist over the water",'
            f"{('oil on canvas', 'watercolour')[number % 2]},{('3:2', '16:9', '1:1')[number % 3]}\n"
            for number in range(count)
        )
    manifest = folder / "many.yaml"
    manifest.write_text(
        "version: 1\nname: many\nprovider: simulator\n"
        f"limits: {{budget_usd: {count}}}\n"
        'jobs:\n  - {rows: rows.csv, prompt: "{subject}, {style}", ratio: "{ratio}"}\n'
    )
    return manifest


def fill(folder: Path, count: int) -> Path:
    """Make the folder, with every picture bought and stored; its manifest."""
    manifest = load_manifest(write_manifest(folder, count))
    output = folder / "output"
    connection = _opened(output / "ledger.db")
    run = _begun(connection, manifest)
    sources = _sources(output)
    jobs = (row for row in manifest.jobs() if isinstance(row, Job))
    for chunk in _chunks(jobs):
        connection.execute("BEGIN IMMEDIATE")
        rows = [(job, job.path) for job in chunk]
        for admitted in admit(connection, run=run, rows=rows, policy=Policy(), folder=output, alive=lambda _: False):
            job = admitted.row
            assert isinstance(job, Job)  # noqa: S101 - a generator's own rows fit
            _settle(connection, run, job, admitted.placement)
            _link(next(sources), output / f"{job.path}.jpg")
        connection.execute("COMMIT")
    connection.execute("UPDATE runs SET ended_at = ?, exit_code = 0", (_AT + 1,))
    connection.close()
    return manifest.path


def _chunks(jobs: Iterable[Job]) -> Iterator[tuple[Job, ...]]:
    source = iter(jobs)
    while chunk := tuple(islice(source, CHUNK)):
        yield chunk


def _opened(path: Path) -> Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    return open_writing(path)


def _begun(connection: Connection, manifest: Manifest) -> Run:
    connection.execute("BEGIN IMMEDIATE")
    identity = (manifest.name, manifest.edition, True)
    number, batch, _ = begin(
        connection,
        run_id="20270115T080000-abcdef",
        batch=identity,
        provider="simulator",
        caps=Caps(),
        at=_AT,
        alive=lambda _: False,
    )
    connection.execute("COMMIT")
    return Run(
        id=number,
        run_id="20270115T080000-abcdef",
        batch=batch,
        manifest=manifest.name,
        edition=manifest.edition,
        simulated=True,
        caps=Caps(),
    )


def _settle(connection: Connection, run: Run, job: Job, placement: int) -> None:
    reserved = reserve(
        connection,
        run=run,
        placement=placement,
        key=job.key,
        price_microusd=_PRICE,
        at=_AT,
        alive=lambda _: False,
    )
    assert isinstance(reserved, Reservation)  # noqa: S101 - nothing caps it
    url = f"https://delivery.example.com/pictures/{job.key}.jpg?signature={job.key}&expires=1800000600"
    answer(
        connection,
        attempt=reserved.attempt,
        url=url,
        bought_at=_AT,
        deadline=_AT + 600,
        request_id=f"req_{job.key[:24]}",
    )
    picture = Picture(
        sha256=digest("small", 0),
        size_bytes=len(variant("small", 0)),
        width=128,
        height=128,
        format="jpeg",
        verdict="ok",
        stored_at=_AT + 2,
        url_age_s=2.0,
    )
    store(connection, attempt=reserved.attempt, run=run.id, path=f"{job.path}.jpg", picture=picture)


def _sources(output: Path) -> Iterator[Path]:
    """The same picture for every row: a file with many names, and another when it can have no more of them."""
    number = 0
    while True:
        source = output / f".source-{number}"
        source.write_bytes(variant("small", 0))
        for _ in range(_LINKS):
            yield source
        number += 1


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, target)
