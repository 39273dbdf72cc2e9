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
@pytest.mark.parametrize("name", ["everything", "gru", "gru reset before", "lstm"])
def test_strided_input_gives_the_bits_of_contiguous_input(core, dtype, change, name):
    problem = RecurrentProblem.random(SPECS[name], 8, 5, 6, 3, 20, dtype)
    view = change[1](problem.x)
    assert not view.flags.c_contiguous
    contiguous = replace(problem, x=np.ascontiguousarray(view))
    assert_same_bits(replace(problem, x=view).run(core), contiguous.run(core))


@pytest.mark.parametrize("name", SPECS)
def test_gradients_are_added_to(core, dtype, name):
    problem = RecurrentProblem.random(SPECS[name], 10, 5, 6, 3, 20, dtype)
    fresh = problem.run(core)["grads"]
    grads = np.full_like(problem.params, 2)
    saved = problem.forward(core, True)[2]
    given = (saved, problem.params, problem.x, problem.dy, problem.states("d"))
    assert core.recurrent_backward(*given, False, False, grads) == (None, None)
    np.testing.assert_allclose(grads, 2 + fresh, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", SPECS)
def test_missing_gradients_are_zeros(core, dtype, name):
    problem = RecurrentProblem.random(SPECS[name], 11, 5, 6, 3, 20, dtype)
    for names in (["dy"], ["dh"], ["dc"], ["dgates"], ["dh", "dc", "dgates"]):
        zeros = {n: np.zeros_like(a) for n in names if (a := getattr(problem, n)) is not None}
        without = replace(problem, **dict.fromkeys(zeros))
        assert_same_bits(without.run(core), replace(problem, **zeros).run(core))
    saved, grads = problem.forward(core, True)[2], np.zeros_like(problem.params)
    given = (saved, problem.params, problem.x, problem.dy, None)
    dx, dstates = core.recurrent_backward(*given, True, True, grads)
    zero = {f"d{n}": None for n in problem.state_names}
    expected = replace(problem, **zero).run(core)
    assert grads.tobytes() == expected["grads"].tobytes()
    assert dx.tobytes() == expected["dx"].tobytes()
    for n, d in zip(problem.state_names, dstates, strict=True):
        assert d.tobytes() == expected[f"d{n}"].tobytes()


@pytest.mark.parametrize("name", SPECS)
def test_unwanted_gradients_change_nothing(core, dtype, name):
    problem = RecurrentProblem.random(SPECS[name], 11, 5, 6, 3, 20, dtype, ragged=True)
    expected = problem.run(core)
    for want_dx, want_initial in ((False, True), (True, False)):
        saved, grads = problem.forward(core, True)[2], np.zeros_like(problem.params)
        given = (saved, problem.params, problem.x, problem.dy, problem.states("d"))
        dx, dstates = core.recurrent_backward(*given, want_dx, want_initial, grads)
        assert grads.tobytes() == expected["grads"].tobytes()
        assert (dx is None) == (not want_dx)
        assert (dstates is None) == (not want_initial)
        for n, d in zip(problem.state_names, dstates or [], strict=bool(dstates)):
            assert d.tobytes() == expected[f"d{n}"].tobytes()


@pytest.mark.parametrize("name", SPECS)
def test_initial_states_and_outputs_are_optional(core, dtype, name):
    problem = RecurrentProblem.random(SPECS[name], 12, 5, 6, 3, 20, dtype)
    zeros = [np.zeros_like(state) for state in problem.states()]
    y, wanted, _ = problem.with_states(zeros).forward(core)
    for missing in range(len(zeros)):
        some = [None if k == missing else zero for k, zero in enumerate(zeros)]
        got_y, states, saved = problem.with_states(some).forward(core)
        assert saved is None
        assert got_y.tobytes() == y.tobytes()
        assert [s.tobytes() for s in states] == [w.tobytes() for w in wanted]
    config = (core.Cell(problem.spec), 1, False, 20, problem.params, problem.x)
    none, states, saved = core.recurrent_forward(*config, None, None, False, False, None, 1)
    assert none is None
    assert saved is None
    assert [s.tobytes() for s in states] == [w.tobytes() for w in wanted]


@pytest.mark.parametrize("name", SPECS)
def test_input_is_not_written_to(core, dtype, name):
    problem = RecurrentProblem.random(SPECS[name], 13, 5, 6, 3, 20, dtype, ragged=True)
    arrays = {n: a for n, a in vars(problem).items() if isinstance(a, np.ndarray)}
    assert {"params", "x", "lengths", "h", "dy", "dh"} <= arrays.keys()
    for array in arrays.values():
        array.flags.writeable = False
    before = [array.tobytes() for array in arrays.values()]
    problem.run(core, threads=2)
    assert [array.tobytes() for array in arrays.values()] == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"directions": 3}, "one or two directions"),
        ({"regularizers": (1, 0.1)}, "five entries"),
        ({"regularizers": (1, 1.0, 0.0, 0.0, 0.0)}, r"in \[0, 1\)"),
        ({"spec": {**cells.lstm_spec(), "family": "lstn"}}, "unknown cell"),
        ({"spec": {**cells.lstm_spec(), "activations": ()}}, "number of activations"),
        ({"spec": cells.lstm_spec(activations=GATES * 2)}, "number of activations"),
        ({"spec": cells.lstm_spec(activations=(("swish", 0, 0),) * 3)}, "unknown activation"),
        ({"spec": {**cells.gru_spec(), "layer_norm": True}}, "unknown cell"),
        ({"spec": {**cells.rnn_spec(), "reset_after": False}}, "unknown cell"),
        ({"spec": {**cells.lstm_spec(), "reset_after": False}}, "unknown cell"),
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
@pytest.mark.parametrize("name", ["lstm", "everything"])
def test_errors_of_arrays(core, name, change, message):
    problem = RecurrentProblem.random(SPECS[name], 17, 3, 4, 2, 5)
    with pytest.raises(ValueError, match=message):
        replace(problem, **change).forward(core)


