"""A ledger with rows in every state and their pictures, made in one go, for the tests of the report."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import apsw
from PIL import Image

from pipeline.job import ImageFormat, PictureRequest, job_key
from pipeline.ledger.connection import open_writing
from pipeline.ledger.sums import recount
from pipeline.ratio import parse_ratio

#: Noon, local time, of a day in November.
NOON = 1_795_600_800.0
DAY_S = 86_400.0
PRICES = {"flux-kontext-pro": 35_000, "flux-kontext-max": 70_000}
#: Prompt, ratio, model.
IDEAS = (
    ("A beautiful sunset over mountains", "3:2", "flux-kontext-max"),
    ("Portrait of a wise old wizard, candlelight, oil on canvas", "2:3", "flux-kontext-pro"),
    ("Cyberpunk street scene in the rain", "16:9", "flux-kontext-pro"),
    ("Minimalist app icon, a paper boat", "1:1", "flux-kontext-pro"),
    ("雨后的竹林，远处有一座小亭子", "4:5", "flux-kontext-max"),
    ("Tall waterfall between basalt columns", "3:7", "flux-kontext-pro"),
    ("Panorama of salt flats under a milky sky", "7:3", "flux-kontext-pro"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One row of a manifest, and what has become of it."""

    prompt: str
    ratio: str = "1:1"
    model: str = "flux-kontext-pro"
    state: str = "stored"
    seed: int | None = None
    error_kind: str | None = None
    error_message: str | None = None
    passing: bool = False
    verdict: str = "ok"
    age_s: float = 1.5
    day: int = 0
    manifest: str = "spring"
    format: ImageFormat = "jpeg"
    inputs: tuple[str, ...] = ()


def troubled() -> list[Wish]:
    """One row in each state that is not as it should be."""
    return [
        Wish(prompt="A face that is famous", state="failed", error_kind="moderated", error_message="content_policy"),
        Wish(prompt="A shape too long", state="failed", error_kind="invalid", error_message="aspect_ratio is refused"),
        Wish(prompt="", state="failed", model="", error_kind="unfit_row", error_message="rows.csv:7: no prompt"),
        Wish(prompt="A busy hour", state="failed", error_kind="overloaded", error_message="503", passing=True),
        Wish(prompt="A letter that never came", state="unknown", error_message="no answer in 180 s"),
        Wish(prompt="Too late", state="lost", error_message="404 after the window"),
        Wish(prompt="A page of HTML", state="spoiled", error_message="not a picture"),
        Wish(prompt="On its way", state="bought"),
        Wish(prompt="Not yet", state="planned"),
        Wish(prompt="A square for a strip", ratio="16:9", verdict="wrong_shape"),
    ]


def stored(number: int, *, days: int = 3) -> list[Wish]:
    """So many pictures of various shapes."""
    return [
        Wish(
            prompt=f"{IDEAS[place % len(IDEAS)][0]}, no. {place + 1}",
            ratio=IDEAS[place % len(IDEAS)][1],
            model=IDEAS[place % len(IDEAS)][2],
            age_s=(0.4, 0.9, 1.6, 3.1, 7.7, 24.0, 95.0)[(place * 5) % 7],
            day=place * days // max(1, number),
        )
        for place in range(number)
    ]


