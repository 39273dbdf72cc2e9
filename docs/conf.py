"""Settings of the site: `sphinx-build -W docs docs/_build`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import figures
import fusedlstm
import reference
import searching

project = "fusedlstm"
author = "The fusedlstm developers"
release = version = fusedlstm.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
html_theme = "furo"
html_title = f"fusedlstm {release}"

myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3

default_role = "py:obj"
add_module_names = False
autodoc_typehints = "none"  # the docstrings have them, with shapes
autodoc_mock_imports = reference.MISSING
numpydoc_show_class_members = False
# A source that no sentence of its docstring names.
suppress_warnings = ["ref.citation"]


def setup(app):
    """Connect the generated pages, the figures and the search."""
    app.connect("config-inited", reference.write)
    app.connect("config-inited", figures.draw)
    app.connect("autodoc-skip-member", reference.is_of_others)
    app.add_domain(searching.Domain, override=True)
    app.connect("source-read", searching.add_words)
    app.connect("env-check-consistency", reference.check)
