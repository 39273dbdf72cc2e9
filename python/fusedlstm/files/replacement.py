"""Atomic replacement of files: a new file is written beside the target and then renamed.

A process locks its unfinished file. An unfinished file without a lock is from a killed process.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from fusedlstm._utils import validation as check

UNFINISHED = ".fusedlstm-tmp"
"""Suffix of the names of files that are being written."""

CHARACTERS_OF_NAME = 50
"""Number of characters that the name of an unfinished file takes from the name of the target."""


def check_target(target: Path, name: str) -> None:
    """Raise an error if a target is a folder or a special file, or if its folder does not exist."""
    if not stat.S_ISDIR(os.stat(target.parent).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(target.parent))
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if not stat.S_ISREG(mode):
        raise ValueError(check.needs(name, "a new file or a regular file", str(target)))


@contextlib.contextmanager
def replacement(target: Path) -> Iterator[io.BufferedWriter]:
    """Open a new file. If the body succeeds, it replaces the target and gets its permissions."""
    permissions = None
    with contextlib.suppress(FileNotFoundError):
        permissions = stat.S_IMODE(os.stat(target).st_mode) & 0o777
    file, new = _create(target, permissions)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if permissions is not None:
                with contextlib.suppress(OSError):  # a file system without permissions
                    os.fchmod(file.fileno(), permissions)
            # The lock is still held, so that `remove_unfinished` does not remove the file.
            os.replace(new, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            new.unlink()
        if isinstance(error, OSError) and error.errno and error.filename is None:
            error.filename = str(target)
        raise


def _create(target: Path, permissions: int | None) -> tuple[io.BufferedWriter, Path]:
    """Create an unfinished file in the folder of the target, locked while it is open.

    Parameters
    ----------
    target : Path
    permissions : int or None
        Permissions of the target, so that no other user can read the file. None if there is no
        target. The owner can always read and write the file, as `remove_unfinished` requires.
    """
    mode = 0o666 if permissions is None else permissions | 0o600

    def opener(path: str, flags: int) -> int:
        return os.open(path, flags, mode)

    while True:
        token = secrets.token_hex(4)
        new = target.with_name(f".{target.name[:CHARACTERS_OF_NAME]}.{token}{UNFINISHED}")
        try:
            file = open(new, "xb", opener=opener)  # noqa: SIM115
        except OSError as error:
            error.filename = str(target)
            raise
        try:
            fcntl.flock(file, fcntl.LOCK_EX)  # only `remove_unfinished` may have the lock
        except OSError:  # a file system without locks: `remove_unfinished` removes no file
            return file, new
        if new.exists():  # `remove_unfinished` may have removed the file before it was locked
            return file, new
        file.close()


def _unfinished(target: Path) -> list[Path]:
    """Return the unfinished files of a target."""
    name = re.escape(target.name[:CHARACTERS_OF_NAME])
    pattern = re.compile(rf"\.{name}\.[0-9a-f]{{8}}{re.escape(UNFINISHED)}", re.DOTALL)
    try:
        names = os.listdir(target.parent)
    except OSError:
        return []
    return [target.with_name(each) for each in names if pattern.fullmatch(each)]


def check_writable(target: Path) -> None:
    """Raise OSError if no file can be created in the folder of the target."""
    file, new = _create(target, None)
    with file:
        new.unlink()


def remove_unfinished(target: Path) -> None:
    """Remove the unfinished files of a target whose processes were killed in `replacement`.

    A process that is writing locks its unfinished file. Locked files are not removed.
    """
    for path in _unfinished(target):
        with contextlib.suppress(OSError):  # removed, locked, or of another user
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                    path.unlink()
            finally:
                os.close(descriptor)
