"""The examples in all docstrings run, and every public name has a docstring."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
import typing

import pytest

import fusedlstm

MODULES = [
    info.name
    for info in pkgutil.walk_packages(fusedlstm.__path__, "fusedlstm.")
    if not info.name.startswith("fusedlstm._core.") or info.name.count("_") == 1
]
PUBLIC = [name for name in MODULES if not any(part[0] == "_" for part in name.split("."))]


def load(name):
    """Import a module; skip an adapter whose library is not installed."""
    package, _, library = name.rpartition(".")
    if package == "fusedlstm.contrib" and name in PUBLIC:
        pytest.importorskip(library, reason=f"{library} is not installed: see tests/contrib/run")
    if package == "fusedlstm.convert" and name in PUBLIC:
        pytest.importorskip(library, reason=f"{library} is not installed")
    return importlib.import_module(name)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_each_module_run(name):
    results = doctest.testmod(load(name))
    assert results.failed == 0


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_have_docstrings(name):
    module = load(name)
    assert module.__doc__
    for public, value in vars(module).items():
        defined_here = getattr(value, "__module__", None) == name
        if public[0] != "_" and defined_here and (inspect.isclass(value) or callable(value)):
            assert inspect.getdoc(value), public
            for method, function in inspect.getmembers(value, inspect.isfunction):
                if method[0] != "_":
                    assert inspect.getdoc(function), f"{public}.{method}"


# The modules of a package are used through the package. Two packages are internal.
PACKAGES = {
    info.name.rpartition(".")[2]
    for info in pkgutil.iter_modules(fusedlstm.__path__, "fusedlstm.")
    if info.ispkg and info.name != "fusedlstm.convert"
}
INTERNAL = {"fusedlstm.data", "fusedlstm.files"}


def in_package(name):
    """Return whether a module belongs to a package that lists its public names."""
    return name.count(".") > 1 and name.split(".")[1] in PACKAGES


@pytest.mark.parametrize(
    "name", [name for name in PUBLIC if name not in INTERNAL and not in_package(name)]
)
def test_completion_offers_public_names_only(name):
    if name in ("fusedlstm.__main__", "fusedlstm.benchmark", "fusedlstm.contrib"):
        pytest.skip("a command, or a package of optional modules")
    module = load(name)
    offered = set(dir(module))
    if name == "fusedlstm.convert":
        assert offered == {"torch"}
        return
    assert offered == set(module.__all__)
    for public in offered:
        value = getattr(module, public)
        alias = typing.get_origin(value) is not None  # Python 3.10 treats an alias as a class
        if not alias and (inspect.isclass(value) or inspect.isfunction(value)):
            assert value.__module__.startswith("fusedlstm."), public
    # Classes and functions defined in the module are offered; constants need not be.
    own = {
        public
        for public, value in vars(module).items()
        if public[0] != "_"
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == name
    }
    assert own <= offered


def test_completion_offers_submodules():
    assert {"layers", "losses", "optimizers", "schedules", "training"} <= set(dir(fusedlstm))
    assert {"datasets", "convert", "preprocessing", "plotting"} <= set(dir(fusedlstm))
    for name in dir(fusedlstm):
        assert getattr(fusedlstm, name) is not None


@pytest.mark.parametrize(
    "name", ["LSTMClassifier", "LSTMRegressor", "LSTMStepRegressor", "LSTMTagger"]
)
def test_help_describes_every_parameter(name):
    doc = inspect.getdoc(getattr(fusedlstm, name))
    section = doc.partition("Parameters\n----------\n")[2].partition("\n\nAttributes\n")[0]
    entries = dict(re.findall(r"^([\w, ]+) : .*\n((?:    .*\n?)*)", section, re.MULTILINE))
    described = {
        parameter: text for names, text in entries.items() for parameter in names.split(", ")
    }
    parameters = set(inspect.signature(getattr(fusedlstm, name)).parameters)
    assert set(described) == parameters
    assert all(text.strip() for text in described.values())
    assert "see `LSTM" not in doc
    attributes = doc.partition("\nAttributes\n----------\n")[2]
    assert "validation_loss_curve_" in attributes
    assert "model_ : Sequential" in attributes
