"""Files of named arrays and one header, in the safetensors format.

A file consists of the length of a JSON text in 8 bytes, the JSON text, and the bytes of the arrays.
The JSON text gives the dtype, the shape and the offsets of each array. Its metadata has one key.
The value is the header of this package as sorted JSON, so that equal content gives equal bytes. The
header contains a digest of the header and all arrays. A changed file raises an error.

Arrays are written and read one at a time, without a copy of the whole file in memory.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm.files.replacement import check_target, replacement

METADATA_KEY = "fusedlstm"

NO_ARRAYS = "no arrays"
"""Name of an array that is added if there are none: some readers need at least one array."""

FORMAT_VERSION = 1
"""Version that is written. Files of this version and of earlier versions can be read."""

MAX_HEADER_BYTES = 100_000_000
"""Largest length of the JSON text in bytes, the limit of the safetensors format."""

MAX_AXES = 32

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

FileName: TypeAlias = "str | os.PathLike[str]"

NEEDED = "path must name a file that save wrote"

OTHER_KIND = "which is another kind of file, cut off or damaged"


def write(
    path: FileName, header: dict[str, Any], arrays: dict[str, Array], name: str = "path"
) -> None:
    """Write a file. If writing fails, an existing file does not change.

    Parameters
    ----------
    path : str or path
    header : dict
        Values that JSON can represent.
    arrays : dict of str to array
        Arrays of numbers or bools, of any strides and byte order.
    name : str
        Name of the path in errors.
    """
    target = checked(path, name)
    check_target(target, name)
    arrays = arrays or {NO_ARRAYS: np.zeros(1, np.uint8)}
    header = {**header, "format_version": FORMAT_VERSION}
    header["sha256"] = _digest(header, arrays)
    layout: dict[str, Any] = {"__metadata__": {METADATA_KEY: _as_json(header)}}
    # Sorting by decreasing item size aligns every array.
    ordered = sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0]))
    start = 0
    for key, array in ordered:
        offsets = [start, start + array.nbytes]
        dtype = _NAMES[_little_endian(array.dtype)]
        layout[key] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": offsets}
        start = offsets[1]
    text = json.dumps(layout, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER_BYTES:
        raise ValueError(
            f"the header of {name} must have at most {MAX_HEADER_BYTES} bytes; got {len(text)}"
        )
    with replacement(target) as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for _, array in ordered:
            for piece in _bytes_of(array):
                file.write(piece)


def read(path: FileName, needed: str = NEEDED) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read a file that `write` wrote.

    Parameters
    ----------
    path : str or path
    needed : str
        Requirement on the path, at the beginning of errors.

    Returns
    -------
    header : dict
    arrays : dict of str to array

    Raises
    ------
    OSError
        The file does not exist or cannot be read.
    ValueError
        The file is cut off or damaged, has another format, was written by a newer version, or is
        not a regular file.
    MemoryError
        There is not enough memory for the arrays.
    """
    with _regular_file(path, needed) as file:
        try:
            text, arrays = _read_content(file)
        except (ValueError, RecursionError) as error:
            raise refused(path, OTHER_KIND, needed) from error
    if text is None:
        raise refused(path, "which is a safetensors file of another package", needed)
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
            f"which has format {check.shown(version)} of a newer version of fusedlstm: this "
            f"version reads format {FORMAT_VERSION}",
            needed,
        )
    try:
        undamaged = digest == _digest(header, arrays)
    except (
        ValueError,
        RecursionError,
    ):  # a name that is not valid text, or a number that is not finite
        undamaged = False
    if not undamaged:
        raise refused(path, "which is damaged", needed)
    arrays.pop(NO_ARRAYS, None)
    return header, arrays


def refused(path: FileName, what: str, needed: str = NEEDED) -> ValueError:
    """Return the error for a file that cannot be read."""
    return ValueError(f"{needed}; got {os.fspath(path)!r}, {what}")


def checked(path: object, name: str = "path") -> Path:
    """Check the path of a file and return it with links resolved."""
    text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else path
    if not isinstance(text, str) or not text:
        raise TypeError(check.needs(name, "a string or a path", path))
    try:
        return Path(os.path.realpath(text))
    except ValueError:  # a null character, or a character that the file system cannot encode
        needed = "a path that the file system can represent"
        raise ValueError(check.needs(name, needed, text)) from None


@contextlib.contextmanager
def _regular_file(path: FileName, needed: str) -> Iterator[io.BufferedReader]:
    """Open a file to read. Pipes, devices and other special files raise an error immediately."""
    source = checked(path)

    def check_kind(mode: int) -> None:
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(source))
        if not stat.S_ISREG(mode):
            raise refused(path, "which is not a regular file", needed)

    check_kind(os.stat(source).st_mode)  # before opening, which may have effects on a device
    with open(os.open(source, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        check_kind(os.fstat(file.fileno()).st_mode)
        yield file


def _read_content(file: io.BufferedReader) -> tuple[str | None, dict[str, Array]]:
    """Return the header as text and the arrays; raise ValueError for another format."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if length > min(size - 8, MAX_HEADER_BYTES):
        raise ValueError("the header is longer than the file")
    layout = json.loads(file.read(length).decode())
    if type(layout) is not dict:
        raise ValueError("the header is not an object")
    metadata = layout.pop("__metadata__", None) or {}
    if type(metadata) is not dict or not all(type(value) is str for value in metadata.values()):
        raise ValueError("the metadata is not text")
    described = sorted((*_description_of(entry), name) for name, entry in layout.items())
    end = 0
    for start, stop, *_ in described:  # contiguous, from the header to the end of the file
        if start != end:
            raise ValueError("the arrays are not contiguous")
        end = stop
    if 8 + length + end != size:
        raise ValueError("the length of the file does not agree with the header")
    arrays = {}
    for _, _, dtype, shape, name in described:
        array = np.empty(shape, DTYPES[dtype])
        if array.size and file.readinto(array.data) != array.nbytes:
            raise ValueError("the file was cut off while it was read")
        # NumPy requires bools to be the bytes 0 and 1.
        if dtype == "BOOL" and array.size and array.view(np.uint8).max() > 1:
            raise ValueError("a byte of a bool is neither 0 nor 1")
        arrays[name] = array
    return metadata.get(METADATA_KEY), arrays


def _description_of(entry: Any) -> tuple[int, int, str, tuple[int, ...]]:
    """Return offsets, dtype and shape of an array; raise ValueError for an invalid entry."""
    if type(entry) is not dict or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError("an array has no valid description")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if type(dtype) is not str or dtype not in DTYPES:
        raise ValueError("a dtype is unknown")
    for numbers in (shape, offsets):
        if type(numbers) is not list or len(numbers) > MAX_AXES:
            raise ValueError("a shape or offsets are not a list")
        if not all(type(number) is int and 0 <= number < 2**63 for number in numbers):
            raise ValueError("a shape or offsets are not integers")
    if len(offsets) != 2:
        raise ValueError("an array must have two offsets")
    if math.prod(shape) * DTYPES[dtype].itemsize != offsets[1] - offsets[0]:
        raise ValueError("the offsets do not agree with the size of the array")
    return offsets[0], offsets[1], dtype, tuple(shape)


def _little_endian(dtype: np.dtype[Any]) -> np.dtype[Any]:
    changed: np.dtype[Any] = dtype.newbyteorder("<")
    return changed


def _bytes_of(array: Array) -> Iterator[memoryview | bytes]:
    """Yield the bytes of an array in C order, little-endian, without a copy of the whole array."""
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
