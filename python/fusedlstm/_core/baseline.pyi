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
    """Use all threads given, even for little work or on a busy machine. For tests.

    Returns the previous value.
    """

class Program:
    """The ops of a model, which run in one call.

    Packed weights come from `pack_recurrent` and `pack_dense`. An array of weights is read in each
    call.
    """

    def __init__(self, dtype: str, input_size: int, /) -> None: ...
    def add_recurrent(
        self,
        cell: str,
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
        """Add a recurrent layer. Without ``all_steps`` it writes the final output only."""

    def add_last_step(self) -> None:
        """Add a layer that returns the last step of each direction."""

    def add_pool(self, kind: str, /) -> None:
        """Add pooling: "mean" or "max"."""

    def add_dense(self, units: int, weights: object, activation: Activation, /) -> None:
        """Add a dense layer."""

    def predict(
        self, x: Array, lengths: npt.NDArray[np.int64] | None, max_threads: Callable[[], int], /
    ) -> Array:
        """Return the output for ``x (B, T, I)``. Steps after the end of a sequence are zero."""

    def predict_contiguous(self, x: Array, max_threads: Callable[[], int], /) -> Array | None:
        """Return the output; None if x is not a contiguous array of the dtype and the size."""

class Decoder:
    """A function from raw outputs (n, n_outputs) to predictions in float64.

    ``kind`` is a name in cpp/ops/predictions.hpp, ``shape`` the shape of a prediction, ``scale``
    and ``mean`` those of each target.
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

class Stream:
    """A program that runs one step at a time. Without a program, a subclass computes the steps."""

    def __init__(self, program: Program | None, one: bool, rows: int, /) -> None: ...
    def step(self, x: npt.ArrayLike, out: Array | None = None) -> Array:
        """Run one step."""

    def _feed(self, x: Array, out: Array, /) -> None:
        """Run one step with checked arrays."""

    def reset(self) -> None:
        """Set the initial state."""

    def state(self) -> list[tuple[Array, ...] | None]:
        """Return the state of each op, None for an op without state.

        A recurrent op: h and, if the cell has one, c (1, rows, H). Mean pooling: the sums (1, rows,
        F) and the number of steps (1, rows, 1). Max pooling: the largest values (1, rows, F).
        """

    def set_state(self, state: Sequence[tuple[Array, ...] | None], /) -> None:
        """Set the state of each op. A ValueError changes nothing."""

    def select(self, rows: npt.NDArray[np.int64], /) -> None:
        """Keep the sequences of these numbers, in this order. A ValueError changes nothing."""

class EstimatorStream:
    """A stream with standardization of the input and decoding of the output."""

    def __init__(
        self, stream: Stream, decoder: Decoder | None, standardizer: Standardizer | None, /
    ) -> None: ...
    def step(self, x: npt.ArrayLike, /) -> Any:
        """Return the prediction after one more step."""

class Standardizer:
    """The function (x - mean) / scale of each feature, computed in float64."""

    def __init__(self, dtype: str, mean: Array, scale: Array, /) -> None: ...
    def standardize(self, x: Array, /) -> Array | None:
        """Return a new contiguous array; None if x is not a contiguous array of floats."""

def cells() -> list[str]:
    """Names of the fused cells."""

def all_finite(x: Array, /) -> bool | None:
    """Whether there is neither NaN nor infinity; None if x is not one piece of memory."""

def pack_recurrent(
    cell: str, directions: int, input_size: int, hidden_size: int, params: Array, /
) -> object:
    """Return the weights of a layer in panels, for `recurrent_forward` in place of params."""

def pack_dense(params: Array, features: int, units: int, /) -> object:
    """Return weights in panels, for `dense_forward` in place of params."""

def recurrent_forward(
    cell: str,
    directions: int,
    reverse: bool,
    hidden_size: int,
    params: Array,
    x: Array,
    lengths: npt.NDArray[np.int64] | None,
    h: Array | None,
    c: Array | None,
    want_y: bool,
    training: bool,
    regularizers: tuple[int | None, float, float, float, float] | None,
    threads: int,
    /,
) -> tuple[Array | None, Array, Array | None, object]:
    """Run a layer of a fused cell over ``x (B, T, I)``, whose first two strides are free.

    ``reverse``: the one direction goes from a sequence's last step to its first. Regularisers:
    key, recurrent dropout, candidate dropout, zoneout of h and of c; without a key nothing is
    drawn and zoneout mixes. Returns y (B, T, D * H) if wanted, the final h and, if the cell has
    one, c (D, B, H), and, if training, what `recurrent_backward` consumes.
    """

def recurrent_backward(
    saved: object,
    params: Array,
    x: Array,
    dy: Array | None,
    dh: Array | None,
    dc: Array | None,
    want_dx: bool,
    want_initial: bool,
    grads: Array,
    /,
) -> tuple[Array | None, Array | None, Array | None]:
    """Add to ``grads``; return dx (B, T, I) and the initial dh and dc (D, B, H), if wanted."""

def staged_forward(
    spec: Mapping[str, Any],
    directions: int,
    reverse: bool,
    hidden_size: int,
    params: Array,
    x: Array,
    lengths: npt.NDArray[np.int64] | None,
    h: Array | None,
    c: Array | None,
    want_y: bool,
    training: bool,
    regularizers: tuple[int | None, float, float, float, float] | None,
    threads: int,
    /,
) -> tuple[Array | None, Array, Array | None, object]:
    """Run a layer of any cell, R outputs, over ``x (B, T, I)``; its first two strides are free.

    ``spec`` describes the cell (cpp/staged/spec.hpp): family "lstm", "gru" or "rnn",
    activations, options. A single direction may run in reverse. ``regularizers`` are a key, or
    None for expected values, and the rates of recurrent and candidate dropout and of zoneout
    on h and c. Returns y (B, T, D * R) if wanted, the final h (D, B, R) and c (D, B, H), None
    without one, and, if training, what `staged_backward` consumes.
    """

def staged_backward(
    saved: object,
    params: Array,
    x: Array,
    dy: Array | None,
    dh: Array | None,
    dc: Array | None,
    want_dx: bool,
    want_initial: bool,
    grads: Array,
    /,
) -> tuple[Array | None, Array | None, Array | None]:
    """Add to ``grads``; return dx (B, T, I) and the initial dh and dc, if wanted."""

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
    """Add to ``grads``; return dx (N, I) if wanted."""

def pool_forward(
    kind: Literal["mean", "max"],
    x: Array,
    lengths: npt.NDArray[np.int64] | None,
    before: Array | None,
    threads: int,
    /,
) -> tuple[Array, npt.NDArray[np.int64] | None]:
    """Pool the real steps of ``x (B, T, F)``, whose first two strides are free.

    Returns for "mean" the sums (B, F) and None; for "max" the largest values, NaN if one is,
    and the first step of each. ``before`` are the sums or largest values (B, F) of the steps
    before x; where such a value is the largest, its step is -1. Sums are added in the order of
    the steps: they do not depend on how a sequence is cut, on the batch or on threads.
    """

def clip_norm(grads: Array, max_norm: float, /) -> float:
    """Scale ``grads`` to at most this Euclidean norm; return the norm before."""

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
    """As `adam_step`, with ``highest``, the largest ``squares`` so far, in their place."""

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
    """As `adam_step`, by ``factor`` times the mean and ``ahead`` times the gradient."""

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
    """Return dL/dx of each element from dL/dy and y, flat arrays."""

def multiply_add_peak(
    dtype: Literal["float32", "float64"], seconds: float, threads: int, /
) -> float:
    """Return the FLOP/s of a loop of multiply-adds on registers: the ceiling of a kernel."""
