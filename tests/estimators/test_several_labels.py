"""Several labels per sequence: y is a matrix of zeros and ones."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import f1_score

from fusedlstm import LSTMClassifier
from fusedlstm.layers import Dense

pytestmark = pytest.mark.usefixtures("one_thread")

rng = np.random.default_rng(0)
X = rng.standard_normal((300, 5, 2))
Y = np.stack([X[:, -1, 0] > 0, X[:, -1, 1] > 0.5, X[:, :, 0].sum(axis=1) < 1], axis=1).astype(int)


def quick(**options):
    return LSTMClassifier(**{"hidden_size": 8, "max_iter": 3, "random_state": 0, **options})


def test_the_classifier_learns_several_labels():
    model = LSTMClassifier(16, max_iter=30, random_state=0).fit(X[:200], Y[:200])
    assert model.score(X[200:], Y[200:]) > 0.7
    assert f1_score(Y[200:], model.predict(X[200:]), average="macro") > 0.85
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.model_.layers[-1] == Dense(3)


@pytest.mark.parametrize("n_labels", [2, 3])
def test_decision_function_probabilities_and_predictions_agree(n_labels):
    model = quick().fit(X, Y[:, :n_labels])
    z, p = model.decision_function(X), model.predict_proba(X)
    assert z.shape == p.shape == (300, n_labels)
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-z)), rtol=1e-6)
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(p), rtol=1e-6)
    np.testing.assert_array_equal(model.predict(X), p > 0.5)
    assert model.predict(X).dtype.kind == "i"
    value = -(Y * np.log(p)[:, :3] + (1 - Y) * np.log1p(-p)).sum(1).mean() if n_labels == 3 else 0
    watched = quick().fit(X, Y, X_val=X, y_val=Y).validation_loss_curve_[-1]
    assert n_labels == 2 or watched == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("form", ["list", "sparse", "bool", "Fortran"])
def test_label_matrices_of_all_forms_give_the_same_bits(form):
    given = {
        "list": Y.tolist(),
        "sparse": scipy.sparse.csr_matrix(Y),
        "bool": Y.astype(bool),
        "Fortran": np.asfortranarray(Y),
    }[form]
    expected = quick().fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(quick().fit(X, given).predict_proba(X), expected)


def test_label_matrices_may_be_data_frames():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(Y, columns=["a", "b", "c"])
    expected = quick().fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(quick().fit(X, frame).predict_proba(X), expected)


@pytest.mark.parametrize("options", [{"scoring": None}, {"scoring": "f1_macro"}])
def test_early_stopping_with_several_labels(options):
    model = quick(early_stopping=True, max_iter=8, **options).fit(X, Y)
    assert 1 <= model.best_iter_ <= model.n_iter_ <= 8


def test_class_weights_of_several_labels():
    weight = [{0: 1.0, 1: 50.0}, {0: 50.0, 1: 1.0}, {0: 1.0, 1: 1.0}]
    plain, weighted = (quick(class_weight=w, max_iter=10).fit(X, Y) for w in (None, weight))
    share = weighted.predict_proba(X).mean(axis=0) - plain.predict_proba(X).mean(axis=0)
    assert share[0] > 0.05
    assert share[1] < -0.05
    quick(class_weight="balanced").fit(X, Y)


def test_partial_fit_with_several_labels_gives_the_bits_of_fit():
    model = quick()
    for _ in range(3):
        model.partial_fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), quick().fit(X, Y).predict_proba(X))
    assert model.partial_fit(X[:1], Y[:1]).n_iter_ == 4


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (Y * 2, "y must be labels .* or a matrix of zeros and ones"),
        (np.where(Y, 1.0, np.nan), "NaN"),
        (Y + np.arange(3), "y should be a 1d array"),
        ([[0, 1], [1]] * 150, "inhomogeneous|legacy multi-label"),
        (Y[:-1], "inconsistent numbers of samples"),
    ],
)
def test_errors_of_label_matrices(y, message):
    with pytest.raises(ValueError, match=message):
        quick().fit(X, y)


def test_another_number_of_labels_is_an_error():
    model = quick().fit(X, Y)
    for y in (Y[:, :2], Y[:, 0]):
        with pytest.raises(ValueError, match="y must be a matrix of zeros and ones with 3 columns"):
            model.partial_fit(X, y)
    with pytest.raises(ValueError, match="y_val must be a matrix of zeros and ones"):
        quick().fit(X, Y, X_val=X, y_val=Y[:, :2])


def test_one_hot_targets_give_a_warning():
    one_hot = np.eye(3, dtype=int)[np.arange(len(X)) % 3]
    model = quick()
    with pytest.warns(UserWarning, match=r"exactly one 1.*pass y\.argmax\(axis=1\)"):
        model.fit(X, one_hot)
    assert model.predict(X).shape == one_hot.shape  # y is still read as three labels
    model.fit(X, one_hot.argmax(axis=1))
    with pytest.warns(UserWarning, match="exactly one 1"):
        quick().partial_fit(X, one_hot)


def test_targets_of_steps_give_a_warning():
    of_steps = (X[:, :, 0] > 0).astype(int)
    with pytest.warns(UserWarning, match=rf"one column per time step \({X.shape[1]}\)"):
        quick().fit(X, of_steps)


def test_true_labels_give_no_warning():
    validation = np.eye(3, dtype=int)[[0, 1, 2]]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ConvergenceWarning)
        quick().fit(X, Y)
        quick().fit(X, Y, X_val=X[:3], y_val=validation)
    assert not caught


def test_a_one_hot_data_frame_gives_a_warning():
    pandas = pytest.importorskip("pandas")
    one_hot = pandas.get_dummies(pandas.Series(np.arange(20) % 3))
    X = np.random.default_rng(0).standard_normal((20, 5, 2))
    model = LSTMClassifier(4, max_iter=1)
    with pytest.warns(UserWarning, match=r"pass y\.to_numpy\(\)\.argmax\(axis=1\)\.$"):
        model.fit(X, one_hot)
    model.fit(X, one_hot.to_numpy().argmax(axis=1))
    assert model.classes_.tolist() == [0, 1, 2]
