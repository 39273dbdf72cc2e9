"""Objects that cannot be saved."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from fusedlstm import LSTMClassifier, LSTMRegressor, SequenceScaler
from fusedlstm.layers import LSTM, Dense, LastStep, Residual
from fusedlstm.losses import (
    SquaredError,
)
from fusedlstm.optimizers import Adam
from saved_objects import SIGNS, TOTAL, X, quick


@dataclass(frozen=True)
class OwnOptimizer(Adam):
    """A class outside the package."""


@dataclass(frozen=True)
class OwnLayer(Dense):
    """A class outside the package."""


@dataclass(frozen=True)
class OwnError(SquaredError):
    """A class outside the package."""


class OwnClassifier(LSTMClassifier):
    """A class outside the package."""


def own_scorer(model, X, y):
    return 0.0


UNSAVABLE = {
    "a function": ({"scoring": own_scorer}, "scoring must be a name or None to be saved, since a"),
    "a generator": (
        {"random_state": np.random.RandomState(0)},
        "random_state must be an integer or None to be saved; got RandomState.* Set it with",
    ),
    "a custom optimizer": (
        {"optimizer": OwnOptimizer()},
        "optimizer must be composed of numbers, text and objects of fusedlstm to be saved; got O",
    ),
    "weights of a class": (
        {"class_weight": {"plus": 1j}},
        r"class_weight\['plus'\] must be composed of",
    ),
}


@pytest.mark.parametrize(("options", "message"), UNSAVABLE.values(), ids=UNSAVABLE)
def test_saving_unsupported_parameters_is_an_error(options, message, tmp_path):
    model = quick(LSTMClassifier).fit(X, SIGNS).set_params(**options)
    with pytest.raises(TypeError, match=message):
        model.save(tmp_path / "file")
    assert not list(tmp_path.iterdir())
    assert len(model.predict(X)) == 30


@pytest.mark.parametrize(
    "labels",
    [
        np.array([b"a", b"b"]),
        np.array(["2020-01-01", "2021-01-01"], "M8[ns]"),
        np.array([None, "a"], object),
        np.array([1, 2], "longdouble"),
    ],
    ids=repr,
)
def test_saving_unsupported_labels_is_an_error(labels, tmp_path):
    model = quick(LSTMClassifier).fit(X, SIGNS)
    model.classes_ = labels
    with pytest.raises(TypeError, match="classes_ must be of str, int, float or bool to be saved"):
        model.save(tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_saving_custom_classes_is_an_error(tmp_path):
    for layer in (OwnLayer(2), Residual(OwnLayer(2))):
        stack = (layer, LSTM(2), LastStep())
        model = quick(LSTMRegressor, hidden_size=64, layers=stack).fit(X, TOTAL)
        for each in (model, model.model_):
            with pytest.raises(TypeError) as caught:
                each.save(tmp_path / "file")
            assert (
                "must be a layer of fusedlstm to be saved, since a file holds no code; got "
                "OwnLayer(units=2, activation='linear'). Use pickle for your own classes."
            ) in str(caught.value)
    model = quick(LSTMRegressor, loss=OwnError()).fit(X, TOTAL)
    with pytest.raises(TypeError, match=r"loss must be a loss of .* holds no code; .* Use pickle"):
        model.save(tmp_path / "file")
    assert not list(tmp_path.iterdir())
    assert (pickle.loads(pickle.dumps(model)).predict(X) == model.predict(X)).all()
    with pytest.raises(TypeError, match="type must be one of these classes to be saved"):
        quick(OwnClassifier).fit(X, SIGNS).save(tmp_path / "file")


def test_saving_an_unfitted_estimator_is_an_error(tmp_path):
    for unfitted in (LSTMClassifier(), LSTMRegressor(), SequenceScaler()):
        with pytest.raises(NotFittedError):
            unfitted.save(tmp_path / "file")
