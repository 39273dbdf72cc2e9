"""The compiled core."""

from fusedlstm._core.types import Activation, Array
from fusedlstm._core.variants import core, load_variants

__all__ = ["Activation", "Array", "core", "load_variants"]
