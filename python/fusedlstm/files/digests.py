"""Digests of functions and objects, which identify them in a checkpoint of another process.

The digest of a function covers its bytecode, constants, defaults and closure, and the functions,
classes and constants among the global names that it uses. The digest of an object covers its class
and its state as in pickling. Functions and classes of installed packages are identified by name and
version, modules by name. For global names of mutable objects the digest covers only the type,
because a function may collect results in such objects.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import sysconfig
import types
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fusedlstm._utils.chunks import row_chunks

LIBRARIES = {"builtins", "fusedlstm", "numpy", "scipy", "sklearn"}
"""Packages whose functions and classes are identified by name, without the version."""

INSTALLED = tuple(
    os.path.join(sysconfig.get_path(name), "")
    for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
"""Folders of packages whose functions and classes are identified by name and version."""

CONSTANTS = (
    type(None),
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    type(Ellipsis),
    type(NotImplemented),
)

VALUES_WITHOUT_IDENTITY = (tuple, frozenset, types.CodeType, np.generic, np.dtype)
"""Types whose identity is ignored: equal constants of code may be one object or several objects."""


class UndescribableError(Exception):
    """Raised for an object without a state that can be compared."""


def describe(value: Any) -> str:
    """Return a digest of a value. Different values have different digests.

    Raises
    ------
    UndescribableError
        The value, or an object that it refers to, has no state that can be compared.
    """
    try:
        return hashlib.sha256(b"".join(_Description().parts(value))).hexdigest()
    except RecursionError:
        raise UndescribableError("nested too deeply") from None


class _Description:
    """Traversal of a value and of all objects that it refers to."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []  # an id is unique only while the object exists

    def parts(self, value: Any) -> Iterator[bytes]:
        """Yield bytes that describe a value."""
        if isinstance(value, CONSTANTS) and type(value) in CONSTANTS:
            yield _text(type(value).__name__, repr(value))
        elif isinstance(value, types.ModuleType):
            yield _text("module", value.__name__)
        elif id(value) in self._numbers:  # visited before, possibly in a cycle
            yield _text("seen", self._numbers[id(value)])
        elif isinstance(value, VALUES_WITHOUT_IDENTITY):
            yield from self._of_object(value)
        else:
            self._numbers[id(value)] = len(self._numbers)
            self._kept.append(value)
            yield from self._of_object(value)

    def _of_object(self, value: Any) -> Iterator[bytes]:
        name = _library_name(value)
        if name is not None:
            yield _text("library", name)
        elif isinstance(value, (np.ndarray, np.generic)):
            yield from self._of_array(np.asarray(value))
        elif isinstance(value, np.dtype):
            yield _text("dtype", value.str, value.descr)
        elif type(value) in (list, tuple):
            yield _text(type(value).__name__, len(value))
            for item in value:
                yield from self.parts(item)
        elif type(value) in (set, frozenset):
            yield _text(type(value).__name__, len(value))
            yield from sorted(describe(item).encode() for item in value)
        elif isinstance(value, (dict, types.MappingProxyType)) and _is_plain(value):
            yield from self._of_mapping(value)
        elif isinstance(value, types.CodeType):
            yield from self._of_code(value)
        elif isinstance(value, types.FunctionType):
            yield from self._of_function(value)
        elif isinstance(value, (types.MethodType, types.BuiltinMethodType)):
            yield _text("method", value.__name__)
            yield from self.parts(value.__self__)
            yield from self.parts(getattr(value, "__func__", None))
        elif isinstance(value, functools.partial):
            yield _text("partial")
            yield from self.parts([value.func, value.args, value.keywords, vars(value)])
        elif isinstance(value, (staticmethod, classmethod)):
            yield _text(type(value).__name__)
            yield from self.parts(value.__func__)
        elif isinstance(value, property):
            yield _text("property")
            yield from self.parts([value.fget, value.fset, value.fdel])
        elif isinstance(value, type):
            yield from self._of_class(value)
        else:
            yield from self._of_instance(value)

    def _of_array(self, array: Any) -> Iterator[bytes]:
        yield _text("array", array.dtype.str, array.shape)
        if array.dtype.hasobject:
            yield from self.parts(array.tolist())
            return
        digest = hashlib.sha256()
        for chunk in row_chunks(array.reshape(1) if array.ndim == 0 else array):
            digest.update(np.ascontiguousarray(chunk).tobytes())
        yield digest.digest()

    def _of_mapping(self, value: Mapping[Any, Any]) -> Iterator[bytes]:
        yield _text("dict", len(value))
        named = all(type(key) is str for key in value)
        for key, item in sorted(value.items()) if named else value.items():
            yield from self.parts(key)
            yield from self.parts(item)

    def _of_code(self, code: types.CodeType) -> Iterator[bytes]:
        # File names and line numbers are left out, because they do not affect results.
        counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags
        names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
        yield _text("code", code.co_name, counts, names, code.co_code.hex())
        for constant in code.co_consts:
            yield from self.parts(constant)

    def _of_function(self, function: types.FunctionType) -> Iterator[bytes]:
        yield _text("function")
        yield from self.parts(function.__code__)
        yield from self.parts(function.__defaults__)
        yield from self.parts(function.__kwdefaults__)
        for cell in function.__closure__ or ():
            try:
                content = cell.cell_contents
            except ValueError:
                yield _text("empty cell")
            else:
                yield from self.parts(content)
        for name in sorted(_names(function.__code__)):
            if name in function.__globals__:
                yield _text("global", name)
                yield from self._of_global(function.__globals__[name])
        if vars(function):  # such as the attributes that functools.wraps sets
            yield from self.parts(vars(function))

    def _of_global(self, value: Any) -> Iterator[bytes]:
        if _is_constant(value) or isinstance(
            value, (types.FunctionType, types.ModuleType, functools.partial, type)
        ):
            yield from self.parts(value)
        else:
            yield _text("object", type(value).__module__, type(value).__qualname__)

    def _of_class(self, kind: type) -> Iterator[bytes]:
        yield _text("class", kind.__qualname__)
        for base in kind.__bases__:
            yield from self.parts(base)
        for name, member in sorted(vars(kind).items()):
            if isinstance(
                member, (types.FunctionType, staticmethod, classmethod, property)
            ) or _is_constant(member):
                if name in ("__doc__", "__module__", "__firstlineno__", "__static_attributes__"):
                    continue
                yield _text("member", name)
                yield from self.parts(member)

    def _of_instance(self, value: Any) -> Iterator[bytes]:
        try:
            reduced = value.__reduce_ex__(4)
        except Exception as error:  # any class may raise any error
            raise UndescribableError(f"{type(value).__name__}: {error}") from error
        yield _text("instance")
        yield from self.parts(type(value))
        if isinstance(reduced, str):  # the name of a global
            yield _text(getattr(value, "__module__", None), reduced)
            yield from self.parts(dict(getattr(value, "__dict__", {})))
            return
        make, arguments, state, *items = [*reduced, None, None, None][:5]
        yield from self.parts(make)
        yield from self.parts(arguments)
        yield from self.parts(state)
        for iterator in items:
            yield from self.parts(None if iterator is None else list(iterator))


