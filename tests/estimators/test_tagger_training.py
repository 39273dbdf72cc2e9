"""LSTMTagger: validation, scores, weights and training in parts."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss, roc_auc_score

from fusedlstm import LSTMClassifier, LSTMRegressor, LSTMTagger
from fusedlstm.metrics import step_scorer
from step_data import LENGTHS, equal, padded, weights_of
from tagger_data import FORMS, X, Y, labels_of


def model(**options):
    return LSTMTagger(**{"hidden_size": 4, "max_iter": 3, "random_state": 0, **options})


def test_validation_sets_and_early_stopping():
    options = {"early_stopping": True, "validation_fraction": 0.25, "max_iter": 4}
    for split in ("random", "last"):
        fitted = model(**options, validation_split=split).fit(X, Y)
        assert len(fitted.validation_loss_curve_) == fitted.n_iter_
    passed = model(**options).fit(X[:9], Y[:9], X_val=X[9:], y_val=Y[9:])
    assert fitted.validation_loss_curve_ == passed.validation_loss_curve_
    assert (weights_of(fitted) == weights_of(passed)).all()
    proba = np.concatenate(passed.predict_proba(X[9:]))
    expected = log_loss(np.concatenate(Y[9:]), proba)
    best = passed.validation_loss_curve_[passed.best_iter_ - 1]
    assert best == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["accuracy", "f1_macro", "neg_log_loss", "roc_auc"])
@pytest.mark.parametrize("form", ["lists", "padded"])
def test_named_scorers_score_all_steps(name, form):
    fitted = model().fit(X, Y)
    true = np.concatenate(Y)
    proba = np.concatenate(fitted.predict_proba(X))
    predicted = np.concatenate(fitted.predict(X))
    expected = {
        "accuracy": lambda: accuracy_score(true, predicted),
        "f1_macro": lambda: f1_score(true, predicted, average="macro"),
        "neg_log_loss": lambda: -log_loss(true, proba),
        "roc_auc": lambda: roc_auc_score(true == "up", proba[:, 1]),
    }[name]()
    given = (X, Y) if form == "lists" else (padded(X), padded(Y, "no label"))
    assert step_scorer(name)(fitted, *given) == pytest.approx(expected)
    assert step_scorer(name)(fitted, given[0], Y) == pytest.approx(expected)
    stopped = model(early_stopping=True, scoring=name, max_iter=2)
    stopped.fit(*given, X_val=given[0], y_val=given[1])
    score = step_scorer(name)(stopped, *given)
    assert np.isfinite(score)


def test_scorers_with_targets_of_other_lengths_are_an_error():
    fitted, score = model().fit(X, Y), step_scorer("accuracy")
    for given in (X, padded(X)):
        for targets in (Y[:-1], padded(Y[:-1], "")):
            with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[12, 11\]"):
                score(fitted, given, targets)
        with pytest.raises(ValueError, match="y must have one target per step of X; .* sequence 1"):
            score(fitted, given, Y[::-1])
        with pytest.raises(ValueError, match="y must be of 6 steps, like X"):
            score(fitted, given, padded([part[:3] for part in Y], ""))


def test_scorers_with_predictions_of_whole_sequences_are_an_error():
    few = {"hidden_size": 2, "max_iter": 1}
    for given in (X, np.zeros((12, 6, 2))):
        steps = [np.zeros(len(x)) for x in given]
        for targets in (np.zeros(12), np.zeros((12, 2))):
            fitted = LSTMRegressor(**few).fit(given, targets)
            with pytest.raises(ValueError, match="estimator must predict at every step .* got one"):
                step_scorer("r2")(fitted, given, steps)
        with pytest.raises(
            ValueError, match="y must have one target per step; .* use scoring='r2'"
        ):
            step_scorer("r2")(fitted, given, np.zeros(12))
        labels = np.array(["up", "down"] * 6)
        fitted = LSTMClassifier(**few).fit(given, labels)
        for name in ("accuracy", "neg_log_loss"):
            with pytest.raises(ValueError, match="estimator must predict at every step .* got one"):
                step_scorer(name)(fitted, given, [np.full(len(x), "up") for x in given])
            with pytest.raises(ValueError, match="target per step; got one target per sequence"):
                step_scorer(name)(fitted, given, labels)


def test_scorers_take_weights_of_sequences():
    fitted = model().fit(X, Y)
    weights = np.arange(12.0)
    repeated = [i for i in range(12) for _ in range(i)]
    expected = fitted.score([X[i] for i in repeated], [Y[i] for i in repeated])
    assert fitted.score(X, Y, weights) == pytest.approx(expected)
    for given in ((X, Y), (padded(X), padded(Y, ""))):
        found = step_scorer("accuracy")(fitted, *given, sample_weight=weights)
        assert found == pytest.approx(expected)


@pytest.mark.parametrize("form", ["lists", "tuples", "padded", "objects", "frames"])
def test_a_callable_scoring_gets_X_and_y_as_given(form):
    got = []

    def scoring(estimator, X_given, y_given):
        got.append((X_given, y_given))
        return estimator.score(X_given, y_given)

    given = (X, Y) if form == "lists" else FORMS[form]()
    own = model(early_stopping=True, scoring=scoring, validation_split="last", max_iter=2)
    own.set_params(validation_fraction=0.25).fit(*given)
    X_given, y_given = got[-1]
    for part, whole in ((X_given, given[0]), (y_given, given[1])):
        assert type(part) is type(whole)
        assert len(part) == 3
    if form == "padded":
        assert y_given.shape == (3, 6)
        assert (y_given == given[1][9:]).all()
    else:
        assert equal(y_given, Y[9:])
    model(early_stopping=True, scoring=scoring, max_iter=1).fit(
        *given, X_val=given[0], y_val=given[1]
    )
    assert got[-1][0] is given[0]
    assert got[-1][1] is given[1]


@pytest.mark.parametrize("bidirectional", [False, True])
def test_partial_fit_gives_the_bits_of_one_epoch_of_fit(bidirectional):
    options = {"bidirectional": bidirectional, "dropout": 0.2}
    fitted = model(**options, max_iter=3).fit(X, Y)
    parts = model(**options)
    for _ in range(3):
        parts.partial_fit(X, Y, classes=["down", "up"])
    assert (weights_of(parts) == weights_of(fitted)).all()
    with pytest.raises(
        ValueError, match=r"y\[2\] must be labels that occur in classes_; got 'new'"
    ):
        parts.partial_fit(X, [*Y[:2], ["new"] * 4, *Y[3:]])
    assert (weights_of(parts) == weights_of(fitted)).all()
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model().partial_fit(X, Y)
    later = model().partial_fit(X[:2], Y[:2], classes=["up", "down", "other"])
    assert later.classes_.tolist() == ["down", "other", "up"]


def test_warm_start_continues_training():
    fitted = model(warm_start=True).fit(X, Y)
    before = weights_of(fitted)
    fitted.fit(X, Y)
    assert fitted.n_iter_ == 6
    assert (weights_of(fitted) != before).any()
    with pytest.raises(
        ValueError, match="must be labels that occur in classes_; got 'b' at step 0"
    ):
        fitted.fit(X, labels_of(Y, ["a", "b"]))
    assert fitted.n_iter_ == 6


class Killed(BaseException):
    """Stands for the end of the process."""


def killed_after(monkeypatch, fit, epochs):
    from fusedlstm.estimators.fitting.checkpoints import CheckpointFile

    write, calls = CheckpointFile.write, []

    def and_die(self, checkpoint, now):
        write(self, checkpoint, True)
        calls.append(checkpoint.state.epochs)
        if checkpoint.state.epochs == epochs:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointFile, "write", and_die)
        with pytest.raises(Killed):
            fit()


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_killed_fit_continues_to_the_same_bits(optimizer, tmp_path, monkeypatch):
    options = {"optimizer": optimizer, "max_iter": 5, "early_stopping": True}
    options["dropout"] = 0.0 if optimizer == "lbfgs" else 0.3
    options["class_weight"] = "balanced"
    options["validation_fraction"] = 0.25
    expected = model(**options).fit(X, Y, sample_weight=np.arange(1, 13.0))
    path = tmp_path / "checkpoint"

    def fit(given=X, y=Y, weights=tuple(range(1, 13)), **more):
        return model(**{**options, **more}).fit(given, y, sample_weight=weights, checkpoint=path)

    killed_after(monkeypatch, fit, 2)
    swapped = [np.where(Y[0] == "up", "down", "up"), *Y[1:]]
    with pytest.raises(ValueError, match="of a fit with another .*y"):
        fit(y=swapped)
    with pytest.raises(ValueError, match="of a fit with another sample_weight"):
        fit(weights=np.arange(2, 14.0))
    with pytest.raises(ValueError, match="of a fit with another class_weight"):
        fit(class_weight={"up": 2.0})
    found = fit(given=padded(X), y=padded(Y, ""))  # the same data in another form
    assert (weights_of(found) == weights_of(expected)).all()
    assert found.loss_curve_ == expected.loss_curve_
    assert found.validation_loss_curve_ == expected.validation_loss_curve_


FULL = {
    "optimizer": "sgd",
    "learning_rate": 0.5,
    "batch_size": 1000,
    "shuffle": False,
    "dtype": "float64",
    "weight_decay": 0.0,
}


@pytest.mark.parametrize(
    "more", [{}, {"bidirectional": False, "tbptt_steps": 2}], ids=["", "tbptt"]
)
def test_integer_weights_are_repetitions(more):
    weights = np.array([0, 1, 2, 3, 1, 0, 2, 1, 1, 3, 1, 2])
    rows = np.repeat(np.arange(12), weights)
    once = model(**FULL, **more).fit(X, Y, sample_weight=weights)
    often = model(**FULL, **more).fit([X[i] for i in rows], [Y[i] for i in rows])
    np.testing.assert_allclose(weights_of(once), weights_of(often), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(once.loss_curve_, often.loss_curve_, rtol=1e-12)
    scaled = model(**FULL, **more).fit(X, Y, sample_weight=5.0 * weights)
    np.testing.assert_allclose(weights_of(scaled), weights_of(once), rtol=1e-12)


def test_class_weights_are_weights_of_steps():
    plain, ones = (
        model(**FULL).fit(X, Y),
        model(**FULL, class_weight={"up": 3, "down": 3}).fit(X, Y),
    )
    np.testing.assert_allclose(weights_of(ones), weights_of(plain), rtol=1e-12)
    counts = {label: np.sum(np.concatenate(Y) == label) for label in ("up", "down")}
    factors = {label: 1 / count for label, count in counts.items()}
    balanced = model(**FULL, class_weight="balanced").fit(X, Y)
    by_dict = model(**FULL, class_weight=factors).fit(X, Y)
    np.testing.assert_allclose(weights_of(by_dict), weights_of(balanced), rtol=1e-9, atol=1e-12)
    assert abs(weights_of(balanced) - weights_of(plain)).max() > 1e-6
    # In a sequence with one label, the class weight is the weight of the sequence.
    y = [np.full(n, label) for n, label in zip(LENGTHS, ["a", "b"] * 6, strict=True)]
    of_class = model(**FULL, class_weight={"a": 3.0}).fit(X, y)
    of_sequence = model(**FULL, standardize=True).fit(X, y, sample_weight=[3.0, 1.0] * 6)
    plain = model(**FULL, standardize=False, class_weight={"a": 3.0}).fit(X, y)
    same = model(**FULL, standardize=False).fit(X, y, sample_weight=[3.0, 1.0] * 6)
    np.testing.assert_allclose(weights_of(plain), weights_of(same), rtol=1e-12)
    assert of_class.X_mean_[0] != of_sequence.X_mean_[0]  # class weights do not count


def test_class_weights_help_a_rare_label():
    rng = np.random.default_rng(0)
    given = [rng.standard_normal((20, 1)) for _ in range(60)]
    y = [(x[:, 0] + 0.7 * rng.standard_normal(20) > 1.9).astype(int) for x in given]
    options = {"max_iter": 15, "bidirectional": False}
    found = []
    for class_weight in (None, "balanced"):
        predicted = model(**options, class_weight=class_weight).fit(given, y).predict(given)
        true = np.concatenate(y) == 1
        found.append(np.concatenate(predicted)[true].mean())
    assert found[1] > 0.7 > found[0] + 0.2


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ([1, 2], "class_weight must be a dict, 'balanced' or None"),
        ("balance", "class_weight must be a dict, .balanced. or None"),
        ({"up": -1}, r"class_weight\['up'\] must be a number of at least 0"),
        ({"upp": 1}, "class_weight must be a dict of labels that occur in y; got 'upp'"),
        ({"up": 0, "down": 0}, "at least one non-zero number"),
    ],
)
def test_errors_of_class_weights(class_weight, message):
    with pytest.raises((TypeError, ValueError), match=message):
        model(class_weight=class_weight).fit(X, Y)


def test_balanced_class_weights_with_partial_fit_are_an_error():
    with pytest.raises(ValueError, match="class_weight must be a dict or None for partial_fit"):
        model(class_weight="balanced").partial_fit(X, Y, classes=["up", "down"])
    model(class_weight={"up": 2.0}).partial_fit(X[:2], Y[:2], classes=["up", "down"])


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam", "sgd"])
@pytest.mark.parametrize("tbptt_steps", [None, 2])
def test_each_optimizer_learns_with_and_without_truncation(optimizer, tbptt_steps):
    rng = np.random.default_rng(0)
    given = [rng.standard_normal((n, 1)) for n in rng.integers(3, 12, 60)]
    y = [(x[:, 0] > 0).astype(int) for x in given]
    rate = {"sgd": 0.5, "adam": 0.03, "lbfgs": 0.1}[optimizer]
    own = model(bidirectional=False, optimizer=optimizer, tbptt_steps=tbptt_steps, max_iter=20)
    assert own.set_params(learning_rate=rate).fit(given, y).score(given, y) > 0.95


def test_taggers_train_with_each_loss():
    from fusedlstm.losses import Focal, LogLoss

    for loss in ("focal", LogLoss(label_smoothing=0.1), Focal(1.0)):
        fitted = model(loss=loss).fit(X, Y)
        assert np.isfinite(fitted.loss_)
