"""The interface between an estimator and its task."""

from __future__ import annotations

import abc
from typing import Any, cast

from sklearn.metrics import get_scorer

from fusedlstm._core import Array
from fusedlstm.data.reading import Data, Targets
from fusedlstm.data.sequences import Sequences
from fusedlstm.estimators.snapshot import OutputTransform, Snapshot
from fusedlstm.losses import Loss


class Task(abc.ABC):
    """A kind of targets. A task reads and encodes targets, defines the loss and decodes outputs.

    A task is immutable. `learn` returns a task with properties of the targets of the first fit,
    such as the classes. `encode`, `output_transform` and `n_outputs` need these properties.
    """

    loss: Any
    """The loss that the estimator's parameter ``loss`` describes."""

    @property
    def training_loss(self) -> Loss:
        """The loss that the training minimizes."""
        return self.loss  # type: ignore[no-any-return]

    @property
    @abc.abstractmethod
    def n_outputs(self) -> int:
        """Number of outputs of the model."""

    @property
    def stratified(self) -> bool:
        """True if training and validation part should have the same shares of the classes."""
        return False

    @abc.abstractmethod
    def read(self, y: Any, sequences: Sequences, name: str = "y") -> Targets:
        """Check y. Return targets of sequences as an array, targets of steps as `Sequences`."""

    @abc.abstractmethod
    def learn(self, y: Any, weights: Any, classes: Any = None) -> Task:
        """Return a task with the properties of the targets.

        Parameters
        ----------
        y : array or Sequences
            All targets, as `read` returned them.
        weights : array, Sequences or None
            Weights divided by their mean.
        classes : array (n_classes,) or None
            All labels. None: the labels of y.
        """

    def warn_of_targets(self, data: Data) -> None:  # noqa: B027
        """Warn if the targets of the first fit probably have another meaning."""

    @abc.abstractmethod
    def encode(self, y: Any, name: str = "y") -> Targets:
        """Return the targets in the form that the loss needs."""

    @abc.abstractmethod
    def output_transform(self) -> OutputTransform:
        """Return the function that maps outputs of the model to predictions."""

    @abc.abstractmethod
    def attributes(self) -> dict[str, Any]:
        """Return the fitted attributes of the estimator that `learn` determines."""

    def training_weights(self, y: Any, sample_weight: Array | None) -> Array | None:
        """Return the weights of the targets in the loss; None if all are equal."""
        return sample_weight

    def start(self, data: Data) -> Array | None:
        """Return the initial bias of the output layer, (n_outputs,); None for zeros."""
        return None

    def input_gain(self, input_size: int, hidden_size: int) -> float:
        """Return the factor of the initial input weights of the first recurrent layer."""
        return 1.0

    def evaluate(self, snapshot: Snapshot, data: Data) -> float:
        """Return the loss of the model of a snapshot on data."""
        weights = cast("Array | None", data.weights)
        value, _ = self.loss(snapshot.outputs(data.sequences), data.y, weights)
        return float(value)

    def scorer(self, name: str) -> Any:
        """Return the scorer with a name from `sklearn.metrics.get_scorer_names`."""
        return get_scorer(name)
