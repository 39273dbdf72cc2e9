"""How configurations are shown."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any


class ShortRepr:
    """A dataclass, made with ``repr=False``, that is shown without what has its default."""

    def __repr__(self) -> str:
        """Return a call that makes it."""
        # A user's own loss may be no dataclass.
        own: Any = self
        options = fields(own) if is_dataclass(own) else ()
        given = [
            f"{option.name}={value!r}"
            for option in options
            if (value := getattr(self, option.name)) != option.default
        ]
        return f"{type(self).__name__}({', '.join(given)})"
