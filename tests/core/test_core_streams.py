"""Streams of each variant: steps, states and errors."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from fusedlstm import LSTMRegressor
from program_problems import FEATURES, PROGRAMS, STEPS, ProgramProblem, single_thread
from recurrent_problems import SPECS


@pytest.fixture
def problem(core, dtype):
    return ProgramProblem(core, dtype)


def last(y):
    return y if y.ndim == 2 else np.ascontiguousarray(y[:, -1])


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("name", PROGRAMS)
def test_streams_give_the_bits_of_the_steps_so_far(problem, name, rows):
    whole, _ = problem.program(PROGRAMS[name])
    x, stream = problem.numbers(rows, STEPS, FEATURES), problem.core.Stream(whole, False, rows)
    for _ in range(2):
        for t in range(STEPS):
            y = stream.step(np.ascontiguousarray(x[:, t]))
            assert y.tobytes() == last(whole.predict(x[:, : t + 1], None, single_thread)).tobytes()
        stream.reset()


def feed(stream, x, steps):
    return [stream.step(np.ascontiguousarray(x[:, t])).copy() for t in steps]


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_state_continues_in_another_stream(problem, name, rows):
    whole, _ = problem.program(PROGRAMS[name])
    x = problem.numbers(rows, STEPS, FEATURES)
    first, second = (problem.core.Stream(whole, False, rows) for _ in range(2))
    feed(first, x, range(4))
    state = first.state()
    expected = feed(first, x, range(4, STEPS))
    feed(second, x, [5, 6])
    second.set_state(state)
    for given, returned in zip(state, second.state(), strict=True):
        assert (given is None) == (returned is None)
        for a, b in zip(given or (), returned or (), strict=True):
            assert a.dtype == problem.dtype
            assert a.tobytes() == b.tobytes()
    for a, b in zip(expected, feed(second, x, range(4, STEPS)), strict=True):
        assert a.tobytes() == b.tobytes()
    # Other strides, and lists instead of tuples.
    strided = [None if e is None else [np.repeat(a, 2, axis=2)[..., ::2] for a in e] for e in state]
    second.set_state(tuple(strided))
    assert feed(second, x, [4])[0].tobytes() == expected[0].tobytes()


def test_states_have_one_entry_per_layer(problem):
    cells = [("lstm", 4), ("gru", 5), ("rnn", 6), ("everything", 7)]
    layers = [*cells, ("dense", 2), ("mean",), ("dense", 1)]
    whole, run = problem.program(layers)
    inner, run_inner = problem.program([("max",)])
    stream = problem.core.Stream(whole, False, 2)
    zero = stream.state()
    shapes = [None if entry is None else [a.shape for a in entry] for entry in zero]
    assert shapes == [
        [(1, 2, 4), (1, 2, 4)],
        [(1, 2, 5)],
        [(1, 2, 6)],
        [(1, 2, 4), (1, 2, 7), (1, 2, 21)],
        None,
        [(1, 2, 2), (1, 2, 1)],
        None,
    ]
    assert all((a == 0).all() for entry in zero if entry is not None for a in entry)
    x = problem.numbers(2, STEPS, FEATURES)
    feed(stream, x, range(3))
    assert stream.state()[5][1].tolist() == [[[3], [3]]]
    stream.set_state(zero)
    assert feed(stream, x, range(3))[2].tobytes() == run(x[:, :3]).tobytes()
    stream.reset()
    assert stream.state()[5][1].tolist() == [[[0], [0]]]
    stream = problem.core.Stream(inner, True, 1)
    (largest,) = stream.state()[0]
    assert largest.tolist() == [[[-np.inf] * FEATURES]]
    stream.step(x[0, 0])
    np.testing.assert_array_equal(stream.state()[0][0][0], run_inner(x[:1, :1]))


def test_streams_start_from_the_initial_state(problem):
    core, h, c = problem.core, problem.numbers(16), problem.numbers(16)
    lstm, weights = core.Cell(SPECS["lstm"]), problem.numbers(64 * (FEATURES + 17))
    packed = core.pack_recurrent(lstm, 1, FEATURES, 16, weights)
    whole = core.Program(problem.dtype.name, FEATURES)
    whole.add_recurrent(lstm, 1, False, 16, packed, None, True, h, c)
    for rows in (1, 2):
        state = core.Stream(whole, False, rows).state()
        for array, expected in zip(state[0], (h, c), strict=True):
            np.testing.assert_array_equal(array, np.broadcast_to(expected, (1, rows, 16)))


@pytest.mark.parametrize("selected", [[2, 0, 2, 1], [1], [0, 0, 1], [2, 1, 0]])
@pytest.mark.parametrize("name", PROGRAMS)
def test_select_keeps_repeats_and_reorders_sequences(problem, name, selected):
    whole, _ = problem.program(PROGRAMS[name])
    x = problem.numbers(3, STEPS, FEATURES)
    stream = problem.core.Stream(whole, False, 3)
    feed(stream, x, range(3))
    stream.select(np.array(selected))
    fresh = problem.core.Stream(whole, False, len(selected))
    chosen = x[selected]
    feed(fresh, chosen, range(3))
    for a, b in zip(feed(stream, chosen, [3, 4]), feed(fresh, chosen, [3, 4]), strict=True):
        assert a.tobytes() == b.tobytes()
    assert np.shape(stream.step(np.zeros_like(chosen[:, 0])))[0] == len(selected)
    stream.reset()
    fresh.reset()
    for a, b in zip(feed(stream, chosen, [3, 4]), feed(fresh, chosen, [3, 4]), strict=True):
        assert a.tobytes() == b.tobytes()


def test_sequences_of_one_stream_may_have_different_step_counts(problem):
    whole, _ = problem.program([("lstm", 16), ("mean",), ("dense", 2)])
    x = problem.numbers(2, STEPS, FEATURES)
    short, long = (problem.core.Stream(whole, False, 1) for _ in range(2))
    feed(short, x[:1], [0])
    feed(long, x[1:], [0, 1, 2])
    both = problem.core.Stream(whole, False, 2)
    pairs = zip(short.state(), long.state(), strict=True)
    both.set_state(
        [a and tuple(np.concatenate(p, axis=1) for p in zip(a, b, strict=True)) for a, b in pairs]
    )
    y = both.step(np.stack([x[0, 1], x[1, 3]]))
    assert y[:1].tobytes() == whole.predict(x[:1, :2], None, single_thread).tobytes()
    assert y[1:].tobytes() == whole.predict(x[1:, :4], None, single_thread).tobytes()


def bad_states(state):
    h, c = state[0]
    totals, counts = state[2]
    tail = [None, (totals, counts)]
    yield {}, "state must be a list; got an object of type dict"
    yield state[:2], "state must have 3 entries; got 2"
    yield [None, *tail], r"state\[0\] must be a tuple of 2 arrays; got an object of type NoneType"
    yield [(h,), *tail], r"state\[0\] must be a tuple of 2 arrays"
    yield [(h, c), (h,), tail[1]], r"state\[1\] must be None"
    wrong = r"state\[0\]\[1\] must be an array of \w+ of shape \(1, 2, 4\); got "
    yield [(h, c[0]), *tail], wrong + r"an array of \w+ of shape \(2, 4\)"
    yield [(h, c[:, :1]), *tail], wrong
    yield [(h, c.astype("f2")), *tail], wrong + "an array of float16"
    yield [(h, c.tolist()), *tail], wrong + "an object of type list"
    for count in (-1, 0.5, np.nan, np.inf):
        yield [(h, c), None, (totals, counts * 0 + count)], "a number of steps must be a whole"


def test_bad_states_change_nothing(problem):
    whole, _ = problem.program([("lstm", 4), ("dense", 2), ("mean",)])
    stream, x = problem.core.Stream(whole, False, 2), problem.numbers(2, STEPS, FEATURES)
    feed(stream, x, range(2))
    before = stream.state()
    other = problem.core.Stream(whole, False, 2)
    feed(other, x, range(3))
    for bad, message in bad_states(other.state()):
        with pytest.raises(ValueError, match=message):
            stream.set_state(bad)
    for rows, message in [
        (np.array([0, 2]), "rows must be numbers of sequences from 0 to 1; got 2"),
        (np.array([-1]), "from 0 to 1; got -1"),
        (np.array([], np.int64), "not empty"),
        (np.zeros((1, 1), np.int64), "one axis"),
        (np.zeros(1), "int64"),
        ([0], "an array of int64 .* got an object of type list"),
    ]:
        with pytest.raises(ValueError, match=message):
            stream.select(rows)
    after = stream.state()
    for a, b in zip(before, after, strict=True):
        for p, q in zip(a or (), b or (), strict=True):
            assert p.tobytes() == q.tobytes()
    alone = problem.core.Stream(whole, True, 1)
    with pytest.raises(ValueError, match="no axis of sequences"):
        alone.select(np.array([0, 0]))
    alone.select(np.array([0]))
    in_python = problem.core.Stream(None, True, 1)
    for call in (in_python.state, lambda: in_python.set_state([])):
        with pytest.raises(ValueError, match="the core does not know"):
            call()


def test_streams_of_estimators_follow_select():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, STEPS, FEATURES))
    model = LSTMRegressor(4, max_iter=1, random_state=0).fit(X, X.mean(axis=(1, 2)))
    stream = model.stream(2)
    stream.step(np.ascontiguousarray(X[:2, 0]))
    stream._stream.select(np.array([1, 0, 1, 1, 0]))
    chosen = X[[1, 0, 1, 1, 0]]
    np.testing.assert_array_equal(
        stream.step(np.ascontiguousarray(chosen[:, 1])), model.predict(chosen[:, :2])
    )
    stream._stream.select(np.array([3]))
    np.testing.assert_array_equal(
        stream.step(np.ascontiguousarray(chosen[3:4, 2])), model.predict(chosen[3:4, :3])
    )


def test_states_can_be_read_while_other_threads_step(core):
    weights = np.random.default_rng(0).standard_normal(4 * 192 * (8 + 192 + 1)).astype("f") / 20
    whole = core.Program("float32", 8)
    lstm = core.Cell(SPECS["lstm"])
    packed = core.pack_recurrent(lstm, 1, 8, 192, weights)
    whole.add_recurrent(lstm, 1, False, 192, packed, None, True, None, None)
    stream, failed = core.Stream(whole, False, 4), []

    def work(call):
        try:
            for _ in range(50):
                call()
        except Exception as error:
            failed.append(error)

    def move():
        stream.select(np.array([3, 2, 1, 0]))
        stream.set_state(stream.state())

    x = np.ones((4, 8), "f")
    calls = [lambda: stream.step(x), lambda: stream.step(x), move, stream.state, stream.reset]
    threads = [threading.Thread(target=work, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    (h, _) = stream.state()[0]
    assert np.isfinite(h).all()
    assert (h == h[:, :1]).all()  # all sequences have seen the same steps
