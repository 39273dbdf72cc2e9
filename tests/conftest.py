"""Fixtures: the variants of the core, random problems, other projects' vectors."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("SCIPY_ARRAY_API", "1")  # read at import; scikit-learn's checks ask for it

import hypothesis
import numpy as np
import pytest

import fusedlstm
from fusedlstm import _core

hypothesis.settings.register_profile(
    "suite", deadline=None, max_examples=60, derandomize=True, print_blob=True
)
hypothesis.settings.load_profile("suite")

VARIANTS = _core.load_variants()


@pytest.fixture(params=list(VARIANTS))
def core(request):
    """Every variant of the compiled core that this machine can run."""
    return VARIANTS[request.param]


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return np.dtype(request.param)


@pytest.fixture
def eager_teams():
    """As many threads as a call is given, where it would do with fewer."""
    before = [variant.set_force_threads(True) for variant in VARIANTS.values()]
    yield
    for variant, eager in zip(VARIANTS.values(), before, strict=True):
        variant.set_force_threads(eager)


@pytest.fixture
def one_thread():
    """For many small calls, which suffer from threads where others want the processors too."""
    fusedlstm.set_num_threads(1)
    yield
    fusedlstm.set_num_threads(None)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def vectors_folder() -> Path | None:
    """Where the numbers of other projects' test suites are, if they are here."""
    named = os.environ.get("FUSEDLSTM_VECTORS")
    if named:
        assert Path(named).is_dir(), f"FUSEDLSTM_VECTORS must name a folder; got {named!r}"
        return Path(named)
    beside = Path(__file__).parents[2] / "shared" / "vectors"
    return beside if beside.is_dir() else None
