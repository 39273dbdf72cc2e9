"""Whole models and streams of every variant: their ops have the bits of the layers' own calls."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from fusedlstm import LSTMRegressor
from fusedlstm.layers import GRU, LSTM, RNN, PeepholeLSTM

CELLS = {"lstm": LSTM, "peephole_lstm": PeepholeLSTM, "gru": GRU, "rnn_tanh": RNN}
FEATURES, STEPS = 3, 7
PROGRAMS = {
    "lstm": [("lstm", 16)],
    "a narrow last group": [("lstm", 17), ("dense", 4), ("last",)],
    "gru": [("gru", 16), ("dense", 2)],
    "rnn": [("rnn_tanh", 5), ("lstm", 6)],
    "peepholes": [("peephole_lstm", 16), ("gru", 3)],
    "mean": [("dense", 6), ("lstm", 16), ("mean",), ("dense", 2)],
    "max": [("gru", 70), ("max",)],
    "the mean of x": [("mean",)],
    "the max of dense": [("dense", 5), ("max",), ("dense", 1)],
    "nothing": [],
}


@pytest.fixture
def problem(core, dtype):
    return Problem(core, dtype)


class Problem:
    """Makes programs of random weights, and runs their layers one by one."""

    def __init__(self, core, dtype):
        self.core, self.dtype = core, dtype
        self.rng = np.random.default_rng(0)

    def numbers(self, *shape):
        return self.rng.standard_normal(shape).astype(self.dtype)

    def program(self, layers):
        """Return a packed model, and a function that calls layer after layer."""
        core, width, calls = self.core, FEATURES, []
        whole = core.Program(self.dtype.name, FEATURES)
        for name, *sizes in layers:
            if name == "last":
                whole.add_last_step()
                calls.append(lambda x, n: x[np.arange(len(x)), n - 1])
            elif name in ("mean", "max"):
                whole.add_pool(name)
                calls.append(lambda x, n, name=name: self.pool(name, x, n))
            elif name == "dense":
                packed = core.pack_dense(self.numbers(sizes[0] * (width + 1)), width, *sizes)
                whole.add_dense(sizes[0], packed, "tanh")
                calls.append(lambda x, n, p=packed, units=sizes[0]: self.dense(p, x, n, units))
                width = sizes[0]
            else:
                shapes = CELLS[name](*sizes).param_shapes(width).values()
                weights = self.numbers(sum(int(np.prod(shape)) for shape in shapes)) / 4
                packed = core.pack_recurrent(name, 1, width, *sizes, weights)
                whole.add_recurrent(name, 1, False, *sizes, packed, None, True, None, None)
                given = (name, 1, False, *sizes, packed)
                calls.append(
                    lambda x, n, given=given: core.recurrent_forward(
                        *given, x, n, None, None, True, False, None, 1
                    )[0]
                )
                width = sizes[0]

        def run(x, lengths=None):
            lengths = np.full(len(x), x.shape[1]) if lengths is None else lengths
            for call in calls:
                x = call(x, lengths)
            return x

        return whole, run

    def dense(self, packed, x, lengths, units):
        if x.ndim == 2:
            return self.core.dense_forward(packed, x, units, "tanh", 1)
        real = np.arange(x.shape[1]) < lengths[:, np.newaxis]
        y = np.zeros((*x.shape[:2], units), self.dtype)
        y[real] = self.core.dense_forward(packed, x[real], units, "tanh", 1)
        return y

    def pool(self, kind, x, lengths):
        totals, _ = self.core.pool_forward(kind, x, lengths, None, 1)
        return totals / lengths[:, np.newaxis].astype(self.dtype) if kind == "mean" else totals


def one():
    return 1


def last(y):
    return y if y.ndim == 2 else np.ascontiguousarray(y[:, -1])


@pytest.mark.usefixtures("eager_teams")
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(problem, name):
    whole, run = problem.program(PROGRAMS[name])
    x, lengths = problem.numbers(5, STEPS, FEATURES), np.array([7, 1, 4, 7, 2])
    assert whole.takes_lengths
    for threads in (1, 3):
        for given in (None, lengths, np.full(5, STEPS)):
            expected = run(x, given)
            y = whole.predict(x, given, lambda threads=threads: threads)
            assert y.shape == expected.shape
            assert y.tobytes() == expected.tobytes()
            part = slice(1, 4)
            y = whole.predict(x[part], None if given is None else given[part], one)
            assert y.tobytes() == expected[part].tobytes()


def test_dense_computes_real_steps_only(problem):
    whole, _ = problem.program([("dense", 4), ("gru", 3), ("dense", 2)])
    x, lengths = problem.numbers(3, STEPS, FEATURES), np.array([2, 7, 5])
    expected = whole.predict(x, lengths, one)
    for row, length in enumerate(lengths):
        assert (expected[row, length:] == 0).all()
        alone = whole.predict(x[row : row + 1, :length], None, one)
        assert alone.tobytes() == expected[row, :length].tobytes()
        x[row, length:] = np.nan
    wide = np.repeat(x, 2, axis=1)[:, ::2]
    for given in (x, wide, np.asfortranarray(x).copy("C")):
        assert whole.predict(given, lengths, one).tobytes() == expected.tobytes()


@pytest.mark.parametrize(("directions", "reverse"), [(1, False), (1, True), (2, False)])
def test_the_last_step_of_each_direction(problem, directions, reverse):
    core, x = problem.core, problem.numbers(3, STEPS, FEATURES)
    weights = problem.numbers(directions * 4 * 5 * (FEATURES + 5 + 1))
    results = []
    for all_steps in (False, True):
        whole = core.Program(problem.dtype.name, FEATURES)
        whole.add_recurrent("lstm", directions, reverse, 5, weights, None, all_steps, None, None)
        whole.add_last_step()
        results.append([whole.predict(x, n, one) for n in (None, np.array([3, 7, 1]))])
    _, h, _, _ = core.recurrent_forward(
        "lstm", directions, reverse, 5, weights, x, None, None, None, False, False, None, 1
    )
    np.testing.assert_array_equal(results[0][0], np.concatenate(h, axis=1))
    np.testing.assert_array_equal(results[0], results[1])


def test_orders_of_layers_that_are_refused(core):
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
    assert whole.predict(np.ones((1, 3, 2), "f"), None, one).shape == (1, 2)
    whole = core.Program("float32", 2)
    recurrent(whole, all_steps=False)
    for add in (lambda: recurrent(whole), lambda: whole.add_pool("max")):
        with pytest.raises(ValueError, match="final states only"):
            add()
    with pytest.raises(ValueError, match="must give its steps"):
        whole.predict(np.ones((1, 3, 2), "f"), None, one)
    packed = core.pack_recurrent("lstm", 1, 2, 2, weights)
    whole = core.Program("float32", 2)
    whole.add_recurrent("lstm", 1, True, 2, packed, None, True, None, None)
    with pytest.raises(ValueError, match="read forward"):
        core.Stream(whole, True, 1)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_stream_gives_what_the_steps_so_far_give(problem, name, rows):
    whole, _ = problem.program(PROGRAMS[name])
    x, stream = problem.numbers(rows, STEPS, FEATURES), problem.core.Stream(whole, False, rows)
    for _ in range(2):
        for t in range(STEPS):
            y = stream.step(np.ascontiguousarray(x[:, t]))
            assert y.tobytes() == last(whole.predict(x[:, : t + 1], None, one)).tobytes()
        stream.reset()


def feed(stream, x, steps):
    return [stream.step(np.ascontiguousarray(x[:, t])).copy() for t in steps]


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_state_goes_on_in_another_stream(problem, name, rows):
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
    # Other strides, and lists for tuples.
    strided = [None if e is None else [np.repeat(a, 2, axis=2)[..., ::2] for a in e] for e in state]
    second.set_state(tuple(strided))
    assert feed(second, x, [4])[0].tobytes() == expected[0].tobytes()


def test_what_a_state_is(problem):
    layers = [("lstm", 4), ("gru", 5), ("rnn_tanh", 6), ("dense", 2), ("mean",), ("dense", 1)]
    whole, run = problem.program(layers)
    inner, run_inner = problem.program([("max",)])
    stream = problem.core.Stream(whole, False, 2)
    zero = stream.state()
    shapes = [None if entry is None else [a.shape for a in entry] for entry in zero]
    assert shapes == [
        [(1, 2, 4), (1, 2, 4)],
        [(1, 2, 5)],
        [(1, 2, 6)],
        None,
        [(1, 2, 2), (1, 2, 1)],
        None,
    ]
    assert all((a == 0).all() for entry in zero if entry is not None for a in entry)
    x = problem.numbers(2, STEPS, FEATURES)
    feed(stream, x, range(3))
    assert stream.state()[4][1].tolist() == [[[3], [3]]]
    stream.set_state(zero)
    assert feed(stream, x, range(3))[2].tobytes() == run(x[:, :3]).tobytes()
    stream.reset()
    assert stream.state()[4][1].tolist() == [[[0], [0]]]
    stream = problem.core.Stream(inner, True, 1)
    (largest,) = stream.state()[0]
    assert largest.tolist() == [[[-np.inf] * FEATURES]]
    stream.step(x[0, 0])
    np.testing.assert_array_equal(stream.state()[0][0][0], run_inner(x[:1, :1]))


def test_an_initial_state_is_where_a_stream_begins(problem):
    core, h, c = problem.core, problem.numbers(16), problem.numbers(16)
    packed = core.pack_recurrent("lstm", 1, FEATURES, 16, problem.numbers(64 * (FEATURES + 17)))
    whole = core.Program(problem.dtype.name, FEATURES)
    whole.add_recurrent("lstm", 1, False, 16, packed, None, True, h, c)
    for rows in (1, 2):
        state = core.Stream(whole, False, rows).state()
        for array, expected in zip(state[0], (h, c), strict=True):
            np.testing.assert_array_equal(array, np.broadcast_to(expected, (1, rows, 16)))


@pytest.mark.parametrize("selected", [[2, 0, 2, 1], [1], [0, 0, 1], [2, 1, 0]])
@pytest.mark.parametrize("name", PROGRAMS)
def test_select(problem, name, selected):
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


def test_counts_of_steps_that_differ(problem):
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
    assert y[:1].tobytes() == whole.predict(x[:1, :2], None, one).tobytes()
    assert y[1:].tobytes() == whole.predict(x[1:, :4], None, one).tobytes()


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


def test_the_stream_of_an_estimator_follows_a_select():
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


def test_states_beside_steps_in_other_threads(core):
    weights = np.random.default_rng(0).standard_normal(4 * 192 * (8 + 192 + 1)).astype("f") / 20
    whole = core.Program("float32", 8)
    whole.add_recurrent(
        "lstm",
        1,
        False,
        192,
        core.pack_recurrent("lstm", 1, 8, 192, weights),
        None,
        True,
        None,
        None,
    )
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
