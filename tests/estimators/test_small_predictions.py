"""Predictions from small arrays, which the core computes in one call.

They have the bits and the errors of predictions from arrays that Python reads.
"""

from __future__ import annotations

import copy
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from fusedlstm import LSTMClassifier, LSTMRegressor, LSTMStepRegressor, LSTMTagger
from fusedlstm.layers import GRU, LSTM, RNN
from fusedlstm.losses import Pinball

X = 3 + 2 * np.random.default_rng(0).standard_normal((30, 7, 3))
SUM = X.sum(axis=(1, 2))
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

MODELS = {
    "two classes": (LSTMClassifier(4), np.where(SUM > 60, "b", "a")),
    "three classes": (LSTMClassifier(4, cell="gru"), np.arange(30) % 3),
    "labels": (LSTMClassifier(4), np.stack([np.arange(30) % 2, np.arange(30) % 3 > 0], axis=1)),
    "mean of steps": (LSTMClassifier(4, pooling="mean", bidirectional=True), np.arange(30) % 2),
    "number": (LSTMRegressor(4), SUM),
    "numbers": (LSTMRegressor(layers=(LSTM(3), GRU(2), RNN(3))), X[:, 0]),
    "quantiles": (LSTMRegressor(4, loss=Pinball((0.1, 0.9))), SUM),
    "gaussian": (LSTMRegressor(4, loss="gaussian"), SUM),
    "label of each step": (LSTMTagger(4), (X[:, :, 0] > 3).astype(int)),
    "number of each step": (LSTMStepRegressor(4), X[:, :, 0]),
    "numbers of each step": (LSTMStepRegressor(4, loss="gaussian"), X[:, :, :2]),
}


def fitted(name="two classes", **params):
    model, y = MODELS[name]
    model = copy.deepcopy(model).set_params(max_iter=1, random_state=0, **params)
    return model.fit(X, y)


def without_core(model):
    """Return a copy that reads every X in Python."""
    other = copy.deepcopy(model)
    other._snapshot = other._snapshot._replace(program=None)
    return other


def predictions(model, given):
    results = [getattr(model, name)(given) for name in METHODS if hasattr(model, name)]
    if getattr(model, "loss", None) == "gaussian":
        results.append(model.predict(given, return_std=True))
    return results


