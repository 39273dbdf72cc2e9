"""States of models, as from `Sequential.run`."""

from fusedlstm._states import select_rows

__all__ = ["select_rows"]


def __dir__() -> list[str]:
    return sorted(__all__)
