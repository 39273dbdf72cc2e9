"""Fixtures: the variants of the core, thread settings, vectors of other projects."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("SCIPY_ARRAY_API", "1")  # read at import; scikit-learn's checks need it

import hypothesis
import numpy as np
import pytest

import bad_calls
import fusedlstm
from fusedlstm import _core

hypothesis.settings.register_profile(
    "suite", deadline=None, max_examples=60, derandomize=True, print_blob=True
)
hypothesis.settings.load_profile("suite")

VARIANTS = _core.load_variants()


@pytest.fixture(params=list(VARIANTS))
def core(request):
    """Each variant of the compiled core that this machine can run."""
    return VARIANTS[request.param]


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return np.dtype(request.param)


@pytest.fixture
def force_threads():
    """Use all threads that a call is given, also for little work."""
    before = [variant.set_force_threads(True) for variant in VARIANTS.values()]
    yield
    for variant, force in zip(VARIANTS.values(), before, strict=True):
        variant.set_force_threads(force)


@pytest.fixture
def one_thread():
    """Use one thread: many small calls are slow when other processes use the processors."""
    fusedlstm.set_num_threads(1)
    yield
    fusedlstm.set_num_threads(None)


@pytest.fixture(scope="module")
def fitted():
    """Fitted estimators, a scaler and a model, for tests of wrong calls."""
    return bad_calls.fit_all()


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def vectors_folder() -> Path | None:
    """Return the folder with the vectors of other projects' test suites, if there is one."""
    named = os.environ.get("FUSEDLSTM_VECTORS")
    if named:
        assert Path(named).is_dir(), f"FUSEDLSTM_VECTORS must name a folder; got {named!r}"
        return Path(named)
    beside = Path(__file__).parents[2] / "shared" / "vectors"
    return beside if beside.is_dir() else None