def assert_same(given, expected):
    assert type(given) is type(expected)
    if isinstance(given, (list, tuple)):
        assert len(given) == len(expected)
        for one, other in zip(given, expected, strict=True):
            assert_same(one, other)
        return
    assert (given.dtype, given.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(given, expected)


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_small_arrays_give_the_bits_of_arrays_read_in_python(name, standardize, dtype):
    model = fitted(name, standardize=standardize, dtype=dtype.name)
    read = without_core(model)
    for kind in ("float32", "float64"):
        for n, steps in ((1, 1), (1, 7), (2, 3), (30, 7)):
            small = np.ascontiguousarray(X[:n, :steps], kind)
            small.flags.writeable = False
            assert model._outputs_of_small(small) is not None
            assert_same(predictions(model, small), predictions(read, small))
        one = [X[0].astype(kind)]
        assert model._outputs_of_small(one) is not None
        assert_same(predictions(model, one), predictions(read, one))


def test_values_and_types_at_the_limits_of_a_range():
    model = fitted(standardize=False)
    read, largest = without_core(model), float(np.finfo("f4").max)
    for value in (largest, -largest, 5e-324, 1e-42, -0.0):
        small = np.full((1, 2, 3), value)
        assert model._outputs_of_small(small) is not None
        assert_same(predictions(model, small), predictions(read, small))


def unaligned(array):
    buffer = np.empty(array.nbytes + 1, np.uint8)[1:]
    copied = buffer.view(array.dtype).reshape(array.shape)
    copied[...] = array
    return copied


OTHER_FORMS = {
    "steps": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "features": lambda x: np.concatenate([x, x], axis=2)[:, :, :3],
    "backward": lambda x: np.ascontiguousarray(x[:, ::-1])[:, ::-1],
    "Fortran": np.asfortranarray,
    "bytes": lambda x: x.astype(">f8"),
    "unaligned": unaligned,
    "longdouble": lambda x: x.astype(np.longdouble),
    "object": lambda x: x.astype(object),
    "subclass": lambda x: x.view(type("Derived", (np.ndarray,), {})),
    "memory map": lambda x: x.view(np.memmap),
    "lists": lambda x: x.tolist(),
    "list of two": list,
    "tuple": tuple,
    "list of one big-endian": lambda x: [x[0].astype(">f8")],
    "list of one list": lambda x: [x[0].tolist()],
    "padded": lambda x: np.concatenate([x, np.full((2, 2, 3), np.nan)], axis=1),
}


@pytest.mark.parametrize("form", OTHER_FORMS)
@pytest.mark.parametrize("name", ["two classes", "number", "number of each step"])
def test_other_forms_are_read_in_python(name, form):
    model = fitted(name, **({"bidirectional": False} if "step" in name else {}))
    given = OTHER_FORMS[form](np.ascontiguousarray(X[:2]))
    assert model._outputs_of_small(given) is None
    assert_same(predictions(model, given), predictions(without_core(model), given))
    rows = [model.predict(x[np.newaxis])[0] for x in X[: len(given)]]
    for predicted, row in zip(model.predict(given), rows, strict=True):
        np.testing.assert_array_equal(predicted[: np.size(row)] if np.ndim(row) else predicted, row)


def test_large_arrays_and_other_models_are_read_in_python(rng):
    model = fitted()
    large = rng.standard_normal((2000, 50, 3))
    assert model._outputs_of_small(large) is None
    parts = [model.predict_proba(large[k : k + 100]) for k in range(0, 2000, 100)]
    assert_same(model.predict_proba(large), np.concatenate(parts))
    normed = LSTMClassifier(layers=(LSTM(4, layer_norm=True),), max_iter=1).fit(X, SUM > 60)
    assert_same(predictions(normed, X[:2]), predictions(without_core(normed), X[:2]))


def at(value, step=2):
    array = X[:2].copy()
    array[1, step, 1] = value
    return array


WRONG = {
    "NaN": at(np.nan),
    "NaN as float32": at(np.nan).astype("f4"),
    "infinity": at(np.inf),
    "negative infinity": at(-np.inf, 6),
    "range": at(1e39),
    "range after standardization": at(3e38) * [1e-3, 1, 1],
    "empty step": np.where(np.arange(2)[:, None, None] == 1, np.nan, X[:2]),
    "features": X[:2, :, :2].copy(),
    "more features": np.concatenate([X, X], axis=2),
    "2-D": X[0].copy(),
    "1-D": X[0, 0].copy(),
    "0-D": np.array(1.0),
    "4-D": X[np.newaxis],
    "no sequences": X[:0],
    "no steps": X[:, :0],
    "no features": X[:, :, :0],
    "complex": X[:2] + 0j,
    "text": np.array([[["a", "b", "c"]]]),
    "masked": np.ma.masked_array(X[:2], X[:2] > 3),
    "list with NaN": [at(np.nan)[1]],
    "list with infinity": [at(np.inf)[1]],
    "list with other features": [X[0, :, :2].copy()],
    "list of one empty": [X[0, :0]],
    "list of one without features": [X[0, :, :0]],
    "list of 3-D": [X[:2]],
    "empty list": [],
    "None": None,
    "list of None": [None],
    "number": 1.0,
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", ["two classes", "number", "number of each step"])
def test_errors_are_those_of_reading_in_python(name, wrong):
    model = fitted(name)
    model.X_scale_ /= 10
    model = copy.deepcopy(model)  # takes a snapshot with this scale
    errors = []
    for one in (model, without_core(model)):
        with pytest.raises((TypeError, ValueError)) as caught:
            one.predict(WRONG[wrong])
        errors.append((caught.type, str(caught.value)))
    assert errors[0] == errors[1]


def test_checks_of_the_estimator_come_first():
    model = fitted()
    with pytest.raises(NotFittedError):
        LSTMClassifier().predict(X)
    with pytest.raises((TypeError, ValueError), match="n_threads must be"):
        copy.deepcopy(model).set_params(n_threads=0).predict(X)
    for n_threads in (1, 2, None):
        model.set_params(n_threads=n_threads)
        assert_same(predictions(model, X), predictions(without_core(model), X))
    for n_features in (4, 2**100):
        model.n_features_in_ = n_features
        with pytest.raises(ValueError, match=f"is expecting {n_features} features as input"):
            model.predict(X)
    del model.model_
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_arrays_after_a_fit_on_data_frames_give_a_warning():
    frames = [pd.DataFrame(x, columns=["a", "b", "c"]) for x in X]
    model = LSTMRegressor(4, max_iter=1, random_state=0).fit(frames, SUM)
    for given in (X[:1], [X[0]]):
        with pytest.warns(UserWarning, match="valid feature names"):
            model.predict(given)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predicted = model.predict(frames[:1])
    np.testing.assert_array_equal(predicted, fitted("number").predict(X[:1]))


def test_models_of_2d_X_take_3d_arrays_of_one_feature():
    model = LSTMRegressor(4, max_iter=1).fit(X[:, :, 0], SUM)
    small = np.ascontiguousarray(X[:3, :, :1])
    assert model._outputs_of_small(small) is not None
    np.testing.assert_array_equal(model.predict(small), model.predict(X[:3, :, 0]))
    with pytest.raises(ValueError, match="X has 3 features, but LSTMRegressor is expecting 1"):
        model.predict(X)


def test_small_predictions_use_the_current_snapshot():
    model = fitted("number")
    before = model.predict(X[:1])
    model.model_.params[:] = 0
    assert_same(model.predict(X[:1]), before)
    model.model_.params = model.model_.params
    assert not np.array_equal(model.predict(X[:1]), before)
    model.set_params(warm_start=True).fit(X, SUM)
    assert_same(model.predict(X[:1]), copy.deepcopy(model).predict(X[:1]))


def test_attributes_have_a_hash_that_predictions_do_not_change():
    for standardize in (True, False):
        model = fitted(standardize=standardize)
        before = joblib.hash(vars(model))
        model.predict(X[:1])
        assert joblib.hash(vars(model)) == before
    assert pickle.loads(pickle.dumps(model._snapshot)).program is None


def test_outputs_share_no_memory_with_X_and_X_is_unchanged():
    model = fitted(standardize=False)
    given = X[:2].astype("f4")
    before = given.copy()
    proba = model.predict_proba(given)
    given[:] = 0
    assert_same(proba, model.predict_proba(before))
    for small in (before, [before[0]]):
        assert not any(np.shares_memory(y, before) for y in predictions(model, small))


def test_threads_share_an_estimator():
    model = fitted()
    expected = [model.predict_proba(X[k : k + 1]) for k in range(30)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            given = list(pool.map(lambda k: model.predict_proba(X[k : k + 1]), range(30)))
            assert_same(given, expected)


def test_overridden_methods_are_called():
    class Shifted(LSTMRegressor):
        def predict(self, X, return_std=False):
            return super().predict(X, return_std) + 1

    model = Shifted(4, max_iter=1, random_state=0).fit(X, SUM)
    np.testing.assert_array_equal(model.predict(X[:1]), fitted("number").predict(X[:1]) + 1)
