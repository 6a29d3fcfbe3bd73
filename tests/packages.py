"""Whether what is built carries what it needs: ``python -m tests.packages SDIST WHEEL``."""

import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def wanted() -> set[str]:
    """Every file of the package, as both name it."""
    files = (ROOT / "pipeline").rglob("*")
    return {str(file.relative_to(ROOT)) for file in files if file.is_file() and "__pycache__" not in file.parts}


def missing(sdist: Path, wheel: Path) -> list[str]:
    """What one of them lacks, or has and should not: a line each."""
    with tarfile.open(sdist) as packed:
        source = {name.partition("/")[2] for name in packed.getnames()}
    with zipfile.ZipFile(wheel) as packed_wheel:
        built = set(packed_wheel.namelist())
    told = [f"{sdist.name} lacks {name}" for name in sorted((wanted() | {"LICENSE", "README.md"}) - source)]
    told += [f"{wheel.name} lacks {name}" for name in sorted(wanted() - built)]
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in built):
        told.append(f"{wheel.name} lacks its LICENSE")
    told += [f"{wheel.name} has {name}" for name in sorted(built) if not name.startswith(("pipeline/", "fluxbatch-"))]
    return told


if __name__ == "__main__":
    lines = missing(*map(Path, sys.argv[1:3]))
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.exit(bool(lines))
