"""Arguments of the recurrent kernels: optional arrays, and errors for wrong arguments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import reference_cells as cells
from recurrent_problems import (
    GATES,
    SPECS,
    RecurrentProblem,
    assert_same_bits,
)


@pytest.mark.parametrize(
    "change",
    {
        "reversed in time": lambda x: x[:, ::-1],
        "every second row": lambda x: np.repeat(x, 2, axis=0)[::2],
        "some of the features": lambda x: np.concatenate([x, x], axis=2)[:, :, : x.shape[2]],
        "time first": lambda x: np.ascontiguousarray(x.transpose(1, 0, 2)).transpose(1, 0, 2),
        "one row for all": lambda x: np.broadcast_to(x[:1], x.shape),
    }.items(),
    ids=lambda case: case[0],
)
@pytest.mark.parametrize("name", ["layer norm", "fused lstm"])
def test_strided_input_gives_the_bits_of_contiguous_input(core, dtype, change, name):
    problem = RecurrentProblem.random(SPECS[name], 8, 5, 6, 3, 20, dtype)
    view = change[1](problem.x)
    assert not view.flags.c_contiguous
    contiguous = replace(problem, x=np.ascontiguousarray(view))
    assert_same_bits(replace(problem, x=view).run(core), contiguous.run(core))


@pytest.mark.parametrize("name", ["everything", "fused lstm"])
def test_gradients_are_added_to(core, dtype, name):
    problem = RecurrentProblem.random(SPECS[name], 10, 5, 6, 3, 20, dtype)
    fresh = problem.run(core)["grads"]
    grads = np.full_like(problem.params, 2)
    saved = problem.forward(core, True)[3]
    given = (saved, problem.params, problem.x, problem.dy, problem.dh, problem.dc)
    assert problem.backward_of(core)(*given, False, False, grads) == (None, None, None)
    np.testing.assert_allclose(grads, 2 + fresh, rtol=1e-5)


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn", "fused lstm"])
def test_missing_gradients_are_zeros(core, dtype, name):
    problem = RecurrentProblem.random(SPECS[name], 11, 5, 6, 3, 20, dtype)
    zeros = {n: np.zeros_like(a) for n in ("dy", "dc") if (a := getattr(problem, n)) is not None}
    without = replace(problem, **dict.fromkeys(zeros))
    assert_same_bits(without.run(core), replace(problem, **zeros).run(core))


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn", "fused lstm"])
def test_initial_state_and_outputs_are_optional(core, dtype, name):
    problem = RecurrentProblem.random(SPECS[name], 12, 5, 6, 3, 20, dtype)
    zero = replace(problem, h=problem.h * 0, c=None if problem.c is None else problem.c * 0)
    wanted = zero.forward(core)
    without = replace(problem, h=None, c=None)
    y, h, c, saved = without.forward(core, all_steps=False)
    assert y is None
    assert saved is None
    assert h.tobytes() == wanted[1].tobytes()
    assert c is wanted[2] is None or c.tobytes() == wanted[2].tobytes()


@pytest.mark.parametrize("name", ["everything", "fused lstm"])
def test_input_is_not_written_to(core, dtype, name):
    problem = RecurrentProblem.random(SPECS[name], 13, 5, 6, 3, 20, dtype, ragged=True)
    names = ("params", "x", "lengths", "h", "c", "dy", "dh", "dc")
    for each in names:
        getattr(problem, each).flags.writeable = False
    before = [getattr(problem, each).tobytes() for each in names]
    problem.run(core, threads=2)
    assert [getattr(problem, each).tobytes() for each in names] == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spec": {**cells.lstm_spec(), "fused": "lstn"}}, "unknown cell"),
        ({"directions": 3}, "one or two directions"),
        ({"regularizers": (1, 0.1)}, "five entries"),
        ({"regularizers": (1, 1.0, 0.0, 0.0, 0.0)}, r"in \[0, 1\)"),
        ({"spec": {**cells.lstm_spec(), "family": "lstn"}}, "unknown family"),
        ({"spec": cells.lstm_spec(activations=GATES[:2])}, "number of activations"),
        ({"spec": cells.lstm_spec(activations=(("swish", 0, 0),) * 3)}, "unknown activation"),
        ({"spec": cells.lstm_spec(cell_clip=0.0)}, "cell_clip must be positive"),
        ({"spec": cells.lstm_spec(projection_bias=True)}, "needs a projection"),
        ({"spec": cells.lstm_spec(coupled=True, forget_gate=False)}, "needs the forget gate"),
        ({"spec": cells.lstm_spec(coupled=True, full_gate_recurrence=True)}, "all three gates"),
    ],
)
def test_errors_of_options(core, change, message):
    problem = RecurrentProblem.random(SPECS["lstm"], 17, 3, 4, 2, 5)
    with pytest.raises(ValueError, match=message):
        replace(problem, **change).forward(core)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lengths": np.array([0, 1, 1])}, "lengths must be between 1"),
        ({"lengths": np.array([1, 1, 5])}, "lengths must be between 1"),
        ({"lengths": np.array([1, 1])}, "wrong size"),
        ({"x": np.zeros((3, 4, 9))}, "wrong size"),
        ({"x": np.zeros((3, 4, 2), "float32")}, "dtype of the parameters"),
        ({"x": np.zeros((3, 4))}, "three dimensions"),
        ({"x": np.zeros((3, 4, 4))[:, :, ::2]}, "contiguous"),
        ({"h": np.zeros((1, 2, 5))}, "wrong size"),
        ({"c": np.zeros((1, 3, 5), "float32")}, "one dtype"),
    ],
)
@pytest.mark.parametrize("name", ["lstm", "fused lstm"])
def test_errors_of_arrays(core, name, change, message):
    problem = RecurrentProblem.random(SPECS[name], 17, 3, 4, 2, 5)
    with pytest.raises(ValueError, match=message):
        replace(problem, **change).forward(core)


def test_options_that_a_family_lacks_are_an_error(core):
    gru, rnn = (RecurrentProblem.random(SPECS[name], 18, 3, 4, 2, 5) for name in ("gru", "rnn"))
    with pytest.raises(ValueError, match="no second state"):
        replace(gru, c=gru.h).forward(core)
    with pytest.raises(ValueError, match="no second state to zone out"):
        replace(gru, regularizers=(1, 0.0, 0.0, 0.0, 0.5)).forward(core)
    with pytest.raises(ValueError, match="no candidate"):
        replace(rnn, regularizers=(1, 0.0, 0.5, 0.0, 0.0)).forward(core)


@pytest.mark.parametrize("name", ["gru", "fused lstm"])
def test_saved_can_be_used_once_and_with_its_dtype(core, name):
    problem = RecurrentProblem.random(SPECS[name], 19, 3, 4, 2, 5)
    saved, backward = problem.forward(core, True)[3], problem.backward_of(core)
    single = problem.astype("float32")
    given = (single.params, single.x, None, None, None, False, False, single.params.copy())
    with pytest.raises(ValueError, match="incorrect name"):
        backward(saved, *given)
    given = (problem.params, problem.x, problem.dy, None, None, False, False, problem.params.copy())
    backward(saved, *given)
    with pytest.raises(ValueError, match="saved has been used"):
        backward(saved, *given)
