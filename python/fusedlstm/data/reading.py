"""Reading of X and sample weights, and the container of the data of a fit."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_sample_weight, validate_data

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm._utils.user_warnings import warn
from fusedlstm.data.forms import is_frame, read_sequences
from fusedlstm.data.frames import check_frames, check_names
from fusedlstm.data.sequences import PackedSequences, Sequences, all_steps

Targets: TypeAlias = "Array | Sequences"
"""Targets of sequences are an array (n, ...). Targets of steps are `Sequences`."""


def select_targets(y: Targets, rows: npt.NDArray[np.intp]) -> Targets:
    """Return the targets of some sequences."""
    selected: Targets = y.select(rows) if isinstance(y, Sequences) else y[rows]
    return selected


@dataclass(frozen=True)
class Data:
    """Sequences with their targets and weights.

    Attributes
    ----------
    sequences : Sequences
    targets : array (n, ...) or Sequences
        Targets of the sequences or of the steps, checked but not encoded.
    y : array (n, ...) or Sequences
        Encoded targets, for the loss.
    weights : array (n,), Sequences or None
        Sample weights times class weights, of the sequences or of the steps, divided by their
        mean.
    X : object
        The sequences as the user passed them.
    sample_weight : array (n,) or None
        Sample weights as the user passed them.
    rows : int array (n,) or None
        Rows of ``X`` that belong to this part, in ascending order. None: all rows.
    given_y : object
        y as the user passed it.
    """

    sequences: Sequences
    targets: Any
    y: Any
    weights: Targets | None
    X: Any = None
    sample_weight: Array | None = None
    rows: npt.NDArray[np.intp] | None = None
    given_y: Any = None

    def select(self, rows: npt.NDArray[np.intp]) -> Data:
        """Return a part of the data."""
        weights = None if self.weights is None else select_targets(self.weights, rows)
        y = select_targets(self.y, rows)
        return Data(
            self.sequences.select(rows),
            select_targets(self.targets, rows),
            y,
            relative_weights(weights, y),
            self.X,
            None if self.sample_weight is None else self.sample_weight[rows],
            rows if self.rows is None else self.rows[rows],
            self.given_y,
        )

    def given_targets(self) -> Any:
        """Return targets of sequences as an array, targets of steps as the user passed them."""
        if not isinstance(self.targets, Sequences):
            return self.targets
        return self.given_y if self.rows is None else _some_of(self.given_y, self.rows)

    def n_targets(self) -> int:
        """Return the number of sequences, or the number of steps if the steps have targets."""
        return int(self.y.lengths().sum()) if isinstance(self.y, Sequences) else len(self.y)

    def target_rows(self, most: int | None = None) -> tuple[Array, Array | None]:
        """Return targets (N, ...) and weights (N,) or None, of sequences or of real steps.

        If there are more than ``most`` targets, evenly spaced targets are selected.
        """
        y, weights = self.y, self.weights
        if isinstance(y, Sequences):
            y = all_steps(y)
        if isinstance(weights, Sequences):
            weights = all_steps(weights)
        every = 1 if most is None else -(-len(y) // most)
        return y[::every], None if weights is None else weights[::every]

    def has_no_target(self) -> bool:
        """Return True if all targets are NaN."""
        if not isinstance(self.y, Sequences) or self.y.numbers().dtype.kind != "f":
            return False
        return bool(np.isnan(all_steps(self.y)).all())

    def given_X(self) -> Any:
        """Return the sequences of this part as the user passed them, as a copy or a view."""
        rows = self.rows
        if rows is None:
            return self.X
        if not isinstance(self.X, (np.ndarray, list, tuple)) and not is_frame(self.X):
            each = (self.sequences.take(slice(i, i + 1), None)[0][0] for i in range(len(rows)))
            return list(each)
        return _some_of(self.X, rows)

    def split(self, fraction: float, kind: str, seed: int, stratify: bool) -> tuple[Data, Data]:
        """Return a training part and a validation part.

        Parameters
        ----------
        fraction : float
            Share of the validation part.
        kind : {"random", "last"}
            The validation part is drawn at random, or consists of the last sequences.
        seed : int
        stratify : bool
            True for targets that are classes. A random validation part gets the same share of each
            class. If the validation part consists of the last sequences, the training part must
            contain every class.
        """
        last = kind == "last"
        has_classes, stratify = stratify, stratify and not last
        try:
            parts = train_test_split(
                np.arange(len(self.y)),
                test_size=fraction,
                shuffle=not last,
                random_state=None if last else seed,
                stratify=self.y if stratify else None,
            )
        except ValueError as error:
            problem = fraction_problem(fraction, self.y, stratify)
            raise ValueError(problem) from error
        rest, aside = (self.select(np.sort(rows)) for rows in parts)
        if len(aside.y) == 1:
            warn(
                f"validation_fraction={fraction:g} sets 1 of {len(self.y)} sequences aside: early "
                f"stopping depends on this sequence only. Increase validation_fraction or pass "
                f"X_val and y_val.",
                UserWarning,
            )
        for name, part in (("training", rest), ("validation", aside)):
            if part.has_no_target():
                raise ValueError(
                    f"the {name} part must have targets that are not NaN; got none with "
                    f"validation_split={kind!r} and validation_fraction={fraction:g}. Pass X_val "
                    f"and y_val instead."
                )
        missing = ~np.isin(aside.y, rest.y) if has_classes else np.zeros(1, bool)
        if missing.any():
            label = aside.targets[int(np.argmax(missing))]
            raise ValueError(
                f"the training part must have sequences of every class; got none of class "
                f"{check.shown(label)} with validation_split={kind!r} and validation_fraction="
                f"{fraction:g}. Shuffle X and y if they are sorted by class, use "
                f"validation_split='random', or pass X_val and y_val."
            )
        return rest, aside


def fraction_problem(fraction: float, y: Array, stratify: bool) -> str:
    """Return the text of the error about an impossible validation fraction, with a valid bound."""
    n = len(y)
    needed = f"a number that leaves at least one of {n} sequences in each part"
    if not stratify:
        return check.needs("validation_fraction", needed, fraction)
    counts = np.unique(y, return_counts=True)[1]
    n_classes = len(counts)
    if counts.min() < 2 or n < 2 * n_classes:
        return (
            f"y must have at least 2 sequences of every class for early_stopping, which sets "
            f"sequences of every class aside; got a class with {counts.min()}. Pass X_val and "
            f"y_val instead."
        )
    if fraction * n < n_classes:
        bound = f"at least {math.ceil(1000 * n_classes / n) / 1000:g}"
    else:
        most = math.floor(1000 * (n - n_classes) / n)
        if math.ceil(most / 1000 * n) > n - n_classes:  # because of a rounding error
            most -= 1
        bound = f"at most {most / 1000:g}"
    needed = f"{bound} for {n} sequences of {n_classes} classes"
    return check.needs("validation_fraction", needed, fraction)


class SequenceInputMixin:
    """Mixin of estimators and transformers, which reads X and compares it with the X of `fit`.

    Attributes
    ----------
    n_features_in_ : int
        Number of features, or for 2-D X the number of columns.
    feature_names_in_ : array (n_features_in_,)
        Names of the columns, if X has names.
    """

    n_features_in_: int
    _fitted_on_2d: bool

    def _read_X(
        self,
        X: Any,
        dtype: npt.DTypeLike,
        reset: bool,
        name: str = "X",
        allow_nan: bool = False,
        named: bool = True,
    ) -> Sequences:
        """Read X.

        With ``reset``, the attributes are set. Otherwise X must agree with them.

        Parameters
        ----------
        X : array, data frame or list
        dtype : dtype
            X must be within the range of this dtype.
        reset : bool
            True in `fit`.
        name : str
            Name of X in errors.
        allow_nan : bool
        named : bool
            If True, the column names of data frames are compared with the names in `fit`.

        Raises
        ------
        TypeError, ValueError
            If X is invalid or does not agree with `fit`.
        """
        if type(X) is not np.ndarray:
            if isinstance(X, Sequences):
                return X
            check_frames(X, name, reset)
        sequences = read_sequences(X, name, allow_nan)
        sequences.check_range(dtype, name)
        if sequences.form == "2d" and not (reset or self._fitted_on_2d):
            raise ValueError(
                f"{name} must be a 3D array or a list of sequences, as it was in fit; got a 2D "
                f"array of {sequences.longest()} columns. For one sequence pass "
                f"{name}[np.newaxis], for sequences of one feature {name}[..., np.newaxis]."
            )
        if sequences.form != "2d":
            if named and (
                reset
                or type(X) is not np.ndarray
                or sequences.form == "ragged"
                or "feature_names_in_" in vars(self)
            ):
                was_2d = not reset and self._fitted_on_2d
                check_names(self, X, sequences.n_features, name, reset, was_2d)
        elif named:
            # scikit-learn checks the number of columns and, in a data frame, their names.
            try:
                validate_data(self, X, reset=reset, skip_check_array=True)
            except ValueError as error:
                if reset or sequences.longest() == self.n_features_in_:
                    raise
                raise ValueError(
                    f"{error} The columns of 2-D X are time steps. To predict for other numbers of "
                    f"steps, fit on 3-D X: np.asarray(X)[..., np.newaxis]."
                ) from None
        elif sequences.longest() != self.n_features_in_:
            raise ValueError(
                f"{name} has {sequences.longest()} features, but {type(self).__name__} is "
                f"expecting {self.n_features_in_} features as input"
            )
        if reset:
            self._fitted_on_2d = sequences.form == "2d"
        expected = 1 if self._fitted_on_2d else self.n_features_in_
        if sequences.n_features != expected:
            raise ValueError(
                f"{name} has {sequences.n_features} features, but {type(self).__name__} is "
                f"expecting {expected} features as input"
            )
        return sequences


def read_weights(sample_weight: Any, n: int) -> Array | None:
    """Check and return n weights; None for equal weights."""
    if sample_weight is None:
        return None
    if isinstance(sample_weight, numbers.Number):  # the weight of every sequence
        sample_weight = check.not_negative("sample_weight", sample_weight)
    else:
        first = sample_weight[:1] if isinstance(sample_weight, (list, tuple)) else ()
        if getattr(sample_weight, "ndim", 1) > 1 or any(np.ndim(item) > 0 for item in first):
            hint = "Pass validation data by name: fit(X, y, X_val=..., y_val=...)."
            needed = f"None, a number or an array of shape ({n},)"
            raise ValueError(check.needs("sample_weight", needed, sample_weight, hint))
        sample_weight = check.real_array("sample_weight", sample_weight, np.float64)
    rows = np.empty((n, 0))
    weights = _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
    return cast(Array, weights)


def relative_weights(weights: Targets | None, y: Targets) -> Targets | None:
    """Return weights divided by their mean.

    For weights of steps, the mean is taken over all targets that are not NaN.
    """
    if weights is None:
        return None
    if isinstance(weights, Sequences):
        values, targets = all_steps(weights), all_steps(cast(Sequences, y))
        present = None
        if targets.dtype.kind == "f":
            present = (~np.isnan(targets.reshape(len(targets), -1))).sum(axis=1)
        counted = values if present is None else values[present > 0]
        if counted.size and not counted.any():
            raise ValueError("Sample weights must contain at least one non-zero number.")
        if counted.size:
            values = values / np.average(values, weights=present)
        return PackedSequences(values, weights.starts_of_all())
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    relative: Array = weights / weights.mean()
    return relative


def _some_of(given: Any, rows: npt.NDArray[np.intp]) -> Any:
    """Return rows of X or y; ``rows`` is ascending. Consecutive rows of an array are a view."""
    if rows[-1] - rows[0] == len(rows) - 1:
        return _safe_indexing(given, slice(int(rows[0]), int(rows[-1]) + 1))
    return _safe_indexing(given, rows)
