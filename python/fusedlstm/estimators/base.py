"""The base class of the estimators.

`fit` reads and checks everything first and makes a model. `FitLoop` then goes through the epochs:
progress, callbacks, validation, early stopping and checkpoints are its subject.
"""

from __future__ import annotations

import abc
import copy
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import get_scorer
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fusedlstm._core import Array
from fusedlstm._core.threads import thread_limit
from fusedlstm._utils import validation as check
from fusedlstm._utils.callbacks import CallbackSupportMixin, with_callbacks
from fusedlstm._utils.transaction import rollback_on_error
from fusedlstm.data.frames import step_names_check
from fusedlstm.data.reading import Data, read_weights, read_X, relative_weights
from fusedlstm.data.sequences import Sequences
from fusedlstm.data.standardization import (
    StandardizedSequences,
    Standardizer,
    mean_and_scale,
    warn_of_constant_features,
)
from fusedlstm.estimators.fitting.checkpoints import CheckpointFile, problem_of
from fusedlstm.estimators.fitting.end_warnings import (
    warn_if_constant,
    warn_of_divergence,
    warn_of_the_end,
)
from fusedlstm.estimators.fitting.fit_loop import Curves, FitLoop, FitResult
from fusedlstm.estimators.fitting.monitor import Monitor
from fusedlstm.estimators.hidden_layers import check_hidden_layers
from fusedlstm.estimators.parameters import CELLS, Parameters
from fusedlstm.estimators.stream import EstimatorStream
from fusedlstm.estimators.tasks import Decoder, Task
from fusedlstm.files.format import FileName
from fusedlstm.files.saving import Savable
from fusedlstm.layers import Chain, Dense, Dropout, Layer
from fusedlstm.layers.requirements import require_deterministic, require_truncation
from fusedlstm.losses import ClassificationLoss, RegressionLoss
from fusedlstm.models.predictor import PackedInference
from fusedlstm.models.sequential import Sequential
from fusedlstm.models.summary import summary
from fusedlstm.optimizers import LBFGS, as_optimizer
from fusedlstm.schedules import ScheduleState, as_schedule
from fusedlstm.training import Epoch, SequenceBatches, epochs, full_batch
from fusedlstm.training.fit_state import FitState, Progress, Watch

NUMBERS_OF_A_CHUNK = 2**21
"""Inputs and hidden units that `predict` has in hand at a time."""


SMALLEST_BATCH, LARGEST_BATCH = 4, 32
"""Bounds of ``batch_size="auto"``."""

UPDATES_PER_EPOCH = 10
"""Number of updates per epoch that ``batch_size="auto"`` aims at."""


class Frozen(NamedTuple):
    """A snapshot for predictions. It is not copied or pickled but made again."""

    params_version: object  # of the model, when the snapshot was taken
    predictor: PackedInference
    decode: Decoder
    standardizer: Standardizer | None


