"""The hostile manifests: what each is made of, and what must be said of it.

The small ones are the ``*.yaml`` files here; their first line says where they are refused and in which words. Those
that are no text, or huge, or need something beside them are made by a function each.
"""

import io
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

#: What every manifest is called, so that what is said of it is the same everywhere.
MANIFEST = "hostile.yaml"
_FIRST_LINE = re.compile(r"# line (?P<line>\d+): (?P<words>.+)")
_HEAD = "version: 1\nname: hostile\nprovider: simulator\n"
_JOBS = "jobs: [[A lighthouse]]\n"
#: Two combining marks that stand in the wrong order.
_MARKS = "\u0300\u0316"

Makes = Callable[[Path], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One hostile manifest.

    Attributes:
        make: Writes it, and what it needs, into a folder.
        place: The file and line that must be named.
        words: What else must be said, the remedy among it.
        runs: The exit code of ``run``; that of ``check`` is 65.
    """

    name: str
    make: Makes
    place: str
    words: tuple[str, ...]
    runs: int = 65


def cases() -> list[Case]:
    """All of them."""
    return [*_written(), *_MADE]


def _written() -> list[Case]:
    found = []
    for file in sorted(Path(__file__).parent.glob("*.yaml")):
        text = file.read_text(encoding="utf-8")
        told = _FIRST_LINE.match(text)
        assert told is not None, file
        place, words = f"{MANIFEST}:{told['line']}:", tuple(told["words"].split(" | "))
        found.append(Case(name=file.stem, make=_writes(text), place=place, words=words))
    return found


def _writes(text: str | bytes) -> Makes:
    data = text.encode() if isinstance(text, str) else text

    def make(folder: Path) -> None:
        (folder / MANIFEST).write_bytes(data)

    return make


_MADE: list[Case] = []


def _made(line: int, *words: str) -> Callable[[Callable[[], str | bytes]], None]:
    """Take a function that makes a manifest's text, which is refused at that line."""

    def take(text: Callable[[], str | bytes]) -> None:
        def make(folder: Path) -> None:
            _writes(text())(folder)

        name = text.__name__.strip("_")
        _MADE.append(Case(name=name, make=make, place=f"{MANIFEST}:{line}:", words=words))

    return take


def _rows(
    file: str, place: str, *words: str, runs: int = 65, prompt: str = "{title}"
) -> Callable[[Callable[[Path], None]], None]:
    """Take a function that makes a rows file; its manifest reads rows from it, on line 5."""

    def take(write: Callable[[Path], None]) -> None:
        def make(folder: Path) -> None:
            _writes(f"{_HEAD}jobs:\n  - {{rows: {file}, prompt: '{prompt}'}}\n")(folder)
            write(folder / file)

        name = write.__name__.strip("_")
        _MADE.append(Case(name=name, make=make, place=place, words=words, runs=runs))

    return take


# --- no text, or too much of it -------------------------------------------------------------------------------------


@_made(1, "empty", "start with 'version: 1'")
def _no_bytes() -> bytes:
    return b""


@_made(1, "larger than 8 MiB", "rows: prompts.csv")
def _larger_than_8_mib() -> str:
    return _HEAD + _JOBS + "#" * (8 << 20)


@_made(1, "nested deeper than 32", "close a bracket")
def _brackets() -> str:
    return "[" * 100_000


@_made(4, "nested deeper than 32", "close a bracket")
def _brackets_and_braces() -> str:
    return _HEAD + "jobs: " + "[{a: " * 50_000


@_made(1, "nested deeper than 32", "close a bracket")
def _dashes() -> str:
    return "- " * 1_000_000


@_made(1, "a key must be a word", "in quotes")
def _question_marks() -> str:
    return "? " * 1_000_000


@_made(4, "more than 500,000 values", "rows: prompts.csv")
def _a_million_values() -> str:
    return _HEAD + "jobs: [" + "a," * 1_000_000 + "]"


@_made(1001, "more than 1,000 keys", "write many jobs as a list")
def _two_hundred_thousand_keys() -> str:
    return _HEAD + "".join(f"k{number}: 1\n" for number in range(200_000))


@_made(5, "jobs[0][1]", "and at least 1,000 more problems; mend these first")
def _thousands_of_bad_jobs() -> str:
    return _HEAD + "jobs:\n" + "  - [A cat, 9:1, flux]\n" * 30_000


@_made(5, "longer than 100,000 characters", "shorten it")
def _a_prompt_of_7_mib() -> str:
    return f"{_HEAD}jobs:\n  - [{'x' * (7 << 20)}]\n"


@_made(5, "longer than 32,000 characters", "shorten it")
def _a_prompt_that_no_model_reads() -> str:
    return f"{_HEAD}jobs:\n  - [{'very ' * 7_000}large cat]\n"


@_made(5, "longer than 100,000 characters", "close its quote")
def _an_open_quote() -> str:
    return f"{_HEAD}jobs:\n  - ['A cat]\n" + "  - [A dog]\n" * 100_000 + "']"


@_made(4, "output.folder", "longer than 1,000 characters", "shorten it")
def _marks_in_any_order() -> str:
    return f"{_HEAD}output: {{folder: a{_MARKS * 45_000}}}\n{_JOBS}"


@_made(2, "longer than 200 characters", "shorten it")
def _a_name_of_marks_in_any_order() -> str:
    return f"version: 1\nname: a{_MARKS * 45_000}\n{_JOBS}"


@_made(4, "output.file", "longer than 1,000 characters", "shorten it")
def _a_name_of_placeholders() -> str:
    return f"{_HEAD}output: {{file: '{'{index}' * 10_000}'}}\n{_JOBS}"


@_made(4, "limits.budget_usd", "such as 5.00")
def _a_budget_of_10_000_digits() -> str:
    return f"{_HEAD}limits: {{budget_usd: {'9' * 10_000}}}\n{_JOBS}"


@_made(4, "limits.concurrency", "whole number")
def _a_concurrency_of_10_000_digits() -> str:
    return f"{_HEAD}limits: {{concurrency: {'9' * 10_000}}}\n{_JOBS}"


@_made(5, "jobs[0].seed", "whole number")
def _a_seed_of_10_000_digits() -> str:
    return f"{_HEAD}jobs:\n  - {{prompt: A cat, seed: {'9' * 10_000}}}\n"


@_made(5, "jobs[0][1]", "longer than 1,000 characters", "shorten it")
def _a_ratio_of_10_000_digits() -> str:
    return f"{_HEAD}jobs:\n  - [A cat, '{'9' * 10_000}:1']\n"


@_made(5, "jobs[0].vars", "more than 1,000,000,000,000,000 combinations", "rows file")
def _more_combinations_than_can_be_written_down() -> str:
    names = [f"v{number}" for number in range(900)]
    variables = ", ".join(f"{name}: [{'1, ' * 60}]" for name in names)
    return f"{_HEAD}jobs:\n  - {{prompt: A cat, vars: {{{variables}}}}}\n"


@_made(16, "more than 1,000,000 pictures", "rows file")
def _many_jobs_of_many_combinations() -> str:
    numbers = f"[{', '.join(map(str, range(300)))}]"
    return f"{_HEAD}jobs:\n" + f"  - {{prompt: '{{v}} {{w}}', vars: {{v: {numbers}, w: {numbers}}}}}\n" * 40


@_made(5, "there is no model named 'm0'", "known here", "and at least 1,900 more problems")
def _thousands_of_wrong_models() -> str:
    models = ", ".join(f"m{number}" for number in range(50_000))
    return f"{_HEAD}jobs:\n  - {{prompt: A cat, model: '{{m}}', vars: {{m: [{models}]}}}}\n"


@_made(3, "must have at most 100 items", "list only the hosts")
def _thousands_of_hosts() -> str:
    hosts = ", ".join(f"h{number}" for number in range(50_000))
    return f"version: 1\nname: hostile\nprovider: {{allow_hosts: [{hosts}]}}\n{_JOBS}"


# --- not UTF-8, or not the characters of a text ---------------------------------------------------------------------


@_made(3, "U+0000", "remove it")
def _nul_bytes() -> bytes:
    return b"version: 1\nname: a\nedition: a\0b\njobs: [[A cat]]\n"


@_made(1, "not UTF-8", "save the file as UTF-8")
def _utf_16() -> bytes:
    return (_HEAD + _JOBS).encode("utf-16")


@_made(1, "U+0000", "remove it")
def _utf_16_without_a_mark() -> bytes:
    return (_HEAD + _JOBS).encode("utf-16-le")


@_made(1, "not UTF-8", "save the file as UTF-8")
def _utf_32() -> bytes:
    return (_HEAD + _JOBS).encode("utf-32")


@_made(2, "not UTF-8: the byte 0xE9", "save the file as UTF-8")
def _latin_1() -> bytes:
    return "version: 1\nname: café\njobs: [[A cat]]\n".encode("latin-1")


@_made(2, "not UTF-8: the byte 0xC0", "save the file as UTF-8")
def _a_slash_in_disguise() -> bytes:
    return b"version: 1\nname: a\xc0\xafb\njobs: [[A cat]]\n"


@_made(2, "not UTF-8: the byte 0xED", "save the file as UTF-8")
def _half_a_surrogate_pair() -> bytes:
    return b"version: 1\nname: a\xed\xa0\x80b\njobs: [[A cat]]\n"


@_made(2, "U+FEFF", "remove it")
def _a_byte_order_mark_in_the_middle() -> str:
    return f"\ufeffversion: 1\n\ufeffname: a\n{_JOBS}"


@_made(1, "U+FEFF", "remove it")
def _two_byte_order_marks() -> str:
    return f"\ufeff\ufeff{_HEAD}{_JOBS}"


@_made(2, "U+001B", "remove it")
def _a_raw_escape() -> str:
    return f"version: 1\nname: \x1b[2J\n{_JOBS}"


# --- rows files -----------------------------------------------------------------------------------------------------

_AT_ROWS = f"{MANIFEST}:5:"


@_rows("rows.csv", _AT_ROWS, "not an ordinary file", "copy the rows into one")
def _rows_from_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@_rows("rows.jsonl", _AT_ROWS, "not an ordinary file", "copy the rows into one")
def _rows_from_a_pipe(path: Path) -> None:
    os.mkfifo(path)


@_rows("rows.parquet", _AT_ROWS, "not an ordinary file", "copy the rows into one")
def _rows_from_a_pipe_of_parquet(path: Path) -> None:
    os.mkfifo(path)


@_rows("rows.csv", _AT_ROWS, "not an ordinary file", "copy the rows into one")
def _rows_from_a_folder(path: Path) -> None:
    path.mkdir()


@_rows("rows.csv", _AT_ROWS, "cannot be read")
def _rows_from_a_link_to_itself(path: Path) -> None:
    path.symlink_to(path)


@_rows("rows.csv", _AT_ROWS, "U+0000", "is it a table?")
def _rows_from_our_own_environment(path: Path) -> None:
    path.symlink_to("/proc/self/environ")


@_rows("rows.csv", _AT_ROWS, "is empty")
def _rows_without_a_byte(path: Path) -> None:
    path.touch()


@_rows("rows.csv", _AT_ROWS, "U+001B", "is it a table?")
def _a_header_of_escapes(path: Path) -> None:
    path.write_text("title,\x1b]0;owned\x07\nA cat,x\n")


@_rows("rows.csv", _AT_ROWS, "two columns named")
def _a_header_that_says_it_twice(path: Path) -> None:
    path.write_text("title,title\nA cat,A dog\n")


@_rows("rows.csv", _AT_ROWS, "semicolons", "save it with commas")
def _a_header_of_semicolons(path: Path) -> None:
    path.write_text("title;ratio\nA cat;1:1\n")


@_rows("rows.csv", _AT_ROWS, "no variable named 'title'", "did you mean 'titel'?")
def _a_header_misspelt(path: Path) -> None:
    path.write_text("titel,ratio\nA cat,1:1\n")


@_rows("rows.csv", _AT_ROWS, "more than 1,000 columns", "is it a table?")
def _a_header_of_half_a_million_columns(path: Path) -> None:
    path.write_text("a,b," * 120_000 + "\nA cat\n")


@_rows("rows.csv", _AT_ROWS, "its header cannot be read", "longer than 1,048,576 bytes")
def _a_header_of_100_mb(path: Path) -> None:
    path.write_bytes(b'"')
    os.truncate(path, 100_000_000)


@_rows("rows.csv", "rows.csv:2", "longer than 1,048,576 bytes", runs=3)
def _a_cell_of_100_mb(path: Path) -> None:
    path.write_bytes(b'title\n"A cat')
    os.truncate(path, 100_000_000)


@_rows("rows.csv", "rows.csv:2", "U+0000", "remove it", runs=3)
def _a_cell_of_nuls(path: Path) -> None:
    path.write_bytes(b"title\nA\0cat\n")


@_rows("rows.csv", "rows.csv:2", "U+001B", "remove them", runs=3)
def _a_cell_of_escapes(path: Path) -> None:
    path.write_text("title\n\x1b]0;owned\x07\n")


@_rows("rows.csv", "rows.csv:2", "quote that opens in line 2 is never closed", runs=3)
def _a_cell_that_never_ends(path: Path) -> None:
    path.write_text('title\n"A cat\n')


@_rows("rows.csv", "rows.csv:2", "ratio", "such as 16:9", runs=3, prompt="{title}', ratio: '{ratio}")
def _a_cell_that_is_no_ratio(path: Path) -> None:
    path.write_text("title,ratio\nA cat,\x1b[31m1:1\n")


@_rows("rows.jsonl", _AT_ROWS, "nested too deeply")
def _json_nested_deep(path: Path) -> None:
    path.write_text('{"title": ' + "[" * 500_000 + "\n")


@_rows("rows.jsonl", "rows.jsonl:2", "nested too deeply", runs=3)
def _json_nested_deep_in_the_second_row(path: Path) -> None:
    path.write_text('{"title": "..."}\n{"title": ' + '{"a":' * 150_000 + "\n")


@_rows("rows.jsonl", _AT_ROWS, "gives a key twice")
def _json_that_says_it_twice(path: Path) -> None:
    path.write_text('{"title": "A cat", "title": "A dog"}\n')


@_rows("rows.jsonl", _AT_ROWS, "U+D800", "is it a table?")
def _json_with_half_a_pair_for_a_key(path: Path) -> None:
    path.write_text('{"title": "A cat", "\\ud800": 1}\n')


@_rows("rows.jsonl", "rows.jsonl:1", "U+D800", "remove it", runs=3)
def _json_with_half_a_pair(path: Path) -> None:
    path.write_text('{"title": "A \\ud800 cat"}\n')


@_rows("rows.jsonl", "rows.jsonl:1", "seed", "whole number", runs=3, prompt="{title}', seed: '{seed}")
def _json_of_a_huge_number(path: Path) -> None:
    path.write_text('{"title": "A cat", "seed": ' + "9" * 100_000 + "}\n")


@_rows("rows.jsonl", _AT_ROWS, "NaN, which is not JSON")
def _json_of_no_number(path: Path) -> None:
    path.write_text('{"title": "A cat", "seed": NaN}\n')


@_rows("rows.jsonl", _AT_ROWS, "must be a JSON object", "such as")
def _json_of_a_list(path: Path) -> None:
    path.write_text('["A cat"]\n')


@_rows("rows.parquet", _AT_ROWS, "is not a Parquet file")
def _parquet_of_garbage(path: Path) -> None:
    path.write_bytes(b"PAR1" + b"\xff" * 1_000 + b"PAR1")


@_rows("rows.parquet", _AT_ROWS, "cannot be read")
def _parquet_with_a_broken_index(path: Path) -> None:
    whole = bytearray(_parquet({"title": ["A cat"] * 1_000}))
    whole[-60:-8] = b"\xff" * 52
    path.write_bytes(whole)


@_rows("rows.parquet", "rows.parquet:1", "longer than 1,048,576 bytes", runs=3)
def _parquet_of_one_long_text_two_hundred_times(path: Path) -> None:
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 200, type=pa.int32()), pa.array(["A cat " * 1_000_000]))
    path.write_bytes(_parquet({"title": text}))


@_rows("rows.parquet", "rows.parquet:1", "must be a text or a number", runs=3)
def _parquet_of_one_long_list_five_hundred_times(path: Path) -> None:
    path.write_bytes(_parquet({"title": [[1] * 10_000] * 500, "size": [1] * 500}))


@_rows("rows.parquet", "rows.parquet:1", "must be a text or a number", runs=3)
def _parquet_of_text_that_is_none(path: Path) -> None:
    bytes_of = pa.array([b"A \xff cat"])
    path.write_bytes(_parquet({"title": pa.Array.from_buffers(pa.string(), 1, bytes_of.buffers())}))


@_rows("rows.parquet", _AT_ROWS, "U+001B", "is it a table?")
def _parquet_with_a_header_of_escapes(path: Path) -> None:
    path.write_bytes(_parquet({"title": ["A cat"], "\x1b[2J": ["x"]}))


def _parquet(columns: dict[str, Sequence[object]]) -> bytes:
    made = io.BytesIO()
    pq.write_table(pa.table(columns), made, store_schema=False)
    return made.getvalue()
