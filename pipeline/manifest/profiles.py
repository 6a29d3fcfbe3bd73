"""The only module that knows where a user's own provider profiles are kept, and reads them."""

from collections.abc import Mapping
from pathlib import Path

import platformdirs

from pipeline.catalog import Profile, profiles
from pipeline.errors import ManifestError, NotFoundError, Problem
from pipeline.manifest.checking import Checker
from pipeline.manifest.complaints import Complaints, UnfitError
from pipeline.manifest.settings import own_profiles, steps_of
from pipeline.manifest.tree import parse, place_of, plain_data

#: Far beyond what people write by hand.
MAX_BYTES = 1 << 20
_BYTE_ORDER_MARK = "\ufeff"


def profiles_path() -> Path:
    """Where a user's own profiles are looked for: ``profiles.yaml`` in the folder of settings."""
    return platformdirs.user_config_path("fluxbatch") / "profiles.yaml"


def known_profiles(path: Path | None = None) -> Mapping[str, Profile]:
    """The built-in profiles, and the user's own after them.

    Args:
        path: The file of the latter; ``profiles_path()`` when None. It need not be there.

    Raises:
        NotFoundError: It is there, and cannot be read.
        ManifestError: It has problems; ``problems`` holds them with their places.
    """
    file = path or profiles_path()
    text = _read(file)
    if text is None or not text.strip():
        return profiles()
    root = parse(text, str(file))
    complaints = Complaints(str(file))
    checked = Checker(root, complaints).profiles(plain_data(root))
    if checked is None or complaints.problems:
        raise complaints.error()
    try:
        return own_profiles(checked.keys.profiles, profiles())
    except UnfitError as exc:
        for fault in exc.each():
            where = ("profiles", *steps_of(fault.key))
            complaints.add(place_of(root, where), where, fault.message, fault.hint)
        raise complaints.error() from None


def _read(file: Path) -> str | None:
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise NotFoundError(file, exc.strerror or "cannot be read", remedy="see to its permissions") from exc
    if len(raw) > MAX_BYTES:
        raise _whole(file, "larger than 1 MiB", "profiles are a few lines each")
    try:
        return raw.decode().removeprefix(_BYTE_ORDER_MARK)
    except UnicodeDecodeError:
        raise _whole(file, "not UTF-8", "save the file as UTF-8") from None


def _whole(file: Path, message: str, hint: str) -> ManifestError:
    return ManifestError([Problem(file=str(file), line=1, column=1, path="", message=message, hint=hint)])
