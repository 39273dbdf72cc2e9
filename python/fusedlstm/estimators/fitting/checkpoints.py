"""Checkpoint files, from which a fit continues after the process was killed.

A checkpoint belongs to a problem, which consists of the parameters of an estimator and its data. A
checkpoint contains the whole state of the training at the end of an epoch, including the random
generator. Therefore the continued fit gives the same model, bit for bit.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_random_state

from fusedlstm._core import Array
from fusedlstm._utils import validation as check
from fusedlstm._utils.chunks import row_chunks, rows_per_chunk
from fusedlstm._utils.user_warnings import warn
from fusedlstm.data.reading import Data
from fusedlstm.data.sequences import Sequences
from fusedlstm.estimators.fitting.state import FitState
from fusedlstm.files import format as _files
from fusedlstm.files.digests import UndescribableError, describe
from fusedlstm.files.encoding import (
    Decoder,
    check_type,
    encode,
    encode_parameter,
    fields_of,
    is_code,
    of_object,
)
from fusedlstm.files.replacement import check_writable, remove_unfinished
from fusedlstm.optimizers import AnyOptimizer, Optimizer
from fusedlstm.schedules import as_schedule

NEEDED = "checkpoint must be the name of a new file or of a file that this fit wrote"
"""Beginning of the errors about a file."""

MAX_SHARE_OF_TIME = 1 / 20
"""Largest share of the time of a fit for writing."""

MAX_SEED = 2**32 - 1

MAX_COUNT = 2**63 - 1
"""Largest integer of the compiled core."""

WITHOUT_EFFECT = ("max_iter", "n_threads", "verbose")
"""Parameters with no effect on the result of an epoch."""

Problem: TypeAlias = dict[str, Any]


@dataclass
class Checkpoint:
    """Content of a checkpoint file.

    Attributes
    ----------
    state : FitState
    params : array (n_params,)
    loss_curve, validation_loss_curve : list of float
    """

    state: FitState
    params: Array
    loss_curve: list[float]
    validation_loss_curve: list[float]


def problem_of(
    estimator: Any, data: Data, validation: Data | None, initial: Array | None
) -> Problem:
    """Return a description of the parameters and data of a fit, which identifies the fit.

    Parameters
    ----------
    estimator : estimator
    data : Data
    validation : Data or None
    initial : array (n_params,) or None
        Weights of the fitted model if the fit continues its training.

    Raises
    ------
    TypeError
        If a parameter is an object without a state that can be compared.
    """
    arrays: dict[str, Array] = {} if initial is None else {"initial weights": initial}
    parameters = {
        name: _described(value, name, arrays)
        for name, value in estimator.get_params(deep=False).items()
        if name not in WITHOUT_EFFECT
    }
    schedule = as_schedule(estimator.schedule)
    if schedule is not None:  # the default length of a schedule is max_iter
        parameters["schedule"] = _described(
            schedule.for_epochs(estimator.max_iter), "schedule", arrays
        )
    return {
        "estimator": type(estimator).__name__,
        **parameters,
        **_digests(data, ""),
        **({} if validation is None else _digests(validation, "_val")),
        **{name: _digest(array) for name, array in arrays.items()},
    }


FIELDS: dict[str, Any] = {
    "state": FitState,
    "params": npt.NDArray[Any],
    "loss_curve": list[float],
    "validation_loss_curve": list[float],
}
"""Types of the fields of a `Checkpoint`."""


class CheckpointFile:
    """A checkpoint file, which is written at the end of epochs.

    Writing takes at most `MAX_SHARE_OF_TIME` of the time of the fit. If it takes longer, the file
    is not written after every epoch.

    Parameters
    ----------
    path : str or path
    problem : dict
        Result of `problem_of`.
    """

    def __init__(self, path: _files.FileName, problem: Problem) -> None:
        self.path = _files.checked(path, "checkpoint")
        self.problem = problem
        self._next_time = 0.0
        self._was_written = False  # or was found to be writable
        self._is_failing = False

    def read(self, max_iter: int) -> Checkpoint | None:
        """Return the content of the file, or None if there is no file.

        Raises
        ------
        OSError
            If the file cannot be read, or if epochs are left and the file cannot be written.
        ValueError
            If the file belongs to another fit, is damaged or is not a checkpoint, or if it has
            more than ``max_iter`` epochs.
        """
        remove_unfinished(self.path)
        try:
            header, arrays = _files.read(self.path, NEEDED)
        except FileNotFoundError:
            return None
        if header.get("class") != Checkpoint.__name__:
            raise _files.refused(self.path, "which is not a checkpoint", NEEDED)
        try:
            checkpoint = self._decode(header, arrays)
        except _OtherFitError as error:
            raise _files.refused(self.path, str(error), NEEDED) from None
        except MemoryError:
            raise
        except Exception as error:  # a file from an unknown source may cause any error
            raise _unknown(self.path, error) from error
        finished = checkpoint.state.epochs
        if finished > max_iter:
            needed = f"at least {finished}, the epochs of the checkpoint {str(self.path)!r}"
            raise ValueError(check.needs("max_iter", needed, max_iter))
        if finished < max_iter and not checkpoint.state.stopped:
            check_writable(self.path)
            self._was_written = True
        return checkpoint

    def _decode(self, header: dict[str, Any], arrays: dict[str, Array]) -> Checkpoint:
        problem = of_object(header.get("problem"))
        names = sorted({*self.problem, *problem})
        other = [name for name in names if self.problem.get(name) != problem.get(name)]
        if other:
            raise _OtherFitError(
                f"which is of a fit with another {', '.join(other)}. Remove it to start a new fit"
            )
        content = fields_of("content", header.get("content"), *FIELDS)
        decoder = Decoder(arrays)
        fields = {name: decoder.decode(value) for name, value in content.items()}
        for name, value in fields.items():
            check_type(name, value, FIELDS[name])
        checkpoint = Checkpoint(**fields)
        _check_content(checkpoint)
        return checkpoint

    def check_size(self, checkpoint: Checkpoint, params: Array, optimizer: AnyOptimizer) -> None:
        """Raise a ValueError if the number of parameters or the optimizer differs."""
        try:
            if checkpoint.params.shape != params.shape or checkpoint.params.dtype != params.dtype:
                needed = f"{params.size} numbers of {params.dtype}"
                raise ValueError(check.needs("params", needed, checkpoint.params))
            if checkpoint.state.progress.optimizer != optimizer:
                own = checkpoint.state.progress.optimizer
                raise ValueError(check.needs("optimizer", repr(optimizer), own))
        except ValueError as error:
            raise _unknown(self.path, error) from error

    def write(self, checkpoint: Checkpoint, now: bool) -> None:
        """Write the file if ``now`` is True or if enough time has passed since it was written.

        If writing fails and an earlier call was successful, there is a warning and the next call
        tries again. With an error the fit would lose the epochs after the earlier call.
        """
        start = time.monotonic()
        if not now and start < self._next_time:
            return
        arrays: dict[str, Array] = {}
        content = {name: encode(getattr(checkpoint, name), name, arrays) for name in FIELDS}
        header = {"class": Checkpoint.__name__, "problem": self.problem, "content": content}
        try:
            _files.write(self.path, header, arrays, "checkpoint")
        except (OSError, ValueError, MemoryError) as error:  # ValueError: a pipe or a device
            if not self._was_written:
                raise
            if now or not self._is_failing:  # one warning at the first failure, one at the end
                reason = str(error) or "out of memory"
                warn(
                    f"The checkpoint {str(self.path)!r} was not written after epoch "
                    f"{checkpoint.state.epochs}: {reason}. Training continues. The file contains "
                    f"the state after an earlier epoch.",
                    RuntimeWarning,
                )
            self._is_failing = True
        else:
            self._was_written, self._is_failing = True, False
        end = time.monotonic()
        self._next_time = end + (end - start) / MAX_SHARE_OF_TIME


class _OtherFitError(Exception):
    """Raised for a file of another fit."""


def _unknown(path: _files.FileName, error: Exception) -> ValueError:
    what = f"whose content this version of fusedlstm cannot read ({error})"
    return _files.refused(path, what, NEEDED)


def _check_content(checkpoint: Checkpoint) -> None:
    """Raise a ValueError for numbers and sizes with which the training would fail."""
    params, state = checkpoint.params, checkpoint.state
    if params.dtype.name not in check.DTYPES or params.ndim != 1:
        raise ValueError(check.needs("params", "a flat array of floats", params))
    if not 0 <= state.seed <= MAX_SEED:
        raise ValueError(check.needs("seed", f"an integer in [0, {MAX_SEED}]", state.seed))
    best, progress = state.watch.best_params, state.progress
    if best is not None and (best.shape != params.shape or best.dtype != params.dtype):
        raise ValueError(check.needs("best_params", f"an array like {check.shown(params)}", best))
    n_losses = len(checkpoint.loss_curve)
    counts = {
        "epochs": (state.epochs, n_losses),
        "best_iter": (state.watch.best_iter, n_losses),
        "length of validation_loss_curve": (len(checkpoint.validation_loss_curve), n_losses),
        "t": (progress.state.t, MAX_COUNT),
        "epoch": (progress.schedule.epoch, MAX_COUNT),
    }
    for name, (count, largest) in counts.items():
        if not 0 <= count <= largest:
            raise ValueError(check.needs(name, f"an integer in [0, {largest}]", count))
    if isinstance(progress.optimizer, Optimizer):
        progress.optimizer.check_state(progress.state, params)
        return
    averages = progress.state.averages
    steps, changes = averages.get("steps"), averages.get("changes")
    for name, array in {"steps": steps, "changes": changes}.items():
        # `steps` and `changes` have the same shape (n, n_params).
        if (
            array is None
            or array.dtype != np.float64
            or array.shape[1:] != params.shape
            or (steps is not None and array.shape != steps.shape)
        ):
            raise ValueError(check.needs(name, f"float64 numbers (n, {params.size})", array))


def _described(value: Any, name: str, arrays: dict[str, Array]) -> Any:
    if name == "random_state" and not (value is None or isinstance(value, (int, np.integer))):
        _, key, *rest = check_random_state(value).get_state()
        arrays["state of random_state"] = np.array([*key.astype(np.float64), *rest])
        return None
    if not is_code(value):
        try:
            return encode_parameter(value, name, arrays)
        except TypeError:
            if name == "optimizer":  # a file cannot hold the state of such an optimizer
                raise
    try:
        return {"digest": describe(value)}
    except UndescribableError as error:
        needed = "an object that a checkpoint can compare with another object"
        hint = f"Its state cannot be compared ({error})."
        raise TypeError(check.needs(name, needed, value, hint)) from error


def _digests(data: Data, suffix: str) -> dict[str, str]:
    """Return digests of X, y and the weights, by the names of the arguments of `fit`."""
    digests = {"X" + suffix: _digest_of_sequences(data.sequences)}
    for name, values in (("y", data.y), ("sample_weight", data.weights)):
        if isinstance(values, Sequences):
            digests[name + suffix] = _digest_of_sequences(values)
        elif values is not None:
            digests[name + suffix] = _digest(values)
    return digests


def _digest(array: Array) -> str:
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    for chunk in row_chunks(array):
        digest.update(np.ascontiguousarray(chunk).data)
    return digest.hexdigest()


def _digest_of_sequences(sequences: Sequences) -> str:
    """Return a digest of the real steps. It does not depend on the form of the sequences."""
    dtype = sequences.numbers().dtype.newbyteorder("=")
    shape = len(sequences), sequences.n_features
    digest = hashlib.sha256(f"{dtype.name} {shape}".encode())
    digest.update(np.ascontiguousarray(sequences.lengths(), "<i8").data)
    rows = rows_per_chunk(sequences.longest() * sequences.n_features)
    for start in range(0, len(sequences), rows):
        x, lengths = sequences.take(slice(start, start + rows), dtype)
        if lengths is not None:
            x = x[np.arange(x.shape[1]) < lengths[:, np.newaxis]]
        digest.update(np.ascontiguousarray(x).data)
    return digest.hexdigest()
