"""Estimators that break one of the checks for estimators of sequences."""

from __future__ import annotations

import threading

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from fusedlstm.data.forms import read_sequences


class Means(BaseEstimator):
    """Predicts from the mean of each sequence over its steps; it passes every check."""

    def fit(self, X, y, sample_weight=None):
        sequences = self.read(X)
        y = np.asarray(y)
        if len(y) != len(sequences):
            raise ValueError("X and y must be of the same length")
        if sample_weight is not None:
            sample_weight = np.asarray(sample_weight)
            if sample_weight.shape != (len(y),) or np.isnan(sample_weight).any():
                raise ValueError("sample_weight must be a number a sequence")
        self.n_features_in_ = sequences.n_features
        self.learn(self.means(sequences), y)
        return self

    def read(self, X):
        sequences = read_sequences(X)
        if sequences.form == "2d":
            raise ValueError("X must be 3-D")
        return sequences

    def results(self, X):
        check_is_fitted(self, "n_features_in_")
        sequences = self.read(X)
        if sequences.n_features != self.n_features_in_:
            raise ValueError("X must have as many features as in fit")
        return self.means(sequences).sum(axis=1)

    def means(self, sequences):
        x, lengths = sequences.take(slice(None), "float64")
        lengths = sequences.lengths() if lengths is None else lengths
        real = np.arange(x.shape[1]) < lengths[:, np.newaxis]
        return np.where(real[:, :, np.newaxis], x, 0).sum(axis=1) / lengths[:, np.newaxis]


class Regressor(RegressorMixin, Means):
    def learn(self, means, y):
        self.scale_ = y.std() / (means.sum(axis=1).std() + 1)

    def predict(self, X):
        return self.results(X) * self.scale_


class Classifier(ClassifierMixin, Means):
    def learn(self, means, y):
        self.classes_ = np.unique(y)

    def predict(self, X):
        positive = self.results(X) > 0
        return self.classes_[positive.astype(int)]

    def predict_proba(self, X):
        p = 1 / (1 + np.exp(-np.clip(self.results(X), -30, 30)))
        return np.stack([1 - p, p], axis=1)


class Shift(TransformerMixin, Means):
    """Adds one to every step."""

    def fit(self, X, y=None):
        self.n_features_in_ = self.read(X).n_features
        return self

    def transform(self, X, by=1):
        self.results(X)
        if isinstance(X, np.ndarray) and X.dtype != object:
            return X + by
        return [np.asarray(x, dtype=float) + by for x in X]

    def inverse_transform(self, X):
        return self.transform(X, by=-1)


# One estimator per check; it fails this check.


class OnlyArrays(Regressor):
    def read(self, X):
        if isinstance(X, (list, tuple)):
            raise TypeError("X must be an array")
        return super().read(X)


class NoNestedLists(Regressor):
    def read(self, X):
        if isinstance(X, list) and isinstance(X[0], list):
            raise ValueError("X must hold arrays")
        return super().read(X)


class FitsListsDifferently(Regressor):
    def fit(self, X, y):
        super().fit(X, y)
        self.scale_ *= 2 if isinstance(X, list) else 1
        return self


class CountsPadding(Regressor):
    """Means over all steps of a batch, padding included."""

    def means(self, sequences):
        x, lengths = sequences.take(slice(None), "float64")
        if lengths is not None:
            x = np.where((np.arange(x.shape[1]) < lengths[:, np.newaxis])[:, :, np.newaxis], x, 0)
        return x.mean(axis=1)


class SeesPadding(Regressor):
    def predict(self, X):
        steps = X.shape[1] if isinstance(X, np.ndarray) else max(map(len, X))
        return super().predict(X) + steps


class OnlyFloat64(Regressor):
    def read(self, X):
        if isinstance(X, np.ndarray) and X.dtype not in ("f8", "O", "U1", "c16"):
            return super().read(X.view("f4"))
        return super().read(X)


class ReadsMemoryInOrder(Regressor):
    def read(self, X):
        if isinstance(X, np.ndarray) and X.ndim == 3:
            X = np.ravel(X, order="K").reshape(X.shape)
        return super().read(X)


class Writes(Regressor):
    def results(self, X):
        result = super().results(X)
        if isinstance(X, np.ndarray) and X.dtype.kind == "f":
            X += 1
        return result


class OnlyMatrices(Regressor):
    def read(self, X):
        if any(np.ndim(x) == 1 for x in X):
            raise ValueError("X must hold arrays of two dimensions")
        return super().read(X)


class Sorts(Regressor):
    def predict(self, X):
        return np.sort(super().predict(X))


class CentersTheBatch(Regressor):
    def predict(self, X):
        result = super().predict(X)
        return result - result.mean()


class RemembersTheLength(Regressor):
    def fit(self, X, y):
        self.steps_ = self.read(X).longest()
        return super().fit(X, y)

    def predict(self, X):
        if self.read(X).longest() != self.steps_:
            raise ValueError("X must have as many steps as in fit")
        return super().predict(X)


class IgnoresTheEnd(Regressor):
    def means(self, sequences):
        return sequences.take(slice(None), "float64")[0][:, 0]


class TakesAnyFeatures(Regressor):
    def results(self, X):
        return self.means(self.read(X)).sum(axis=1)


class CutsFeatures(Regressor):
    def read(self, X):
        if isinstance(X, list) and len({np.shape(x)[-1] for x in X if np.ndim(x) == 2}) > 1:
            X = [np.asarray(x)[:, :3] for x in X]
        return super().read(X)


