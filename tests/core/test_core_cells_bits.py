"""The recurrent kernels give the same bits for any batch, threads and padding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recurrent_problems import (
    SPECS,
    RecurrentProblem,
    assert_same_bits,
    regularizers_for,
)


@pytest.mark.usefixtures("force_threads")
@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("regularized", [False, True])
def test_same_bits_for_any_number_of_threads(core, dtype, name, regularized):
    spec = SPECS[name]
    problem = RecurrentProblem.random(spec, 3, 7, 60, 33, 33, dtype, ragged=True, directions=2)
    if regularized:
        problem.regularizers = regularizers_for(spec)
    one = problem.run(core)
    for threads in (2, 3, 8):
        assert_same_bits(problem.run(core, threads), one)


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
def test_same_bits_for_any_number_of_threads_and_shape(
    core, dtype, batch, steps, inputs, hidden, directions, ragged
):
    spec = SPECS["fused lstm"]
    shape = (batch, steps, inputs, hidden)
    problem = RecurrentProblem.random(spec, 3, *shape, dtype, ragged, directions=directions)
    one = problem.run(core)
    for threads in (2, 3, 8):
        assert_same_bits(problem.run(core, threads), one)


@pytest.mark.usefixtures("force_threads")
@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("regularized", [False, True])
def test_same_bits_when_threads_divide_the_units(core, dtype, name, regularized):
    problem = RecurrentProblem.random(
        SPECS[name], 5, 2, 9, 3, 130, dtype, ragged=True, directions=2
    )
    if regularized:
        problem.regularizers = regularizers_for(SPECS[name])
    one = problem.run(core)
    for threads in (2, 3, 8):
        assert_same_bits(problem.run(core, threads), one)


@pytest.mark.parametrize(
    ("name", "hidden"),
    [*((name, 33) for name in SPECS), *(("fused lstm", hidden) for hidden in (5, 16, 64, 100))],
)
@pytest.mark.parametrize("ragged", [False, True])
def test_same_bits_for_any_batch(core, dtype, name, hidden, ragged):
    problem = RecurrentProblem.random(SPECS[name], 4, 13, 9, 7, hidden, dtype, ragged, directions=2)
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
def test_a_sequence_in_pieces_has_the_bits_of_the_whole(core, dtype, name):
    problem = RecurrentProblem.random(SPECS[name], 5, 4, 60, 3, 33, dtype)
    y, h, c, _ = problem.forward(core)
    first = replace(problem, x=problem.x[:, :55]).forward(core)
    second = replace(problem, x=problem.x[:, 55:], h=first[1], c=first[2]).forward(core)
    assert np.concatenate([first[0], second[0]], axis=1).tobytes() == y.tobytes()
    assert second[1].tobytes() == h.tobytes()
    assert c is None or second[2].tobytes() == c.tobytes()


@pytest.mark.parametrize("name", SPECS)
def test_training_and_inference_agree_bit_for_bit(core, dtype, name):
    problem = RecurrentProblem.random(SPECS[name], 6, 7, 60, 4, 33, dtype, ragged=True)
    for inference, training in zip(
        problem.forward(core)[:3], problem.forward(core, True), strict=False
    ):
        assert inference is training is None or inference.tobytes() == training.tobytes()


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


def test_reverse_reads_each_sequence_from_its_last_step(core, dtype):
    problem = RecurrentProblem.random(SPECS["gru"], 9, 5, 6, 3, 20, dtype, ragged=True)
    flipped = problem.x.copy()
    for row, length in zip(flipped, problem.lengths, strict=True):
        row[:length] = row[:length][::-1]
    y, h, _, _ = replace(problem, reverse=True).forward(core)
    expected_y, expected_h, _, _ = replace(problem, x=flipped).forward(core)
    for row, expected, length in zip(y, expected_y, problem.lengths, strict=True):
        assert row[:length].tobytes() == expected[:length][::-1].tobytes()
    assert h.tobytes() == expected_h.tobytes()


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


@pytest.mark.parametrize("name", ["lstm", "fused lstm"])
def test_equal_lengths_give_the_bits_of_no_lengths(core, dtype, name):
    problem = RecurrentProblem.random(SPECS[name], 7, 6, 5, 4, 20, dtype)
    assert_same_bits(replace(problem, lengths=np.full(6, 5)).run(core), problem.run(core))


def test_dropout_vanishes_at_inference(core, dtype):
    problem = RecurrentProblem.random(SPECS["lstm"], 15, 6, 7, 4, 20, dtype)
    dropped = replace(problem, regularizers=(None, 0.5, 0.5, 0.0, 0.0))
    assert dropped.forward(core)[0].tobytes() == problem.forward(core)[0].tobytes()
