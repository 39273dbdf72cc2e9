"""Short representations of dataclasses."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any


class ShortRepr:
    """Base class of dataclasses with ``repr=False``. The repr omits fields with default values."""

    def __repr__(self) -> str:
        """Return a constructor call without the fields that have default values."""
        # A user may derive a class that is not a dataclass.
        own: Any = self
        options = fields(own) if is_dataclass(own) else ()
        given = [
            f"{option.name}={value!r}"
            for option in options
            if (value := getattr(self, option.name)) != option.default
        ]
        return f"{type(self).__name__}({', '.join(given)})"