class FillsNaN(Regressor):
    def read(self, X):
        if isinstance(X, np.ndarray) and X.dtype == "f8":
            X = np.nan_to_num(X, nan=0, posinf=np.inf, neginf=-np.inf)
        return super().read(X)


class FillsInfinity(Regressor):
    def read(self, X):
        if isinstance(X, np.ndarray) and X.dtype == "f8":
            X = np.nan_to_num(X, nan=np.nan, posinf=1, neginf=1)
        return super().read(X)


class TakesNothing(Regressor):
    def read(self, X):
        return super().read(X if len(X) else np.zeros((1, 1, 3)))


class CrashesOnNothing(Regressor):
    def read(self, X):
        X[0]  # raises IndexError, which does not explain the error
        return super().read(X)


class TakesComplex(Regressor):
    def read(self, X):
        return super().read(X.real if isinstance(X, np.ndarray) and X.dtype == "c16" else X)


class TakesOneSequence(Regressor):
    def read(self, X):
        return super().read(X[np.newaxis] if isinstance(X, np.ndarray) and X.ndim == 2 else X)


class CutsTargets(Regressor):
    def fit(self, X, y):
        n = min(len(X), len(y))
        return super().fit(X[:n], y[:n])


class PredictsUnfitted(Regressor):
    def results(self, X):
        return super().results(X) if hasattr(self, "n_features_in_") else np.zeros(len(X))

    def predict(self, X):
        return self.results(X) * getattr(self, "scale_", 1)


class ReturnsNothing(Regressor):
    def fit(self, X, y):
        super().fit(X, y)


class CountsColumns(Regressor):
    def fit(self, X, y):
        super().fit(X, y)
        self.n_features_in_ = 18
        return self

    def results(self, X):
        return self.means(self.read(X)).sum(axis=1)


class CountsCalls(Regressor):
    def predict(self, X):
        self.calls_ = getattr(self, "calls_", 0) + 1
        return super().predict(X)


class Scales(Regressor):
    def fit(self, X, y):
        y *= 2
        return super().fit(X, y)


class Random(Regressor):
    def learn(self, means, y):
        super().learn(means, y)
        self.scale_ *= np.random.default_rng().uniform(1, 2)


class Accumulates(Regressor):
    def learn(self, means, y):
        super().learn(means, y)
        self.seen_ = getattr(self, "seen_", 0) + len(y)
        self.scale_ *= self.seen_


class FittedAtOnce(Regressor):
    def __init__(self):
        self.scale_ = 1.0


class ForgetsInPickles(Regressor):
    def __getstate__(self):
        return {**super().__getstate__(), "scale_": 7.0}


class SharesABuffer(Regressor):
    """Passes an intermediate result through an attribute, which threads would share."""

    waiting = threading.Barrier(4)

    def predict(self, X):
        vars(self)["shared"] = super().predict(X)
        if threading.current_thread() is not threading.main_thread():
            self.waiting.wait(timeout=60)
            self.shared[0] += 1
            self.waiting.wait(timeout=60)
        return vars(self).pop("shared", None)


class Unnormalized(Classifier):
    def predict_proba(self, X):
        return 2 * super().predict_proba(X)


class ScoresArraysOnly(Regressor):
    def score(self, X, y):
        return super().score(X, y) if isinstance(X, np.ndarray) else 0.0


class WeighsByTheSum(Regressor):
    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.scale_ *= 1 if sample_weight is None else np.sum(sample_weight)
        return self


class LosesSequences(Shift):
    def transform(self, X, by=1):
        return super().transform(X, by)[1:]


class GoesOnlyOneWay(Shift):
    def inverse_transform(self, X):
        return X


BROKEN = {
    "check_lists_and_tuples": OnlyArrays(),
    "check_nested_lists": NoNestedLists(),
    "check_fit_on_every_form": FitsListsDifferently(),
    "check_ragged_forms": OnlyArrays(),
    "check_dtypes": OnlyFloat64(),
    "check_memory_layouts": ReadsMemoryInOrder(),
    "check_read_only_and_memory_maps": Writes(),
    "check_one_feature": OnlyMatrices(),
    "check_order": Sorts(),
    "check_subsets": CentersTheBatch(),
    "check_padding": SeesPadding(),
    "check_longer_neighbors": CountsPadding(),
    "check_other_lengths": RemembersTheLength(),
    "check_last_steps_are_used": IgnoresTheEnd(),
    "check_number_of_features": TakesAnyFeatures(),
    "check_unequal_features": CutsFeatures(),
    "check_nan": FillsNaN(),
    "check_infinity": FillsInfinity(),
    "check_empty": (TakesNothing(), CrashesOnNothing()),
    "check_complex_numbers_and_text": TakesComplex(),
    "check_two_dimensional_sequence": TakesOneSequence(),
    "check_number_of_targets": CutsTargets(),
    "check_not_fitted": PredictsUnfitted(),
    "check_fit_returns_self": ReturnsNothing(),
    "check_n_features_in": CountsColumns(),
    "check_methods_keep_the_state": CountsCalls(),
    "check_input_is_unchanged": (Writes(), Scales()),
    "check_fit_is_deterministic": (Random(), Accumulates()),
    "check_refit_resets_the_state": Accumulates(),
    "check_clone": (FittedAtOnce(), Random()),
    "check_pickles_and_copies": ForgetsInPickles(),
    "check_threads": SharesABuffer(),
    "check_probabilities": Unnormalized(),
    "check_score_and_cross_validation": ScoresArraysOnly(),
    "check_sample_weights": WeighsByTheSum(),
    "check_transform_keeps_sequences": LosesSequences(),
    "check_inverse_transform": GoesOnlyOneWay(),
}
