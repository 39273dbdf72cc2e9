"""The compiled functions. All variants have the same interface.

Sizes: T steps, B sequences, I inputs, H hidden units, D directions, F features. Arrays are
C-contiguous unless noted otherwise. Calls release the GIL if they take long.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fusedlstm._core.types import Activation, Array

variant: str
simd: str
compiler: str
eigen: str
openmp: bool

def runnable_variants() -> list[str]:
    """Return the names of the variants that this machine can run, slowest first."""

def default_threads() -> int:
    """Return OpenMP's maximum, limited to the number of CPUs that this process may use."""

def set_force_threads(force: bool, /) -> bool:
    """Use all threads, even for small calls or on a busy machine; return the previous value."""

class BackOff:
    """The rule by which calls run on one thread on a busy machine, for tests. Times in seconds."""

    def __init__(self) -> None: ...
    def active_at(self, now: float, /) -> bool:
        """Return True if a call at this time would run on one thread."""

    def record(self, begin: float, worked: float, lost: float, /) -> None:
        """Record a call of a team of threads, which ended at ``begin + worked + lost``."""

class Program:
    """The ops of a model, which run in one call.

    ``weights`` of an op are packed weights from `pack_recurrent` or `pack_dense`, or an array. An
    array is read again in each call.
    """

    def __init__(self, dtype: str, input_size: int, /) -> None: ...
    def add_recurrent(
        self,
        cell: Cell,
        directions: int,
        reverse: bool,
        hidden_size: int,
        weights: object,
        regularizers: tuple[int | None, float, float, float, float] | None,
        all_steps: bool,
        initial_h: Array | None,
        initial_c: Array | None,
        /,
    ) -> None:
        """Add a recurrent layer. Without ``all_steps`` it writes only the final output.

        ``initial_h`` (D, R) and ``initial_c`` (D, H) are the initial states of all sequences.
        """

    def add_last_step(self) -> None:
        """Add a layer that returns the last step of each direction."""

    def add_pool(self, kind: str, /) -> None:
        """Add a pooling layer of the kind "mean" or "max"."""

    def add_dense(self, units: int, weights: object, activation: Activation, /) -> None:
        """Add a dense layer."""

    def predict(
        self, x: Array, lengths: npt.NDArray[np.int64] | None, max_threads: Callable[[], int], /
    ) -> Array:
        """Return the output for ``x (B, T, I)``. Steps after the end of a sequence are zero."""

    def predict_contiguous(self, x: Array, max_threads: Callable[[], int], /) -> Array | None:
        """Return the output; None if x is not a contiguous array of the right dtype and size."""

class Decoder:
    """A function from raw outputs (n, n_outputs) to predictions in float64.

    ``kind`` is a name in cpp/ops/predictions.hpp. ``shape`` is the shape of one prediction.
    ``scale`` and ``mean`` are the scale and the mean of each target.
    """

    def __init__(
        self,
        kind: str,
        n_outputs: int,
        shape: Sequence[int],
        scale: Array | None,
        mean: Array | None,
        /,
    ) -> None: ...
    def __call__(self, outputs: Array, /) -> Any: ...

def class_numbers(outputs: Array, /) -> npt.NDArray[np.intp]:
    """Return the class of each row of contiguous raw outputs (n, n_outputs)."""

class Stream:
    """A program that runs one step at a time. Without a program, a subclass computes the steps."""

    def __init__(self, program: Program | None, one: bool, rows: int, /) -> None: ...
    def step(self, x: npt.ArrayLike, out: Array | None = None) -> Array:
        """Run one step."""

    def _feed(self, x: Array, out: Array, /) -> None:
        """Run one step with checked arrays."""

    def reset(self) -> None:
        """Set the state to the initial state."""

    def state(self) -> list[tuple[Array, ...] | None]:
        """Return the state of each op, None for an op without state.

        That of a recurrent op has the arrays of `recurrent_forward`, with D = 1, that of mean
        pooling the sums (1, rows, F) and counts (1, rows, 1), that of max pooling the maxima.
        """

    def set_state(self, state: Sequence[tuple[Array, ...] | None], /) -> None:
        """Set the state of each op. After a ValueError the state is unchanged."""

    def select(self, rows: npt.NDArray[np.int64], /) -> None:
        """Keep the sequences ``rows``, in this order. After a ValueError the state is unchanged."""

