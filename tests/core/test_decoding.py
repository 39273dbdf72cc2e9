"""The decoders of the core turn raw outputs into predictions as NumPy does."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from fusedlstm.losses import Pinball, log_softmax, sigmoid

SCALE, MEAN = np.array([2.0, 0.3]), np.array([-1.0, 5.0])
EXTREMES = [0.0, -0.0, 1e-300, 37.0, -745.0, 745.0, 1e300, -1e300, np.nan, np.inf, -np.inf]


def outputs_of(rng, columns, dtype):
    z = 10 * rng.standard_normal((200, columns))
    z[: len(EXTREMES), 0] = EXTREMES
    z[-len(EXTREMES) :, -1] = EXTREMES
    with np.errstate(over="ignore"):
        return z.astype(dtype)


def two_classes(z):
    return np.concatenate([1 - sigmoid(z), sigmoid(z)], axis=1)


DECODERS = {
    "classes": (("classes", 4, [4], None, None), lambda z: np.exp(log_softmax(z))),
    "two_classes": (("two_classes", 1, [2], None, None), two_classes),
    "labels": (("labels", 3, [3], None, None), sigmoid),
    "values": (("values", 2, [2], SCALE, MEAN), lambda z: z * SCALE + MEAN),
    "one value": (("values", 1, [], SCALE[:1], MEAN[:1]), lambda z: z[:, 0] * SCALE[0] + MEAN[0]),
    "values of a pair": (("values", 4, [2], SCALE, MEAN), lambda z: z[:, :2] * SCALE + MEAN),
    "exponentials": (("exponentials", 2, [2], SCALE, MEAN), lambda z: np.exp(z) * SCALE + MEAN),
    "quantiles": (
        ("quantiles", 6, [2, 3], SCALE, MEAN),
        lambda z: Pinball().predict(z) * SCALE[:, np.newaxis] + MEAN[:, np.newaxis],
    ),
}


@pytest.mark.parametrize("name", DECODERS)
def test_decoders_agree_with_numpy(core, rng, dtype, name):
    arguments, expected = DECODERS[name]
    z = outputs_of(rng, arguments[1], dtype)
    with np.errstate(all="ignore"):
        wanted = expected(z.astype(np.float64))
    given = core.Decoder(*arguments)(z)
    assert given.dtype == np.float64
    np.testing.assert_allclose(given, wanted, rtol=2e-14, atol=1e-300)


def test_decoded_probabilities_sum_to_one(core, rng):
    p = core.Decoder("classes", 50, [50], None, None)(30 * rng.standard_normal((500, 50)))
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-15 * 10)
    assert (p >= 0).all()


def test_a_decoded_row_does_not_depend_on_other_rows(core, rng, dtype):
    for arguments, _ in DECODERS.values():
        decoder, z = core.Decoder(*arguments), outputs_of(rng, arguments[1], dtype)
        alone = np.concatenate([decoder(z[k : k + 1]) for k in range(len(z))])
        assert alone.tobytes() == decoder(z).tobytes()


def test_decoders_can_be_pickled_and_copied(core, rng):
    for arguments, _ in DECODERS.values():
        decoder, z = core.Decoder(*arguments), rng.standard_normal((5, arguments[1]))
        for same in (pickle.loads(pickle.dumps(decoder)), copy.deepcopy(decoder)):
            assert same(z).tobytes() == decoder(z).tobytes()


@pytest.mark.parametrize(
    "arguments",
    [
        ("classes", 3, [4], None, None),
        ("two_classes", 2, [2], None, None),
        ("values", 1, [2], SCALE, MEAN),
        ("values", 2, [2], SCALE, MEAN[:1]),
        ("quantiles", 3, [3], SCALE, MEAN),
        ("quantiles", 3, [3], None, None),
        ("classes", 0, [0], None, None),
        ("other", 1, [1], None, None),
    ],
)
def test_errors_of_decoders(core, arguments):
    with pytest.raises(ValueError, match=r"fit together|unknown kind"):
        core.Decoder(*arguments)


@pytest.mark.parametrize("outputs", [np.zeros((2, 3)), np.zeros(4), np.zeros((2, 4), int)])
def test_outputs_of_another_shape_are_an_error(core, outputs):
    with pytest.raises(ValueError, match=r"outputs must be|array must be|arrays must be"):
        core.Decoder("classes", 4, [4], None, None)(outputs)


@pytest.mark.parametrize("n_outputs", [1, 2, 3, 50])
def test_class_numbers_are_those_of_numpy(core, rng, dtype, n_outputs):
    z = rng.integers(-2, 3, (400, n_outputs)).astype(dtype)  # many are equal
    z[rng.random(z.shape) < 0.02] = np.nan
    z[rng.random(z.shape) < 0.02] = np.inf
    z[rng.random(z.shape) < 0.02] = -np.inf
    expected = z[:, 0] > 0 if n_outputs == 1 else np.argmax(z, axis=1)
    given = core.class_numbers(z)
    assert given.dtype == np.intp
    np.testing.assert_array_equal(given, expected)
    assert core.class_numbers(z[:0]).shape == (0,)


@pytest.mark.parametrize(
    "outputs",
    [None, [[1.0]], np.zeros(4), np.zeros((2, 0)), np.zeros((2, 4), int), np.zeros((4, 2)).T],
)
def test_class_numbers_of_other_outputs_are_an_error(core, outputs):
    with pytest.raises(ValueError, match=r"^outputs must be"):
        core.class_numbers(outputs)
