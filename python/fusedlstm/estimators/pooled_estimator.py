"""Estimators with one prediction per sequence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fusedlstm._utils import validation as check
from fusedlstm.estimators.base import SequenceEstimator
from fusedlstm.layers import LastStep, Layer, Pool

POOLINGS: dict[str, Layer[Any]] = {"last": LastStep(), "mean": Pool("mean"), "max": Pool("max")}
"""The layers for the values of the parameter ``pooling``."""


@dataclass(repr=False, eq=False, kw_only=True)
class PooledEstimator(SequenceEstimator):
    """Base class of the estimators with one prediction per sequence."""

    pooling: str = "last"

    def _check_params(self) -> None:
        super()._check_params()
        check.choice("pooling", self.pooling, POOLINGS)

    def _with_reduction(self, layers: list[Layer[Any]]) -> list[Layer[Any]]:
        if any(layer.reduces for layer in layers):
            return layers
        return [*layers, POOLINGS[self.pooling]]
