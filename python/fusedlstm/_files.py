"""One file: named arrays and a header, in the safetensors format.

The file's metadata has a single key, so that equal content gives equal bytes. It holds the header
as sorted JSON, with a digest of everything else: a file that is not what was written is refused.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import safetensors
import safetensors.numpy

from fusedlstm import _validation as check
from fusedlstm._core import Array

METADATA_KEY = "fusedlstm"

NO_ARRAYS = "no arrays"
"""Stands in a file that has none, which old versions of safetensors cannot read."""

FORMAT_VERSION = 1
"""Files of this version and of all before it can be read."""

FileName: TypeAlias = "str | os.PathLike[str]"

NEEDED = "path must name a file that save wrote"


def write(
    path: FileName, header: dict[str, Any], arrays: dict[str, Array], name: str = "path"
) -> None:
    """Write a file as a whole or not at all.

    Parameters
    ----------
    path : str or path
    header : dict
        What JSON can hold.
    arrays : dict of str to array
        Numbers or bools.
    name : str
        What errors call the path.
    """
    target = checked(path, name)
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(target.parent))
    arrays = {name: _plain(array) for name, array in arrays.items()}
    arrays = arrays or {NO_ARRAYS: np.zeros(1, np.uint8)}
    header = {**header, "format_version": FORMAT_VERSION}
    header["sha256"] = _digest(header, arrays)
    content = safetensors.numpy.save(arrays, {METADATA_KEY: _as_json(header)})
    new = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with new.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
        raise


def unfinished(target: Path) -> list[Path]:
    """Return what is left of `write` in processes that were killed in the midst of it."""
    token = "[0-9a-f]" * 8
    return list(target.parent.glob(f".{glob.escape(target.name)}.{token}"))


def read(path: FileName, needed: str = NEEDED) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read a file that `write` wrote.

    Parameters
    ----------
    path : str or path
    needed : str
        What errors say that the path must be.

    Returns
    -------
    header : dict
    arrays : dict of str to array

    Raises
    ------
    OSError
        There is no such file, or it may not be read.
    ValueError
        The file is cut off, damaged, of something else or of a newer version.
    """
    source = checked(path)
    source.open("rb").close()  # raises what Python raises
    try:
        with safetensors.safe_open(source, "numpy") as file:
            text = (file.metadata() or {}).get(METADATA_KEY)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:  # the library's own, and NumPy's about a damaged dtype
        raise refused(path, "which is another kind of file, cut off or damaged", needed) from error
    if text is None:
        raise refused(path, "a safetensors file of something else", needed)
    try:
        header = json.loads(text)
        version, digest = header["format_version"], header.pop("sha256")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise refused(path, "which is damaged", needed) from error
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise refused(
            path,
            f"a file of format {version}, which a newer fusedlstm wrote; this one reads "
            f"{FORMAT_VERSION}",
            needed,
        )
    if digest != _digest(header, arrays):
        raise refused(path, "which is damaged", needed)
    arrays.pop(NO_ARRAYS, None)
    return header, arrays


def refused(path: FileName, what: str, needed: str = NEEDED) -> ValueError:
    """Return the error for a file that cannot be read."""
    return ValueError(f"{needed}; got {os.fspath(path)!r}, {what}")


def checked(path: object, name: str = "path") -> Path:
    """Return the place of a file, links resolved."""
    text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else path
    if not isinstance(text, str) or not text:
        raise TypeError(check.needs(name, "a string or a path", path))
    return Path(os.path.realpath(text))


def _plain(array: Array) -> Array:
    return np.asarray(array, array.dtype.newbyteorder("="), order="C")


def _as_json(header: dict[str, Any]) -> str:
    return json.dumps(header, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(header: dict[str, Any], arrays: dict[str, Array]) -> str:
    digest = hashlib.sha256(_as_json(header).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.name} {array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()
