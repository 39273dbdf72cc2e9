"""Docstrings of classes with common parameters."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_ENTRY = re.compile(r"(\w+(?:, \w+)*)(?: : .*)?")
_HEADING = re.compile(r"^(\w[\w ]*)\n-+$", re.MULTILINE)


def describes_as(*others: type) -> Callable[[type[T]], type[T]]:
    """Replace entries "names : see `Other`" in a class's docstring by the entries of Other.

    `help` then shows every parameter, and each description is written once.

    Parameters
    ----------
    *others : type
        Classes with numpydoc docstrings that describe the same parameters or attributes.

    Returns
    -------
    callable
        A class decorator.
    """

    def decorate(cls: type[T]) -> type[T]:
        for other in others:
            if cls.__doc__ is not None and other.__doc__ is not None:  # python -OO drops both
                cls.__doc__ = expanded(cls.__doc__, other.__doc__, other.__name__)
        return cls

    return decorate


def expanded(doc: str, source: str, name: str) -> str:
    """Return ``doc`` with the references to class ``name`` replaced by entries of ``source``.

    The common indentation is removed, as Python 3.13 and later versions do for docstrings.
    """
    entries = _entries(inspect.cleandoc(source))
    lines: list[str] = []
    for line in inspect.cleandoc(doc).split("\n"):
        found = re.fullmatch(rf"(.+) : see `{name}`", line)
        if found is None:
            lines.append(line)
            continue
        written: set[int] = set()
        for parameter in found[1].split(", "):
            block = entries[parameter]  # KeyError if the other class does not describe it
            if id(block) not in written:
                lines.extend(block)
                written.add(id(block))
    return "\n".join(lines)


def _entries(doc: str) -> dict[str, list[str]]:
    """Return the lines of each entry of the parameters and attributes, by name."""
    entries: dict[str, list[str]] = {}
    block: list[str] = []
    for title in ("Parameters", "Attributes"):
        for line in _section(doc, title):
            found = _ENTRY.fullmatch(line)
            if found:
                block = [line]
                entries.update(dict.fromkeys(found[1].split(", "), block))
            elif line.strip():
                block.append(line)
    return entries


def _section(doc: str, title: str) -> list[str]:
    """Return the lines of a section of a numpydoc docstring."""
    headings = list(_HEADING.finditer(doc))
    for number, heading in enumerate(headings):
        if heading[1] == title:
            end = headings[number + 1].start() if number + 1 < len(headings) else len(doc)
            return doc[heading.end() : end].split("\n")
    return []
