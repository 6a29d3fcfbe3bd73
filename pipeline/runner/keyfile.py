"""Where secrets come from: an environment variable, or a file that nobody else may use. Only this module reads one."""

import os
import re
import stat
import struct
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import ConfigurationError

#: Appended to a variable's name, it names the file that holds the value.
FILE_SUFFIX = "_FILE"
#: Far more than any key, and too little to be anything else by mistake.
MAX_KEY_FILE_BYTES = 4096

_ACL = "system.posix_acl_access"
#: Tags of entries in an access control list: acl(5), and ``posix_acl_xattr.h`` of Linux.
_USER_OBJ, _USER, _MASK = 0x01, 0x02, 0x10


def secret(environment: Mapping[str, str], variable: str) -> str:
    """The value of a secret that a variable holds, or the file that ``<variable>_FILE`` names; "" where neither is set.

    The ends are stripped, because people paste. The file's owner, permissions and kind are looked at on the open file,
    so that nobody can change them in between; a symbolic link to a good file is good, as containers mount secrets.

    Raises:
        ConfigurationError: The two differ; the file is not this user's (or root's) alone, is no regular file, cannot
            be read, or does not hold one line; or the value has characters that no key has. It is never shown.
    """
    value = environment.get(variable, "").strip()
    named = environment.get(variable + FILE_SUFFIX, "").strip()
    origin = variable
    if named:
        held = _read(Path(named), variable + FILE_SUFFIX)
        if value and value != held:
            raise ConfigurationError(
                f"{variable} and {variable}{FILE_SUFFIX} hold different keys", remedy=f"unset one of them: {variable}"
            )
        value, origin = held, variable + FILE_SUFFIX
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ConfigurationError(f"the key in {origin} has characters no key has", remedy="set it again")
    return value


def environment_of(path: Path) -> dict[str, str]:
    """The variables that a private file sets, a ``NAME=value`` a line; a ``#`` begins a comment line.

    Quotes around a value are taken off, as systemd does; nothing is expanded, and no shell reads it.

    Raises:
        ConfigurationError: It is not this user's (or root's) alone, cannot be read, or a line sets nothing. What is in
            it is never shown.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(_held(path, "--env-file").decode("utf-8", "replace").splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = re.fullmatch(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)", text)
        if match is None:
            raise _refused(path, "--env-file", f"line {number} sets no variable", "write NAME=value")
        value = match[2].strip()
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
        found[match[1]] = value[1:-1] if quoted else value
    return found


def token_in(path: Path) -> str:
    """The token of the live page's address that a private file holds: letters that stand in a URL as they are.

    Raises:
        ConfigurationError: It is not this user's (or root's) alone, cannot be read, or holds no such token; what it
            holds is never shown.
    """
    token = _read(path, "--token-file")
    if not re.fullmatch(r"[A-Za-z0-9_-]{32,256}", token):
        raise _refused(
            path,
            "--token-file",
            "holds no token (32 or more of A-Z, a-z, 0-9, - and _)",
            "remove it: a new one is made",
        )
    return token


def _read(path: Path, variable: str) -> str:
    text = _held(path, variable).decode("utf-8", "replace").strip()
    if not text:
        raise _refused(path, variable, "is empty", "write the key into it, on one line")
    if len(text.splitlines()) > 1:
        raise _refused(path, variable, "holds more than one line", "leave only the key in it")
    return text


def _held(path: Path, variable: str) -> bytes:
    """What a private file holds."""
    try:
        # Non-blocking, so that a pipe without a writer is refused rather than waited for.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise _refused(path, variable, f"cannot be read ({reason})", "name a file that this user may read") from error
    try:
        _check(handle, path, variable)
        content = os.read(handle, MAX_KEY_FILE_BYTES + 1)
    except OSError as error:
        raise _refused(path, variable, f"cannot be read ({error.strerror})", "put the key there again") from error
    finally:
        os.close(handle)
    if len(content) > MAX_KEY_FILE_BYTES:
        raise _refused(path, variable, f"is over {MAX_KEY_FILE_BYTES:,} bytes, which is no key", "name the key's file")
    return content


def _check(handle: int, path: Path, variable: str) -> None:
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        raise _refused(path, variable, "is not a regular file", "name the key's file")
    if found.st_uid not in {os.geteuid(), 0}:
        raise _refused(path, variable, "belongs to another user", f"make it your own: chown {os.geteuid()} {path}")
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077 and not (mode & 0o007 == 0 and _group_bits_are_ours(handle)):
        raise _refused(
            path, variable, f"others than its owner may use it (mode {mode:04o})", f"make it private: chmod 600 {path}"
        )


def _group_bits_are_ours(handle: int) -> bool:
    """Whether the group's bits are but the mask of an access control list that lets in this user and nobody else.

    That is how systemd hands a credential of root's to a service's user (``LoadCredential=``).
    """
    try:
        packed = os.getxattr(handle, _ACL)
        entries = list(struct.iter_unpack("<HHI", packed[4:]))
    except (OSError, AttributeError, struct.error):
        return False
    ours = {os.geteuid(), 0}
    return bool(entries) and all(
        not allowed or tag in {_USER_OBJ, _MASK} or (tag == _USER and user in ours) for tag, allowed, user in entries
    )


def _refused(path: Path, variable: str, fault: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(f"{variable}: {path} {fault}", remedy=remedy)


__all__ = ["FILE_SUFFIX", "MAX_KEY_FILE_BYTES", "environment_of", "secret", "token_in"]
