"""Files of named arrays and one header, in the safetensors format.

A file consists of the length of a JSON text in 8 bytes, the JSON text, and the arrays' bytes. The
JSON text gives each array's dtype, shape and place. Its metadata has a single key, so that equal
content gives equal bytes. The key holds our own header as sorted JSON, with a digest of the header
and all arrays: a file that is not what was written is refused.

Arrays are written and read one after the other, without a copy of the whole file in memory.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import json
import math
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils import validation as check

METADATA_KEY = "fusedlstm"

NO_ARRAYS = "no arrays"
"""Name of the array in a file that has no other: some readers refuse a file without arrays."""

FORMAT_VERSION = 1
"""Files of this version and of all before it can be read."""

LARGEST_HEADER = 100_000_000
"""Bytes. Readers of the format refuse a longer one."""

MOST_AXES = 32

DTYPES = {
    name: np.dtype(code)
    for name, code in {
        "BOOL": "?",
        "U8": "u1",
        "I8": "i1",
        "U16": "<u2",
        "I16": "<i2",
        "F16": "<f2",
        "U32": "<u4",
        "I32": "<i4",
        "F32": "<f4",
        "U64": "<u8",
        "I64": "<i8",
        "F64": "<f8",
    }.items()
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}

UNFINISHED = ".fusedlstm-tmp"
"""End of the names of files that are being written."""

CHARACTERS_OF_NAME = 50
"""Characters of a file's name in that of its unfinished file, which must not become too long."""

FileName: TypeAlias = "str | os.PathLike[str]"

NEEDED = "path must name a file that save wrote"

OTHER_KIND = "which is another kind of file, cut off or damaged"


