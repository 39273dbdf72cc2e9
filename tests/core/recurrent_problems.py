"""Random problems for the recurrent kernels of any cell, and checks of their results."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

import reference_cells as cells
from reference import relative_error

FORWARD = {"float32": 2e-6, "float64": 1e-12}
GRADIENT_OF_FLOAT32 = 5e-6
"""The gradients in float64 agree with central differences along random directions."""
LAYER_NORM_AMPLIFIES = 20
NUMERIC_GRADIENT = 3e-7

GATES = [("sigmoid", 0.0, 0.0), ("hard_sigmoid", 0.2, 0.5), ("softsign", 0.0, 0.0)]
OTHERS = [
    ("tanh", 0.0, 0.0),
    ("linear", 0.0, 0.0),
    ("relu", 0.0, 0.0),
    ("leaky_relu", 0.1, 0.0),
    ("thresholded_relu", 0.3, 0.0),
    ("scaled_tanh", 1.3, 0.7),
    ("elu", 0.8, 0.0),
    ("softplus", 0.0, 0.0),
    ("affine", 0.6, 0.1),
    *GATES,
]

SPECS = {
    "lstm": cells.lstm_spec(),
    "peephole": cells.lstm_spec(peepholes=True),
    "cifg": cells.lstm_spec(coupled=True),
    "cifg peephole": cells.lstm_spec(coupled=True, peepholes=True),
    "no input gate": cells.lstm_spec(input_gate=False),
    "no forget gate": cells.lstm_spec(forget_gate=False),
    "no output gate": cells.lstm_spec(output_gate=False),
    "no output gate, peepholes": cells.lstm_spec(output_gate=False, peepholes=True),
    "full gate recurrence": cells.lstm_spec(full_gate_recurrence=True),
    "layer norm": cells.lstm_spec(layer_norm=True),
    "layer norm, no gates": cells.lstm_spec(
        layer_norm=True, input_gate=False, forget_gate=False, output_gate=False
    ),
    "clipped": cells.lstm_spec(cell_clip=0.5),
    "projection": cells.lstm_spec(projection=3, projection_bias=True),
    "everything": cells.lstm_spec(
        peepholes=True,
        full_gate_recurrence=True,
        layer_norm=True,
        cell_clip=0.7,
        projection=4,
        projection_bias=True,
    ),
    "relu lstm": cells.lstm_spec(activations=(GATES[0], OTHERS[2], OTHERS[2])),
    "linear candidate": cells.lstm_spec(activations=(GATES[0], OTHERS[1], OTHERS[0])),
    "linear output": cells.lstm_spec(activations=(GATES[0], OTHERS[0], OTHERS[1])),
    "gru": cells.gru_spec(),
    "gru reset before": cells.gru_spec(reset_after=False),
    "hard gru": cells.gru_spec(activations=(GATES[1], OTHERS[0])),
    "rnn": cells.rnn_spec(),
    "relu rnn": cells.rnn_spec("relu"),
    "elu rnn": cells.rnn_spec("elu", 1.0),
}
"""Specifications that cover all cells of the core."""

DRAWN = (12345678901234567, 0.3, 0.4, 0.2, 0.3)


def regularizers_for(spec, values=DRAWN):
    """Return the regularizers without those that the family does not have."""
    key, recurrent, candidate, zoneout_h, zoneout_c = values
    if not cells.FAMILIES[spec["family"]].has_candidate:
        candidate = 0.0
    if "c" not in cells.state_sizes(spec, 1):
        zoneout_c = 0.0
    return key, recurrent, candidate, zoneout_h, zoneout_c


@dataclass
class RecurrentProblem:
    """Random arrays of one call."""

    spec: dict
    hidden: int
    params: np.ndarray
    x: np.ndarray
    lengths: np.ndarray | None
    dy: np.ndarray
    h: np.ndarray
    dh: np.ndarray
    c: np.ndarray | None = None
    dc: np.ndarray | None = None
    gates: np.ndarray | None = None
    dgates: np.ndarray | None = None
    directions: int = 1
    reverse: bool = False
    regularizers: tuple | None = None

    @classmethod
    def random(
        cls, spec, seed, batch, steps, inputs, hidden, dtype="float64", ragged=False, **options
    ):
        rng = np.random.default_rng(seed)
        directions = options.get("directions", 1)

        def draw(*shape, scale=1.0):
            return (rng.standard_normal(shape) * scale).astype(dtype)

        def draw_params():
            for name, shape in cells.param_shapes(spec, inputs, hidden).items():
                mean = 1 if name.startswith("gain") else 0
                yield mean + draw(*shape, scale=0.5 / np.sqrt(hidden)).ravel()

        sizes = cells.state_sizes(spec, hidden)
        states = {name: (directions, batch, size) for name, size in sizes.items()}
        params = [p for _ in range(directions) for p in draw_params()]
        return cls(
            spec=spec,
            hidden=hidden,
            params=np.concatenate(params, dtype=dtype),
            x=draw(batch, steps, inputs),
            lengths=rng.integers(1, steps + 1, batch) if ragged else None,
            dy=draw(batch, steps, directions * sizes["h"]),
            **{name: draw(*shape) for name, shape in states.items()},
            **{f"d{name}": draw(*shape) for name, shape in states.items()},
            **options,
        )

    def astype(self, dtype):
        names = ("params", "x", "h", "c", "gates", "dy", "dh", "dc", "dgates")
        arrays = {name: getattr(self, name) for name in names}
        return replace(
            self, **{name: a if a is None else a.astype(dtype) for name, a in arrays.items()}
        )

    @property
    def state_names(self):
        return list(cells.state_sizes(self.spec, self.hidden))

    def states(self, prefix=""):
        """Return the states, or their gradients with the prefix "d", as the core takes them."""
        return tuple(getattr(self, prefix + name) for name in self.state_names)

    def with_states(self, states):
        """Return the problem with other states, in the order of the core."""
        return replace(self, **dict(zip(self.state_names, states, strict=True)))

    def rows(self, rows):
        """Return the problem of some of the sequences."""
        names = [prefix + name for prefix in ("", "d") for name in self.state_names]
        states = {
            name: None if (given := getattr(self, name)) is None else given[:, rows].copy()
            for name in names
        }
        lengths = None if self.lengths is None else self.lengths[rows]
        dy = None if self.dy is None else self.dy[rows]
        return replace(self, x=self.x[rows], dy=dy, lengths=lengths, **states)

    def packed(self, core):
        config = (core.Cell(self.spec), self.directions, self.x.shape[2], self.hidden)
        return core.pack_recurrent(*config, self.params)

    def forward(self, core, training=False, threads=1, all_steps=True, packed=None):
        """Return y, the final states and the object for `recurrent_backward`."""
        return core.recurrent_forward(
            core.Cell(self.spec),
            self.directions,
            self.reverse,
            self.hidden,
            self.params if packed is None else packed,
            self.x,
            self.lengths,
            self.states(),
            all_steps,
            training,
            self.regularizers,
            threads,
        )

    def run(self, core, threads=1):
        """Return all results of forward and backward by name."""
        y, states, saved = self.forward(core, True, threads)
        grads = np.zeros_like(self.params)
        given = (saved, self.params, self.x, self.dy, self.states("d"))
        dx, dstates = core.recurrent_backward(*given, True, True, grads)
        results = {"y": y, **dict(zip(self.state_names, states, strict=True))}
        results |= {"grads": grads, "dx": dx}
        return results | {f"d{n}": d for n, d in zip(self.state_names, dstates, strict=True)}

    def reference(self):
        """Return y and the final states by the NumPy equations."""
        masks_of = None
        if self.regularizers is not None:

            def masks_of(direction, row):
                return cells.DrawnMasks(self.regularizers, direction, row)

        return cells.forward(
            self.spec,
            self.params,
            self.hidden,
            self.x,
            self.states(),
            self.lengths,
            self.directions,
            self.reverse,
            masks_of,
        )

    def reference_loss(self):
        y, states = self.reference()
        pairs = zip((y, *states), (self.dy, *self.states("d")), strict=True)
        return float(sum((value * gradient).sum() for value, gradient in pairs))

    def slope_along(self, name, direction, step=1e-6):
        """Return the central difference of the reference loss along a direction of one array."""
        at = getattr(self, name)
        above = replace(self, **{name: at + step * direction}).reference_loss()
        below = replace(self, **{name: at - step * direction}).reference_loss()
        return (above - below) / (2 * step)


def assert_forward_right(problem, core, threads=1):
    dtype = problem.params.dtype.name
    tolerance = FORWARD[dtype]
    if problem.spec.get("layer_norm") and dtype == "float32":
        tolerance *= LAYER_NORM_AMPLIFIES
    draws = problem.regularizers is not None and problem.regularizers[0] is not None
    y, states, _ = problem.forward(core, training=draws, threads=threads)
    expected_y, expected_states = problem.reference()
    for value, expected in zip((y, *states), (expected_y, *expected_states), strict=True):
        assert relative_error(value, expected) <= tolerance


GRADIENT_OF = {"params": "grads", "x": "dx", "h": "dh", "c": "dc", "gates": "dgates"}


def assert_gradients_right(problem, core, threads=1, directions=2):
    """Core float64 against central differences of the reference, along random directions."""
    results = problem.run(core, threads)
    rng = np.random.default_rng(0)
    for name, gradient in GRADIENT_OF.items():
        at = getattr(problem, name)
        if at is None:
            continue
        for _ in range(directions):
            along = rng.standard_normal(at.shape) / np.sqrt(at.size)
            numeric = problem.slope_along(name, along)
            assert abs((results[gradient] * along).sum() - numeric) < NUMERIC_GRADIENT * max(
                1, abs(numeric)
            ), name


def assert_same_bits(results, others):
    assert results.keys() == others.keys()
    for name, value in results.items():
        assert value.tobytes() == others[name].tobytes(), name
