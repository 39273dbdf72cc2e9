"""Checkpoints: where a fit stands, in a file, so that one that was killed goes on to the same bits.

A checkpoint belongs to a problem: the parameters of the estimator and its data. It holds all that
training reads from one epoch to the next, the generator of random numbers included.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np
from sklearn.utils import check_random_state

from fusedlstm import _files
from fusedlstm import _validation as check
from fusedlstm._core import Array
from fusedlstm._fit_state import FitState
from fusedlstm._reading import Data
from fusedlstm._saving import decode, encode, encode_parameter, is_code
from fusedlstm._sequences import pieces
from fusedlstm.schedules import as_schedule

NEEDED = "checkpoint must name a new file or one that this fit wrote"

SHARE_OF_TIME = 1 / 20
"""What writing may take of a fit's time."""

WITHOUT_EFFECT = ("max_iter", "n_threads", "verbose")
"""Parameters that change no epoch, only how many there are and what is seen of them."""

Problem: TypeAlias = dict[str, Any]


@dataclass
class Checkpoint:
    """What a file holds.

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


def problem_of(estimator: Any, data: dict[str, Data], initial: Array | None) -> Problem:
    """Describe what a fit is about, so that another one is recognised.

    Parameters
    ----------
    estimator : estimator
    data : dict of str to Data
    initial : array (n_params,) or None
        Parameters of the model that goes on.
    """
    arrays: dict[str, Array] = {} if initial is None else {"initial weights": initial}
    parameters = {
        name: _described(value, name, arrays)
        for name, value in estimator.get_params(deep=False).items()
        if name not in WITHOUT_EFFECT
    }
    for name, part in data.items():
        arrays["y" + name] = part.y
        if part.weights is not None:
            arrays["sample_weight" + name] = part.weights
        for field in fields(part.sequences):  # type: ignore[arg-type]
            value = getattr(part.sequences, field.name)
            if isinstance(value, np.ndarray):
                arrays[f"X{name}.{field.name}"] = value
    schedule = as_schedule(estimator.schedule)
    if schedule is not None:  # which may depend on max_iter
        parameters["schedule"] = encode(schedule.over(estimator.max_iter), "schedule", arrays)
    digests = {name: _digest(array) for name, array in arrays.items()}
    return {"estimator": type(estimator).__name__, **parameters, **digests}


class CheckpointFile:
    """A file that is written as often as a small share of the time allows.

    Parameters
    ----------
    path : str or path
    problem : dict
        From `problem_of`.
    """

    def __init__(self, path: _files.FileName, problem: Problem) -> None:
        self.path = _files.checked(path, "checkpoint")
        self.problem = problem
        self._next_time = 0.0

    def read(self, max_iter: int) -> Checkpoint | None:
        """Return where the fit stands, None if it has not begun."""
        self._sweep()
        if not self.path.exists():
            return None
        header, arrays = _files.read(self.path, NEEDED)
        if header.get("class") != Checkpoint.__name__:
            raise _files.refused(self.path, "which is no checkpoint", NEEDED)
        names = sorted({*self.problem, *header["problem"]})
        other = [n for n in names if self.problem.get(n) != header["problem"].get(n)]
        if other:
            what = f"of a fit with another {', '.join(other)}. Remove it to start afresh"
            raise _files.refused(self.path, what, NEEDED)
        checkpoint = Checkpoint(**decode(header["content"], arrays))
        finished = checkpoint.state.epochs
        if finished > max_iter:
            needed = f"at least {finished}, the epochs that are finished in {str(self.path)!r}"
            raise ValueError(check.needs("max_iter", needed, max_iter))
        return checkpoint

    def write(self, checkpoint: Checkpoint, now: bool) -> None:
        """Write the file, unless it is too early and need not be ``now``."""
        start = time.monotonic()
        if not now and start < self._next_time:
            return
        arrays: dict[str, Array] = {}
        content = encode(vars(checkpoint), "checkpoint", arrays)
        header = {"class": Checkpoint.__name__, "problem": self.problem, "content": content}
        _files.write(self.path, header, arrays, "checkpoint")
        end = time.monotonic()
        self._next_time = end + (end - start) / SHARE_OF_TIME

    def _sweep(self) -> None:
        """Remove what a fit left that was killed while it wrote."""
        for unfinished in _files.unfinished(self.path):
            with contextlib.suppress(FileNotFoundError):
                unfinished.unlink()


def _described(value: Any, name: str, arrays: dict[str, Array]) -> Any:
    if is_code(value):  # such as a scorer
        return f"{value.__module__}.{getattr(value, '__qualname__', type(value).__qualname__)}"
    if name == "random_state" and not (value is None or isinstance(value, (int, np.integer))):
        _, key, *rest = check_random_state(value).get_state()
        arrays["state of random_state"] = np.array([*key.astype(np.float64), *rest])
        return None
    return encode_parameter(value, name, arrays)


def _digest(array: Array) -> str:
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    for piece in pieces(array):
        digest.update(np.ascontiguousarray(piece).data)
    return digest.hexdigest()
