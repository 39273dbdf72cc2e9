"""Draw the figures of the guides before a build, with the code of the guides."""

import contextlib
import io
import os
import re
import warnings
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from sklearn.exceptions import ConvergenceWarning


def code_of(page):
    """Return the Python code of a page, all of its blocks."""
    return "\n".join(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))


def draw(app, config):
    """Run every page that saves a figure, within docs/_figures/."""
    figures = Path(app.srcdir) / "_figures"
    figures.mkdir(exist_ok=True)
    mpl.use("Agg")
    before = os.getcwd()
    os.chdir(figures)
    try:
        for page in sorted(Path(app.srcdir).glob("guide/*.md")):
            code = code_of(page)
            if "savefig(" in code:
                with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    exec(compile(code, str(page), "exec"), {})
                plt.close("all")  # the examples are drawn next, with figures of the same numbers
    finally:
        os.chdir(before)
