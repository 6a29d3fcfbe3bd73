"""Manifests that nobody wrote: sound ones and hostile ones, changed by chance in their structure and in their text."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from tests.torture.hostile.cases import MANIFEST

ROOT = Path(__file__).parents[3]
#: Larger ones are the corpus's own business.
_LARGEST = 20_000

_SOUND: dict[str, Any] = {
    "version": 1,
    "name": "fuzzed",
    "edition": "{date}",
    "provider": {
        "profile": "simulator", "base_url": "https://example.com/v1", "api_key_env": "KEY", "wire": "flat",
        "window_s": 600, "allow_hosts": ["cdn.example.com:443"], "prices": {"flux-kontext-pro": "0.035"},
        "credit_factor": 1.15,
    },
    "on_unknown": "retry",
    "limits": {
        "concurrency": 4, "downloads": 2, "budget_usd": "5.00", "daily_usd": 1, "monthly_usd": 2, "total_usd": 3,
        "resend_usd": "0.5", "max_throttle_s": 60,
    },
    "defaults": {"model": "flux-kontext-pro", "ratio": "16:9", "format": "jpeg", "safety_tolerance": 2},
    "output": {"folder": "{name}/{edition}", "file": "{index:05}-{slug}-{ratio}"},
    "jobs": [
        ["A lighthouse", "3:2", "flux-kontext-max"],
        {"prompt": "A cat", "use": "portrait_photo", "seed": 42, "prompt_upsampling": True},
        {"prompt": "{animal} in {light}", "vars": {"animal": ["cat", "dog"], "light": ["noon"]}, "repeat": 3},
        {"prompt": "{a}{b}", "zip": {"a": ["x", "y"], "b": ["1", "2"]}},
        {"rows": "rows.csv", "prompt": "{title}", "ratio": "{ratio}"},
        {"rows": "rows.jsonl", "prompt": "{title}", "seed": "{seed}"},
    ],
}  # fmt: skip
_ROWS = {
    "rows.csv": 'title,ratio\nA cat,1:1\n"A dog, asleep",16:9\n,\n',
    "rows.jsonl": '{"title": "A cat", "seed": 7}\n{"title": "A dog", "seed": null}\n',
}

#: What stands where something else should: as it is written in YAML.
_VALUES = (
    "~", "", ".inf", "-.inf", ".nan", "1e400", "-1", "0", "1e-30", "9" * 5_000, "0x7fffffffffffffff", "0o17", "16:9",
    "1:30", "true", "no", "2026-11-25", "[]", "{}", "[~]", "[[[]]]", "{a: {b: {c: d}}}", "&a x", "*a", "!!str x",
    "!!python/object:os.system x", "<<", "..", "../../x", "/etc/passwd", '"C:\\\\x"', "'\\\\host\\share'", "CON",
    "nul.txt", "'x. '", "a:b", '"\\0"', '"\\e[31m"', '"\\u202e"', '"\\u200b"', "／", '"\\ud800"', "x" * 300,
    "'{0.__class__}'", "'{a[b]}'", "'{a!r}'", "'{index:>999999999}'", "'{'", "'}'", "'{{}}'", "'{}'", "'{name}'",
    "'{title}'", "'{animal}'", "'{key}{key}{key}'", "'{slug}'", "'{{index}}'", "rows.jsonl", "rows.parquet",
    "./rows.csv", "/dev/zero", "/proc/self/environ", "flux-kontext-max", '"\u0316\u0300"', "'-'", "---", "...",
    "%YAML 1.1", "? a", "'  '", "1_000", "1e3", "+5", "'5'", "0.0000001", "1000000000",
)  # fmt: skip
#: What may well stand there.
_FITTING = ("A cat", "1", "2", "0.5", "true", "flat", "png", "1:1", "'{name}'", "[a, b]", "'{title}'", "square", "x")
_TOKENS = (
    "[", "]", "{", "}", ":", ",", "- ", "? ", "&a ", "*a", "!!", "|", ">", "'", '"', "#", "%", "@", "`", "\t", "\n",
    "\r", "\n---\n", "\n...\n", "<<: ", "\ufeff", "\u2028", "\x85", "\0", "\x1b[2J", "\udcff", "{0.x}", "..", "/", "~",
)  # fmt: skip
_CELLS = (
    "", "..", "/", "\x00", "\x1b", "9" * 300, "-1", "16:9", "1:0", '"', "\u202e", "CON", "a/../../b", "x" * 500,
)  # fmt: skip
#: What a name may be made of: paths, what Windows does not take, and what hides.
_NAMES = (
    "..", ".", "/", "a/../../b", "../../etc/passwd", "C:\\x", "\\\\host\\share", "CON", "nul.txt", "com1", "x. ", " ",
    "", "...", "é/\u202e", "a\u200bb", "／／", "﹒﹒", "-", "~", "a:b", "x" * 400, "\u0300\u0316" * 300, "雪" * 120,
    "A", "a", "?", "|",
)  # fmt: skip
_FOLDERS = ("{title}", "a/{title}/b", "{title}{title}", "x{title}")


class Mutant:
    """One manifest and its rows files, by a seed; written into a folder."""

    def __init__(self, seed: int, corpus: list[str]) -> None:
        self._chance = Random(seed)
        self._corpus = corpus
        self.rows = {name: self._changed(text, _CELLS) for name, text in _ROWS.items()}
        self.text = self._named_by_values() if self._chance.random() < 0.1 else self._text()

    def write(self, folder: Path) -> Path:
        """The manifest's path."""
        for name, text in {MANIFEST: self.text, **self.rows}.items():
            (folder / name).write_bytes(text.encode("utf-8", "surrogateescape"))
        return folder / MANIFEST

    def _text(self) -> str:
        chance = self._chance
        if chance.random() < 0.75:
            tree = json.loads(json.dumps(_SOUND))
            if chance.random() < 0.7:
                tree["jobs"] = chance.sample(tree["jobs"], chance.randint(1, 3))
            for _ in range(chance.choice((0, 1, 1, 2, 4))):
                self._graft(tree)
            text = "".join(f"{_bare(key)}: {_flow(value)}\n" for key, value in tree.items())
        else:
            text = chance.choice(self._corpus)
        for _ in range(chance.choice((0, 0, 0, 1, 1, 4))):
            text = self._changed(text, _TOKENS)
        return text

    def _named_by_values(self) -> str:
        """A sound manifest whose pictures are named by variables and cells, where people may write anything."""
        chance = self._chance
        values = [chance.choice(_NAMES) for _ in range(3)]
        self.rows["rows.csv"] = "title,ratio\n" + "".join(f'"{value}",1:1\n' for value in values)
        jobs = [
            {"prompt": "A cat", "vars": {"title": values}},
            {"prompt": "A dog", "rows": "rows.csv"},
        ]
        tree = {
            "version": 1,
            "provider": "simulator",
            "output": {"folder": chance.choice(_FOLDERS), "file": "{title}"},
            "jobs": chance.sample(jobs, chance.randint(1, 2)),
        }
        return "".join(f"{key}: {_flow(value)}\n" for key, value in tree.items())

    def _graft(self, tree: dict[str, Any]) -> None:
        """Change one place of the structure."""
        chance = self._chance
        holder: Any = tree
        while True:
            inner = [value for value in (holder.values() if isinstance(holder, dict) else holder) if _holds(value)]
            if not inner or chance.random() < 0.35:
                break
            holder = chance.choice(inner)
        value = _Raw(chance.choice(_VALUES if chance.random() < 0.6 else _FITTING))
        if isinstance(holder, list):
            holder.insert(chance.randint(0, len(holder)), value)
            return
        key: Any = chance.choice(list(holder))
        change = chance.random()
        if change < 0.6:
            holder[key] = value
        elif change < 0.75:
            del holder[key]
        else:
            holder[_Raw(chance.choice((*_VALUES, "prompt", "vars", "rows", "repeat", "api_key")))] = holder[key]

    def _changed(self, text: str, tokens: tuple[str, ...]) -> str:
        """Change one place of the text."""
        chance = self._chance
        start = chance.randint(0, len(text))
        end = min(len(text), start + chance.choice((0, 1, 1, 3, 10, 50)))
        change = chance.random()
        if change < 0.6:
            return text[:start] + chance.choice(tokens) * chance.choice((1, 1, 1, 2, 40)) + text[end:]
        if change < 0.8:
            return text[:start] + text[end:]
        lines = text.splitlines(keepends=True) or [""]
        number = chance.randrange(len(lines))
        moved = lines.pop(number) * chance.choice((1, 2, 30))
        lines.insert(chance.randint(0, len(lines)), moved)
        return "".join(lines)


def corpus() -> list[str]:
    """The texts that mutants are made of: the examples, and the hostile ones."""
    files = [*sorted((ROOT / "jobs").glob("*.yaml")), *sorted(Path(__file__).parent.glob("*.yaml"))]
    texts = [file.read_text(encoding="utf-8") for file in files]
    return [text for text in texts if len(text) <= _LARGEST]


class _Raw(str):
    """Written as it is."""

    __slots__ = ()


def _holds(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


def _flow(value: Any) -> str:
    match value:
        case _Raw():
            return str(value)
        case dict():
            return "{" + ", ".join(f"{_bare(key)}: {_flow(inner)}" for key, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_flow, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


_bare: Callable[[Any], str] = str