def _text(*parts: object) -> bytes:
    """Return the representation of parts as bytes, with a newline at the end."""
    return (repr(parts) + "\n").encode(errors="backslashreplace")


def _is_plain(value: Any) -> bool:
    return type(value) in (dict, types.MappingProxyType)


def _is_constant(value: Any) -> bool:
    if type(value) in (tuple, frozenset):
        return all(map(_is_constant, value))
    return type(value) in CONSTANTS or isinstance(value, (np.generic, np.dtype))


def _names(code: types.CodeType) -> set[str]:
    """Return all names that code uses, including nested code."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names


def _library_name(value: Any) -> str | None:
    """Return the name and version of an object of an installed package; None for other objects."""
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    if not isinstance(name, str) or not callable(value):
        return None
    module = getattr(value, "__module__", None) or ("numpy" if isinstance(value, np.ufunc) else "")
    if not isinstance(module, str) or module not in sys.modules:
        return None
    found: Any = sys.modules[module]
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is not value:
        return None
    package = module.partition(".")[0]
    if package in LIBRARIES:
        return f"{module}.{name}"
    file = getattr(sys.modules[module], "__file__", None)
    if module == "__main__" or not (file is None or os.path.abspath(file).startswith(INSTALLED)):
        return None
    version = getattr(sys.modules.get(package), "__version__", None)
    return f"{module}.{name} {version}"
