"""The error of an adapter without its library names the package to install."""

from __future__ import annotations

import importlib
import sys

import pytest


@pytest.mark.parametrize("library", ["aeon", "sktime"])
def test_the_error_names_the_missing_library(library, monkeypatch):
    monkeypatch.delitem(sys.modules, f"fusedlstm.contrib.{library}", raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    needed = f"fusedlstm.contrib.{library} needs {library}: pip install {library}"
    with pytest.raises(ModuleNotFoundError, match=needed):
        importlib.import_module(f"fusedlstm.contrib.{library}")
