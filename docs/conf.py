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
project_copyright = "2026, the fusedlstm developers. BSD 3-Clause License"
release = version = fusedlstm.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
html_theme = "furo"
html_title = f"fusedlstm {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_logo = html_favicon = "_static/logo.svg"
html_show_sourcelink = False
html_theme_options = {"top_of_page_buttons": []}

myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 3

# Outputs have no button. In docstrings the button copies neither prompts nor outputs.
copybutton_selector = "div:not(.highlight-text):not(.sphx-glr-script-out) > div.highlight pre"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

# Every example runs, and the build fails if one of them fails.
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "doc_module": ("fusedlstm",),
    "reference_url": {"fusedlstm": None},
    "backreferences_dir": "gallery/of",
    "download_all_examples": False,
    "capture_repr": (),
    "show_signature": False,
    "min_reported_time": 1e9,
    "parallel": 2,
    "write_computation_times": False,
}

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
