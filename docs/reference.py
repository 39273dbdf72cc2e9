"""A page for every public module and name, written into docs/api/ before a build.

A module offers its ``__all__``, or without one the classes and functions that it defines; a name
belongs to the module with the shortest path that offers it.
"""

import importlib
import importlib.util
import inspect
import pkgutil
import shutil
from pathlib import Path

from sphinx.ext.autodoc.mock import mock
from sphinx.util import logging

import fusedlstm

MISSING = [name for name in ("aeon", "sktime") if importlib.util.find_spec(name) is None]
COMMANDS = ("fusedlstm.__main__", "fusedlstm.benchmark")


def public_modules():
    """Yield all public modules, those with short paths first."""
    names = ["fusedlstm"]
    for info in pkgutil.walk_packages(fusedlstm.__path__, "fusedlstm."):
        private = any(part.startswith("_") for part in info.name.split("."))
        if not private and not info.name.startswith(COMMANDS):
            names.append(info.name)
    with mock(MISSING):
        for name in sorted(names, key=lambda name: (name.count("."), name)):
            yield importlib.import_module(name)


def offered(module):
    """Return what a module offers, by name."""
    if hasattr(module, "__all__"):
        return {name: getattr(module, name) for name in module.__all__ if name[0] != "_"}
    return {
        name: value
        for name, value in vars(module).items()
        if name[0] != "_"
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    }


def public_names():
    """Return the names to document, by module."""
    names, seen, complete = {}, set(), set()
    for module in public_modules():
        if module.__name__.rpartition(".")[0] in complete:
            continue  # its package offers what users need of it
        own = {name: value for name, value in offered(module).items() if id(value) not in seen}
        seen.update(map(id, own.values()))
        if own:
            names[module.__name__] = sorted(own, key=str.lower)
        if module is not fusedlstm and hasattr(module, "__all__"):
            complete.add(module.__name__)
    return names


def write(app, config):
    """Write the pages, and name those that autosummary reads."""
    folder = Path(app.srcdir) / "api"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    names = public_names()
    for module, own in names.items():
        (folder / f"{module}.rst").write_text(
            f"{module}\n{'=' * len(module)}\n\n"
            f".. automodule:: {module}\n   :no-members:\n\n"
            f".. currentmodule:: {module}\n\n"
            ".. autosummary::\n   :toctree: .\n\n" + "".join(f"   {name}\n" for name in own)
        )
    (folder / "index.rst").write_text(
        "Every public name\n=================\n\n"
        ".. toctree::\n   :maxdepth: 2\n\n" + "".join(f"   {module}\n" for module in names)
    )
    config.autosummary_generate = [f"api/{module}.rst" for module in names]


def is_of_others(app, kind, name, value, skip, options):
    """Return True for what classes inherit from other libraries, None for what is to be decided."""
    module = getattr(value, "__module__", None)
    return True if isinstance(module, str) and not module.startswith("fusedlstm") else None


def check(app, env):
    """Warn of every name of an ``__all__`` that no page describes."""
    described = set()
    for path in env.domaindata["py"]["objects"]:
        module, _, name = path.rpartition(".")
        if name and module in public_names():
            described.add(id(getattr(importlib.import_module(module), name, None)))
    for module in public_modules():
        if hasattr(module, "__all__"):
            for name, value in offered(module).items():
                if id(value) not in described:
                    logging.getLogger(__name__).warning("no page for %s.%s", module.__name__, name)
