"""What runs, and why."""

from __future__ import annotations

from fusedlstm import _core
from fusedlstm._core.threads import get_num_threads


def show_config() -> None:
    """Print the version, the variant of the core in use and why, and how it was built.

    Examples
    --------
    >>> import fusedlstm
    >>> fusedlstm.show_config()  # doctest: +ELLIPSIS
    fusedlstm ...
    """
    from fusedlstm import __version__

    core = _core.core
    others = ", ".join(name for name in _core.load_variants() if name != core.variant)
    lines = {
        "variant": f"{core.variant} ({_core.reason})",
        "others": (others or "none") + f" (set {_core.ENVIRONMENT_VARIABLE} to use one)",
        "SIMD": core.simd,
        "threads": f"{get_num_threads()} ({'OpenMP' if core.openmp else 'built without OpenMP'})",
        "compiler": core.compiler,
        "Eigen": core.eigen,
    }
    print(f"fusedlstm {__version__}")
    for name, value in lines.items():
        print(f"  {name + ':':<10} {value}")
