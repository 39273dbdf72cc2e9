"""Short representations of dataclasses."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any


class ShortRepr:
    """Base class of dataclasses with ``repr=False``: fields with default values are left out."""

    def __repr__(self) -> str:
        """Return a constructor call."""
        # A subclass of a user need not be a dataclass.
        own: Any = self
        options = fields(own) if is_dataclass(own) else ()
        given = [
            f"{option.name}={value!r}"
            for option in options
            if (value := getattr(self, option.name)) != option.default
        ]
        return f"{type(self).__name__}({', '.join(given)})"