def build(
    output: Path,
    wishes: Sequence[Wish],
    *,
    simulated: bool = False,
    caps: dict[str, int] | None = None,
    pictures: int | None = None,
) -> Path:
    """Write the ledger and the pictures; the ledger's path.

    Args:
        pictures: Files of their own; where there are fewer than rows, rows share them. None: one each.
    """
    output.mkdir(parents=True, exist_ok=True)
    path = output / "ledger.db"
    files: dict[tuple[str, int], tuple[str, bytes, int, int, int]] = {}
    with closing(open_writing(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for number, wish in enumerate(wishes, start=1):
            run, batch = _run(connection, wish.manifest, simulated=simulated, caps=caps)
            _row(connection, output, files, number, wish, run=run, batch=batch, simulated=simulated, limit=pictures)
        connection.execute("UPDATE runs SET ended_at = started_at + 75, exit_code = 0")
        recount(connection)
        connection.execute("COMMIT")
    return path


def _run(
    connection: apsw.Connection, manifest: str, *, simulated: bool, caps: dict[str, int] | None
) -> tuple[int, int]:
    batch = connection.execute(
        "INSERT INTO batches (manifest, edition, simulated) VALUES (?, '', ?) ON CONFLICT DO UPDATE SET edition = ''"
        " RETURNING id",
        (manifest, simulated),
    ).get
    run = connection.execute(
        "INSERT INTO runs (run_id, batch, provider, started_at, caps) VALUES (?, ?, 'apiyi', ?, ?)"
        " ON CONFLICT DO UPDATE SET caps = caps RETURNING id",
        (run_id(batch), batch, NOON, json.dumps(caps or {})),
    ).get
    return int(run), int(batch)


def run_id(batch: int) -> str:
    """The id of the one run of a batch."""
    return f"20261123T120000-{batch:06x}"


def _row(
    connection: apsw.Connection,
    output: Path,
    files: dict[tuple[str, int], tuple[str, bytes, int, int, int]],
    number: int,
    wish: Wish,
    *,
    run: int,
    batch: int,
    simulated: bool,
    limit: int | None,
) -> None:
    at = NOON + DAY_S * wish.day
    request = PictureRequest(
        model=wish.model,
        prompt=wish.prompt,
        ratio=parse_ratio(wish.ratio),
        seed=wish.seed,
        output_format=wish.format,
        safety_tolerance=2,
        prompt_upsampling=False,
        inputs=wish.inputs,
    )
    names = ("output_format", "safety_tolerance", "prompt_upsampling", "inputs")
    asked = {name: request.identity()[name] for name in names}
    if wish.inputs:
        asked["found_at"] = [f"input-{number}.jpg" for number, _ in enumerate(wish.inputs, start=1)]
    key = bytes.fromhex(job_key(request, repeat=number, edition="", simulated=simulated))
    paid = wish.state in {"stored", "lost", "spoiled", "bought"}
    path, sha256, size, width, height = None, None, None, None, None
    if wish.state == "stored":
        path, sha256, size, width, height = _picture(output, files, number, wish, limit)
    price = PRICES.get(wish.model, 0)
    unknown = wish.state == "unknown"
    job = connection.execute(
        "INSERT INTO jobs (key, state, model, prompt, ratio, seed, asked, attempts, spend_microusd, unknown_microusd,"
        " error_kind, error_message, passing, url, bought_at, stored_at, stored_run, url_age_s, sha256, bytes, width,"
        " height, format, verdict, request_id) VALUES"
        " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (
            key, wish.state, wish.model, wish.prompt, wish.ratio if wish.model else None, wish.seed,
            json.dumps(asked if wish.model else {}), int(paid or unknown), price * paid, price * unknown,
            wish.error_kind, wish.error_message, wish.passing,
            "https://images.example/a.jpeg?signature=SECRET" if wish.state == "bought" else None,
            at if paid else None, at + wish.age_s if path else None, run if path else None,
            wish.age_s if path else None, sha256, size, width, height, "jpeg" if path else None,
            wish.verdict if path else None, f"req-{number}" if paid else None,
        ),
    ).get  # fmt: skip
    placement = connection.execute(
        "INSERT INTO placements (batch, job, occurrence, number, run, duplicate, wanted, path)"
        " VALUES (?, ?, 1, ?, ?, 0, ?, ?) RETURNING id",
        (batch, job, number, run, f"pictures/{number:05}", path),
    ).get
    if paid or unknown:
        connection.execute(
            "INSERT INTO attempts (job, placement, run, taken_from, money, price_microusd, day, started_at)"
            " VALUES (?, ?, ?, 'planned', ?, ?, ?, ?)",
            (job, placement, run, "unknown" if unknown else "spent", price, f"2026-11-{23 + wish.day:02}", at),
        )


def _picture(
    output: Path,
    files: dict[tuple[str, int], tuple[str, bytes, int, int, int]],
    number: int,
    wish: Wish,
    limit: int | None,
) -> tuple[str, bytes, int, int, int]:
    shape = "1:1" if wish.verdict == "wrong_shape" else wish.ratio
    slot = (shape, number % limit if limit else number)
    if slot not in files:
        files[slot] = _paint(output, number, shape)
    return files[slot]


def _paint(output: Path, number: int, shape: str) -> tuple[str, bytes, int, int, int]:
    """A small picture with a colour and a slope of its own."""
    wide, high = (int(side) for side in shape.split(":"))
    scale = (320 * 240 / (wide * high)) ** 0.5
    size = (max(8, round(wide * scale)), max(8, round(high * scale)))
    hue = number * 47 % 256
    slope = Image.linear_gradient("L").resize(size)
    picture = Image.merge(
        "HSV",
        (
            Image.new("L", size, hue),
            Image.new("L", size, 110),
            slope.point([60 + value * 2 // 3 for value in range(256)]),
        ),
    ).convert("RGB")
    place = f"pictures/{number:05}.jpeg"
    file = output / place
    file.parent.mkdir(exist_ok=True)
    picture.save(file, "JPEG")
    data = file.read_bytes()
    return place, hashlib.sha256(data).digest(), len(data), *size
