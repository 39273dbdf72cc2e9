"""The recurrent kernels on saturated gates, infinities and NaN."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recurrent_problems import (
    SPECS,
    RecurrentProblem,
)
from reference import relative_error


def is_bounded(spec):
    """Return True if no activation of the cell passes large numbers on."""
    bounded = {"sigmoid", "tanh", "hard_sigmoid", "softsign", "scaled_tanh"}
    # The last activation of an LSTM is that of c, whose size is at most the number of steps.
    return {name for name, _, _ in spec.get("activations", ())[:2]} <= bounded


BOUNDED = [name for name, spec in SPECS.items() if is_bounded(spec)]


@pytest.mark.parametrize("name", BOUNDED)
@pytest.mark.parametrize("scale", [30, 1e3, 1e30])
def test_saturated_gates_give_finite_results(core, dtype, name, scale):
    problem = RecurrentProblem.random(SPECS[name], 20, 5, 6, 3, 20, dtype)
    saturated = replace(problem, x=(problem.x * scale).astype(dtype))
    for value in saturated.run(core).values():
        assert np.isfinite(value).all()


@pytest.mark.parametrize("scale", [1e3, 1e30])
def test_saturated_gates_agree_with_the_equations(core, dtype, scale):
    problem = RecurrentProblem.random(SPECS["lstm"], 15, 5, 6, 3, 20, dtype)
    saturated = replace(problem, x=(problem.x * scale).astype(dtype))
    with np.errstate(over="ignore", under="ignore"):
        expected = saturated.reference()[0]
    # A gate is 0 or 1 to the last bit unless its input is small.
    assert relative_error(saturated.forward(core, True)[0], expected) < 1e-3


@pytest.mark.parametrize("name", sorted(SPECS.keys() - BOUNDED))
def test_large_inputs_of_unbounded_cells_give_finite_results(core, dtype, name):
    problem = RecurrentProblem.random(SPECS[name], 20, 5, 6, 3, 20, dtype)
    for value in replace(problem, x=problem.x * dtype.type(1e3)).run(core).values():
        assert np.isfinite(value).all()


def test_the_callers_floating_point_state_is_kept(core):
    problem = RecurrentProblem.random(SPECS["lstm"], 16, 5, 6, 3, 20, "float32")
    problem.run(core, threads=2)
    assert np.float32(1e-40) * np.float32(0.5) > 0  # subnormal numbers are not flushed to zero


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lstm", np.nan),
        ("gru", np.nan),
        ("relu rnn", np.nan),
        ("everything", np.nan),
        ("layer norm", np.nan),
        ("projection", np.nan),
        ("full gate recurrence", np.nan),
        ("gru reset before", np.nan),
        ("lstm", np.inf),
        ("lstm", -np.inf),
    ],
)
def test_nan_and_infinity_stay_in_their_row(core, dtype, name, value):
    problem = RecurrentProblem.random(SPECS[name], 16, 5, 6, 3, 20, dtype)
    clean = problem.forward(core)[0]
    problem.x[2, 3, 1] = value
    y = problem.forward(core)[0]
    others = np.arange(5) != 2
    assert y[others].tobytes() == clean[others].tobytes()
    assert y[2, :3].tobytes() == clean[2, :3].tobytes()
    if np.isnan(value):
        assert np.isnan(y[2, 3:]).all()
    else:
        assert np.isfinite(y[2, 3:]).all()  # the gates saturate


@pytest.mark.parametrize("hidden", [3, 8, 16, 17, 20, 33])
@pytest.mark.parametrize(
    "name", ["gru", "gru reset before", "lstm", "peephole", "full gate recurrence", "rnn"]
)
@pytest.mark.parametrize("batch", [1, 2, 7])
@pytest.mark.parametrize("values", [[np.inf], [-np.inf], [np.inf, -np.inf], [np.nan]], ids=str)
def test_nan_and_infinite_inputs_agree_with_the_equations(core, dtype, name, hidden, batch, values):
    # Saturated gates are finite; NaN appears only where the equations give NaN.
    problem = RecurrentProblem.random(SPECS[name], 20, batch, 6, 4, hidden, dtype)
    problem.x[batch - 1, 2, : len(values)] = values
    with np.errstate(invalid="ignore", over="ignore"):
        expected = problem.reference()[0]
    for training in (False, True):
        y = problem.forward(core, training)[0]
        np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("hidden", [3, 8, 16, 17, 20, 33])
def test_an_infinite_initial_state_of_a_gru_stays_in_its_row_and_unit(core, dtype, hidden):
    # An infinite h[0] of a row saturates the gates of its other units, for any number of units.
    problem = RecurrentProblem.random(SPECS["gru"], 21, 5, 4, 3, hidden, dtype)
    clean = problem.forward(core)[0]
    problem.h[0, 2, 0] = np.inf
    y = problem.forward(core)[0]
    others = np.arange(5) != 2
    assert y[others].tobytes() == clean[others].tobytes()
    assert not np.isfinite(y[2, :, 0]).any()
    assert np.isfinite(y[2, :, 1:]).all()
