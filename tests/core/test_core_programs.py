"""Whole models of each variant have the bits of the layers' own calls."""

from __future__ import annotations

import numpy as np
import pytest

from program_problems import FEATURES, PROGRAMS, STEPS, ProgramProblem, single_thread
from recurrent_problems import SPECS, RecurrentProblem, regularizers_for


@pytest.fixture
def problem(core, dtype):
    return ProgramProblem(core, dtype)


@pytest.mark.usefixtures("force_threads")
@pytest.mark.parametrize("name", PROGRAMS)
def test_whole_models_have_the_bits_of_their_layers(problem, name):
    whole, run = problem.program(PROGRAMS[name])
    x, lengths = problem.numbers(5, STEPS, FEATURES), np.array([7, 1, 4, 7, 2])
    for threads in (1, 3):
        for given in (None, lengths, np.full(5, STEPS)):
            expected = run(x, given)
            y = whole.predict(x, given, lambda threads=threads: threads)
            assert y.shape == expected.shape
            assert y.tobytes() == expected.tobytes()
            part = slice(1, 4)
            y = whole.predict(x[part], None if given is None else given[part], single_thread)
            assert y.tobytes() == expected[part].tobytes()


def test_dense_computes_real_steps_only(problem):
    whole, _ = problem.program([("dense", 4), ("gru", 3), ("dense", 2)])
    x, lengths = problem.numbers(3, STEPS, FEATURES), np.array([2, 7, 5])
    expected = whole.predict(x, lengths, single_thread)
    for row, length in enumerate(lengths):
        assert (expected[row, length:] == 0).all()
        alone = whole.predict(x[row : row + 1, :length], None, single_thread)
        assert alone.tobytes() == expected[row, :length].tobytes()
        x[row, length:] = np.nan
    wide = np.repeat(x, 2, axis=1)[:, ::2]
    for given in (x, wide, np.asfortranarray(x).copy("C")):
        assert whole.predict(given, lengths, single_thread).tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize(("directions", "reverse"), [(1, False), (1, True), (2, False)])
def test_the_last_step_is_taken_per_direction(core, dtype, name, directions, reverse):
    given = {"directions": directions, "reverse": reverse}
    problem = RecurrentProblem.random(SPECS[name], 3, 3, STEPS, FEATURES, 5, dtype, **given)
    results = []
    for weights in (problem.params, problem.packed(core)):
        for all_steps in (False, True):
            whole = core.Program(dtype.name, FEATURES)
            config = (core.Cell(problem.spec), directions, reverse, 5, weights)
            whole.add_recurrent(*config, None, all_steps, None, None)
            whole.add_last_step()
            lengths = (None, np.array([3, 7, 1]))
            results.append([whole.predict(problem.x, n, single_thread) for n in lengths])
    zeros = [np.zeros_like(state) for state in problem.states()]
    h = problem.with_states(zeros).forward(core, all_steps=False)[1][0]
    np.testing.assert_array_equal(results[0][0], np.concatenate(h, axis=1))
    for result in results[1:]:
        np.testing.assert_array_equal(results[0], result)


@pytest.mark.usefixtures("force_threads")
@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("shape", [(5, STEPS, FEATURES, 20), (1, STEPS, FEATURES, 150)], ids=str)
def test_initial_states_zoneout_and_threads_give_the_bits_of_the_layer(core, dtype, name, shape):
    problem = RecurrentProblem.random(SPECS[name], 4, *shape, dtype, ragged=True, directions=2)
    problem.regularizers = regularizers_for(SPECS[name], (None, 0.0, 0.0, 0.2, 0.3))
    # A program has one initial state for all sequences, and none for the gates of an LSTM.
    first = [
        np.zeros_like(state) if which == "gates" else np.repeat(state[:, :1], shape[0], axis=1)
        for which, state in zip(problem.state_names, problem.states(), strict=True)
    ]
    expected = problem.with_states(first).forward(core)[0]
    initial = [np.ascontiguousarray(state[:, 0]) for state in first[:2]] + [None]
    for weights in (problem.params, problem.packed(core)):
        whole = core.Program(dtype.name, FEATURES)
        config = (core.Cell(problem.spec), 2, False, problem.hidden, weights)
        whole.add_recurrent(*config, problem.regularizers, True, *initial[:2])
        for threads in (1, 2, 5):
            y = whole.predict(problem.x, problem.lengths, lambda threads=threads: threads)
            assert y.tobytes() == expected.tobytes()


def test_wrong_orders_of_layers_are_an_error(core):
    weights, lstm = np.zeros(4 * 2 * (2 + 2 + 1), "f"), core.Cell(SPECS["lstm"])

    def recurrent(whole, all_steps=True):
        whole.add_recurrent(lstm, 1, False, 2, weights, None, all_steps, None, None)

    whole = core.Program("float32", 2)
    with pytest.raises(ValueError, match="'mean' or 'max'"):
        whole.add_pool("sum")
    whole.add_pool("mean")
    for add in (lambda: recurrent(whole), lambda: whole.add_pool("max")):
        with pytest.raises(ValueError, match="must not follow one that reduces"):
            add()
    assert whole.predict(np.ones((1, 3, 2), "f"), None, single_thread).shape == (1, 2)
    whole = core.Program("float32", 2)
    recurrent(whole, all_steps=False)
    for add in (lambda: recurrent(whole), lambda: whole.add_pool("max")):
        with pytest.raises(ValueError, match="final states only"):
            add()
    with pytest.raises(ValueError, match="must give its steps"):
        whole.predict(np.ones((1, 3, 2), "f"), None, single_thread)
    packed = core.pack_recurrent(lstm, 1, 2, 2, weights)
    whole = core.Program("float32", 2)
    whole.add_recurrent(lstm, 1, True, 2, packed, None, True, None, None)
    with pytest.raises(ValueError, match="read forward"):
        core.Stream(whole, True, 1)
