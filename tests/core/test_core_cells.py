"""The recurrent kernels of every variant, fused and staged: against plain NumPy equations and their
central differences, against PyTorch, and against themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference_cells as cells
from conftest import VARIANTS
from recurrent_problems import (
    FORWARD,
    FUSED,
    GATES,
    GRADIENT_OF,
    GRADIENT_OF_FLOAT32,
    LAYER_NORM_AMPLIFIES,
    OTHERS,
    SPECS,
    Problem,
    assert_forward_right,
    assert_gradients_right,
    assert_same_bits,
    regularisers_for,
)
from reference import numeric_gradient, relative_error


def test_every_fused_cell_has_a_reference(core):
    assert sorted(core.cells()) == sorted(FUSED)


# Where z itself is handed on, an overflow is what the equations say.
UNBOUNDED = {"rnn_relu", "linear_candidate_lstm"}


@pytest.mark.parametrize("name", sorted(FUSED.keys() - UNBOUNDED))
@pytest.mark.parametrize("scale", [30, 1e3, 1e30])
def test_saturated_gates_overflow_nothing(core, dtype, name, scale):
    problem = Problem.random(SPECS[f"fused {name}"], 20, 5, 6, 3, 20, dtype)
    saturated = replace(problem, x=(problem.x * scale).astype(dtype))
    for value in saturated.run(core).values():
        assert np.isfinite(value).all()


@pytest.mark.parametrize("name", sorted(UNBOUNDED))
def test_large_inputs_of_cells_without_bound(core, dtype, name):
    problem = Problem.random(SPECS[f"fused {name}"], 20, 5, 6, 3, 20, dtype)
    for value in replace(problem, x=problem.x * dtype.type(1e3)).run(core).values():
        assert np.isfinite(value).all()


@st.composite
def specs(draw):
    family = draw(st.sampled_from(["lstm", "lstm", "lstm", "gru", "rnn"]))
    gate, candidate, output = (draw(st.sampled_from(s)) for s in (GATES, OTHERS, OTHERS))
    flag = st.booleans()
    if family == "rnn":
        return cells.rnn_spec(*candidate)
    if family == "gru":
        return cells.gru_spec(activations=(gate, candidate), reset_after=draw(flag))
    full = draw(st.sampled_from([False, False, True]))
    projection = draw(st.sampled_from([0, 1, 5, 17]))
    coupled = False if full else draw(flag)
    return cells.lstm_spec(
        activations=(gate, candidate, output),
        peepholes=draw(flag),
        coupled=coupled,
        input_gate=full or draw(flag),
        forget_gate=full or coupled or draw(flag),
        output_gate=full or draw(flag),
        full_gate_recurrence=full,
        layer_norm=draw(flag),
        cell_clip=draw(st.sampled_from([None, 0.4, 3.0])),
        projection=projection,
        projection_bias=projection > 0 and draw(flag),
    )


@st.composite
def problems(draw, dtype, most_hidden, most_steps):
    fused = st.sampled_from([SPECS[f"fused {name}"] for name in FUSED])
    spec = draw(st.one_of(specs(), fused))
    directions = draw(st.sampled_from([1, 2]))
    rates = [draw(st.sampled_from([0.0, 0.3])) for _ in range(4)]
    key = draw(st.one_of(st.none(), st.integers(0, 2**63 - 1)))
    return Problem.random(
        spec,
        draw(st.integers(0, 2**32 - 1)),
        draw(st.integers(1, 9)),
        draw(st.integers(1, most_steps)),
        draw(st.integers(1, 20)),
        draw(st.integers(1, most_hidden)),
        dtype,
        draw(st.booleans()),
        directions=directions,
        reverse=directions == 1 and draw(st.booleans()),
        regularisers=draw(st.sampled_from([None, regularisers_for(spec, (key, *rates))])),
    )


variants = st.sampled_from(list(VARIANTS))
threads_to_use = st.integers(1, 4)


@given(problem=problems("float64", 40, 12), threads=threads_to_use, variant=variants)
def test_any_forward(problem, threads, variant):
    assert_forward_right(problem, VARIANTS[variant], threads)


@given(problem=problems("float64", 24, 6), threads=threads_to_use, variant=variants)
def test_any_gradient(problem, threads, variant):
    assert_gradients_right(problem, VARIANTS[variant], threads, directions=1)


@given(problem=problems("float64", 70, 12), threads=threads_to_use, variant=variants)
def test_any_in_float32(problem, threads, variant):
    single = problem.astype("float32")
    results = single.run(VARIANTS[variant], threads)
    expected = single.astype("float64").run(VARIANTS[variant])
    for name, value in results.items():
        tolerance = FORWARD["float32"] if name in "yhc" else GRADIENT_OF_FLOAT32
        if problem.spec.get("layer_norm"):
            tolerance *= LAYER_NORM_AMPLIFIES
        assert relative_error(value, expected[name]) <= tolerance, name


@pytest.mark.parametrize("name", SPECS)
def test_every_element_of_every_gradient(core, name):
    problem = Problem.random(SPECS[name], 1, 2, 3, 2, 3, ragged=True)
    results = problem.run(core)
    for of, gradient in GRADIENT_OF.items():
        at = getattr(problem, of)
        if at is not None:
            numeric = numeric_gradient(problem.reference_loss, at)
            assert relative_error(results[gradient], numeric) < 1e-8, of


@pytest.mark.parametrize("name", SPECS)
def test_larger_shapes(core, dtype, name):
    options = {"directions": 2, "regularisers": regularisers_for(SPECS[name])}
    problem = Problem.random(SPECS[name], 2, 20, 6, 70, 65, dtype, ragged=True, **options)
    assert_forward_right(problem, core)
    if dtype == "float64":
        assert_gradients_right(problem, core, directions=1)


@pytest.mark.usefixtures("eager_teams")
@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("regularised", [False, True])
def test_same_bits_for_any_number_of_threads(core, dtype, name, regularised):
    spec = SPECS[name]
    problem = Problem.random(spec, 3, 7, 60, 33, 33, dtype, ragged=True, directions=2)
    if regularised:
        problem.regularisers = regularisers_for(spec)
    one = problem.run(core)
    for threads in (2, 3, 4):
        assert_same_bits(problem.run(core, threads), one)


@pytest.mark.parametrize("name", ["fused lstm", "fused gru", "fused rnn_tanh"])
@pytest.mark.parametrize(("batch", "steps"), [(32, 9), (129, 1)])
def test_gradients_where_weights_are_summed_at_step_0_and_after(core, name, batch, steps):
    # Many rows or steps are summed in blocks, between which backward waits at the first step.
    problem = Problem.random(SPECS[name], 12, batch, steps, 2, 5)
    problem.regularisers = regularisers_for(SPECS[name])
    assert_gradients_right(problem, core, directions=1)


@pytest.mark.usefixtures("eager_teams")
@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("regularised", [False, True])
def test_same_bits_where_threads_divide_the_units(core, dtype, name, regularised):
    problem = Problem.random(SPECS[name], 5, 2, 9, 3, 130, dtype, ragged=True, directions=2)
    if regularised:
        problem.regularisers = regularisers_for(SPECS[name])
    one = problem.run(core)
    for threads in (2, 3, 5):
        assert_same_bits(problem.run(core, threads), one)


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("ragged", [False, True])
def test_same_bits_for_any_batch(core, dtype, name, ragged):
    problem = Problem.random(SPECS[name], 4, 13, 9, 7, 33, dtype, ragged, directions=2)
    whole = problem.forward(core)[:3]
    for size in (1, 2, 3, 7, 12):
        rows = np.random.default_rng(size).permutation(13)[:size]
        part = replace(
            problem,
            x=problem.x[rows],
            lengths=problem.lengths[rows] if ragged else None,
            h=np.ascontiguousarray(problem.h[:, rows]),
            c=None if problem.c is None else np.ascontiguousarray(problem.c[:, rows]),
        ).forward(core)
        of_rows = (
            whole[0][rows],
            whole[1][:, rows],
            None if problem.c is None else whole[2][:, rows],
        )
        for some, expected in zip(part[:3], of_rows, strict=True):
            assert (some is None) == (expected is None)
            assert some is None or some.tobytes() == np.ascontiguousarray(expected).tobytes()


@pytest.mark.parametrize("name", sorted(SPECS.keys() - {"full gate recurrence", "everything"}))
def test_a_sequence_in_pieces_is_the_same(core, dtype, name):
    problem = Problem.random(SPECS[name], 5, 4, 60, 3, 33, dtype)
    y, h, c, _ = problem.forward(core)
    first = replace(problem, x=problem.x[:, :55]).forward(core)
    second = replace(problem, x=problem.x[:, 55:], h=first[1], c=first[2]).forward(core)
    assert np.concatenate([first[0], second[0]], axis=1).tobytes() == y.tobytes()
    assert second[1].tobytes() == h.tobytes()
    assert c is None or second[2].tobytes() == c.tobytes()


@pytest.mark.parametrize("name", SPECS)
def test_training_and_inference_agree_to_the_last_bit(core, dtype, name):
    problem = Problem.random(SPECS[name], 6, 7, 60, 4, 33, dtype, ragged=True)
    for inference, training in zip(
        problem.forward(core)[:3], problem.forward(core, True), strict=False
    ):
        assert inference is training is None or inference.tobytes() == training.tobytes()


@pytest.mark.parametrize("name", SPECS)
def test_padding_is_never_read(core, dtype, name):
    problem = Problem.random(SPECS[name], 7, 6, 9, 4, 20, dtype, ragged=True, directions=2)
    clean = problem.run(core)
    past = np.arange(9) >= problem.lengths[:, np.newaxis]
    dirty = replace(problem, x=problem.x.copy(), dy=problem.dy.copy())
    dirty.x[past], dirty.dy[past] = np.nan, np.nan
    assert_same_bits(dirty.run(core), clean)
    assert not clean["y"][past].any()
    assert not clean["dx"][past].any()


@pytest.mark.parametrize(
    "change",
    {
        "reversed in time": lambda x: x[:, ::-1],
        "every second row": lambda x: np.repeat(x, 2, axis=0)[::2],
        "time first": lambda x: np.ascontiguousarray(x.transpose(1, 0, 2)).transpose(1, 0, 2),
        "one row for all": lambda x: np.broadcast_to(x[:1], x.shape),
    }.items(),
    ids=lambda case: case[0],
)
def test_strided_input(core, dtype, change):
    problem = Problem.random(SPECS["layer norm"], 8, 5, 6, 3, 20, dtype)
    view = change[1](problem.x)
    assert not view.flags.c_contiguous
    contiguous = replace(problem, x=np.ascontiguousarray(view))
    assert_same_bits(replace(problem, x=view).run(core), contiguous.run(core))


def test_reverse_reads_each_sequence_from_its_own_last_step(core, dtype):
    problem = Problem.random(SPECS["gru"], 9, 5, 6, 3, 20, dtype, ragged=True)
    flipped = problem.x.copy()
    for row, length in zip(flipped, problem.lengths, strict=True):
        row[:length] = row[:length][::-1]
    y, h, _, _ = replace(problem, reverse=True).forward(core)
    expected_y, expected_h, _, _ = replace(problem, x=flipped).forward(core)
    for row, expected, length in zip(y, expected_y, problem.lengths, strict=True):
        assert row[:length].tobytes() == expected[:length][::-1].tobytes()
    assert h.tobytes() == expected_h.tobytes()


def test_gradients_are_added_to(core, dtype):
    problem = Problem.random(SPECS["everything"], 10, 5, 6, 3, 20, dtype)
    fresh = problem.run(core)["grads"]
    grads = np.full_like(problem.params, 2)
    saved = problem.forward(core, True)[3]
    given = (saved, problem.params, problem.x, problem.dy, problem.dh, problem.dc)
    assert core.staged_backward(*given, False, False, grads) == (None, None, None)
    np.testing.assert_allclose(grads, 2 + fresh, rtol=1e-5)


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn"])
def test_optional_gradients(core, dtype, name):
    problem = Problem.random(SPECS[name], 11, 5, 6, 3, 20, dtype)
    zeros = {n: np.zeros_like(a) for n in ("dy", "dc") if (a := getattr(problem, n)) is not None}
    without = replace(problem, **dict.fromkeys(zeros))
    assert_same_bits(without.run(core), replace(problem, **zeros).run(core))


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn"])
def test_no_initial_state_and_no_outputs(core, dtype, name):
    problem = Problem.random(SPECS[name], 12, 5, 6, 3, 20, dtype)
    zero = replace(problem, h=problem.h * 0, c=None if problem.c is None else problem.c * 0)
    wanted = zero.forward(core)
    y, h, c, saved = core.staged_forward(
        problem.spec,
        *(1, False, 20, problem.params, problem.x, None, None, None, False, False, None, 1),
    )
    assert y is None
    assert saved is None
    assert h.tobytes() == wanted[1].tobytes()
    assert c is wanted[2] is None or c.tobytes() == wanted[2].tobytes()


def test_input_is_not_written_to(core, dtype):
    problem = Problem.random(SPECS["everything"], 13, 5, 6, 3, 20, dtype, ragged=True)
    for name in ("params", "x", "lengths", "h", "c", "dy", "dh", "dc"):
        getattr(problem, name).flags.writeable = False
    problem.run(core, threads=2)  # a write would fail


@pytest.mark.parametrize("name", SPECS)
def test_regularisers_are_drawn_by_row_and_step_of_the_whole_batch(core, dtype, name):
    """Another key gives other masks; a row's own do not depend on the other rows' lengths."""
    regularisers = regularisers_for(SPECS[name])
    problem = Problem.random(SPECS[name], 14, 6, 7, 4, 20, dtype, regularisers=regularisers)
    y = problem.forward(core, True)[0]
    other = replace(problem, regularisers=(regularisers[0] + 1, *regularisers[1:]))
    assert (other.forward(core, True)[0] != y).any()
    ragged = replace(problem, lengths=np.array([3, 7, 1, 7, 2, 5]))
    assert ragged.forward(core, True)[0][1].tobytes() == y[1].tobytes()


def test_dropout_vanishes_at_inference(core, dtype):
    problem = Problem.random(SPECS["lstm"], 15, 6, 7, 4, 20, dtype)
    dropped = replace(problem, regularisers=(None, 0.5, 0.5, 0.0, 0.0))
    assert dropped.forward(core)[0].tobytes() == problem.forward(core)[0].tobytes()


@pytest.mark.parametrize("name", ["lstm", "gru", "relu rnn"])
def test_what_is_not_a_number_stays_in_its_row(core, dtype, name):
    problem = Problem.random(SPECS[name], 16, 5, 6, 3, 20, dtype)
    clean = problem.forward(core)[0]
    problem.x[2, 3, 1] = np.nan
    y = problem.forward(core)[0]
    others = np.arange(5) != 2
    assert y[others].tobytes() == clean[others].tobytes()
    assert y[2, :3].tobytes() == clean[2, :3].tobytes()
    assert np.isnan(y[2, 3:]).all()


def torch_problem(torch, module, spec, directions, permuted=None):
    """A problem with a PyTorch module's weights, and the module in float64."""
    module = module.double()
    parts = []
    for suffix in ("", "_reverse")[:directions]:
        named = {n: p.detach().numpy() for n, p in module.named_parameters()}
        ih, hh = named[f"weight_ih_l0{suffix}"], named[f"weight_hh_l0{suffix}"]
        bias_ih, bias_hh = named[f"bias_ih_l0{suffix}"].copy(), named[f"bias_hh_l0{suffix}"].copy()
        hidden = len(hh) // len(cells.gates_of(spec))
        extra = []
        if spec["family"] == "gru":
            extra = [bias_hh[2 * hidden :].copy()]
            bias_hh[2 * hidden :] = 0
        if spec.get("projection"):
            extra = [named[f"weight_hr_l0{suffix}"]]
        parts += [ih, hh, bias_ih + bias_hh, *extra]
    params = np.concatenate([part.ravel() for part in parts])
    problem = Problem.random(spec, 0, 4, 9, 3, hidden, directions=directions)
    assert problem.params.size == params.size
    return replace(problem, params=params)


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("name", ["lstm", "projection", "gru", "rnn", "relu rnn"])
def test_parity_with_torch(core, name, directions):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    options = {"batch_first": True, "bidirectional": directions == 2}
    spec, module = {
        "lstm": lambda: (cells.lstm_spec(), torch.nn.LSTM(3, 20, **options)),
        "projection": lambda: (
            cells.lstm_spec(projection=7),
            torch.nn.LSTM(3, 20, proj_size=7, **options),
        ),
        "gru": lambda: (cells.gru_spec(), torch.nn.GRU(3, 20, **options)),
        "rnn": lambda: (cells.rnn_spec(), torch.nn.RNN(3, 20, **options)),
        "relu rnn": lambda: (
            cells.rnn_spec("relu"),
            torch.nn.RNN(3, 20, nonlinearity="relu", **options),
        ),
    }[name]()
    problem = torch_problem(torch, module, spec, directions)
    x, h, c = (
        None if a is None else torch.tensor(a, requires_grad=True)
        for a in (problem.x, problem.h, problem.c)
    )
    state = h if c is None else (h, c)
    y, last = module(x, state)
    last_h, last_c = (last, None) if c is None else last
    loss = (y * torch.tensor(problem.dy)).sum() + (last_h * torch.tensor(problem.dh)).sum()
    if c is not None:
        loss = loss + (last_c * torch.tensor(problem.dc)).sum()
    loss.backward()
    results = problem.run(core)
    expected = {"y": y, "h": last_h, "c": last_c, "dx": x.grad, "dh": h.grad}
    if c is not None:
        expected["dc"] = c.grad
    for key, value in expected.items():
        if value is not None:
            assert relative_error(results[key], value.detach().numpy()) < 1e-12, key
    weight_ih = next(iter(module.parameters()))
    grads = results["grads"][: weight_ih.numel()].reshape(weight_ih.shape)
    assert relative_error(grads, weight_ih.grad.numpy()) < 1e-12


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
        ({"directions": 3}, "one or two directions"),
        ({"regularisers": (1, 0.1)}, "five entries"),
        ({"regularisers": (1, 1.0, 0.0, 0.0, 0.0)}, r"in \[0, 1\)"),
        ({"spec": {**cells.lstm_spec(), "family": "lstn"}}, "unknown family"),
        ({"spec": cells.lstm_spec(activations=GATES[:2])}, "number of activations"),
        ({"spec": cells.lstm_spec(activations=(("swish", 0, 0),) * 3)}, "unknown activation"),
        ({"spec": cells.lstm_spec(cell_clip=0.0)}, "cell_clip must be positive"),
        ({"spec": cells.lstm_spec(projection_bias=True)}, "needs a projection"),
        ({"spec": cells.lstm_spec(coupled=True, forget_gate=False)}, "needs the forget gate"),
        ({"spec": cells.lstm_spec(coupled=True, full_gate_recurrence=True)}, "all three gates"),
    ],
)
def test_the_core_itself_refuses_wrong_arguments(core, change, message):
    problem = Problem.random(SPECS["lstm"], 17, 3, 4, 2, 5)
    with pytest.raises(ValueError, match=message):
        replace(problem, **change).forward(core)


