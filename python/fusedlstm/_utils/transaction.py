"""Restoring of the attributes of an object after an error."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def rollback_on_error(obj: Any) -> Iterator[dict[str, Any]]:
    """Restore the attributes of an object if the body raises.

    Yields
    ------
    dict of str to object
        The attributes to restore. The body may change this dictionary.
    """
    before = dict(vars(obj))
    try:
        yield before
    except BaseException:
        obj.__dict__ = before  # one assignment, which Ctrl-C cannot interrupt
        raise
