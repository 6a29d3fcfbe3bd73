"""Who is measured, and how each is asked to do the same errand."""

import importlib.util
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """So many pictures, from a provider into a folder."""

    base_url: str
    count: int
    concurrency: int
    folder: Path

    @property
    def urls(self) -> list[str]:
        """Where the pictures are, for those who only download."""
        base = self.base_url.removesuffix("/v1")
        return [f"{base}/p/{number}.jpg" for number in range(self.count)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """Somebody who can be sent.

    Attributes:
        asks: Whether it asks for pictures, or only downloads them.
        numbered: Which number the picture in a file has, by the file's name; None where the name does not say.
    """

    name: str
    words: Callable[[Errand], Sequence[str]]
    asks: bool = True
    numbered: Callable[[str], int] | None = None


def _module(name: str, *, uvloop: bool = False) -> Callable[[Errand], Sequence[str]]:
    def words(errand: Errand) -> Sequence[str]:
        told = ["--base-url", errand.base_url, "--count", str(errand.count)]
        told += ["--concurrency", str(errand.concurrency), "--output", str(errand.folder)]
        return [sys.executable, "-m", f"benchmarks.{name}", *told, *(["--uvloop"] if uvloop else [])]

    return words


def _aria2c(errand: Errand) -> Sequence[str]:
    listed = _listed(errand)
    return [
        *("aria2c", "--quiet", "--dir", str(errand.folder), "--input-file", str(listed)),
        *("--max-concurrent-downloads", str(errand.concurrency), "--file-allocation=none", "--no-conf"),
    ]


def _img2dataset(errand: Errand) -> Sequence[str]:
    return [
        *("img2dataset", "--url_list", str(_listed(errand)), "--output_folder", str(errand.folder)),
        *(
            "--input_format",
            "txt",
            "--output_format",
            "files",
            "--resize_mode",
            "no",
            "--disable_all_reencoding",
            "True",
        ),
        *("--processes_count", "1", "--thread_count", str(errand.concurrency), "--retries", "0"),
    ]


def _listed(errand: Errand) -> Path:
    errand.folder.mkdir(parents=True)
    listed = errand.folder.with_suffix(".txt")
    listed.write_text("\n".join(errand.urls) + "\n")
    return listed


def _from_0(name: str) -> int:
    return int(name.partition(".")[0])


def _from_1(name: str) -> int:
    return int(name.partition(".")[0]) - 1


PIPELINE = Contender(name="this pipeline", words=_module("ours", uvloop=True), numbered=_from_1)
BARE = Contender(name="bare aiohttp loop", words=_module("bare"), numbered=_from_0)


def contenders() -> list[Contender]:
    """Everybody who is installed; the bare loop first, whom the others are measured by."""
    present, with_uvloop = [BARE], ""
    uvloop = importlib.util.find_spec("uvloop") is not None
    if uvloop:
        with_uvloop = ", uvloop"
        present.append(Contender(name=f"bare loop{with_uvloop}", words=_module("bare", uvloop=True), numbered=_from_0))
    durable = f"bare loop, durable and proven{with_uvloop}"
    present += [Contender(name=durable, words=_module("durable", uvloop=uvloop), numbered=_from_0), PIPELINE]
    if importlib.util.find_spec("openai"):
        present.append(Contender(name="OpenAI SDK", words=_module("sdk"), numbered=_from_0))
    if shutil.which("img2dataset"):
        present.append(Contender(name="img2dataset", words=_img2dataset, asks=False))
    if shutil.which("aria2c"):
        present.append(Contender(name="aria2c", words=_aria2c, asks=False, numbered=_from_0))
    return present