def test_what_a_family_does_not_have(core):
    gru, rnn = (Problem.random(SPECS[name], 18, 3, 4, 2, 5) for name in ("gru", "rnn"))
    with pytest.raises(ValueError, match="no second state"):
        replace(gru, c=gru.h).forward(core)
    with pytest.raises(ValueError, match="no second state to zone out"):
        replace(gru, regularisers=(1, 0.0, 0.0, 0.0, 0.5)).forward(core)
    with pytest.raises(ValueError, match="no candidate"):
        replace(rnn, regularisers=(1, 0.0, 0.5, 0.0, 0.0)).forward(core)


def test_saved_can_be_used_once_and_with_its_own_dtype(core):
    problem = Problem.random(SPECS["gru"], 19, 3, 4, 2, 5)
    saved = problem.forward(core, True)[3]
    single = problem.astype("float32")
    given = (single.params, single.x, None, None, None, False, False, single.params.copy())
    with pytest.raises(ValueError, match="incorrect name"):
        core.staged_backward(saved, *given)
    given = (problem.params, problem.x, problem.dy, None, None, False, False, problem.params.copy())
    core.staged_backward(saved, *given)
    with pytest.raises(ValueError, match="saved has been used"):
        core.staged_backward(saved, *given)


@pytest.mark.parametrize("hidden", [3, 8, 16, 17, 20, 33])
@pytest.mark.parametrize("name", ["fused gru", "gru", "fused lstm", "fused rnn_tanh"])
@pytest.mark.parametrize("batch", [1, 2, 7])
@pytest.mark.parametrize("values", [[np.inf], [-np.inf], [np.inf, -np.inf], [np.nan]], ids=str)
def test_inputs_that_are_not_finite(core, dtype, name, hidden, batch, values):
    # Saturated gates are finite; not a number is only what the equations say.
    problem = Problem.random(SPECS[name], 20, batch, 6, 4, hidden, dtype)
    problem.x[batch - 1, 2, : len(values)] = values
    with np.errstate(invalid="ignore", over="ignore"):
        expected = problem.reference()[0]
    for training in (False, True):
        y = problem.forward(core, training)[0]
        np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("hidden", [3, 8, 16, 17, 20, 33])
def test_an_initial_state_of_a_gru_that_is_infinite(core, dtype, hidden):
    # One row's infinite h[0] saturates the gates of its other units, for any number of units.
    problem = Problem.random(SPECS["fused gru"], 21, 5, 4, 3, hidden, dtype)
    clean = problem.forward(core)[0]
    problem.h[0, 2, 0] = np.inf
    y = problem.forward(core)[0]
    others = np.arange(5) != 2
    assert y[others].tobytes() == clean[others].tobytes()
    assert not np.isfinite(y[2, :, 0]).any()
    assert np.isfinite(y[2, :, 1:]).all()
