"""What the estimators share.

`fit` reads and checks everything first, then is a ``for`` loop over `training.epochs`, in which
progress, validation and early stopping live.
"""

from __future__ import annotations

import abc
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, is_classifier
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from tqdm.auto import tqdm

from fusedlstm import _validation as check
from fusedlstm._core import Array
from fusedlstm._saving import Savable
from fusedlstm._sequences import Sequences, read_sequences
from fusedlstm._threads import thread_limit
from fusedlstm.layers import LSTM, Dense, Dropout, LastStep, Layer
from fusedlstm.losses import LOSSES, Loss
from fusedlstm.model import Sequential, check_layers
from fusedlstm.optimizers import Optimizer, as_optimizer
from fusedlstm.training import Epoch, SequenceBatches, epochs

CELLS = {"lstm": LSTM}

NUMBERS_OF_A_CHUNK = 2**22
"""Inputs and hidden units that `predict` has in hand at a time."""


@dataclass(frozen=True)
class _Data:
    """Sequences with encoded targets."""

    sequences: Sequences
    y: Array
    weights: Array | None


@dataclass
class _Watch:
    """The best score so far, and how long ago it was."""

    tol: float
    patience: int
    best: float = np.inf
    best_params: Array | None = None
    best_iter: int = 0
    waited: int = 0

    def update(self, iteration: int, value: float, params: Array, keep: bool) -> bool:
        """Note a value of which less is better; return whether to stop."""
        self.waited = 0 if value < self.best - self.tol else self.waited + 1
        if value < self.best:
            self.best, self.best_iter = value, iteration
            self.best_params = params.copy() if keep else None
        return self.waited >= self.patience