class EstimatorStream:
    """A stream with standardization of the input and decoding of the output."""

    def __init__(
        self, stream: Stream, decoder: Decoder | None, standardizer: Standardizer | None, /
    ) -> None: ...
    def step(self, x: npt.ArrayLike, /) -> Any:
        """Run one step and return the prediction."""

class EstimatorProgram:
    """A program with standardization of the input, for small arrays."""

    def __init__(self, program: Program, standardizer: Standardizer | None, /) -> None: ...
    def outputs(self, x: Any, n_features: int, max_threads: Callable[[], int], /) -> Array | None:
        """Return the raw outputs; None for x that the estimator must read and check in Python."""

class Standardizer:
    """The function (x - mean) / scale of each feature, computed in float64."""

    def __init__(self, dtype: str, mean: Array, scale: Array, /) -> None: ...
    def standardize(self, x: Array, /) -> Array | None:
        """Return a new contiguous array; None if x is not a contiguous array of floats."""

    def take(self, x: Array, first: Any, lengths: Any, /) -> Array | None:
        """Return the standardized result of `take_sequences`; None also if x has no features."""

def take_sequences(x: Array, first: Any, lengths: Any, /) -> Array | None:
    """Return some sequences as an array (B, T, F) or (B, T), with zeros after their ends.

    Sequence i starts at ``x[first[i]]``. Returns None for arguments of other kinds.
    """

def log_loss(
    z: Array, y: Array, weights: Array | None, smoothing: float, /
) -> tuple[float, Array] | None:
    """Return the mean cross-entropy and its gradient; None for wrong classes or other dtypes."""

def squared_error(z: Array, y: Array, weights: Array | None, /) -> tuple[float, Array] | None:
    """Return the mean squared error and its gradient; None for arguments of other kinds."""

class Cell:
    """The equations of a cell. ``spec``: "family" and fields of `CellSpec` (cpp/cells/spec.hpp)."""

    def __init__(self, spec: Mapping[str, Any], /) -> None: ...
    @property
    def name(self) -> str:
        """The name in `cells`."""

def cells() -> list[str]:
    """Return the names of the cells. Several options may share a cell."""

def all_finite(x: Array, /) -> bool | None:
    """Return True if x contains neither NaN nor infinity; None if x is not contiguous."""

def pack_recurrent(
    cell: Cell, directions: int, input_size: int, hidden_size: int, params: Array, /
) -> object:
    """Return packed weights, which replace arrays in `Program` and `recurrent_forward`."""

def pack_dense(params: Array, features: int, units: int, /) -> object:
    """Return packed weights, which replace arrays in `Program` and `dense_forward`."""

def recurrent_forward(
    cell: Cell,
    directions: int,
    reverse: bool,
    hidden_size: int,
    params: object,
    x: Array,
    lengths: npt.NDArray[np.int64] | None,
    states: tuple[Array | None, ...] | None,
    want_y: bool,
    training: bool,
    regularizers: tuple[int | None, float, float, float, float] | None,
    threads: int,
    /,
) -> tuple[Array | None, tuple[Array, ...], object]:
    """Run a layer over ``x (B, T, I)``. The first two strides of x are arbitrary.

    With ``reverse``, a single direction reads from the last step to the first. ``params`` is an
    array or packed. ``regularizers`` are a key, the rates of recurrent and candidate dropout, and
    the rates of zoneout of h and of c. With the key None no random numbers are drawn, and zoneout
    uses expected values.

    The states are h (D, B, R), for an LSTM c (D, B, H), and with full gate recurrence the gates i,
    f and o side by side (D, B, 3H). R is the size of the projection or H. A state of None is zero.

    Returns y (B, T, D * R) with ``want_y``, the final states, and with ``training`` the activations
    for `recurrent_backward`.
    """

def recurrent_backward(
    saved: object,
    params: Array,
    x: Array,
    dy: Array | None,
    dstates: tuple[Array | None, ...] | None,
    want_dx: bool,
    want_initial: bool,
    grads: Array,
    /,
) -> tuple[Array | None, tuple[Array, ...] | None]:
    """Add to ``grads``. Return dx (B, T, I) and the gradients of the initial states.

    ``dstates`` are the gradients of the final states. dx is None without ``want_dx``. The gradients
    of the initial states are None without ``want_initial``.
    """

def dense_forward(
    params: Array, x: Array, units: int, activation: Activation, threads: int, /
) -> Array:
    """Return activation(x W' + b) of ``x (N, I)``, shape (N, units)."""

