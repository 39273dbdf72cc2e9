"""The base class of the estimators."""

from __future__ import annotations

import abc
import copy
from typing import Any, ClassVar

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from fusedlstm._core import Array
from fusedlstm._core.threads import thread_limit
from fusedlstm._utils.callbacks import CallbackSupportMixin, with_callbacks
from fusedlstm._utils.transaction import rollback_on_error
from fusedlstm.data.frames import step_names_check
from fusedlstm.data.reading import Data, read_weights, relative_weights
from fusedlstm.data.standardization import warn_of_constant_features
from fusedlstm.estimators.fitting.callbacks import FitCallbacks
from fusedlstm.estimators.fitting.checkpoints import CheckpointFile, problem_of
from fusedlstm.estimators.fitting.end_warnings import warn_after_fit, warn_of_divergence
from fusedlstm.estimators.fitting.fit_epochs import fit_epochs
from fusedlstm.estimators.fitting.fit_loop import Curves, FitLoop, FitResult
from fusedlstm.estimators.fitting.monitor import Monitor, check_validation
from fusedlstm.estimators.fitting.state import EarlyStopping, FitState, TrainingState
from fusedlstm.estimators.model_building import (
    check_hidden_layers,
    check_same_model,
    hidden_layers,
    learned_standardization,
    new_model,
    set_output_bias,
)
from fusedlstm.estimators.parameters import Parameters, draw_seed, generators
from fusedlstm.estimators.prediction import SnapshotMixin
from fusedlstm.estimators.snapshot import OutputTransform, standardizer_of
from fusedlstm.estimators.stream import EstimatorStream
from fusedlstm.estimators.tasks import Task
from fusedlstm.files.format import FileName
from fusedlstm.files.saving import Savable
from fusedlstm.layers import Chain, Dense, Layer
from fusedlstm.layers.requirements import require_truncation
from fusedlstm.models.summary import summary
from fusedlstm.optimizers import as_optimizer
from fusedlstm.schedules import ScheduleState


