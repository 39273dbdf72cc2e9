"""Base class of the transformers, which accept all forms of X and return the same form."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from fusedlstm._core import Array
from fusedlstm._utils.callbacks import CallbackSupportMixin, with_callbacks
from fusedlstm._utils.transaction import rollback_on_error
from fusedlstm.data.reading import SequenceInputMixin
from fusedlstm.data.sequences import PackedSequences, PaddedSequences, Sequences
from fusedlstm.files.saving import Savable


class SequenceTransformer(
    CallbackSupportMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    SequenceInputMixin,
    Savable,
    BaseEstimator,  # type: ignore[misc]
    abc.ABC,
):
    """Base class of the transformers of sequences.

    A subclass sets the fitted attributes in `_learn`. The result of a transformer is float32 for
    float32 input, and float64 for integers.
    """

    _allows_nan = False

    @with_callbacks  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any = None) -> Any:
        """Fit the transformer to X.

        Parameters
        ----------
        X : array (n_samples, n_timesteps, n_features), or another form
            Sequences, in any form that the estimators accept.
        y : None
            Ignored. Pipelines pass it.

        Returns
        -------
        self
            The fitted transformer.

        Raises
        ------
        TypeError, ValueError
            If a parameter or X is invalid. The transformer is not changed.
        """
        self._check_params()
        with rollback_on_error(self):
            sequences = self._read(X, reset=True)
            context = self._init_callback_context()
            context.call_on_fit_task_begin(estimator=self, X=X, y=y)
            self._learn(sequences)
        context.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes={})
        return self

    def _check_params(self) -> None:
        """Check every parameter."""

    @abc.abstractmethod
    def _learn(self, sequences: Sequences) -> None:
        """Set the fitted attributes."""

    def _read(self, X: Any, reset: bool, named: bool = True) -> Sequences:
        return self._read_X(X, np.float64, reset, allow_nan=self._allows_nan, named=named)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self._allows_nan
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def real_steps(sequences: Sequences) -> Array:
    """Return all steps without padding, (n_steps, n_features)."""
    if isinstance(sequences, PackedSequences):
        return sequences.values
    assert isinstance(sequences, PaddedSequences)
    if sequences.real_steps is None:
        return sequences.x.reshape(-1, sequences.n_features)
    mask = np.arange(sequences.x.shape[1]) < sequences.real_steps[:, np.newaxis]
    return sequences.x[mask]


def in_form_of(X: Any, sequences: Sequences, change: Callable[[Array], Array]) -> Any:
    """Apply a function to the steps (..., n_features) of X. Return the result in the form of X."""
    if isinstance(sequences, PaddedSequences):
        changed = change(sequences.x)
        return changed[:, :, 0] if sequences.form == "2d" else changed
    assert isinstance(sequences, PackedSequences)
    parts = np.split(change(sequences.values), sequences.starts[1:-1])
    arrays = [part.reshape(np.shape(x)) for part, x in zip(parts, X, strict=True)]
    if isinstance(X, np.ndarray):
        ragged = np.empty(len(arrays), object)
        ragged[:] = arrays
        return ragged
    return tuple(arrays) if isinstance(X, tuple) else arrays
