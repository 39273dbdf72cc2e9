"""The interface between an estimator and its task."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, TypeAlias

from fusedlstm._core import Array
from fusedlstm.data.reading import Data, Targets
from fusedlstm.data.sequences import Sequences
from fusedlstm.losses import Loss

Decoder: TypeAlias = Callable[[Array], Any]
"""A function that makes predictions, in float64, of a model's outputs (n, n_outputs)."""


class Task(abc.ABC):
    """Targets of one kind: their reading and encoding, the loss, and the decoding of outputs.

    A task is immutable. `learn` returns one that knows the targets of the first fit; `encode`,
    `decoder` and `n_outputs` need such a task.
    """

    loss: Any
    """The loss of the estimator's parameter ``loss``."""

    @property
    def training_loss(self) -> Loss:
        """The loss that the epochs minimize."""
        return self.loss  # type: ignore[no-any-return]

    @property
    @abc.abstractmethod
    def n_outputs(self) -> int:
        """Number of outputs of the model."""

    @property
    def stratified(self) -> bool:
        """True if training and validation part should have the same shares of each target."""
        return False

    @abc.abstractmethod
    def read(self, y: Any, sequences: Sequences, name: str = "y") -> Targets:
        """Return targets as an array, or of steps as sequences."""

    @abc.abstractmethod
    def learn(self, y: Any, weights: Any, classes: Any = None) -> Task:
        """Return the task with what there is to learn of all targets.

        ``weights`` are relative to their mean; ``classes`` are all labels, if they are given.
        """

    @abc.abstractmethod
    def encode(self, y: Any, name: str = "y") -> Targets:
        """Return targets as the loss takes them."""

    @abc.abstractmethod
    def decoder(self) -> Decoder:
        """Return the function that makes predictions of the model's outputs."""

    @abc.abstractmethod
    def attributes(self) -> dict[str, Any]:
        """Return the fitted attributes of an estimator that hold what `learn` learned."""

    def training_weights(self, y: Any, sample_weight: Array | None) -> Array | None:
        """Return the weights of the sequences in the loss, or None."""
        return sample_weight

    def start(self, data: Data) -> Array | None:
        """Return the outputs that training should start from, (n_outputs,); None: zero."""
        return None