class SequenceEstimator(Savable, BaseEstimator, abc.ABC):  # type: ignore[misc]
    """What classifier and regressor share. They encode targets, name a head, decode outputs."""

    # Parameters of both constructors.
    hidden_size: int
    num_layers: int
    cell: str
    bidirectional: bool
    layers: tuple[Layer[Any], ...] | None
    dropout: float
    loss: str
    optimizer: str | Optimizer
    learning_rate: float
    weight_decay: float
    clip_norm: float | None
    batch_size: int | str
    max_iter: int
    shuffle: bool
    early_stopping: bool
    scoring: Any
    validation_fraction: float
    n_iter_no_change: int
    tol: float
    dtype: str
    n_threads: int | None
    random_state: Any
    verbose: int

    # What the two differ in.
    _losses: tuple[str, ...]
    _fitted_on_2d: bool

    _saved_attributes: ClassVar[tuple[str, ...]] = (
        "n_features_in_",
        "feature_names_in_",
        "_fitted_on_2d",
        "model_",
        "n_iter_",
        "best_iter_",
        "loss_",
        "loss_curve_",
        "validation_loss_curve_",
    )

    @abc.abstractmethod
    def _encode_targets(self, y: Any, reset: bool) -> Array:
        """Return targets as the loss takes them; ``reset`` in fit, not for validation data."""

    @abc.abstractmethod
    def _n_outputs(self) -> int:
        """Return the outputs of the model."""

    @abc.abstractmethod
    def _weights(self, y: Any, sample_weight: Any, sequences: Sequences) -> Array | None:
        """Return the weights of the sequences, or None."""

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> SequenceEstimator:
        """Train a new model.

        Parameters
        ----------
        X : array (n_samples, n_timesteps, n_features), or another form
            An array or data frame (n_samples, n_timesteps) holds one feature. A list, tuple or
            object array of arrays (n_timesteps_i, n_features) or (n_timesteps_i,) may have unequal
            lengths. In a 3-D array, steps at the end of a sequence that are NaN in every feature
            are padding.
        y : array (n_samples,) or, for the regressor, (n_samples, n_outputs)
        sample_weight : array (n_samples,) or None
        X_val, y_val, sample_weight_val : like X, y, sample_weight, or None
            Data to watch. With ``early_stopping`` they take the place of a part of X.

        Returns
        -------
        self
        """
        self._check_params()
        before = dict(vars(self))
        try:
            train, validation = self._read(X, y, sample_weight, X_val, y_val, sample_weight_val)
        except Exception:  # what cannot be read leaves no trace
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        with thread_limit(self.n_threads):
            self._train(train, validation)
        return self

    def _check_params(self) -> None:
        """Check every parameter of the constructor."""
        check.positive_int("hidden_size", self.hidden_size)
        check.positive_int("num_layers", self.num_layers)
        check.choice("cell", self.cell, CELLS)
        check.true_or_false("bidirectional", self.bidirectional)
        if self.layers is not None:
            check_layers(self.layers)
        check.fraction("dropout", self.dropout)
        check.choice("loss", self.loss, self._losses)
        as_optimizer(self.optimizer)
        check.positive("learning_rate", self.learning_rate)
        check.not_negative("weight_decay", self.weight_decay)
        if self.clip_norm is not None:
            check.positive("clip_norm", self.clip_norm)
        if self.batch_size != "auto":
            needed = "a positive integer or 'auto'"
            check.int_at_least("batch_size", self.batch_size, 1, needed)
        check.positive_int("max_iter", self.max_iter)
        check.true_or_false("shuffle", self.shuffle)
        check.true_or_false("early_stopping", self.early_stopping)
        if self.scoring is not None and not callable(self.scoring):
            check.choice("scoring", self.scoring, get_scorer_names())
        check.real_in(
            "validation_fraction",
            self.validation_fraction,
            "a number in (0, 1)",
            0.0,
            1.0,
            open_low=True,
            open_high=True,
        )
        check.positive_int("n_iter_no_change", self.n_iter_no_change)
        check.not_negative("tol", self.tol)
        check.float_dtype("dtype", self.dtype)
        if self.n_threads is not None:
            check.positive_int("n_threads", self.n_threads)
        if not isinstance(self.verbose, bool):
            check.int_at_least("verbose", self.verbose, 0, "an integer of at least 0")

    def _read(
        self, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, sample_weight_val: Any
    ) -> tuple[_Data, _Data | None]:
        """Read training data and, if there is any, validation data."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        sequences = self._read_X(X, self.dtype, reset=True)
        data = self._with_targets(sequences, y, sample_weight, reset=True)
        if X_val is not None:
            if y_val is None:
                raise ValueError("y_val must be given with X_val; got None")
            sequences_val = self._read_X(X_val, self.dtype, reset=False)
            return data, self._with_targets(sequences_val, y_val, sample_weight_val, reset=False)
        if y_val is not None or sample_weight_val is not None:
            raise ValueError("X_val must be given with y_val and sample_weight_val; got None")
        if not self.early_stopping:
            return data, None
        return self._split(data)

    def _read_X(self, X: Any, dtype: npt.DTypeLike, reset: bool) -> Sequences:
        if isinstance(X, Sequences):  # read and checked before
            return X
        sequences = read_sequences(X)
        sequences.check_range(dtype)
        if sequences.form == "2d" and (reset or self._fitted_on_2d):
            # The number of columns, and their names if they have any, are scikit-learn's to check.
            validate_data(self, X, reset=reset, skip_check_array=True)
        elif reset:
            self.n_features_in_ = sequences.n_features
            self.__dict__.pop("feature_names_in_", None)
        elif sequences.form == "2d":
            raise ValueError(
                f"X must be a 3D array or a list of sequences, as it was in fit; got a 2D array of "
                f"{sequences.lengths()[0]} columns. For one sequence pass X[np.newaxis], for "
                f"sequences of one feature X[..., np.newaxis]."
            )
        if reset:
            self._fitted_on_2d = sequences.form == "2d"
        expected = 1 if self._fitted_on_2d else self.n_features_in_
        if sequences.n_features != expected:
            raise ValueError(
                f"X has {sequences.n_features} features, but {type(self).__name__} is expecting "
                f"{expected} features as input"
            )
        return sequences

    def _with_targets(self, sequences: Sequences, y: Any, sample_weight: Any, reset: bool) -> _Data:
        targets = self._encode_targets(y, reset)
        if len(targets) != len(sequences):
            raise ValueError(
                f"Found input variables with inconsistent numbers of samples: "
                f"[{len(sequences)}, {len(targets)}]"
            )
        return _Data(sequences, targets, self._weights(y, sample_weight, sequences))

    def _split(self, data: _Data) -> tuple[_Data, _Data]:
        """Set a part aside for validation."""
        stratify = data.y if is_classifier(self) else None
        train, validation = train_test_split(
            np.arange(len(data.sequences)),
            test_size=self.validation_fraction,
            random_state=check_random_state(self.random_state),
            stratify=stratify,
        )

        def part(rows: npt.NDArray[np.intp]) -> _Data:
            weights = None if data.weights is None else data.weights[rows]
            return _Data(data.sequences.select(rows), data.y[rows], weights)

        return part(np.sort(train)), part(np.sort(validation))

    def _model_layers(self) -> list[Layer[Any]]:
        """Return the layers of a model, its head included."""
        body: list[Layer[Any]]
        if self.layers is not None:
            body = check_layers(self.layers)
        else:
            body = []
            for _ in range(self.num_layers):
                body.append(CELLS[self.cell](self.hidden_size, self.bidirectional))
                if self.dropout > 0:
                    body.append(Dropout(self.dropout))
        if not any(isinstance(layer, LastStep) for layer in body):
            body.append(LastStep())
        return [*body, Dense(self._n_outputs())]

    def _train(self, train: _Data, validation: _Data | None) -> None:
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        initial, running = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
        features = train.sequences.n_features
        self.model_ = Sequential(self._model_layers(), features, self.dtype, initial)
        weights = train.weights
        if weights is not None:
            weights = weights / weights.mean()
        batch_size = min(32, len(train.y)) if self.batch_size == "auto" else self.batch_size
        source = SequenceBatches(
            train.sequences,
            train.y,
            weights=weights,
            batch_size=cast(int, batch_size),
            dtype=self.dtype,
            shuffle=self.shuffle,
        )
        run = epochs(
            self.model_,
            source,
            self._loss(),
            as_optimizer(self.optimizer),
            learning_rate=float(self.learning_rate),
            rng=running,
            clip_norm=self.clip_norm,
            weight_decay=float(self.weight_decay),
        )
        self._follow(run, validation)

    def _follow(self, run: Iterator[Epoch], validation: _Data | None) -> None:
        """Train epoch by epoch, until there is a reason to stop."""
        self.loss_curve_: list[float] = []
        self.validation_loss_curve_: list[float] = []
        model = self.model_
        watch = _Watch(float(self.tol), self.n_iter_no_change)
        good = model.params.copy()
        with tqdm(total=self.max_iter, disable=not self.verbose, unit="epoch") as bar:
            for epoch in islice(run, self.max_iter):
                if not (np.isfinite(epoch.loss) and np.isfinite(model.params).all()):
                    model.params[:] = good
                    warnings.warn(
                        f"The loss is no longer finite in epoch {epoch.number}: training stops "
                        f"with the weights of the epoch before. A smaller learning_rate or "
                        f"clip_norm may help.",
                        RuntimeWarning,
                        stacklevel=4,
                    )
                    break
                good[:] = model.params
                self.loss_curve_.append(epoch.loss)
                watched = epoch.loss
                if validation is not None:
                    self.validation_loss_curve_.append(self._loss_of(validation))
                    if self.early_stopping:
                        watched = self._watched(validation)
                self._show(bar)
                keep = self.early_stopping
                if watch.update(epoch.number, watched, model.params, keep):
                    break
        if watch.best_params is not None:
            model.params[:] = watch.best_params
        self.n_iter_ = len(self.loss_curve_)
        self.best_iter_ = watch.best_iter
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else np.nan

    def _show(self, bar: Any) -> None:
        shown = {"loss": f"{self.loss_curve_[-1]:.4g}"}
        if self.validation_loss_curve_:
            shown["validation loss"] = f"{self.validation_loss_curve_[-1]:.4g}"
        bar.set_postfix(shown, refresh=False)
        bar.update()

    def _watched(self, validation: _Data) -> float:
        """Return what early stopping watches; less is better."""
        if self.scoring is None:
            return self.validation_loss_curve_[-1]
        scorer = self.scoring if callable(self.scoring) else get_scorer(self.scoring)
        score = scorer(self, validation.sequences, self._decode_targets(validation.y))
        return -float(score)

    @abc.abstractmethod
    def _decode_targets(self, y: Array) -> Array:
        """Return encoded targets as the user gave them."""

    def _loss(self) -> Loss:
        return LOSSES[self.loss]

    def _loss_of(self, data: _Data) -> float:
        weights = None if data.weights is None else data.weights / data.weights.mean()
        value, _ = self._loss()(self._outputs(data.sequences), data.y, weights)
        return value

    def _outputs(self, sequences: Sequences) -> Array:
        """Return the model's raw output, (n, n_outputs), a chunk at a time."""
        model = self.model_
        width = sequences.n_features + 2 * model.output_size
        rows = max(1, NUMBERS_OF_A_CHUNK // (sequences.longest() * width))
        if rows >= len(sequences):
            return model.predict(*sequences.take(slice(None), model.dtype))
        chunks = (slice(start, start + rows) for start in range(0, len(sequences), rows))
        return np.concatenate([model.predict(*sequences.take(c, model.dtype)) for c in chunks])

    def _predict_outputs(self, X: Any) -> Array:
        if "model_" not in vars(self):
            check_is_fitted(self, "model_")  # raises; one sequence alone cannot wait for it
        with thread_limit(self.n_threads):
            return self._outputs(self._read_X(X, self.model_.dtype, reset=False))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
