"""Standardization of X inside the estimators."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest

import fusedlstm
from fusedlstm import LSTMClassifier, LSTMRegressor, SequenceScaler
from fusedlstm.data.forms import read_sequences
from fusedlstm.data.standardization import Standardizer, mean_and_scale

SCALE, SHIFT = np.array([50.0, 1e-3, 3.0]), np.array([340.0, -1.0, 0.0])


@pytest.fixture
def ragged(rng):
    return [SCALE * rng.standard_normal((n, 3)) + SHIFT for n in rng.integers(2, 15, 60)]


@pytest.fixture
def targets(ragged):
    return np.array([(x[-1, 0] - SHIFT[0]) / SCALE[0] for x in ragged])


def padded(sequences):
    X = np.full((len(sequences), max(map(len, sequences)), 3), np.nan)
    for row, x in zip(X, sequences, strict=True):
        row[: len(x)] = x
    return X


def fit(X, y, **params):
    return LSTMRegressor(8, max_iter=20, random_state=0, **params).fit(X, y)


def test_mean_and_scale_are_those_of_all_real_steps(ragged, targets):
    model = fit(ragged, targets)
    steps = np.concatenate(ragged)
    np.testing.assert_allclose(model.X_mean_, steps.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(model.X_scale_, steps.std(axis=0), rtol=1e-13)


def test_forms_of_the_same_sequences_give_the_same_bits(ragged, targets):
    model, other = fit(ragged, targets), fit(padded(ragged), targets)
    assert model.X_mean_.tobytes() == other.X_mean_.tobytes()
    assert model.X_scale_.tobytes() == other.X_scale_.tobytes()
    assert model.predict(ragged).tobytes() == other.predict(padded(ragged)).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_model_sees_standardized_sequences(ragged, targets, dtype):
    model = fit(ragged, targets, dtype=dtype)
    scaled = [((x - model.X_mean_) / model.X_scale_).astype(dtype) for x in ragged]
    direct = np.array([model.model_.predict(x[np.newaxis])[0, 0] for x in scaled])
    expected = direct * targets.std() + targets.mean()
    np.testing.assert_allclose(model.predict(ragged), expected, rtol=1e-5, atol=1e-6)


def test_a_fit_does_not_depend_on_the_scale_of_the_features(rng):
    X = rng.standard_normal((60, 8, 2))
    y = X.sum(axis=(1, 2))
    options = {"dtype": "float64", "learning_rate": 0.01}
    model, shifted = fit(X, y, **options), fit(1000 * X + 1e5, y, **options)
    np.testing.assert_allclose(model.loss_curve_, shifted.loss_curve_, rtol=1e-6)
    assert fit(1000 * X + 1e5, y, standardize=False, **options).loss_ > 10 * model.loss_


def test_mean_and_scale_use_the_sample_weights(ragged, targets, rng):
    weights = rng.integers(0, 4, len(ragged))
    model = LSTMRegressor(4, max_iter=1).fit(ragged, targets, sample_weight=weights)
    repeated = np.concatenate([x for x, n in zip(ragged, weights, strict=True) for _ in range(n)])
    np.testing.assert_allclose(model.X_mean_, repeated.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(model.X_scale_, repeated.std(axis=0), rtol=1e-12)


def test_mean_and_scale_do_not_use_validation_sequences(ragged, targets):
    settings = {"early_stopping": True, "validation_split": "last", "validation_fraction": 0.5}
    model = fit(ragged, targets, **settings)
    np.testing.assert_allclose(model.X_mean_, np.concatenate(ragged[:30]).mean(axis=0), rtol=1e-13)
    given = fit(ragged[:30], targets[:30])
    assert given.X_mean_.tobytes() == model.X_mean_.tobytes()


def test_warm_start_keeps_mean_and_scale(ragged, targets):
    model = LSTMRegressor(4, max_iter=1, warm_start=True).fit(ragged[:20], targets[:20])
    first = model.X_mean_.copy()
    model.fit(ragged[20:], targets[20:])
    assert (model.X_mean_ == first).all()
    assert (model.partial_fit(ragged[20:], targets[20:]).X_mean_ == first).all()
    model.set_params(warm_start=False).fit(ragged[20:], targets[20:])
    assert (model.X_mean_ != first).all()


def test_partial_fit_keeps_mean_and_scale_of_its_first_call(ragged, targets):
    model = LSTMRegressor(4).partial_fit(ragged[:20], targets[:20])
    np.testing.assert_allclose(model.X_mean_, np.concatenate(ragged[:20]).mean(axis=0), rtol=1e-13)
    first = model.X_mean_.copy()
    assert (model.partial_fit(ragged[20:], targets[20:]).X_mean_ == first).all()


def test_standardize_false_passes_X_unchanged(ragged, targets):
    model = fit(ragged, targets, standardize=False)
    assert model.X_mean_ is None
    assert model.X_scale_ is None
    assert "standardize" not in model.summary()
    assert "standardize" in fit(ragged, targets).summary()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("given", ["float32", "float64", "list", "int64", ">f8"])
def test_streams_give_the_bits_of_predict(ragged, targets, dtype, given):
    model = fit(ragged, targets, dtype=dtype)
    x = np.round(ragged[0]) if given == "int64" else ragged[0].astype("f4")
    stream = model.stream()
    for x_t in x:
        last = stream.step(x_t.astype("f8").tolist() if given == "list" else x_t.astype(given))
    assert last == model.predict([x])[0]
    several = model.stream(n_sequences=2)
    for x_t in x:
        both = several.step(np.stack([x_t, x_t]).astype("f8" if given == "list" else given))
    assert both.tolist() == [last, last]


def test_streamed_values_out_of_range_are_an_error(ragged, targets):
    stream = fit(ragged, targets).stream()
    for x in ([np.nan, 0, 0], [0, np.inf, 0], [0, 1e37, 0]):
        with pytest.raises(ValueError, match=r"^x must be finite and within float32's range"):
            stream.step(np.array(x))
    with pytest.raises(ValueError, match="after standardization"):
        fit(ragged, targets).predict(np.full((1, 2, 3), 1e37))


def test_constant_features_have_scale_one(rng):
    X = rng.standard_normal((40, 6, 3))
    X[:, :, 1] = 1e6
    model = fit(X, X[:, -1, 0])
    assert model.X_scale_[1] == 1
    assert np.isfinite(model.predict(X)).all()


def test_mean_and_scale_of_large_means_are_accurate(rng):
    X = 1e9 + rng.standard_normal((50, 7, 1))
    mean, scale = mean_and_scale(read_sequences(X), None)
    np.testing.assert_allclose(scale, X.std(axis=(0, 1)), rtol=1e-6)
    np.testing.assert_allclose(mean, X.mean(axis=(0, 1)), rtol=1e-14)


def test_mean_and_scale_computed_in_pieces_agree(rng, monkeypatch):
    X = [rng.standard_normal((n, 2)) + 100 for n in rng.integers(1, 30, 50)]
    whole = mean_and_scale(read_sequences(X), np.arange(50.0))
    monkeypatch.setattr("fusedlstm._utils.chunks.CHUNK_SIZE", 64)
    in_pieces = mean_and_scale(read_sequences(X), np.arange(50.0))
    np.testing.assert_allclose(in_pieces, whole, rtol=1e-12)


SMALL = [1e-150, 1e-165, 1e-200, 1e-300]


@pytest.mark.parametrize("factor", SMALL)
@pytest.mark.parametrize("mean", [0.0, 3.0])
def test_deviations_whose_squares_underflow_are_accurate(factor, mean, rng, monkeypatch):
    x = rng.standard_normal((20, 5, 3)) + mean
    X = x * [factor, 1.0, factor]
    X[:, :, 1] = 0
    expected = x.std(axis=(0, 1)) * [factor, 1.0, factor]
    expected[1] = 1
    weights = np.ones(20)
    for pieces in (10**6, 16):
        monkeypatch.setattr("fusedlstm._utils.chunks.CHUNK_SIZE", pieces)
        _, scale = mean_and_scale(read_sequences(X), weights)
        np.testing.assert_allclose(scale, expected, rtol=1e-12)
    np.testing.assert_allclose(SequenceScaler().fit(X).scale_, expected, rtol=1e-12)


@pytest.mark.parametrize("factor", SMALL)
def test_the_scale_of_X_and_y_does_not_change_the_losses(factor, rng):
    X = rng.standard_normal((60, 8, 2))
    y = X.sum(axis=(1, 2))
    factor = 2.0 ** round(np.log2(factor))  # a power of two, so that nothing is rounded
    model = fit(X, y, dtype="float64")
    small_y = fit(X, y * factor, dtype="float64")
    small_X = fit(X * factor, y, dtype="float64")
    assert small_y.loss_curve_ == small_X.loss_curve_ == model.loss_curve_
    np.testing.assert_array_equal(small_y.predict(X), model.predict(X) * factor)
    np.testing.assert_array_equal(small_X.predict(X * factor), model.predict(X))


def test_features_whose_inverse_scale_overflows_have_scale_one(rng):
    X = rng.standard_normal((20, 5, 1))
    assert fit(X * 1e-310, X[:, 0, 0], dtype="float64").X_scale_ == 1
    assert SequenceScaler().fit(X * 1e-310).scale_ == 1
    model = fit(X, X[:, 0, 0] * 1e-310)
    assert np.isfinite(model.predict(X)).all()


def test_values_whose_squares_overflow_are_an_error():
    X = np.array([[[1e200], [-1e200]]])
    with pytest.raises(ValueError, match=r"^X must be numbers with finite squares; got 1e\+200"):
        LSTMRegressor(4, max_iter=1, dtype="float64").fit(X, [1.0])


def test_2d_X_has_one_mean_and_scale(rng):
    X = 5 + 2 * rng.standard_normal((40, 12))
    model = LSTMClassifier(4, max_iter=1).fit(X, X[:, -1] > 5)
    np.testing.assert_allclose(model.X_mean_, [X.mean()], rtol=1e-13)
    assert model.predict(X[:3]).tobytes() == model.predict(X)[:3].tobytes()


def test_copies_and_files_keep_mean_and_scale(ragged, targets, tmp_path):
    model = fit(ragged, targets)
    expected = model.predict(ragged).tobytes()
    model.save(tmp_path / "model")
    for other in (
        fusedlstm.load(tmp_path / "model"),
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
    ):
        assert other.predict(ragged).tobytes() == expected
        assert other.stream().step(ragged[0][0]) == model.stream().step(ragged[0][0])


def test_a_checkpoint_keeps_mean_and_scale(ragged, targets, tmp_path):
    settings = {"random_state": 0, "learning_rate": 0.01, "schedule": None}
    whole = LSTMRegressor(4, max_iter=6, **settings).fit(ragged, targets)
    LSTMRegressor(4, max_iter=3, **settings).fit(ragged, targets, checkpoint=tmp_path / "c")
    more = LSTMRegressor(4, max_iter=6, **settings).fit(ragged, targets, checkpoint=tmp_path / "c")
    assert more.predict(ragged).tobytes() == whole.predict(ragged).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 1), (2, 7, 3), (4, 9, 65), (200, 40, 6)])
def test_the_core_standardizes_to_the_bits_of_numpy(rng, dtype, shape):
    mean, scale = rng.standard_normal(shape[-1]), rng.uniform(0.1, 10, shape[-1])
    standardize = Standardizer(mean, scale, dtype)
    for x in (rng.standard_normal(shape), rng.standard_normal(shape).astype("f4")):
        expected = ((x.astype("f8") - mean) * (1 / scale)).astype(dtype)
        assert standardize(x).tobytes() == expected.tobytes()
        assert standardize(x[::-1, ::2]).tobytes() == expected[::-1, ::2].tobytes()
        assert standardize(np.asfortranarray(x)).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("value", "error"), [("yes", ValueError), (2, TypeError), (None, TypeError)]
)
def test_other_values_of_standardize_are_an_error(value, error):
    with pytest.raises(error, match=r"^standardize must be True, False or 'auto'; got "):
        LSTMRegressor(standardize=value).fit(np.zeros((2, 2, 1)), [0.0, 1.0])


def test_a_feature_constant_in_the_first_partial_fit_gives_a_warning(rng):
    X = rng.standard_normal((40, 6, 3))
    first = X.copy()
    first[:, :, 1] = 7.3
    y = X[:, -1, 0]
    with pytest.warns(UserWarning, match="in which feature 1 is constant. The scale") as caught:
        LSTMRegressor(4).partial_fit(first, y).partial_fit(X, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="in which features 1, 2 are constant"):
        LSTMRegressor(4).partial_fit([x * [1, 1, 0] for x in first], y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LSTMRegressor(4).partial_fit(X, y).partial_fit(first, y)
        LSTMRegressor(4, standardize=False).partial_fit(first, y)
        unit = np.where(np.arange(240).reshape(40, 6, 1) % 2, 1.0, -1.0)
        LSTMRegressor(4).partial_fit(np.concatenate([X[:, :, :1], unit], axis=2), y)
