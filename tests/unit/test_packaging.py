"""What is built of the tree: a wheel with its data files, and an image that runs as nobody in particular."""

import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DOCKERFILE = ROOT / "Dockerfile"


def names(requirements: list[str]) -> set[str]:
    """What is required, by its name alone."""
    return {requirement.split(";")[0].split(">")[0].split("[")[0].strip().lower() for requirement in requirements}


def package_of(file: Path) -> Path:
    """The nearest folder above a file that can be imported."""
    return next(folder for folder in file.parents if (folder / "__init__.py").exists())


def test_the_wheel_carries_every_data_file() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]
    files = [file for file in (ROOT / "pipeline").rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    data = [file for file in files if file.suffix not in {".py", ".pyc"}]
    assert {"models.toml", "first.yaml", "py.typed", "template.html"} <= {file.name for file in data}
    for file in data:
        package = package_of(file)
        own = patterns["*"] + patterns.get(".".join(package.relative_to(ROOT).parts), [])
        assert any(fnmatch(str(file.relative_to(package)), pattern) for pattern in own), file
    assert [file for file in files if file.suffix == ".py" and package_of(file) != file.parent] == []


def test_every_requirement_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    optional = PROJECT["project"]["optional-dependencies"]
    wanted = names(PROJECT["project"]["dependencies"]).union(*map(names, optional.values()))
    assert sorted(name for name in wanted if name.replace("_", "-") not in pinned) == []


def test_the_image_runs_as_nobody_in_particular_and_holds_no_key() -> None:
    if not DOCKERFILE.exists():
        pytest.skip("a copy without it")
    lines = DOCKERFILE.read_text(encoding="utf-8").splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and line[0].isalpha()]
    users = [rest for word, rest in steps if word == "USER"]
    assert users
    assert all(user.split(":")[0] not in {"0", "root"} for user in users)
    assert not [rest for word, rest in steps if word in {"ARG", "ENV"} and "KEY" in rest]
    assert [word for word, _ in steps][-2:] == ["ENTRYPOINT", "CMD"]
