"""Saved estimators, models and scalers come back, and equal objects give equal bytes."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import MISSING, fields, is_dataclass
from inspect import isabstract

import numpy as np
import pytest
import safetensors.numpy
from sklearn.base import clone

import fusedlstm
from fusedlstm import LSTMClassifier, LSTMRegressor, SequenceScaler, Sequential, layers
from fusedlstm.files.classes import VALUES
from fusedlstm.layers import LSTM, Dense, Dropout, LastStep
from fusedlstm.losses import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    Focal,
    Gaussian,
    Pinball,
)
from fusedlstm.optimizers import OPTIMIZERS, SGD, Adam, AdamW, Nadam
from fusedlstm.schedules import SCHEDULES, ReduceOnPlateau
from saved_objects import SIGNS, TOTAL, X, quick

RAGGED = [x[: 1 + i % 5] for i, x in enumerate(X)]


def there_and_back(thing, tmp_path):
    thing.save(tmp_path / "file.safetensors")
    return fusedlstm.load(tmp_path / "file.safetensors")


def numbers(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


FITTED = {
    "classifier": lambda: quick(LSTMClassifier).fit(X, SIGNS),
    "many classes": lambda: quick(LSTMClassifier).fit(X, np.arange(30) % 4),
    "regressor": lambda: quick(LSTMRegressor).fit(X, TOTAL),
    "two outputs": lambda: quick(LSTMRegressor).fit(X, np.stack([TOTAL, -TOTAL], axis=1)),
    "ragged": lambda: quick(LSTMRegressor).fit(RAGGED, TOTAL),
    "double precision": lambda: quick(LSTMRegressor, dtype=np.float64).fit(X, TOTAL),
    "layers and an optimizer": lambda: quick(
        LSTMClassifier,
        hidden_size=64,
        layers=(LSTM(3, bidirectional=True), Dropout(0.1), LSTM(2), LastStep(), Dense(3, "tanh")),
        optimizer=AdamW(beta2=0.99),
    ).fit(X, SIGNS),
    "a list of layers": lambda: quick(LSTMRegressor, hidden_size=64, layers=[LSTM(3)]).fit(
        X, TOTAL
    ),
    "a schedule": lambda: quick(
        LSTMRegressor, optimizer=Nadam(l1=1e-3), schedule=ReduceOnPlateau(patience=0)
    ).fit(X, TOTAL),
    "a schedule, in parts": lambda: quick(LSTMRegressor, schedule="cosine").partial_fit(X, TOTAL),
    "quantiles": lambda: quick(LSTMRegressor, loss=Pinball((0.2, 0.7))).fit(X, TOTAL),
    "counts": lambda: quick(LSTMRegressor, loss="poisson").fit(X, np.arange(30)),
    "mean and standard deviation": lambda: quick(LSTMRegressor, loss=Gaussian(0.01)).fit(X, TOTAL),
    "focal": lambda: quick(LSTMClassifier, loss=Focal(1.0)).fit(X, SIGNS),
    "full batches": lambda: quick(LSTMRegressor, optimizer="lbfgs").fit(X, TOTAL),
    "class weights": lambda: quick(LSTMClassifier, class_weight={"plus": 2, "minus": 0.5}).fit(
        X, SIGNS
    ),
    "numpy's numbers": lambda: quick(
        LSTMRegressor,
        hidden_size=np.int64(3),
        tol=np.float32(0.1),
        bidirectional=np.True_,
        loss=np.str_("squared_error"),
        random_state=np.int32(1),
    ).fit(X, TOTAL),
    "watched": lambda: quick(LSTMClassifier, early_stopping=True, scoring="accuracy").fit(X, SIGNS),
    "several labels": lambda: quick(LSTMClassifier).fit(
        X, np.stack([TOTAL > 0, X[:, 0, 0] > 0], 1)
    ),
    "in parts": lambda: quick(LSTMClassifier, dropout=0.2).partial_fit(X, SIGNS, np.unique(SIGNS)),
    "a loss that is not finite": lambda: _diverged(),
}


def _diverged():
    options = {"optimizer": SGD(), "learning_rate": 1e30, "clip_norm": None, "batch_size": 1}
    model = quick(LSTMRegressor, **options)
    with pytest.warns(RuntimeWarning, match="no longer finite"):
        return model.fit(X, TOTAL)


@pytest.mark.parametrize("fitted", FITTED.values(), ids=FITTED)
def test_estimators_survive_a_round_trip(fitted, tmp_path):
    model = fitted()
    same = there_and_back(model, tmp_path)
    assert type(same) is type(model)
    for data in (X, RAGGED, X[:1, :2]):
        assert numbers(same, data).dtype == numbers(model, data).dtype
        assert numbers(same, data).tobytes() == numbers(model, data).tobytes()
    for name in model.get_params():
        if name != "dtype":
            assert same.get_params()[name] == model.get_params()[name]
    assert same.dtype == np.dtype(model.dtype).name
    if hasattr(model, "classes_"):
        np.testing.assert_array_equal(same.classes_, model.classes_)
        assert same.classes_.dtype == model.classes_.dtype
        assert same.predict(X).tobytes() == model.predict(X).tobytes()
    targets = SIGNS if hasattr(model, "classes_") else np.abs(TOTAL)
    if np.isfinite(model.loss_):
        again = clone(same).fit(X, targets), same.fit(X, targets), clone(model).fit(X, targets)
        assert len({each.model_.params.tobytes() for each in again}) == 1


@pytest.mark.parametrize("fitted", FITTED.values(), ids=FITTED)
def test_all_fitted_attributes_are_saved(fitted, tmp_path):
    model = fitted()
    assert vars(there_and_back(model, tmp_path)).keys() == vars(model).keys()


def test_partial_fit_continues_from_a_file(tmp_path):
    model = FITTED["in parts"]()
    same = there_and_back(model, tmp_path)
    for _ in range(3):
        model.partial_fit(X, SIGNS)
        same.partial_fit(X, SIGNS)
    assert same.model_.params.tobytes() == model.model_.params.tobytes()


@pytest.mark.parametrize("fitted", FITTED.values(), ids=FITTED)
def test_equal_estimators_give_files_of_equal_bytes(fitted, tmp_path):
    model = fitted()
    model.save(tmp_path / "one")
    fitted().save(tmp_path / "two")
    fusedlstm.load(tmp_path / "one").save(tmp_path / "three")
    pickle.loads(pickle.dumps(model)).save(tmp_path / "four")
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize(
    "labels",
    [
        ["a", "bb"],
        np.array(["long name", "a"])[[1, 1, 0]],
        np.array(["x", "yy"], object),
        [True, False],
        [2**40, -(2**40)],
        np.array([1, 200], "u1"),
        [1.0, -2.0],
        np.array([3, 7], "float32"),
        ["\N{SNOWMAN}", "\ud800"],
    ],
    ids=repr,
)
def test_labels_of_all_dtypes_survive_a_round_trip(labels, tmp_path):
    labels = np.asarray(labels)
    model = quick(LSTMClassifier).fit(X, labels[np.arange(30) % len(labels)])
    same = there_and_back(model, tmp_path)
    assert same.classes_.dtype == model.classes_.dtype
    assert same.classes_.tolist() == model.classes_.tolist()
    assert list(map(type, same.classes_.tolist())) == list(map(type, model.classes_.tolist()))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_models_survive_a_round_trip(dtype, tmp_path):
    model = Sequential([LSTM(3, bidirectional=True), Dropout(0.2), Dense(2, "relu")], 2, dtype, 0)
    same = there_and_back(model, tmp_path)
    assert repr(same) == repr(model)
    assert same.params.tobytes() == model.params.tobytes()
    assert same.output_size == 2
    assert same.predict(X).tobytes() == model.predict(X).tobytes()
    same.params[:] = 0
    assert not same.predict(X).any()


LAYERS = [
    kind
    for name in layers.__all__
    if isinstance(kind := getattr(layers, name), type)
    and issubclass(kind, layers.Layer)
    and not isabstract(kind)
]


@pytest.mark.parametrize("kind", LAYERS)
def test_each_layer_survives_a_round_trip(kind, tmp_path):
    needed = [f for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]
    if issubclass(kind, (layers.Composite, layers.Tied)):
        layer = {
            layers.Chain: layers.Chain(LSTM(3), Dense(2)),
            layers.Residual: layers.Residual(LSTM(2)),
            layers.Parallel: layers.Parallel(LSTM(3), layers.GRU(2)),
            layers.Tied: layers.Chain(Dense(2), layers.Tied(0, Dense(2))),
        }[kind]
    else:
        layer = kind(*(0.5 if field.name == "rate" else 3 for field in needed))
    model = Sequential([layer], 2, random_state=0)
    same = there_and_back(model, tmp_path)
    assert same.layers == model.layers
    assert same.predict(X).tobytes() == model.predict(X).tobytes()


def test_arrays_are_saved_under_the_names_of_the_parameters(tmp_path):
    model = Sequential([LSTM(3), LastStep(), Dense(1)], 2, random_state=0)
    model.save(tmp_path / "file")
    arrays = safetensors.numpy.load_file(tmp_path / "file")
    assert arrays.keys() == model.named_params().keys()
    for name, array in model.named_params().items():
        np.testing.assert_array_equal(arrays[name], array)


def test_the_header_describes_the_estimator(tmp_path):
    quick(LSTMClassifier).fit(X, SIGNS).save(tmp_path / "file")
    with safetensors.safe_open(tmp_path / "file", "numpy") as file:
        metadata = file.metadata()
    assert list(metadata) == ["fusedlstm"]
    header = json.loads(metadata["fusedlstm"])
    assert header["format_version"] == 1
    assert header["class"] == "LSTMClassifier"
    assert header["dtype"] == "float32"
    assert header["classes"] == {"labels": ["minus", "plus"], "dtype": "<U5"}
    assert header["parameters"]["max_iter"] == 2


@pytest.mark.parametrize("data", [X, RAGGED, X[:, :, 0]], ids=["3-D", "ragged", "2-D"])
def test_scalers_survive_a_round_trip(data, tmp_path):
    scaler = SequenceScaler().fit(data)
    same = there_and_back(scaler, tmp_path)
    assert vars(same).keys() == vars(scaler).keys()
    for one, other in zip(same.transform(data), scaler.transform(data), strict=True):
        np.testing.assert_array_equal(one, other)


def test_all_optimizers_losses_schedules_and_layers_can_be_saved():
    named = (OPTIMIZERS, SCHEDULES, REGRESSION_LOSSES, CLASSIFICATION_LOSSES)
    kinds = {type(value) for values in named for value in values.values()}
    assert {*LAYERS, *kinds} <= set(VALUES.values())
    for kind in VALUES.values():
        assert is_dataclass(kind)


def test_another_process_reads_a_file_and_a_pickle(tmp_path):
    model = quick(LSTMClassifier, optimizer=Adam(beta2=0.9)).fit(X, SIGNS)
    model.save(tmp_path / "model.safetensors")
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(model))
    np.save(tmp_path / "X.npy", X)
    script = """if True:
        import pickle, sys, numpy as np, fusedlstm
        loaded = fusedlstm.load("model.safetensors")
        with open("model.pickle", "rb") as file:
            unpickled = pickle.load(file)
        X = np.load("X.npy")
        for model in (loaded, unpickled):
            sys.stdout.write(model.predict_proba(X).tobytes().hex() + "\\n")
    """
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert ran.stdout.split() == 2 * [model.predict_proba(X).tobytes().hex()]
