"""The recurrent kernel of every variant against plain NumPy equations and against itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from conftest import VARIANTS

FORWARD = {"float32": 2e-6, "float64": 1e-13}
GRADIENT = {"float32": 5e-6, "float64": 1e-12}


@dataclass
class Problem:
    """Random arrays of one call."""

    params: np.ndarray
    x: np.ndarray
    lengths: np.ndarray | None
    h: np.ndarray
    c: np.ndarray
    dy: np.ndarray
    dh: np.ndarray
    dc: np.ndarray
    hidden: int
    directions: int

    @classmethod
    def random(cls, seed, batch, steps, inputs, hidden, dtype, directions=1, ragged=False):
        rng = np.random.default_rng(seed)

        def draw(*shape, scale=1.0):
            return (rng.standard_normal(shape) * scale).astype(dtype)

        count = directions * 4 * hidden * (inputs + hidden + 1)
        states = (directions, batch, hidden)
        return cls(
            params=draw(count, scale=0.5 / np.sqrt(hidden)),
            x=draw(batch, steps, inputs),
            lengths=rng.integers(1, steps + 1, batch) if ragged else None,
            h=draw(*states),
            c=draw(*states),
            dy=draw(batch, steps, directions * hidden),
            dh=draw(*states),
            dc=draw(*states),
            hidden=hidden,
            directions=directions,
        )

    def forward(self, core, training=False, threads=1, **changes):
        a = {**self.__dict__, **changes}
        return core.recurrent_forward(
            "lstm",
            self.directions,
            False,
            self.hidden,
            self.params,
            a["x"],
            a["lengths"],
            a["h"],
            a["c"],
            True,
            training,
            None,
            threads,
        )

    def run(self, core, threads=1, **changes):
        """All results of forward and backward: y, h, c, grads, dx, dh, dc."""
        a = {**self.__dict__, **changes}
        y, h, c, saved = self.forward(core, True, threads, **changes)
        grads = np.zeros_like(self.params)
        dx, dh, dc = core.recurrent_backward(
            saved, self.params, a["x"], a["dy"], a["dh"], a["dc"], True, True, grads
        )
        return {"y": y, "h": h, "c": c, "grads": grads, "dx": dx, "dh": dh, "dc": dc}

    def expected(self):
        layer = reference.Layer(self.params, self.x.shape[2], self.hidden, self.directions)
        lengths = self.lengths
        if lengths is None:
            lengths = np.full(len(self.x), self.x.shape[1])
        y, h, c = layer.forward(self.x, lengths, self.h, self.c)
        grads, dx, dh, dc = layer.backward(self.dy, self.dh, self.dc, self.x.shape)
        return {"y": y, "h": h, "c": c, "grads": grads, "dx": dx, "dh": dh, "dc": dc}


def assert_right(results, expected, dtype):
    for name, value in results.items():
        tolerance = (FORWARD if name in "yhc" else GRADIENT)[np.dtype(dtype).name]
        error = reference.relative_error(value, expected[name])
        assert error <= tolerance, (name, error)


def assert_same_bits(results, others):
    for name, value in results.items():
        assert value.tobytes() == others[name].tobytes(), name


@pytest.mark.parametrize("hidden", [1, 5, 33, 100])
@pytest.mark.parametrize("batch", [1, 3, 7])
@pytest.mark.parametrize("inputs", [1, 6])
def test_odd_shapes(core, dtype, batch, hidden, inputs):
    problem = Problem.random(hidden, batch, 4, inputs, hidden, dtype, ragged=batch > 1)
    assert_right(problem.run(core), problem.expected(), dtype)


@pytest.mark.parametrize(("batch", "steps", "inputs", "hidden"), [(40, 5, 20, 64), (200, 2, 3, 16)])
def test_many_rows(core, dtype, batch, steps, inputs, hidden):
    problem = Problem.random(0, batch, steps, inputs, hidden, dtype)
    assert_right(problem.run(core), problem.expected(), dtype)


@pytest.mark.parametrize("ragged", [False, True])
def test_two_directions(core, dtype, ragged):
    problem = Problem.random(1, 5, 6, 3, 20, dtype, directions=2, ragged=ragged)
    assert_right(problem.run(core), problem.expected(), dtype)


@given(
    batch=st.integers(1, 20),
    steps=st.integers(1, 12),
    inputs=st.integers(1, 20),
    hidden=st.integers(1, 70),
    directions=st.sampled_from([1, 2]),
    ragged=st.booleans(),
    threads=st.integers(1, 4),
    dtype=st.sampled_from(["float32", "float64"]),
    variant=st.sampled_from(list(VARIANTS)),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape(batch, steps, inputs, hidden, directions, ragged, threads, dtype, variant, seed):
    problem = Problem.random(seed, batch, steps, inputs, hidden, dtype, directions, ragged)
    assert_right(problem.run(VARIANTS[variant], threads), problem.expected(), dtype)


@pytest.mark.parametrize("directions", [1, 2])
def test_finite_differences(core, directions):
    problem = Problem.random(2, 3, 4, 2, 5, "float64", directions, ragged=True)

    def loss():
        y, h, c, _ = problem.forward(core)
        return float((y * problem.dy).sum() + (h * problem.dh).sum() + (c * problem.dc).sum())

    results = problem.run(core)
    for name, at in {
        "grads": problem.params,
        "dx": problem.x,
        "dh": problem.h,
        "dc": problem.c,
    }.items():
        numeric = reference.numeric_gradient(loss, at)
        assert reference.relative_error(results[name], numeric) < 1e-8, name


@pytest.mark.usefixtures("eager_teams")
@pytest.mark.parametrize(
    ("batch", "steps", "inputs", "hidden", "directions", "ragged"),
    [
        (8, 60, 30, 64, 1, False),
        (9, 50, 33, 45, 2, True),
        (3, 150, 20, 64, 1, False),
        (2, 300, 8, 33, 1, True),
        (200, 4, 40, 48, 1, True),
        # Fewer rows than threads: each has units of its own, if there are more than a panel's.
        (1, 20, 5, 150, 1, False),
        (1, 1, 3, 130, 2, False),
        (2, 19, 4, 257, 2, True),
    ],
)
def test_same_bits_for_any_number_of_threads(
    core, dtype, batch, steps, inputs, hidden, directions, ragged
):
    problem = Problem.random(3, batch, steps, inputs, hidden, dtype, directions, ragged)
    one = problem.run(core, threads=1)
    for threads in (2, 3, 4):
        assert_same_bits(problem.run(core, threads=threads), one)


@pytest.mark.parametrize("hidden", [5, 16, 33, 64, 100])
@pytest.mark.parametrize("ragged", [False, True])
def test_same_bits_for_any_batch(core, dtype, hidden, ragged):
    problem = Problem.random(4, 13, 9, 7, hidden, dtype, directions=2, ragged=ragged)
    y, h, c, _ = problem.forward(core)
    rng = np.random.default_rng(0)
    for size in (1, 2, 3, 4, 7, 12):
        rows = rng.permutation(13)[:size]
        part = problem.forward(
            core,
            x=problem.x[rows],
            lengths=None if problem.lengths is None else problem.lengths[rows],
            h=np.ascontiguousarray(problem.h[:, rows]),
            c=np.ascontiguousarray(problem.c[:, rows]),
        )
        for whole, some in ((y[rows], part[0]), (h[:, rows], part[1]), (c[:, rows], part[2])):
            assert np.ascontiguousarray(whole).tobytes() == some.tobytes()


def test_a_sequence_in_pieces_is_the_same(core, dtype):
    problem = Problem.random(5, 4, 10, 3, 33, dtype)
    y, h, c, _ = problem.forward(core)
    first = problem.forward(core, x=problem.x[:, :6])
    second = problem.forward(core, x=problem.x[:, 6:], h=first[1], c=first[2])
    assert np.concatenate([first[0], second[0]], axis=1).tobytes() == y.tobytes()
    assert second[1].tobytes() == h.tobytes()
    assert second[2].tobytes() == c.tobytes()


def test_training_and_inference_agree_to_the_last_bit(core, dtype):
    problem = Problem.random(6, 7, 5, 4, 33, dtype, ragged=True)
    inference, training = problem.forward(core), problem.forward(core, True)
    for i in range(3):
        assert inference[i].tobytes() == training[i].tobytes()


def test_lengths_that_are_all_the_same_change_nothing(core, dtype):
    problem = Problem.random(7, 6, 5, 4, 20, dtype)
    given = problem.forward(core, lengths=np.full(6, 5))
    assert given[0].tobytes() == problem.forward(core)[0].tobytes()


def test_padding_is_never_read(core, dtype):
    problem = Problem.random(8, 6, 9, 4, 20, dtype, directions=2, ragged=True)
    clean = problem.run(core)
    past = np.arange(9) >= problem.lengths[:, np.newaxis]
    dirty_x, dirty_dy = problem.x.copy(), problem.dy.copy()
    dirty_x[past], dirty_dy[past] = np.nan, np.nan
    assert_same_bits(problem.run(core, x=dirty_x, dy=dirty_dy), clean)
    assert not clean["y"][past].any()
    assert not clean["dx"][past].any()


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
def test_strided_input(core, dtype, change):
    problem = Problem.random(9, 5, 6, 3, 20, dtype)
    view = change[1](problem.x)
    assert not view.flags.c_contiguous
    results = problem.run(core, x=view)
    assert_same_bits(results, problem.run(core, x=np.ascontiguousarray(view)))


def test_input_is_not_written_to(core, dtype):
    problem = Problem.random(10, 5, 6, 3, 20, dtype, ragged=True)
    for name in ("params", "x", "lengths", "h", "c", "dy", "dh", "dc"):
        getattr(problem, name).flags.writeable = False
    problem.run(core, threads=2)  # a write would fail


def test_gradients_are_added_to(core, dtype):
    problem = Problem.random(11, 5, 6, 3, 20, dtype)
    _, _, _, saved = problem.forward(core, True)
    start = np.full_like(problem.params, 2)
    grads = start.copy()
    given = (problem.params, problem.x, problem.dy, None, None, False, False)
    assert core.recurrent_backward(saved, *given, grads) == (None, None, None)
    fresh = np.zeros_like(grads)
    _, _, _, saved = problem.forward(core, True)
    core.recurrent_backward(saved, *given, fresh)
    np.testing.assert_array_equal(grads, start + fresh)


def test_optional_gradients(core, dtype):
    problem = Problem.random(12, 5, 6, 3, 20, dtype)
    zero = {"dy": np.zeros_like(problem.dy), "dc": np.zeros_like(problem.dc)}
    given = problem.run(core, **zero)
    assert_same_bits(problem.run(core, dy=None, dc=None), given)


def test_no_outputs_wanted(core, dtype):
    problem = Problem.random(13, 5, 6, 3, 20, dtype)
    wanted = problem.forward(core)
    y, h, c, saved = core.recurrent_forward(
        "lstm",
        1,
        False,
        20,
        problem.params,
        problem.x,
        None,
        problem.h,
        problem.c,
        False,
        False,
        None,
        1,
    )
    assert y is None
    assert saved is None
    assert h.tobytes() == wanted[1].tobytes()
    assert c.tobytes() == wanted[2].tobytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_comes_out_and_stays_in_its_row(core, dtype, bad):
    problem = Problem.random(14, 5, 6, 3, 20, dtype)
    clean = problem.forward(core)[0]
    x = problem.x.copy()
    x[2, 3, 1] = bad
    y = problem.forward(core, x=x)[0]
    others = np.arange(5) != 2
    assert y[others].tobytes() == clean[others].tobytes()
    assert y[2, :3].tobytes() == clean[2, :3].tobytes()
    if np.isnan(bad):
        assert np.isnan(y[2, 3:]).all()
    else:
        assert np.isfinite(y[2, 3:]).all()  # gates saturate


def test_saturated_gates(core, dtype):
    problem = Problem.random(15, 5, 6, 3, 20, dtype)
    for scale in (1e3, 1e30):
        x = (problem.x * scale).astype(dtype)
        results = problem.run(core, x=x)
        assert all(np.isfinite(value).all() for value in results.values())
        problem_there = Problem(**{**problem.__dict__, "x": x})
        with np.errstate(over="ignore", under="ignore"):
            expected = problem_there.expected()
        # A gate is 1 or 0 to the last bit unless its input happens to be small.
        assert reference.relative_error(results["y"], expected["y"]) < 1e-3


def test_the_callers_floating_point_state_is_left_alone(core):
    problem = Problem.random(16, 5, 6, 3, 20, "float32")
    problem.run(core, threads=2)
    tiny = np.float32(1e-40)
    assert tiny * np.float32(0.5) > 0  # still not flushed to zero


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lengths": np.array([0, 1, 1])}, "lengths must be between 1"),
        ({"lengths": np.array([1, 1, 5])}, "lengths must be between 1"),
        ({"lengths": np.array([1, 1])}, "wrong size"),
        ({"x": np.zeros((3, 4, 9), "float32")}, "wrong size"),
        ({"x": np.zeros((3, 4, 2))}, "dtype of the parameters"),
        ({"x": np.zeros((3, 4), "float32")}, "three dimensions"),
        ({"x": np.zeros((3, 4, 4), "float32")[:, :, ::2]}, "contiguous"),
        ({"h": np.zeros((1, 2, 5), "float32")}, "wrong size"),
        ({"c": np.zeros((1, 3, 5))}, "one dtype"),
    ],
)
def test_the_core_itself_refuses_wrong_arrays(core, change, message):
    problem = Problem.random(17, 3, 4, 2, 5, "float32")
    with pytest.raises(ValueError, match=message):
        problem.forward(core, **change)


def test_unknown_cell(core):
    x = np.zeros((1, 1, 1))
    with pytest.raises(ValueError, match="unknown cell"):
        core.recurrent_forward(
            "lstn", 1, False, 1, np.zeros(12), x, None, None, None, True, False, None, 1
        )


def test_saved_can_be_used_once(core):
    problem = Problem.random(18, 3, 4, 2, 5, "float32")
    _, _, _, saved = problem.forward(core, True)
    grads = problem.params.copy()
    args = (saved, problem.params, problem.x, problem.dy, None, None, False, True, grads)
    core.recurrent_backward(*args)
    with pytest.raises(ValueError, match="saved has been used"):
        core.recurrent_backward(*args)


def test_saved_of_another_dtype_is_refused(core):
    problem = Problem.random(18, 3, 4, 2, 5, "float32")
    _, _, _, saved = problem.forward(core, True)
    other = Problem.random(18, 3, 4, 2, 5, "float64")
    grads = np.zeros_like(other.params)
    with pytest.raises(ValueError, match="incorrect name"):
        core.recurrent_backward(saved, other.params, other.x, None, None, None, False, True, grads)
