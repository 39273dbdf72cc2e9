"""The API reference: written into docs/api/ before a build.

A module is public if `dir(fusedlstm)` or `OPTIONAL` lists it. If a public package has no
``__all__``, its modules are public. A public name is an element of the ``__all__`` of a public
module. It is documented in the first of these modules that has it.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from sphinx.ext.autodoc.mock import mock
from sphinx.util import logging

import fusedlstm

OPTIONAL = ("fusedlstm.contrib.aeon", "fusedlstm.contrib.sktime")  # they need their library
MISSING = [name for name in ("aeon", "sktime") if importlib.util.find_spec(name) is None]
# The order of the modules on the page. Modules that are not listed follow.
FIRST = ("estimators", "preprocessing", "layers", "models", "training", "losses")
# A constant has no docstring.
CONSTANTS = {
    "Loss": "Type of a loss: outputs, targets and weights in; the loss and its gradient out.",
    "Order": "Type of the order of the sequences in an epoch, an array of integers.",
    "absolute_error": "`AbsoluteError` with the default settings.",
    "log_loss": "`LogLoss` with the default settings.",
    "squared_error": "`SquaredError` with the default settings.",
}


def public_modules() -> Iterator[ModuleType]:
    """Yield all public modules."""
    found = [name for name in dir(fusedlstm) if inspect.ismodule(getattr(fusedlstm, name))]
    found.sort(key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    with mock(MISSING):
        for path in ("fusedlstm", *(f"fusedlstm.{name}" for name in found), *OPTIONAL):
            module = importlib.import_module(path)
            yield module
            if hasattr(module, "__path__") and not hasattr(module, "__all__"):
                for info in pkgutil.iter_modules(module.__path__, f"{path}."):
                    if not info.name.rpartition(".")[2].startswith("_"):
                        yield importlib.import_module(info.name)


def offered(module: ModuleType) -> dict[str, Any]:
    """Return the public names of a module with their values."""
    names = getattr(module, "__all__", ())
    return {name: getattr(module, name) for name in names if not name.startswith("_")}


def public_names() -> dict[str, dict[str, Any]]:
    """Return the public names with their values, by module."""
    names = {}
    for module in public_modules():
        if values := offered(module):
            names[module.__name__] = dict(sorted(values.items(), key=lambda item: item[0].lower()))
    return names


def homes(names: dict[str, dict[str, Any]]) -> dict[int, str]:
    """Return the module that documents each value, by the value's id."""
    found: dict[int, str] = {}
    for module, values in names.items():
        for value in values.values():
            found.setdefault(id(value), module)
    return found


def first_paragraph(module: str) -> str:
    """Return the first paragraph of a module's docstring."""
    return inspect.getdoc(importlib.import_module(module)).partition("\n\n")[0]


def heading(text: str, line: str) -> str:
    """Return a heading of reStructuredText."""
    return f"{text}\n{line * len(text)}\n\n"


def table(module: str, names: list[str], options: str = "") -> str:
    """Return a table of names, each with the first sentence of its docstring."""
    rows = "".join(f"   {name}\n" for name in names)
    head = f".. currentmodule:: {module}\n\n.. autosummary::\n   :nosignatures:\n{options}"
    return f"{head}\n{rows}\n" if names else ""


def kinds(values: dict[str, Any]) -> tuple[list[str], list[str], list[str]]:
    """Return the names of classes, of functions and of constants."""
    classes = [name for name, value in values.items() if inspect.isclass(value)]
    functions = [name for name, value in values.items() if inspect.isroutine(value)]
    return classes, functions, [n for n in values if n not in classes and n not in functions]


def description(constant: str) -> str:
    """Return the description of a constant; warn if there is none."""
    if constant not in CONSTANTS:
        logging.getLogger(__name__).warning("no description of the constant %s", constant)
    return CONSTANTS.get(constant, "")


def page(module: str, values: dict[str, Any], home: dict[int, str]) -> str:
    """Return the page of a module."""
    own = {name: value for name, value in values.items() if home[id(value)] == module}
    classes, functions, constants = kinds(own)
    text = heading(module, "=") + f".. automodule:: {module}\n   :no-members:\n\n"
    for title, names in (("Classes", classes), ("Functions", functions)):
        if names:
            text += heading(title, "-") + table(module, names, "   :toctree: .\n")
    if constants:
        text += heading("Constants", "-")
    for name in constants:
        text += f".. py:data:: {name}\n\n   {description(name)}\n\n"
    others = [f"~{home[id(value)]}.{name}" for name, value in values.items() if name not in own]
    if others:
        text += heading("Also in fusedlstm", "-") + table(module, others)
    return text


def section(module: str, values: dict[str, Any], home: dict[int, str]) -> str:
    """Return the section of a module on the page of all names."""
    classes, functions, constants = kinds(values)
    text = heading(module, "-") + f"{first_paragraph(module)} See :doc:`{module}`.\n\n"
    names = [(name, home[id(values[name])]) for name in classes + functions]
    text += table(module, [name if m == module else f"~{m}.{name}" for name, m in names])
    if constants:
        text += ".. list-table::\n   :class: autosummary longtable\n\n"
    for name in constants:
        text += f"   * - :py:obj:`~{module}.{name}`\n     - {description(name)}\n"
    return text + "\n"


def write(app: Any, config: Any) -> None:
    """Write the pages, and name those that autosummary reads."""
    folder = Path(app.srcdir) / "api"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    names = public_names()
    home = homes(names)
    for module, values in names.items():
        (folder / f"{module}.rst").write_text(page(module, values, home))
    (folder / "index.rst").write_text(
        heading("API reference", "=")
        + "All public classes, functions and constants, by module. Other modules and names are "
        + "private: they may change in any version.\n\n"
        + ".. toctree::\n   :hidden:\n\n"
        + "".join(f"   {module}\n" for module in names)
        + "\n"
        + "".join(section(module, values, home) for module, values in names.items())
    )
    config.autosummary_generate = [f"api/{module}.rst" for module in names]


def is_of_others(app, kind, name, value, skip, options):
    """Return True for members that classes inherit from other libraries, else None."""
    module = getattr(value, "__module__", None)
    return True if isinstance(module, str) and not module.startswith("fusedlstm") else None


def check(app: Any, env: Any) -> None:
    """Warn of every public name that no page describes."""
    described = env.domaindata["py"]["objects"]
    names = public_names()
    home = homes(names)
    for values in names.values():
        for name, value in values.items():
            path = f"{home[id(value)]}.{name}"
            if path not in described:
                logging.getLogger(__name__).warning("no page for %s", path)