def dense_backward(
    params: Array,
    x: Array,
    y: Array,
    dy: Array,
    activation: Activation,
    want_dx: bool,
    grads: Array,
    threads: int,
    /,
) -> Array | None:
    """Add to ``grads``. Return dx (N, I), or None without ``want_dx``."""

def pool_forward(
    kind: Literal["mean", "max"],
    x: Array,
    lengths: npt.NDArray[np.int64] | None,
    before: Array | None,
    threads: int,
    /,
) -> tuple[Array, npt.NDArray[np.int64] | None]:
    """Pool the real steps of ``x (B, T, F)``. The first two strides of x are arbitrary.

    For "mean", returns the sums (B, F) and None. For "max", returns the largest values (B, F) and
    the first step of each of them. The largest value is NaN if a value is NaN. ``before`` are the
    sums or the largest values (B, F) of earlier steps. If the largest value is from ``before``, its
    step is -1. Values are added in the order of the steps, so that sums do not depend on chunks,
    the batch or the number of threads.
    """

def clip_norm(grads: Array, max_norm: float, /) -> float:
    """Scale ``grads`` to a Euclidean norm of at most ``max_norm``; return the original norm."""

def sgd_step(
    params: Array,
    grads: Array,
    velocity: Array | None,
    learning_rate: float,
    momentum: float,
    nesterov: bool,
    decay_mask: Array | None,
    weight_decay: float,
    /,
) -> None:
    """Update ``params`` and ``velocity``."""

def rmsprop_step(
    params: Array,
    grads: Array,
    squares: Array,
    learning_rate: float,
    rho: float,
    epsilon: float,
    decay_mask: Array | None,
    weight_decay: float,
    /,
) -> None:
    """Update ``params`` and ``squares``."""

def adam_step(
    params: Array,
    grads: Array,
    mean: Array,
    squares: Array,
    t: int,
    learning_rate: float,
    beta1: float,
    beta2: float,
    epsilon: float,
    decay_mask: Array | None,
    weight_decay: float,
    decoupled: bool,
    /,
) -> None:
    """Update ``params``, ``mean`` and ``squares`` at step t, counted from 1."""

def adagrad_step(
    params: Array,
    grads: Array,
    squares: Array,
    learning_rate: float,
    epsilon: float,
    decay_mask: Array | None,
    weight_decay: float,
    /,
) -> None:
    """Update ``params`` and ``squares``."""

def amsgrad_step(
    params: Array,
    grads: Array,
    mean: Array,
    squares: Array,
    highest: Array,
    t: int,
    learning_rate: float,
    beta1: float,
    beta2: float,
    epsilon: float,
    decay_mask: Array | None,
    weight_decay: float,
    decoupled: bool,
    /,
) -> None:
    """Update like `adam_step`, but with the largest ``squares`` so far, ``highest``."""

def nadam_step(
    params: Array,
    grads: Array,
    mean: Array,
    squares: Array,
    t: int,
    factor: float,
    ahead: float,
    beta1: float,
    beta2: float,
    epsilon: float,
    decay_mask: Array | None,
    weight_decay: float,
    /,
) -> None:
    """Update like `adam_step`, with ``factor`` times the mean plus ``ahead`` times the gradient."""

def lion_step(
    params: Array,
    grads: Array,
    mean: Array,
    learning_rate: float,
    beta1: float,
    beta2: float,
    decay_mask: Array | None,
    weight_decay: float,
    /,
) -> None:
    """Update ``params`` and ``mean``."""

def activate(activation: Activation, x: Array, /) -> Array:
    """Return the activation of each element of the flat array ``x``."""

def activation_gradient(activation: Activation, dy: Array, y: Array, /) -> Array:
    """Return dL/dx of each element from dL/dy and y. All arrays are flat."""

def multiply_add_peak(
    dtype: Literal["float32", "float64"], seconds: float, threads: int, /
) -> float:
    """Return the FLOP/s of a loop of multiply-adds on registers, the upper bound of a kernel."""

def multiply_add_overlap(seconds: float, /) -> float:
    """Return the number of multiply-adds that a core completes in the latency of one."""

def tile_rates(
    dtype: Literal["float32", "float64"], seconds: float, threads: int, /
) -> tuple[float, float, float, float]:
    """Return the speed of the parts of an LSTM step on data in the L1 cache.

    The FLOP/s of the product in register tiles, and the hidden units per second of the forward
    equations, of the forward equations that save activations, and of the backward equations.
    """
