"""Whole models of each variant have the bits of the layers' own calls."""

from __future__ import annotations

import numpy as np
import pytest

from program_problems import FEATURES, PROGRAMS, STEPS, ProgramProblem, single_thread


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


@pytest.mark.parametrize(("directions", "reverse"), [(1, False), (1, True), (2, False)])
def test_the_last_step_is_taken_per_direction(problem, directions, reverse):
    core, x = problem.core, problem.numbers(3, STEPS, FEATURES)
    weights = problem.numbers(directions * 4 * 5 * (FEATURES + 5 + 1))
    results = []
    for all_steps in (False, True):
        whole = core.Program(problem.dtype.name, FEATURES)
        whole.add_recurrent("lstm", directions, reverse, 5, weights, None, all_steps, None, None)
        whole.add_last_step()
        results.append([whole.predict(x, n, single_thread) for n in (None, np.array([3, 7, 1]))])
    _, h, _, _ = core.recurrent_forward(
        "lstm", directions, reverse, 5, weights, x, None, None, None, False, False, None, 1
    )
    np.testing.assert_array_equal(results[0][0], np.concatenate(h, axis=1))
    np.testing.assert_array_equal(results[0], results[1])


def test_wrong_orders_of_layers_are_an_error(core):
    weights = np.zeros(4 * 2 * (2 + 2 + 1), "f")

    def recurrent(whole, all_steps=True):
        whole.add_recurrent("lstm", 1, False, 2, weights, None, all_steps, None, None)

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
    packed = core.pack_recurrent("lstm", 1, 2, 2, weights)
    whole = core.Program("float32", 2)
    whole.add_recurrent("lstm", 1, True, 2, packed, None, True, None, None)
    with pytest.raises(ValueError, match="read forward"):
        core.Stream(whole, True, 1)
