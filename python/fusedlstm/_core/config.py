"""Report of the version, the compiled core in use and its build options."""

from __future__ import annotations

from fusedlstm._core.threads import get_num_threads
from fusedlstm._core.variants import ENVIRONMENT_VARIABLE, core, load_variants, reason
from fusedlstm._core.version import __version__


def show_config() -> None:
    """Print the version, the variant of the compiled core and its build options.

    A variant is the core compiled for one instruction set. The text in parentheses is the reason
    for its selection.

    Examples
    --------
    >>> import fusedlstm
    >>> fusedlstm.show_config()  # doctest: +ELLIPSIS
    fusedlstm ...
    """
    others = ", ".join(name for name in load_variants() if name != core.variant)
    lines = {
        "variant": f"{core.variant} ({reason})",
        "others": f"{others or 'none'} (selected with the variable {ENVIRONMENT_VARIABLE})",
        "SIMD": core.simd,
        "threads": f"{get_num_threads()} ({'OpenMP' if core.openmp else 'built without OpenMP'})",
        "compiler": core.compiler,
        "Eigen": core.eigen,
    }
    print(f"fusedlstm {__version__}")
    for name, value in lines.items():
        print(f"  {name + ':':<10} {value}")