def test_options_that_a_family_lacks_are_an_error(core):
    gru, rnn = (RecurrentProblem.random(SPECS[name], 18, 3, 4, 2, 5) for name in ("gru", "rnn"))
    with pytest.raises(ValueError, match="no state c"):
        replace(gru, regularizers=(1, 0.0, 0.0, 0.0, 0.5)).forward(core, True)
    with pytest.raises(ValueError, match="no candidate"):
        replace(rnn, regularizers=(1, 0.0, 0.5, 0.0, 0.0)).forward(core, True)
    with pytest.raises(ValueError, match="masks are for training"):
        replace(gru, regularizers=(1, 0.5, 0.0, 0.0, 0.0)).forward(core)


@pytest.mark.parametrize("name", ["gru", "lstm", "full gate recurrence"])
def test_a_wrong_number_of_states_is_an_error(core, name):
    problem = RecurrentProblem.random(SPECS[name], 18, 3, 4, 2, 5)
    config = (core.Cell(problem.spec), 1, False, 5, problem.params, problem.x, None)
    rest = (True, True, None, 1)
    states, gradients = problem.states(), problem.states("d")
    saved = core.recurrent_forward(*config, states, *rest)[2]
    for wrong in ((), states[1:], (*states, states[0])):
        with pytest.raises(ValueError, match="wrong number of states"):
            core.recurrent_forward(*config, wrong, *rest)
    arrays = (saved, problem.params, problem.x, problem.dy)
    with pytest.raises(ValueError, match="wrong number of states"):
        core.recurrent_backward(*arrays, gradients[1:], True, True, problem.params.copy())


@pytest.mark.parametrize("name", ["gru", "lstm", "everything"])
def test_saved_can_be_used_once_and_with_its_dtype(core, name):
    problem = RecurrentProblem.random(SPECS[name], 19, 3, 4, 2, 5)
    saved = problem.forward(core, True)[2]
    single = problem.astype("float32")
    given = (single.params, single.x, None, None, False, False, single.params.copy())
    with pytest.raises(ValueError, match="incorrect name"):
        core.recurrent_backward(saved, *given)
    given = (problem.params, problem.x, problem.dy, None, False, False, problem.params.copy())
    core.recurrent_backward(saved, *given)
    with pytest.raises(ValueError, match="saved has been used"):
        core.recurrent_backward(saved, *given)


def layer_of(spec, inputs=2, hidden=5, directions=1, dtype="float64"):
    return RecurrentProblem.random(spec, 0, 3, 4, inputs, hidden, dtype, directions=directions)


@pytest.mark.parametrize(
    "other",
    [
        layer_of(SPECS["lstm"], hidden=6),
        layer_of(SPECS["lstm"], inputs=3),
        layer_of(SPECS["lstm"], directions=2),
        layer_of(SPECS["peephole"]),
        layer_of(SPECS["gru"]),
        layer_of(SPECS["projection"]),
        layer_of(SPECS["linear output"]),
        layer_of(cells.lstm_spec(cell_clip=1.0)),
    ],
    ids=lambda other: f"{other.spec['family']} {other.hidden}",
)
def test_packed_weights_of_another_layer_are_an_error(core, other):
    packed = layer_of(SPECS["lstm"]).packed(core)
    with pytest.raises(ValueError, match="packed weights are of another layer"):
        other.forward(core, packed=packed)


def test_packed_weights_of_another_dtype_are_an_error(core):
    problem = layer_of(SPECS["everything"])
    with pytest.raises(ValueError, match="incorrect name"):
        problem.astype("float32").forward(core, packed=problem.packed(core))


def test_packed_weights_for_other_activations_are_an_error(core):
    # Packed weights contain the input scales of the activations.
    activations = [(name, ("relu", 0.0, 0.0), name) for name in GATES[:2]]
    sigmoid, hard_sigmoid = (layer_of(cells.lstm_spec(activations=a)) for a in activations)
    for layer, other in ((sigmoid, hard_sigmoid), (hard_sigmoid, sigmoid)):
        with pytest.raises(ValueError, match="packed weights are of another layer"):
            other.forward(core, packed=layer.packed(core))