def auto_batch_size(n_sequences: int) -> int:
    """Return the batch size that gives small data sets enough updates per epoch."""
    return min(max(n_sequences // UPDATES_PER_EPOCH, SMALLEST_BATCH), LARGEST_BATCH)


def attributes_of(result: FitResult) -> dict[str, Any]:
    """Return the attributes of an estimator after a training."""
    loss = result.curves.loss
    return {
        "model_": result.model,
        "n_iter_": len(loss),
        "best_iter_": result.best_iter,
        "loss_": loss[-1] if loss else np.nan,
        "loss_curve_": loss,
        "validation_loss_curve_": result.curves.validation_loss,
    }


def takes_batches(estimator: Any) -> bool:
    """Return True if the optimizer takes batches, which `partial_fit` needs."""
    if estimator.optimizer == "lbfgs" or isinstance(estimator.optimizer, LBFGS):
        needed = "one that takes batches for partial_fit"
        raise AttributeError(check.needs("optimizer", needed, estimator.optimizer))
    return True


class SequenceEstimator(
    CallbackSupportMixin,  # type: ignore[misc]
    Savable,
    Parameters,
    BaseEstimator,  # type: ignore[misc]
    abc.ABC,
):
    """Base class of the estimators.

    An estimator reads X (`fusedlstm.data.reading`), has a task for its targets
    (`fusedlstm.estimators.tasks`), and trains its model in a `FitLoop`.
    """

    _saved_attributes: ClassVar[tuple[str, ...]] = (
        "n_features_in_",
        "feature_names_in_",
        "_fitted_on_2d",
        "X_mean_",
        "X_scale_",
        "model_",
        "n_iter_",
        "best_iter_",
        "loss_",
        "loss_curve_",
        "validation_loss_curve_",
        "_progress",
        "_schedule_state",
    )

    @abc.abstractmethod
    def _task(self) -> Task:
        """Return the task; after a fit, with what it has learned of the targets."""

    def _loss(self) -> RegressionLoss | ClassificationLoss:
        return self._task().loss  # type: ignore[no-any-return]

    def _n_outputs(self) -> int:
        return self._task().n_outputs

    @with_callbacks  # type: ignore[untyped-decorator]
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        checkpoint: FileName | None = None,
    ) -> SequenceEstimator:
        """Train a new model, or with ``warm_start`` the one that is there.

        Parameters
        ----------
        X : array (n_samples, n_timesteps, n_features), or another form
            An array or data frame (n_samples, n_timesteps) holds one feature. A list, tuple or
            object array of arrays (n_timesteps_i, n_features) or (n_timesteps_i,) may have unequal
            lengths. In a 3-D array, steps at the end of a sequence that are NaN in every feature
            are padding. Integers are read as numbers: encode tokens and categories as one column
            per value. For a data frame with one row per time step see
            `fusedlstm.sequences_from_frame`.
        y : array (n_samples,) or (n_samples, n_outputs), or list of arrays
            Targets. For `LSTMClassifier`: class labels, or a matrix of zeros and ones with one
            column per label, if a sequence can have several labels. For `LSTMRegressor`: numbers.
            For `LSTMTagger` and `LSTMStepRegressor`: a list with an array per sequence that has a
            label, or numbers, for each step; or an array (n_samples, n_timesteps).
        sample_weight : array (n_samples,) or None
            Weights of the sequences, relative to their mean.
        X_val, y_val, sample_weight_val : like X, y, sample_weight, or None
            Validation data. Their loss is computed after each epoch. With ``early_stopping`` they
            are used instead of a part of X.
        checkpoint : str, path or None
            File to which the state of the training is saved after an epoch, so often that saving
            takes at most about 5 % of the time. If the process is killed, the same call continues
            from the file and ends with the same model, bit for bit. The file is kept: after the end
            of the training the same call returns the same model without training, unless
            ``max_iter`` has been increased. A file of a fit with other data or parameters raises an
            error.

        Returns
        -------
        self
        """
        self._check_params()
        new = not (self.warm_start and hasattr(self, "model_"))
        with rollback_on_error(self) as before:
            train = self._read(X, y, sample_weight, reset=new)
            validation = self._read_validation(X_val, y_val, sample_weight_val)
            file = self._checkpoint_file(checkpoint, train, validation, new)
            begun = None if file is None else file.read(self.max_iter)
            seed = self._draw_seed() if begun is None else begun.state.seed
            if validation is None and self.early_stopping:
                train, validation = train.split(
                    self.validation_fraction, self.validation_split, seed, self._task().stratified
                )
            progress = self._prepare(train, new, seed)
            if begun is None or file is None:
                state = self._fit_state(seed, progress)
            else:
                file.check_size(begun, self.model_.params, progress.optimizer)
                state = begun.state
                self.model_.params = begun.params
                self.loss_curve_[:] = begun.loss_curve
                self.validation_loss_curve_[:] = begun.validation_loss_curve
            run = self._epochs(train, state.progress)
            loop = self._fit_loop(run, state, validation, file)
            if begun is None:
                loop.keep(now=True)
            self.__dict__.pop("_progress", None)
            metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
            told = {"estimator": self, "X": X, "y": y, "metadata": metadata}
            own = set(vars(self))  # what the callbacks add is scikit-learn's to take away
            task = self._init_callback_context(max_subtasks=self.max_iter)
            before.update({k: v for k, v in vars(self).items() if k not in own})
            task.call_on_fit_task_begin(**told)
            with thread_limit(self.n_threads):
                loop.run(self.max_iter, task, told)
            task.call_on_fit_task_end(**told, reconstruction_attributes={})
        watched = "loss" if self.scoring is None else "score"
        warn_of_the_end(loop, self.n_iter_, self.max_iter, watched)
        if loop.finite and not loop.interrupted and self.loss_curve_:
            best = self.best_iter_ if self.early_stopping else self.n_iter_
            final = self.loss_curve_[best - 1]
            warn_if_constant(final, self._task(), train)
        return self

    def _fit_loop(
        self,
        run: Iterator[Epoch],
        state: FitState,
        validation: Data | None = None,
        file: CheckpointFile | None = None,
    ) -> FitLoop:
        return FitLoop(
            self.model_,
            run,
            state,
            Curves(self.loss_curve_, self.validation_loss_curve_),
            self._install,
            attributes_of,
            validation=None if validation is None else Monitor(self, validation),
            early_stopping=self.early_stopping,
            verbose=self.verbose,
            file=file,
        )

    def _install(self, result: FitResult) -> None:
        """Set the fitted attributes, all at once."""
        self.__dict__.update({**attributes_of(result), "_schedule_state": result.schedule})
        self._freeze()  # predictions do not need it

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> None:
        """Train for one epoch."""
        self._check_params()
        if self.early_stopping:
            raise ValueError("early_stopping must be False for partial_fit; got True")
        new = not hasattr(self, "model_")
        with rollback_on_error(self):
            train = self._read(X, y, sample_weight, reset=new, classes=classes)
            progress = copy.deepcopy(vars(self).get("_progress"))
            seed = self._draw_seed() if progress is None else 0
            progress = self._prepare(train, new, seed, progress)
            run = self._epochs(train, progress)
            loop = self._fit_loop(run, self._fit_state(seed, progress))
            with thread_limit(self.n_threads):
                loop.up_to(1)
            self._progress = progress if loop.finite else None
        if new:
            warn_of_constant_features(train.sequences, self.X_scale_)
        if not loop.finite:
            warn_of_divergence(self.n_iter_)

    def _read(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        suffix: str = "",
        *,
        reset: bool,
        classes: Any = None,
    ) -> Data:
        """Read sequences and their targets; ``reset``: learn of them what there is to learn."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        sequences = read_X(self, X, self.dtype, reset, "X" + suffix)
        task = self._task()
        targets = task.read(y, sequences, "y" + suffix)
        if len(targets) != len(sequences):
            raise ValueError(
                f"Found input variables with inconsistent numbers of samples: "
                f"[{len(sequences)}, {len(targets)}]"
            )
        given = read_weights(sample_weight, len(targets))
        weights = relative_weights(task.training_weights(targets, given), targets)
        if reset:
            task = task.learn(targets, weights, classes)
            self.__dict__.update(task.attributes())
        encoded = task.encode(targets, "y" + suffix)
        return Data(sequences, targets, encoded, weights, X, given, given_y=y)

    def _read_validation(self, X: Any, y: Any, sample_weight: Any) -> Data | None:
        """Read the data to watch, if there are any."""
        if X is None:
            if y is not None or sample_weight is not None:
                raise ValueError("X_val must be given with y_val and sample_weight_val; got None")
            return None
        if y is None:
            raise ValueError("y_val must be given with X_val; got None")
        return self._read(X, y, sample_weight, "_val", reset=False)

    def _adjust_initial(self, model: Sequential) -> None:
        """Change the initial parameters of a new model."""

    def _model_layers(self) -> list[Layer[Any]]:
        """Return the layers of a model, its head included."""
        body: list[Layer[Any]]
        if self.layers is not None:
            body = list(self.layers)
        else:
            body = []
            for _ in range(self.num_layers):
                body.append(
                    CELLS[self.cell](
                        self.hidden_size,
                        self.bidirectional,
                        recurrent_dropout=self.recurrent_dropout,
                    )
                )
                if self.dropout > 0:
                    body.append(Dropout(self.dropout))
        body = self._with_reduction(body)
        if self.tbptt_steps is not None:
            require_truncation(Chain(*body))
        return [*body, Dense(self._n_outputs())]

    @abc.abstractmethod
    def _with_reduction(self, body: list[Layer[Any]]) -> list[Layer[Any]]:
        """Return the layers before the output layer, with one that reduces if it is wanted."""

    def _evaluate_loss(self, data: Data) -> float:
        """Return the loss of the model on data."""
        weights = cast("Array | None", data.weights)
        value, _ = self._loss()(self._outputs(data.sequences), data.y, weights)
        return float(value)

    def _scorer(self, name: str) -> Any:
        """Return the scorer of scikit-learn of this name."""
        return get_scorer(name)

    def _draw_seed(self) -> int:
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _checkpoint_file(
        self, path: FileName | None, train: Data, validation: Data | None, new: bool
    ) -> CheckpointFile | None:
        if path is None:
            return None
        data = {"": train} if validation is None else {"": train, "_val": validation}
        return CheckpointFile(path, problem_of(self, data, None if new else self.model_.params))

    def _prepare(
        self, train: Data, new: bool, seed: int, progress: Progress | None = None
    ) -> Progress:
        """Make a new model, or see whether the one that is there can go on; return from where."""
        layers, optimizer = self._model_layers(), as_optimizer(self.optimizer)
        self.__dict__.pop("_frozen", None)
        if progress is None:
            children = np.random.SeedSequence(seed).spawn(2)
            initial, rng = (np.random.default_rng(child) for child in children)
        else:
            rng = progress.rng
        if new:
            n_classes = len(getattr(self, "classes_", ()))
            check_hidden_layers(self, {self._n_outputs(), n_classes})
            self._learn_standardization(train)
            self.model_ = Sequential(layers, train.sequences.n_features, self.dtype, initial)
            self._adjust_initial(self.model_)
            start = self._task().start(train)
            if start is not None:
                self.model_.named_params()[f"{len(layers) - 1}.bias"][:] = start
            self.loss_curve_: list[float] = []
            self.validation_loss_curve_: list[float] = []
        elif self.model_.layers != tuple(layers) or self.model_.dtype != self.dtype:
            raise ValueError(
                f"The layers and dtype must be those of the fitted model, for it to go on; got "
                f"{layers} in {self.dtype} for {list(self.model_.layers)} in {self.model_.dtype}"
            )
        else:  # copies: what there is stays if the training fails
            self.model_ = copy.deepcopy(self.model_)
            self.loss_curve_ = list(self.loss_curve_)
            self.validation_loss_curve_ = list(self.validation_loss_curve_)
        if isinstance(optimizer, LBFGS):
            self._check_full_batch(train, layers)
        if progress is not None and progress.optimizer == optimizer:
            return progress
        if new:
            self._schedule_state = ScheduleState()
        return Progress(
            optimizer, optimizer.init(self.model_.params), rng, copy.copy(self._schedule_state)
        )

    def _fit_state(self, seed: int, progress: Progress) -> FitState:
        return FitState(seed, progress, Watch(float(self.tol), self.n_iter_no_change))

    def _check_full_batch(self, train: Data, layers: list[Layer[Any]]) -> None:
        """Refuse what a loss of all data at once, which has to stay the same, cannot have."""
        require_deterministic(Chain(*layers))
        if self.batch_size != "auto" and cast(int, self.batch_size) < len(train.y):
            needed = f"'auto' or at least {len(train.y)}, all sequences, for L-BFGS"
            raise ValueError(check.needs("batch_size", needed, self.batch_size))

    def _epochs(self, train: Data, progress: Progress) -> Iterator[Epoch]:
        optimizer = progress.optimizer
        batch_size = self.batch_size
        if batch_size == "auto":  # L-BFGS adds its batches up
            n = len(train.y)
            batch_size = min(256, n) if isinstance(optimizer, LBFGS) else auto_batch_size(n)
        standardizer, sequences = self._standardizer(), train.sequences
        if standardizer is not None:
            sequences = StandardizedSequences(sequences, standardizer)
        source = SequenceBatches(
            sequences,
            train.y,
            weights=train.weights,
            batch_size=cast(int, batch_size),
            dtype=self.dtype,
            shuffle=self.shuffle,
        )
        decay = self._decay_for(train.n_targets())
        if isinstance(optimizer, LBFGS):
            return full_batch.epochs(
                self.model_,
                source,
                self._task().training_loss,
                optimizer,
                weight_decay=decay,
                state=progress.state,
                tbptt_steps=self.tbptt_steps,
            )
        schedule = as_schedule(self.schedule)
        return epochs(
            self.model_,
            source,
            self._task().training_loss,
            optimizer,
            learning_rate=float(self.learning_rate),
            schedule=None if schedule is None else schedule.for_epochs(self.max_iter),
            rng=progress.rng,
            clip_norm=self.clip_norm,
            weight_decay=decay,
            state=progress.state,
            tbptt_steps=self.tbptt_steps,
            schedule_state=progress.schedule,
        )

    def _decay_for(self, n_targets: int) -> float:
        """Return the weight decay, given the number of sequences or steps with targets."""
        return float(self.weight_decay)

    def _freeze(self) -> Frozen:
        """Take the snapshot that predictions come from until the next training."""
        model = self.model_
        predictor = PackedInference(model.layer, model.params, model.input_size)
        self._frozen = Frozen(
            model.params_version, predictor, self._task().decoder(), self._standardizer()
        )
        return self._frozen

    def _predicting(self) -> tuple[Sequential | PackedInference, Decoder, Standardizer | None]:
        """Return the model for predictions, its decoder and the standardizer of X."""
        frozen = vars(self).get("_frozen")
        if frozen is None:  # in training
            return self.model_, self._task().decoder(), self._standardizer()
        if frozen.params_version is not self.model_.params_version:  # new parameters or model
            frozen = self._freeze()
        return frozen.predictor, frozen.decode, frozen.standardizer

    def _learn_standardization(self, train: Data) -> None:
        """Set mean and scale of the features of X, or None if X is not standardized."""
        self.X_mean_: Array | None = None
        self.X_scale_: Array | None = None
        if self.standardize:
            weights = train.weights
            if isinstance(weights, Sequences):  # of steps
                weights = train.sample_weight
            self.X_mean_, self.X_scale_ = mean_and_scale(train.sequences, weights)

    def _standardizer(self) -> Standardizer | None:
        """Return the standardizer of X; None if X is not standardized."""
        mean, scale = vars(self).get("X_mean_"), vars(self).get("X_scale_")
        if mean is None or scale is None:
            return None
        return Standardizer(mean, scale, self.model_.dtype)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_frozen"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "model_" in vars(self):
            self._freeze()

    def stream(self, n_sequences: int | None = None) -> EstimatorStream:
        """Predict for running sequences, one step at a time.

        All streams of a fitted estimator share its packed weights.

        Parameters
        ----------
        n_sequences : int or None, default None
            Number of sequences that run side by side. None: one, and arrays have no axis for it.

        Returns
        -------
        EstimatorStream
            ``step(x_t)`` takes the features of a step, (n_features,), and returns what
            ``predict_proba`` (classifier) or ``predict`` (regressor) gives for the sequence so far;
            ``reset()`` begins anew. If the estimator has ``feature_names_in_``, the names of a
            pandas Series or data frame are compared with them.

        Raises
        ------
        ValueError
            A layer reads sequences from their last step, or its state is incomplete.
        """
        return self._new_stream(n_sequences)

    def _new_stream(
        self, n_sequences: int | None, decode: Callable[[Array], Any] | None = None
    ) -> EstimatorStream:
        """Return a stream with the decoder of predictions, or with another function of outputs."""
        check_is_fitted(self, "model_")
        model, usual, standardizer = self._predicting()
        names = None if self._fitted_on_2d else getattr(self, "feature_names_in_", None)
        return EstimatorStream(
            model.stream(n_sequences), decode or usual, standardizer, step_names_check(names)
        )

    def summary(self) -> str:
        """Return the model's layers with the shapes of their outputs, their parameters and bytes.

        Returns
        -------
        str
            As from `Sequential.summary`, with a line for the standardization of X.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        check_is_fitted(self, "model_")
        return summary(self.model_, standardizes=self._standardizer() is not None)

    def _outputs(self, sequences: Sequences) -> Array:
        """Return the model's raw output, (n, n_outputs), a chunk at a time."""
        model = self.model_
        predictor, _, standardizer = self._predicting()
        predict = predictor.predict
        if self._rows_at_a_time(sequences) >= len(sequences):
            if standardizer is None:
                return predict(*sequences.take(slice(None), model.dtype))
            x, lengths = sequences.take(slice(None), None)
            return predict(standardizer(x), lengths)
        if standardizer is not None:
            sequences = StandardizedSequences(sequences, standardizer)
        parts = self._parts(sequences)
        return np.concatenate([predict(*sequences.take(part, model.dtype)) for part in parts])

    def _rows_at_a_time(self, sequences: Sequences) -> int:
        """Return the number of sequences that are predicted at a time."""
        width = sequences.n_features + 2 * self.model_.output_size
        return max(1, NUMBERS_OF_A_CHUNK // (sequences.longest() * width))

    def _parts(self, sequences: Sequences) -> list[slice]:
        """Return slices of sequences that are predicted at a time."""
        rows = self._rows_at_a_time(sequences)
        return [slice(start, start + rows) for start in range(0, len(sequences), rows)]

    def _outputs_for(self, X: Any) -> Array:
        """Return the model's raw output, in its dtype."""
        if "model_" not in vars(self):
            check_is_fitted(self, "model_")  # raises; one sequence alone cannot wait for it
        with thread_limit(self.n_threads):
            return self._outputs(read_X(self, X, self.model_.dtype, reset=False))

    def _decode(self, outputs: Array) -> Array:
        """Return probabilities or values, as `stream` does from step to step."""
        decoded: Array = self._predicting()[1](outputs)
        return decoded

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
