"""The search of the site: attributes last, and words that users search for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sphinx.domains.python import PythonDomain

# Words that the titles of the pages lack. A page shows them in no other place than the index.
WORDS = {
    "guide/classify": ("categorical features", "embedding", "imbalanced classes", "one-hot"),
    "guide/data-frames": ("DataFrame", "data frame", "pandas"),
    "guide/forecast": ("time series", "windows"),
    "guide/resume-training": ("checkpoint", "resume", "warm start"),
    "guide/loss-does-not-decrease": ("divergence", "not learning", "underfitting"),
    "guide/save": ("pickle", "safetensors"),
    "guide/scale": ("differencing", "normalize", "standardize"),
    "guide/stream": ("online prediction", "real time"),
    "guide/tag": ("sequence labeling", "seq2seq"),
    "guide/train": ("early stopping", "learning rate", "overfitting", "regularization"),
    "guide/tune": ("cross-validation", "grid search"),
    "guide/unequal-lengths": ("missing values", "NaN", "padding", "variable length"),
    "guide/which-settings": ("hyperparameters",),
    "index": ("CPU", "CUDA", "GPU"),
    "install": ("requirements", "wheel"),
    "pytorch": ("state_dict", "torch"),
}


class Domain(PythonDomain):
    """Python's domain, with attributes as unimportant results of a search."""

    def get_objects(self) -> Iterator[tuple[str, str, str, str, str, int]]:
        """Yield name, name shown, kind, page, anchor and priority of every object."""
        for name, shown, kind, page, anchor, priority in super().get_objects():
            attribute = kind in ("attribute", "property")
            yield name, shown, kind, page, anchor, 2 if attribute else priority


def add_words(app: Any, page: str, source: list[str]) -> None:
    """Add the words of a page to the index."""
    if page in WORDS:
        entries = "".join(f"   ! single: {word}\n" for word in WORDS[page])
        source[0] += f"\n\n```{{eval-rst}}\n.. index::\n{entries}```\n"