def write(
    path: FileName, header: dict[str, Any], arrays: dict[str, Array], name: str = "path"
) -> None:
    """Write a file as a whole or not at all.

    Parameters
    ----------
    path : str or path
    header : dict
        Of values that JSON can hold.
    arrays : dict of str to array
        Numbers or bools, of any strides and byte order.
    name : str
        The argument's name in errors.
    """
    target = checked(path, name)
    _check_place(target, name)
    arrays = arrays or {NO_ARRAYS: np.zeros(1, np.uint8)}
    header = {**header, "format_version": FORMAT_VERSION}
    header["sha256"] = _digest(header, arrays)
    layout: dict[str, Any] = {"__metadata__": {METADATA_KEY: _as_json(header)}}
    # Wide numbers first: every array is then aligned.
    ordered = sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0]))
    start = 0
    for key, array in ordered:
        place = [start, start + array.nbytes]
        dtype = _NAMES[_little_endian(array.dtype)]
        layout[key] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": place}
        start = place[1]
    text = json.dumps(layout, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > LARGEST_HEADER:
        raise ValueError(
            f"{name} must be for a description of at most {LARGEST_HEADER} bytes; got {len(text)}"
        )
    with _replacement(target) as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for _, array in ordered:
            for piece in _bytes_of(array):
                file.write(piece)


def check_writable(target: Path) -> None:
    """Raise the OSError that `write` would, if no file can be made beside the target."""
    file, new = _create(target, None)
    with file:
        new.unlink()


def sweep(target: Path) -> None:
    """Remove unfinished files of processes that were killed in `write`.

    A process that is writing holds a lock on its unfinished file: that one stays.
    """
    for path in _unfinished(target):
        with contextlib.suppress(OSError):  # gone, locked, or of somebody else
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                    path.unlink()
            finally:
                os.close(descriptor)


def read(path: FileName, needed: str = NEEDED) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read a file that `write` wrote.

    Parameters
    ----------
    path : str or path
    needed : str
        Beginning of errors: what the path must be.

    Returns
    -------
    header : dict
    arrays : dict of str to array

    Raises
    ------
    OSError
        There is no such file, or it may not be read.
    ValueError
        The file is cut off, damaged, of something else or of a newer version, or no regular file.
    MemoryError
        There is no memory for the arrays.
    """
    with _regular_file(path, needed) as file:
        try:
            text, arrays = _read_content(file)
        except (ValueError, RecursionError) as error:
            raise refused(path, OTHER_KIND, needed) from error
    if text is None:
        raise refused(path, "a safetensors file of something else", needed)
    try:
        header = json.loads(text)
        version, digest = header["format_version"], header.pop("sha256")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise refused(path, "which is damaged", needed) from error
    if type(version) is not int or version < 1:
        raise refused(path, "which is damaged", needed)
    if version > FORMAT_VERSION:
        raise refused(
            path,
            f"a file of format {check.shown(version)}, which a newer fusedlstm wrote; this one "
            f"reads {FORMAT_VERSION}",
            needed,
        )
    try:
        undamaged = digest == _digest(header, arrays)
    except (ValueError, RecursionError):  # a name that is no text, or a number that is not finite
        undamaged = False
    if not undamaged:
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
    try:
        return Path(os.path.realpath(text))
    except ValueError:  # a null character, or one that the file system cannot encode
        needed = "a path that the file system can hold"
        raise ValueError(check.needs(name, needed, text)) from None


def _check_place(target: Path, name: str) -> None:
    """Refuse a target that cannot be replaced by a file, or that should not be."""
    if not stat.S_ISDIR(os.stat(target.parent).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(target.parent))
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if not stat.S_ISREG(mode):
        raise ValueError(check.needs(name, "a new file or a regular one", str(target)))


@contextlib.contextmanager
def _replacement(target: Path) -> Iterator[io.BufferedWriter]:
    """Open a new file that takes the target's place, and its permissions, if the body succeeds."""
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
            os.replace(new, target)  # while it is locked: `sweep` cannot remove it before
    except BaseException as error:
        with contextlib.suppress(OSError):
            new.unlink()
        if isinstance(error, OSError) and error.errno and error.filename is None:
            error.filename = str(target)
        raise


def _create(target: Path, permissions: int | None) -> tuple[io.BufferedWriter, Path]:
    """Create an unfinished file beside the target, locked while it is open.

    Nobody may read it who may not read the target, whose ``permissions`` are None for a new file.
    Its owner may read and write it, as `sweep` does.
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
            fcntl.flock(file, fcntl.LOCK_EX)  # waits for a `sweep` alone
        except OSError:  # a file system without locks, where `sweep` removes nothing
            return file, new
        if new.exists():  # `sweep` may have come before the lock
            return file, new
        file.close()


def _unfinished(target: Path) -> list[Path]:
    name = re.escape(target.name[:CHARACTERS_OF_NAME])
    pattern = re.compile(rf"\.{name}\.[0-9a-f]{{8}}{re.escape(UNFINISHED)}", re.DOTALL)
    try:
        names = os.listdir(target.parent)
    except OSError:
        return []
    return [target.with_name(each) for each in names if pattern.fullmatch(each)]


@contextlib.contextmanager
def _regular_file(path: FileName, needed: str) -> Iterator[io.BufferedReader]:
    """Open a file to read. What is no regular file is refused and not waited for."""
    source = checked(path)

    def check_kind(mode: int) -> None:
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(source))
        if not stat.S_ISREG(mode):
            raise refused(path, "which is no regular file", needed)

    check_kind(os.stat(source).st_mode)  # to open a device may do something to it
    with open(os.open(source, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        check_kind(os.fstat(file.fileno()).st_mode)
        yield file


def _read_content(file: io.BufferedReader) -> tuple[str | None, dict[str, Array]]:
    """Return our header and the arrays; ValueError if anything is not as the format has it."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if length > min(size - 8, LARGEST_HEADER):
        raise ValueError("the header is longer than the file")
    layout = json.loads(file.read(length).decode())
    if type(layout) is not dict:
        raise ValueError("the header is no object")
    metadata = layout.pop("__metadata__", None) or {}
    if type(metadata) is not dict or not all(type(value) is str for value in metadata.values()):
        raise ValueError("the metadata is no text")
    places = sorted((*_place_of(entry), name) for name, entry in layout.items())
    end = 0
    for start, stop, *_ in places:  # end to end, from the header to the end of the file
        if start != end:
            raise ValueError("the arrays do not lie end to end")
        end = stop
    if 8 + length + end != size:
        raise ValueError("the file is not as long as its header says")
    arrays = {}
    for _, _, dtype, shape, name in places:
        array = np.empty(shape, DTYPES[dtype])
        if array.size and file.readinto(array.data) != array.nbytes:
            raise ValueError("the file was cut off while it was read")
        # Bytes other than 0 and 1 are no bools.
        if dtype == "BOOL" and array.size and array.view(np.uint8).max() > 1:
            raise ValueError("a bool is neither 0 nor 1")
        arrays[name] = array
    return metadata.get(METADATA_KEY), arrays


def _place_of(entry: Any) -> tuple[int, int, str, tuple[int, ...]]:
    """Return start, stop, dtype and shape of an array."""
    if type(entry) is not dict or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError("an array is not described")
    dtype, shape, place = entry["dtype"], entry["shape"], entry["data_offsets"]
    if type(dtype) is not str or dtype not in DTYPES:
        raise ValueError("a dtype is unknown")
    for numbers in (shape, place):
        if type(numbers) is not list or len(numbers) > MOST_AXES:
            raise ValueError("a shape or place is no list")
        if not all(type(number) is int and 0 <= number < 2**63 for number in numbers):
            raise ValueError("a shape or place is not of integers")
    if len(place) != 2:
        raise ValueError("a place has not two ends")
    if math.prod(shape) * DTYPES[dtype].itemsize != place[1] - place[0]:
        raise ValueError("a place does not have the size of its array")
    return place[0], place[1], dtype, tuple(shape)


def _little_endian(dtype: np.dtype[Any]) -> np.dtype[Any]:
    changed: np.dtype[Any] = dtype.newbyteorder("<")
    return changed


def _bytes_of(array: Array) -> Iterator[memoryview | bytes]:
    """Yield the bytes of an array in C order, little-endian; copies are of small pieces."""
    dtype = _little_endian(array.dtype)
    if array.size == 0:
        return
    if array.flags.c_contiguous and array.dtype == dtype:
        yield array.data
        return
    pieces = np.nditer(
        array,
        flags=["buffered", "external_loop"],
        op_flags=["readonly"],
        op_dtypes=dtype,
        order="C",
        casting="equiv",
        buffersize=2**16,
    )
    for piece in pieces:
        yield piece.tobytes()  # type: ignore[attr-defined]


def _as_json(header: dict[str, Any]) -> str:
    return json.dumps(header, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(header: dict[str, Any], arrays: dict[str, Array]) -> str:
    digest = hashlib.sha256(_as_json(header).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.name} {array.shape}".encode())
        for piece in _bytes_of(array):
            digest.update(piece)
    return digest.hexdigest()
