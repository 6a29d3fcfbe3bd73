"""The benchmarks find what they are for: everybody brings the right pictures, and who does not is told of."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import scale
from benchmarks.__main__ import main
from benchmarks.contenders import BARE, Contender, Errand
from benchmarks.contest import FEW, Contest, WrongError
from benchmarks.measuring import FailedError, measured, provider
from benchmarks.pictures import variant

PICTURES = 12


def test_everybody_brings_every_picture_and_the_ledger_is_proven(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--small", "--pictures", str(PICTURES), "--size", "small", "--folder", str(tmp_path)]

    assert main(words) == 0
    out = capsys.readouterr().out
    for name in ("bare aiohttp loop", "this pipeline", "OpenAI SDK"):
        assert f"| {name} |" in out


def test_with_a_limit_on_requests_the_pipeline_still_brings_every_picture_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.contenders import PIPELINE

    with provider("small", latency_s=0.01, in_flight=2) as base_url:
        contest = Contest(base_url=base_url, size="small", pictures=PICTURES, concurrency=8, folder=tmp_path)
        (record,) = contest.run([PIPELINE], rounds=1)
    assert record.throttled[0] < 1


def _writing(folder: Path, names: Sequence[str]) -> str:
    """A program that puts a picture into so many files, whatever it was asked for."""
    picture = folder.with_suffix(".source")
    picture.write_bytes(variant("small", 0))
    copies = "".join(f"(folder / {name!r}).write_bytes(data);" for name in names)
    return (
        f"from pathlib import Path; folder = Path({str(folder)!r}); folder.mkdir();"
        f"data = Path({str(picture)!r}).read_bytes(); {copies}"
    )


@pytest.mark.parametrize(
    ("brought", "complaint"),
    [(range(PICTURES), "not those that were asked for"), (range(1), f"1 of {PICTURES} pictures")],
)
def test_who_brings_other_pictures_is_told_of(tmp_path: Path, brought: Sequence[int], complaint: str) -> None:
    def words(errand: Errand) -> list[str]:
        return [sys.executable, "-c", _writing(errand.folder, [f"{number}.jpg" for number in brought])]

    liar = Contender(name="liar", words=words, numbered=BARE.numbered)
    with provider("small", latency_s=0.0) as base_url:
        contest = Contest(base_url=base_url, size="small", pictures=PICTURES, concurrency=2, folder=tmp_path)
        with pytest.raises(WrongError, match=complaint):
            contest.run([liar], rounds=1)


def test_who_buys_more_than_it_brings_is_told_of(tmp_path: Path) -> None:
    def words(errand: Errand) -> list[str]:
        more = Errand(base_url=errand.base_url, count=errand.count + 1, concurrency=2, folder=errand.folder)
        bare = list(BARE.words(more))
        drop = f"import pathlib, subprocess; subprocess.run({bare!r}, check=True);"
        return [sys.executable, "-c", f"{drop} (pathlib.Path({str(errand.folder)!r}) / '{errand.count}.jpg').unlink()"]

    spender = Contender(name="spender", words=words, numbered=BARE.numbered)
    with provider("small", latency_s=0.0) as base_url:
        contest = Contest(base_url=base_url, size="small", pictures=PICTURES, concurrency=2, folder=tmp_path)
        with pytest.raises(WrongError, match="were charged"):
            contest.run([spender], rounds=1)


def test_who_breaks_down_is_told_of() -> None:
    with pytest.raises(FailedError, match="broken"):
        measured([sys.executable, "-c", "import sys; sys.exit('broken')"])


def test_what_starting_costs_is_subtracted_of_more_pictures_than_that() -> None:
    assert PICTURES > FEW


def test_the_benchmark_of_scale_measures_every_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert scale.main(["--rows", "30", "--yaml-rows", "20", "--folder", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    for what in ("`plan`, all new", "`run`, all stored", "`status`", "`ledger spend`", "`ledger export`"):
        assert f"| {what} |" in out
