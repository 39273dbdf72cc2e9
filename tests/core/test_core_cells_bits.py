"""The recurrent kernels give the same bits for any batch, threads, pieces and padding."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from recurrent_problems import (
    SPECS,
    RecurrentProblem,
    assert_same_bits,
    regularizers_for,
)


def assert_same_arrays(results, others):
    for a, b in zip(results, others, strict=True):
        assert np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()


@pytest.mark.usefixtures("force_threads")
@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("regularized", [False, True])
def test_same_bits_for_any_number_of_threads(core, dtype, name, regularized):
    spec = SPECS[name]
    problem = RecurrentProblem.random(spec, 3, 17, 20, 33, 33, dtype, ragged=True, directions=2)
    if regularized:
        problem.regularizers = regularizers_for(spec)
    one = problem.run(core)
    for threads in (2, 3, 4, 8):
        assert_same_bits(problem.run(core, threads), one)


# Fewer rows than threads: the threads divide the units. 257 units are several panels of any size.
@pytest.mark.usefixtures("force_threads")
@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("regularized", [False, True])
@pytest.mark.parametrize("batch", [1, 3])
def test_same_bits_when_threads_divide_the_units(core, dtype, name, regularized, batch):
    problem = RecurrentProblem.random(
        SPECS[name], 5, batch, 9, 3, 257, dtype, ragged=True, directions=2
    )
    if regularized:
        problem.regularizers = regularizers_for(SPECS[name])
    one = problem.run(core)
    for threads in (2, 3, 8):
        assert_same_bits(problem.run(core, threads), one)


@pytest.mark.usefixtures("force_threads")
@pytest.mark.parametrize("name", SPECS)
def test_same_bits_at_inference_for_any_number_of_threads(core, dtype, name):
    few, many = ((1, 12, 4, 150), (11, 9, 5, 21))
    for shape in (few, many):
        problem = RecurrentProblem.random(SPECS[name], 3, *shape, dtype, ragged=True)
        one = problem.forward(core)
        for threads in (2, 3, 8):
            y, states, _ = problem.forward(core, threads=threads)
            assert_same_arrays((y, *states), (one[0], *one[1]))


@pytest.mark.usefixtures("force_threads")
@pytest.mark.parametrize(
    ("batch", "steps", "inputs", "hidden", "directions", "ragged"),
    [
        (8, 60, 30, 64, 1, False),
        (9, 50, 33, 45, 2, True),
        (3, 150, 20, 64, 1, False),
        (2, 300, 8, 33, 1, True),
        (200, 4, 40, 48, 1, True),
        # Fewer rows than threads: the threads divide the units if there is more than one panel.
        (1, 20, 5, 150, 1, False),
        (1, 1, 3, 130, 2, False),
        (2, 19, 4, 257, 2, True),
        (2, 9, 3, 512, 1, True),
        # Weights that do not fit into a cache: the threads divide the units of many rows.
        (9, 7, 3, 512, 2, True),
        (16, 5, 20, 384, 1, False),
    ],
)
@pytest.mark.parametrize("name", ["lstm", "everything", "gru reset before"])
def test_same_bits_for_any_number_of_threads_and_shape(
    core, dtype, name, batch, steps, inputs, hidden, directions, ragged
):
    shape = (batch, steps, inputs, hidden)
    problem = RecurrentProblem.random(SPECS[name], 3, *shape, dtype, ragged, directions=directions)
    one = problem.run(core)
    for threads in (2, 3, 8):
        assert_same_bits(problem.run(core, threads), one)


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        *((name, hidden) for name in SPECS for hidden in (20, 33)),
        *(("lstm", hidden) for hidden in (5, 16, 64, 100)),
    ],
)
@pytest.mark.parametrize("ragged", [False, True])
def test_same_bits_for_any_batch(core, dtype, name, hidden, ragged):
    problem = RecurrentProblem.random(SPECS[name], 4, 13, 9, 7, hidden, dtype, ragged, directions=2)
    y, states, _ = problem.forward(core)
    for size in (1, 2, 3, 7, 12):
        rows = np.random.default_rng(size).permutation(13)[:size]
        some_y, some_states, _ = problem.rows(rows).forward(core)
        of_rows = [state[:, rows] for state in states]
        assert_same_arrays((some_y, *some_states), (y[rows], *of_rows))


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("zoneout", [False, True])
def test_a_sequence_in_pieces_has_the_bits_of_the_whole(core, dtype, name, reverse, zoneout):
    problem = RecurrentProblem.random(SPECS[name], 5, 4, 60, 3, 33, dtype, reverse=reverse)
    if zoneout:
        problem.regularizers = regularizers_for(SPECS[name], (None, 0.0, 0.0, 0.2, 0.3))
    y, states, _ = problem.forward(core)
    cuts = [0, 1, 2, 20, 55, 60]
    pieces = [slice(a, b) for a, b in pairwise(cuts)]
    outputs, given = [], problem
    for piece in pieces[::-1] if reverse else pieces:
        out, after, _ = replace(given, x=problem.x[:, piece]).forward(core)
        outputs.append(out)
        given = problem.with_states(after)
    whole = np.concatenate(outputs[::-1] if reverse else outputs, axis=1)
    assert_same_arrays((whole, *after), (y, *states))


@pytest.mark.parametrize("name", SPECS)
def test_gradients_pass_through_the_states_between_pieces(core, name):
    problem = RecurrentProblem.random(SPECS[name], 5, 4, 9, 3, 20)
    expected = problem.run(core)
    first = replace(problem, x=problem.x[:, :5], dy=problem.dy[:, :5].copy())
    _, states, _ = first.forward(core)
    second = replace(problem, x=problem.x[:, 5:], dy=problem.dy[:, 5:].copy())
    second = second.with_states(states)
    late = second.run(core)
    between = {f"d{name}": late[f"d{name}"] for name in problem.state_names}
    early = replace(first, **between).run(core)
    for key in between:
        np.testing.assert_allclose(early[key], expected[key], rtol=1e-9, atol=1e-12)
    for key in ("y", "dx"):
        whole = np.concatenate([early[key], late[key]], axis=1)
        np.testing.assert_allclose(whole, expected[key], rtol=1e-9, atol=1e-12)
    total = early["grads"] + late["grads"]
    np.testing.assert_allclose(total, expected["grads"], rtol=1e-9, atol=1e-11)


@pytest.mark.usefixtures("force_threads")
@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("shape", [(7, 9, 4, 33), (1, 9, 4, 33), (2, 5, 3, 150)], ids=str)
def test_packed_weights_give_the_bits_of_arrays(core, dtype, name, shape):
    for directions in (1, 2):
        problem = RecurrentProblem.random(
            SPECS[name], 6, *shape, dtype, ragged=True, directions=directions
        )
        packed = problem.packed(core)
        for training in (False, True):
            y, states, _ = problem.forward(core, training)
            for threads in (1, 3):
                given = problem.forward(core, training, threads, packed=packed)
                assert_same_arrays((given[0], *given[1]), (y, *states))


@pytest.mark.parametrize("name", SPECS)
def test_training_and_inference_agree_bit_for_bit(core, dtype, name):
    for shape in ((7, 60, 4, 33), (1, 9, 4, 40)):
        problem = RecurrentProblem.random(SPECS[name], 6, *shape, dtype, ragged=True)
        inference, training = (problem.forward(core, kind) for kind in (False, True))
        assert_same_arrays((inference[0], *inference[1]), (training[0], *training[1]))


@pytest.mark.parametrize("name", SPECS)
def test_final_states_do_not_depend_on_the_outputs(core, dtype, name):
    problem = RecurrentProblem.random(SPECS[name], 6, 7, 9, 4, 33, dtype, ragged=True)
    y, states, _ = problem.forward(core, all_steps=False)
    assert y is None
    assert_same_arrays(states, problem.forward(core)[1])


@pytest.mark.parametrize("name", SPECS)
def test_padding_is_never_read(core, dtype, name):
    problem = RecurrentProblem.random(SPECS[name], 7, 6, 9, 4, 20, dtype, ragged=True, directions=2)
    clean = problem.run(core)
    past = np.arange(9) >= problem.lengths[:, np.newaxis]
    dirty = replace(problem, x=problem.x.copy(), dy=problem.dy.copy())
    dirty.x[past], dirty.dy[past] = np.nan, np.nan
    assert_same_bits(dirty.run(core), clean)
    assert not clean["y"][past].any()
    assert not clean["dx"][past].any()


@pytest.mark.parametrize("name", SPECS)
def test_reverse_reads_each_sequence_from_its_last_step(core, dtype, name):
    problem = RecurrentProblem.random(SPECS[name], 9, 5, 6, 3, 20, dtype, ragged=True)
    flipped = problem.x.copy()
    for row, length in zip(flipped, problem.lengths, strict=True):
        row[:length] = row[:length][::-1]
    y, states, _ = replace(problem, reverse=True).forward(core)
    expected_y, expected_states, _ = replace(problem, x=flipped).forward(core)
    for row, expected, length in zip(y, expected_y, problem.lengths, strict=True):
        assert row[:length].tobytes() == expected[:length][::-1].tobytes()
    assert_same_arrays(states, expected_states)


@pytest.mark.parametrize("name", SPECS)
def test_dropout_masks_depend_on_key_row_and_step_only(core, dtype, name):
    """Another key gives other masks. The masks of a row do not depend on other rows' lengths."""
    regularizers = regularizers_for(SPECS[name])
    problem = RecurrentProblem.random(
        SPECS[name], 14, 6, 7, 4, 20, dtype, regularizers=regularizers
    )
    y = problem.forward(core, True)[0]
    other = replace(problem, regularizers=(regularizers[0] + 1, *regularizers[1:]))
    assert (other.forward(core, True)[0] != y).any()
    ragged = replace(problem, lengths=np.array([3, 7, 1, 7, 2, 5]))
    assert ragged.forward(core, True)[0][1].tobytes() == y[1].tobytes()


@pytest.mark.parametrize("name", SPECS)
def test_equal_lengths_give_the_bits_of_no_lengths(core, dtype, name):
    problem = RecurrentProblem.random(SPECS[name], 7, 6, 5, 4, 20, dtype)
    assert_same_bits(replace(problem, lengths=np.full(6, 5)).run(core), problem.run(core))


@pytest.mark.parametrize("name", SPECS)
def test_dropout_vanishes_at_inference(core, dtype, name):
    problem = RecurrentProblem.random(SPECS[name], 15, 6, 7, 4, 20, dtype)
    rates = regularizers_for(SPECS[name], (None, 0.5, 0.5, 0.0, 0.0))
    dropped = replace(problem, regularizers=rates)
    assert dropped.forward(core)[0].tobytes() == problem.forward(core)[0].tobytes()
