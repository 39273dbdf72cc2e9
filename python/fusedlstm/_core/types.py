"""Types for the arguments of the compiled functions."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
"""An array of float32 or float64. All arrays of a call have the same dtype."""

Activation: TypeAlias = str | tuple[str, float, float]
"""The name of an activation, or its name, alpha and beta; see cpp/simd/named_activations.hpp."""
