"""The compiled core: which variant runs, and the typed face of what it offers.

The same source is compiled once for each instruction set. The baseline runs everywhere and says
what this CPU and operating system can run; the fastest of those that were built is taken, unless
the environment variable ``FUSEDLSTM_VARIANT`` names another.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
"""float32 or float64; all arrays of a call have the same dtype."""

Activation: TypeAlias = str | tuple[str, float, float]
"""A name, or name, alpha and beta; see cpp/simd/named_activations.hpp."""


class Core(Protocol):
    """What every variant offers. T steps, B batch, I input, H hidden, D directions.

    Arrays are C-contiguous unless said otherwise. Calls release the GIL.
    """

    variant: str
    simd: str
    compiler: str
    eigen: str
    openmp: bool

    def runnable_variants(self) -> list[str]:
        """Names of the variants that this CPU and operating system can run, slowest first."""

    def default_threads(self) -> int:
        """OpenMP's present maximum, and at most the CPUs that this process may run on."""

    def set_force_threads(self, force: bool, /) -> bool:
        """For tests: use all threads given, however small the work and busy the machine.

        Returns what was set before.
        """

    Program: Any
    """Layers that run in one call: `add_recurrent`, `add_last_step`, `add_dense`, `add_pool` of
    "mean" or "max", `predict`. With lengths, steps past the end are zero in the output."""

    Decoder: Any
    """Of the kind, the model's outputs, the shape of a prediction, and of each target scale and
    mean: a function of outputs (n, n_outputs), see cpp/ops/predictions.hpp."""

    Stream: Any
    """Of a whole model, packed, or None: one step at a time, `step(x, out)` and `reset()`.

    `state()` returns a list with an entry for each layer that was added: a tuple of arrays, or None
    for a layer without state. Recurrent: h and, if the cell has one, c (1, rows, H). Pooling: the
    sums (1, rows, F) and the number of steps (1, rows, 1), or the largest values (1, rows, F).
    `set_state` takes such a list. `select(rows)` goes on with the sequences of these numbers, an
    int64 array. A ValueError refuses anything else and changes nothing.
    """

    EstimatorStream: Any
    """Of a stream, a decoder or None, and a standardizer or None: `step(x)`."""

    Standardizer: Any
    """Of a dtype, and mean and scale (n_features,): `standardize(x)` returns a new contiguous array
    of that dtype, (x - mean) / scale in float64, or None if x is not a contiguous float array."""

    def cells(self) -> list[str]:
        """Names of the fused cells."""

    def all_finite(self, x: Array, /) -> bool | None:
        """Whether there is neither NaN nor infinity; None if x is not one piece of memory."""

    def pack_recurrent(
        self, cell: str, directions: int, input_size: int, hidden_size: int, params: Array, /
    ) -> object:
        """Return the weights of a layer in panels, for `recurrent_forward` in place of params."""

    def pack_dense(self, params: Array, features: int, units: int, /) -> object:
        """Return weights in panels, for `dense_forward` in place of params."""

    def recurrent_forward(
        self,
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
        regularisers: tuple[int | None, float, float, float, float] | None,
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
        self,
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
        self,
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
        regularisers: tuple[int | None, float, float, float, float] | None,
        threads: int,
        /,
    ) -> tuple[Array | None, Array, Array | None, object]:
        """Run a layer of any cell, R outputs, over ``x (B, T, I)``; its first two strides are free.

        ``spec`` describes the cell (cpp/staged/spec.hpp): family "lstm", "gru" or "rnn",
        activations, options. A single direction may run in reverse. ``regularisers`` are a key, or
        None for expected values, and the rates of recurrent and candidate dropout and of zoneout
        on h and c. Returns y (B, T, D * R) if wanted, the final h (D, B, R) and c (D, B, H), None
        without one, and, if training, what `staged_backward` consumes.
        """

    def staged_backward(
        self,
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
        self, params: Array, x: Array, units: int, activation: Activation, threads: int, /
    ) -> Array:
        """Return activation(x W' + b) of ``x (N, I)``, shape (N, units)."""

    def dense_backward(
        self,
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
        self,
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

    def clip_norm(self, grads: Array, max_norm: float, /) -> float:
        """Scale ``grads`` to at most this Euclidean norm; return the norm before."""

    def sgd_step(
        self,
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
        self,
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
        self,
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
        self,
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
        self,
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
        self,
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
        self,
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

    def activate(self, activation: Activation, x: Array, /) -> Array:
        """Return the activation of each element of the flat array ``x``."""

    def activation_gradient(self, activation: Activation, dy: Array, y: Array, /) -> Array:
        """Return dL/dx of each element from dL/dy and y, flat arrays."""

    def multiply_add_peak(
        self, dtype: Literal["float32", "float64"], seconds: float, threads: int, /
    ) -> float:
        """Return the FLOP/s of a loop of multiply-adds on registers: the ceiling of a kernel."""


ENVIRONMENT_VARIABLE = "FUSEDLSTM_VARIANT"


def _refuse_subinterpreter() -> None:
    """Raise ImportError in a sub-interpreter, where importing the compiled code could hang."""
    for name in ("_interpreters", "_xxsubinterpreters"):  # from Python 3.13 on, and before
        try:
            interpreters = importlib.import_module(name)
        except ImportError:
            continue
        if interpreters.get_current() != interpreters.get_main():
            raise ImportError("fusedlstm must be imported by the main interpreter of a process")
        return


def _import_variant(name: str) -> Core | None:
    try:
        return cast(Core, importlib.import_module(f"fusedlstm._core_{name}"))
    except ModuleNotFoundError:  # not built
        return None


def _runnable() -> list[str]:
    """Names of the variants that this machine could run, fastest first."""
    baseline = cast(Core, importlib.import_module("fusedlstm._core_baseline"))
    return baseline.runnable_variants()[::-1]


def load_variants() -> dict[str, Core]:
    """Return all variants that were built and that this machine can run, fastest first."""
    found = {name: _import_variant(name) for name in _runnable()}
    return {name: module for name, module in found.items() if module is not None}


def _choose() -> tuple[Core, str]:
    """The variant to use and why."""
    wanted = os.environ.get(ENVIRONMENT_VARIABLE, "").strip()
    if not wanted:
        fastest = next(m for name in _runnable() if (m := _import_variant(name)) is not None)
        return fastest, "the fastest that was built and that this CPU can run"
    name = wanted.replace("-", "_")
    module = _import_variant(name) if name in _runnable() else None
    if module is None:
        names = ", ".join(load_variants())
        raise ImportError(
            f"{ENVIRONMENT_VARIABLE} must be one of {names} on this machine; got {wanted!r}"
        )
    return module, f"{ENVIRONMENT_VARIABLE}={wanted}"


_refuse_subinterpreter()
core, reason = _choose()