class SequenceEstimator(
    CallbackSupportMixin,  # type: ignore[misc]
    SnapshotMixin,
    Savable,
    Parameters,
    BaseEstimator,  # type: ignore[misc]
    abc.ABC,
):
    """Base class of the estimators.

    `fit` checks parameters, reads X and targets and creates a model. A `FitLoop` trains it.
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
        """Return the task. After a fit, it contains the properties of the targets of the fit."""

    @abc.abstractmethod
    def _with_reduction(self, layers: list[Layer[Any]]) -> list[Layer[Any]]:
        """Return the hidden layers, with a layer that reduces sequences to vectors if needed."""

    def _check_params(self) -> None:
        super()._check_params()
        self._task()

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
        """Train a new model, or with ``warm_start`` the model of the previous fit.

        Parameters
        ----------
        X : array (n_samples, n_timesteps, n_features), or another form
            Sequences. An array or data frame (n_samples, n_timesteps) has one feature. The
            sequences of a list, tuple or object array of arrays (n_timesteps_i, n_features) or
            (n_timesteps_i,) may have unequal lengths. In a 3-D array, steps at the end of a
            sequence that are NaN in every feature are padding. Integers are read as numbers:
            encode tokens and categories as one column per value. For a data frame with one row per
            time step see `fusedlstm.sequences_from_frame`.
        y : array (n_samples,) or (n_samples, n_outputs), or list of arrays
            Targets. For `LSTMClassifier`: class labels, or a matrix of zeros and ones with one
            column per label, if a sequence can have several labels. For `LSTMRegressor`: numbers.
            For `LSTMTagger` and `LSTMStepRegressor`: a list of arrays, one per sequence, with a
            label or numbers for each step, or an array (n_samples, n_timesteps).
        sample_weight : array (n_samples,) or None
            Weights of the sequences in the loss, divided by their mean. With None all are equal.
        X_val, y_val, sample_weight_val : like X, y, sample_weight, or None
            Validation data. Their loss is computed after each epoch. Early stopping monitors them
            instead of a part of X.
        checkpoint : str, path or None
            File for the state of the training at the end of an epoch. Writing takes at most about
            5 % of the time, so that the file is not written after every short epoch. If the process
            is killed, the same call continues from the file and gives the same model, bit for bit.
            The file is kept after the training. The same call then returns the same model without
            training, unless ``max_iter`` has been increased.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError, OSError
            If a parameter or an argument is invalid, or ``checkpoint`` cannot be written or is a
            file of a fit with other data or parameters. The estimator is not changed.

        Warns
        -----
        ConvergenceWarning, RuntimeWarning
            If the training did not converge, or stopped because the loss became infinite or NaN.
        """
        self._check_params()
        new = not (self.warm_start and hasattr(self, "model_"))
        with rollback_on_error(self) as before:
            data = self._read(X, y, sample_weight, reset=new)
            check_validation(X_val, y_val, sample_weight_val)
            validation = None
            if X_val is not None:
                validation = self._read(X_val, y_val, sample_weight_val, "_val", reset=False)
            file = restored = None
            if checkpoint is not None:
                initial = None if new else self.model_.params
                file = CheckpointFile(checkpoint, problem_of(self, data, validation, initial))
                restored = file.read(self.max_iter)
            seed = draw_seed(self.random_state) if restored is None else restored.state.seed
            if validation is None and self.early_stopping:
                data, validation = data.split(
                    self.validation_fraction, self.validation_split, seed, self._task().stratified
                )
            self._prepare(data, new, seed)
            state = self._fit_state(seed)
            if file is not None and restored is not None:
                file.check_size(restored, self.model_.params, state.progress.optimizer)
                state = restored.state
                self.model_.params = restored.params
                self.loss_curve_[:] = restored.loss_curve
                self.validation_loss_curve_[:] = restored.validation_loss_curve
            loop = self._fit_loop(data, state, validation, file)
            if restored is None:
                loop.save_checkpoint(now=True)
            self.__dict__.pop("_progress", None)
            own = set(vars(self))
            context = self._init_callback_context(max_subtasks=self.max_iter)
            callbacks = FitCallbacks(context, self, X, y, sample_weight)
            # A rollback keeps the attributes of the callbacks: scikit-learn removes them.
            before.update({k: v for k, v in vars(self).items() if k not in own})
            callbacks.begin()
            with thread_limit(self.n_threads):
                loop.run(self.max_iter, callbacks)
            callbacks.end({})
        warn_after_fit(loop, self, self._task(), data)
        return self

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> None:
        """Train for one epoch."""
        self._check_params()
        if self.early_stopping:
            raise ValueError("early_stopping must be False for partial_fit; got True")
        new = not hasattr(self, "model_")
        with rollback_on_error(self):
            data = self._read(X, y, sample_weight, reset=new, classes=classes)
            progress = copy.deepcopy(vars(self).get("_progress"))
            seed = draw_seed(self.random_state) if progress is None else 0
            self._prepare(data, new, seed)
            state = self._fit_state(seed, progress)
            loop = self._fit_loop(data, state)
            with thread_limit(self.n_threads):
                loop.train_up_to(1)
            self._progress = state.progress if loop.finite else None
        if new:
            warn_of_constant_features(data.sequences, self.X_scale_)
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
        """Read sequences and targets. With ``reset``, set the attributes that depend on them.

        ``suffix`` is appended to the names of the arguments in error messages.
        """
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        sequences = self._read_X(X, self.dtype, reset, "X" + suffix)
        task = self._task()
        targets = task.read(y, sequences, "y" + suffix)
        if len(targets) != len(sequences):
            raise ValueError(
                f"Found input variables with inconsistent numbers of samples: "
                f"[{len(sequences)}, {len(targets)}]"
            )
        sample_weight = read_weights(sample_weight, len(targets))
        weights = relative_weights(task.training_weights(targets, sample_weight), targets)
        if reset:
            task = task.learn(targets, weights, classes)
            self.__dict__.update(task.attributes())
        encoded = task.encode(targets, "y" + suffix)
        data = Data(sequences, targets, encoded, weights, X, sample_weight, given_y=y)
        if reset:
            task.warn_of_targets(data)
        return data

    def _prepare(self, data: Data, new: bool, seed: int) -> None:
        """Set the model and the loss curves to new ones, or to copies of the fitted ones."""
        task = self._task()
        layers = self._with_reduction(hidden_layers(self))
        if self.tbptt_steps is not None:
            require_truncation(Chain(*layers))
        layers = [*layers, Dense(task.n_outputs)]
        self.__dict__.pop("_snapshot", None)
        if new:
            check_hidden_layers(self, {task.n_outputs, len(getattr(self, "classes_", ()))})
            mean, scale = learned_standardization(self, data)
            self.X_mean_: Array | None = mean
            self.X_scale_: Array | None = scale
            n_features = 1 if self._fitted_on_2d else self.n_features_in_
            self.model_ = new_model(self, layers, n_features, task, generators(seed).initial)
            set_output_bias(self.model_, task, data)
            self.loss_curve_: list[float] = []
            self.validation_loss_curve_: list[float] = []
            self._schedule_state = ScheduleState()
        else:
            check_same_model(self.model_, layers, self)
            # Copies, so that the estimator keeps its model and curves if the training fails.
            self.model_ = copy.deepcopy(self.model_)
            self.loss_curve_ = list(self.loss_curve_)
            self.validation_loss_curve_ = list(self.validation_loss_curve_)

    def _fit_state(self, seed: int, progress: TrainingState | None = None) -> FitState:
        """Return the state to train from, given the state after the previous `partial_fit`."""
        optimizer = as_optimizer(self.optimizer)
        if progress is None or progress.optimizer != optimizer:
            state = optimizer.init(self.model_.params)
            rng = generators(seed).training if progress is None else progress.rng
            progress = TrainingState(optimizer, state, rng, copy.copy(self._schedule_state))
        return FitState(seed, progress, EarlyStopping(float(self.tol), self.n_iter_no_change))

    def _fit_loop(
        self,
        data: Data,
        state: FitState,
        validation: Data | None = None,
        file: CheckpointFile | None = None,
    ) -> FitLoop:
        """Return the loop that trains the model."""
        task, snapshot = self._task(), self._current_snapshot()
        return FitLoop(
            self.model_,
            fit_epochs(self, self.model_, task, data, snapshot.standardizer, state.progress),
            state,
            Curves(self.loss_curve_, self.validation_loss_curve_),
            self._install,
            validation=None if validation is None else Monitor(self, snapshot, task, validation),
            early_stopping=self.early_stopping,
            verbose=self.verbose,
            file=file,
        )

    def _install(self, result: FitResult) -> None:
        """Set the fitted attributes in one step."""
        self.__dict__.update({**result.attributes(), "_schedule_state": result.schedule})
        self._take_snapshot()  # if Ctrl-C prevents it, predictions use the model itself

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_snapshot"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "model_" in vars(self):
            self._take_snapshot()

    def stream(self, n_sequences: int | None = None) -> EstimatorStream:
        """Return a stream that predicts one step at a time.

        Parameters
        ----------
        n_sequences : int or None, default None
            Number of sequences that each step advances. With None there is one sequence, and the
            arrays of ``step`` have no axis for sequences.

        Returns
        -------
        EstimatorStream
            ``step(x_t)`` takes the features of one step, (n_features,), and returns the result of
            ``predict_proba`` (classifiers) or ``predict`` (regressors) for the sequence so far.
            ``reset()`` starts a new sequence. If the estimator has ``feature_names_in_``, the names
            in a pandas Series or data frame are compared with them.

        Raises
        ------
        ValueError
            If a layer reads sequences from their last step.
        """
        return self._new_stream(n_sequences)

    def _new_stream(
        self, n_sequences: int | None, transform: OutputTransform | None = None
    ) -> EstimatorStream:
        """Return a stream with the transform of the snapshot, or with another transform."""
        check_is_fitted(self, "model_")
        snapshot = self._current_snapshot()
        names = None if self._fitted_on_2d else getattr(self, "feature_names_in_", None)
        return EstimatorStream(
            snapshot.predictor.stream(n_sequences),
            transform or snapshot.transform,
            snapshot.standardizer,
            step_names_check(names),
        )

    def summary(self) -> str:
        """Return a table of the model's layers with their output shapes, parameters and bytes.

        Returns
        -------
        str
            The table of `Sequential.summary`, with a line for the standardization of X.

        Raises
        ------
        sklearn.exceptions.NotFittedError
        """
        check_is_fitted(self, "model_")
        return summary(self.model_, standardizes=standardizer_of(self) is not None)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
