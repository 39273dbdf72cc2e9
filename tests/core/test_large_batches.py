"""Batches of more than 128 sequences of any lengths give the results of small batches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fusedlstm
from conftest import VARIANTS
from fusedlstm.layers import GRU, LSTM, RNN, LastStep
from recurrent_problems import (
    FORWARD,
    GRADIENT_OF_FLOAT32,
    LAYER_NORM_AMPLIFIES,
    SPECS,
    RecurrentProblem,
    assert_forward_right,
    assert_gradients_right,
    regularizers_for,
)
from reference import relative_error

SMALL_BATCH = 100
BATCH_AXIS = {"y": 0, "dx": 0} | dict.fromkeys(["h", "c", "gates", "dh", "dc", "dgates"], 1)


def in_small_batches(problem, core):
    """Return the results of `RecurrentProblem.run`, computed in batches of at most 100 rows."""
    parts = []
    for first in range(0, len(problem.x), SMALL_BATCH):
        parts.append(problem.rows(slice(first, first + SMALL_BATCH)).run(core))
    whole = {"grads": np.sum([part["grads"] for part in parts], axis=0)}
    for name, axis in BATCH_AXIS.items():
        if name in parts[0]:
            whole[name] = np.concatenate([part[name] for part in parts], axis=axis)
    return whole


def assert_same_in_small_batches(problem, core, threads=1):
    results = problem.run(core, threads)
    expected = in_small_batches(problem, core)
    assert results.keys() == expected.keys()
    single = problem.params.dtype == np.float32
    tolerance = GRADIENT_OF_FLOAT32 if single else FORWARD["float64"]
    if problem.spec.get("layer_norm"):
        tolerance *= LAYER_NORM_AMPLIFIES
    for name, value in results.items():
        assert relative_error(value, expected[name]) <= tolerance, name


def lengths_of(mixture, batch, steps, rng):
    """Draw lengths from 1 to ``steps``, or None if all sequences have all steps."""
    row = np.arange(batch)
    return {
        "no lengths": lambda: None,
        "all full": lambda: np.full(batch, steps),
        "all 1": lambda: np.ones(batch, np.int64),
        "half full, half 1": lambda: np.where(row < batch // 2, steps, 1),
        "alternating": lambda: np.where(row % 2 == 0, steps, 1),
        "one long": lambda: np.where(row == batch // 3, steps, 1),
        "one short": lambda: np.where(row == batch // 3, 1, steps),
        "ascending": lambda: 1 + row * steps // batch,
        "descending": lambda: steps - row * steps // batch,
        "random": lambda: rng.integers(1, steps + 1, batch),
        # The number of rows at a step determines the blocks of the sums.
        "some full, the others 1": lambda: np.where(row < rng.integers(batch + 1), steps, 1),
    }[mixture]()


MIXTURES = [
    "no lengths",
    "all full",
    "all 1",
    "half full, half 1",
    "alternating",
    "one long",
    "one short",
    "ascending",
    "descending",
    "random",
    "some full, the others 1",
]


def with_lengths(problem, mixture, seed=0):
    batch, steps = problem.x.shape[:2]
    return replace(problem, lengths=lengths_of(mixture, batch, steps, np.random.default_rng(seed)))


@st.composite
def large_problems(draw, names, smallest, largest, dtypes=("float32", "float64")):
    directions = draw(st.sampled_from([1, 2]))
    batch = draw(st.one_of(st.integers(smallest, largest), st.sampled_from([258, 300, 512])))
    problem = RecurrentProblem.random(
        SPECS[draw(st.sampled_from(names))],
        draw(st.integers(0, 2**32 - 1)),
        batch,
        draw(st.integers(1, 5)),
        draw(st.sampled_from([1, 3, 8, 40])),
        draw(st.sampled_from([1, 4, 16, 20, 33])),
        draw(st.sampled_from(dtypes)),
        directions=directions,
        reverse=directions == 1 and draw(st.booleans()),
    )
    return with_lengths(problem, draw(st.sampled_from(MIXTURES)), draw(st.integers(0, 2**32 - 1)))


variants = st.sampled_from(list(VARIANTS))


@pytest.mark.usefixtures("force_threads")
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(problem=large_problems(list(SPECS), 129, 1000), threads=st.integers(1, 3), variant=variants)
def test_cells_agree_with_small_batches(problem, threads, variant):
    assert_same_in_small_batches(problem, VARIANTS[variant], threads)


@settings(max_examples=4)
@given(
    problem=large_problems(["lstm", "gru", "rnn", "everything"], 258, 320, ["float64"]),
    regularized=st.booleans(),
    variant=variants,
)
def test_large_batches_agree_with_the_equations(problem, regularized, variant):
    if regularized:
        problem.regularizers = regularizers_for(problem.spec)
    assert_forward_right(problem, VARIANTS[variant])
    assert_gradients_right(problem, VARIANTS[variant], directions=1)


@pytest.mark.parametrize("mixture", MIXTURES)
@pytest.mark.parametrize("batch", [258, 300, 512, 1000])
def test_mixtures_of_lengths_agree_with_small_batches(core, batch, mixture):
    problem = RecurrentProblem.random(SPECS["lstm"], 1, batch, 3, 8, 4, directions=2)
    assert_same_in_small_batches(with_lengths(problem, mixture), core)


# Of 258 sequences, 129 run at the second step: one more than a block of a sum. With 271
# features (float32) the buffer of the sums does not fill whole pages.
@pytest.mark.parametrize("inputs", [1, 15, 271, 600])
@pytest.mark.parametrize("running", [127, 129, 200, 257])
def test_sums_over_the_rows_of_one_step_agree_with_small_batches(core, dtype, inputs, running):
    problem = RecurrentProblem.random(SPECS["lstm"], 2, 258, 2, inputs, 4, dtype)
    problem.lengths = np.where(np.arange(258) < running, 2, 1)
    assert_same_in_small_batches(problem, core)


@pytest.mark.parametrize("batch", [300, 512])
@pytest.mark.parametrize("given", ["lengths", "mask"])
@pytest.mark.parametrize(
    "layer",
    [LSTM(4), LSTM(4, bidirectional=True), LSTM(4, layer_norm=True), GRU(20), RNN(33)],
    ids=["lstm", "bidirectional", "layer norm", "gru", "rnn"],
)
def test_models_agree_with_small_batches(batch, given, layer):
    model = fusedlstm.Sequential([layer, LastStep()], 8, "float64", random_state=0)
    rng = np.random.default_rng(3)
    x = rng.standard_normal((batch, 6, 8))
    lengths = rng.integers(1, 7, batch)
    mask = np.zeros((batch, 6), bool)
    for row, length in zip(mask, lengths, strict=True):
        row[rng.permutation(6)[:length]] = True
    dy = rng.standard_normal(model.predict(x).shape)

    def gradients(rows):
        some = {"lengths": lengths[rows]} if given == "lengths" else {"mask": mask[rows]}
        saved = model.forward(x[rows], **some)[1]
        grads = np.zeros_like(model.params)
        return model.backward(saved, dy[rows], grads), grads

    dx, grads = gradients(slice(0, batch))
    parts = [gradients(slice(k, k + SMALL_BATCH)) for k in range(0, batch, SMALL_BATCH)]
    assert relative_error(dx, np.concatenate([part[0] for part in parts])) < 1e-12
    assert relative_error(grads, sum(part[1] for part in parts)) < 1e-12


def test_a_fit_with_a_large_batch_of_ragged_sequences(one_thread):
    rng = np.random.default_rng(4)
    X = [rng.standard_normal((length, 3)) for length in rng.integers(1, 21, 512)]
    y = [sequence.sum() for sequence in X]
    fitted = fusedlstm.LSTMRegressor(8, batch_size=512, max_iter=3, random_state=0).fit(X, y)
    assert np.isfinite(fitted.loss_curve_).all()


# Broadcast inputs have sizes above any memory, and the products of sizes may overflow.
ABSURD = [(1, 2**58), (1, 2**60), (1, 2**61 - 1), (2**58, 1), (2**60, 1), (2**30, 2**30)]


@pytest.mark.parametrize(("batch", "steps"), ABSURD)
@pytest.mark.parametrize(
    "layers",
    [[LSTM(16), LastStep()], [GRU(5, bidirectional=True)], [LSTM(3, layer_norm=True)]],
    ids=["lstm", "bidirectional", "layer norm"],
)
def test_sizes_above_the_memory_raise_memory_error(layers, batch, steps):
    model = fusedlstm.Sequential(layers, 1, random_state=0)
    x = np.broadcast_to(np.float32(0), (batch, steps, 1))
    for call in (model.forward, model.predict, model.run, model.predictor().predict):
        with pytest.raises(MemoryError):
            call(x)


def packed_model(core):
    whole = core.Program("float32", 1)
    packed = core.pack_dense(np.zeros(2, "f"), 1, 1)
    whole.add_dense(1, packed, "linear")
    return whole


def test_sizes_whose_products_overflow_raise_memory_error(core):
    params, x = np.zeros(8, "f"), np.zeros((1, 1, 1), "f")
    cell = core.Cell(SPECS["lstm"])
    for hidden in (2**31, 2**62):
        given = (None, None, True, False, None, 1)
        with pytest.raises(MemoryError):
            core.recurrent_forward(cell, 1, False, hidden, params, x, *given)
        with pytest.raises(MemoryError):
            core.pack_recurrent(cell, 2, 1, hidden, params)
        with pytest.raises(MemoryError):
            core.pack_dense(params, hidden, hidden)
        with pytest.raises(MemoryError):
            core.Stream(packed_model(core), False, 2**62)
