"""Schedules: values by hand, in training and in the estimators."""

from __future__ import annotations

import copy
import pickle
from itertools import islice

import numpy as np
import pytest
from sklearn.base import clone

from fusedlstm import LSTMClassifier, LSTMRegressor, Sequential
from fusedlstm.layers import LSTM, Dense, LastStep
from fusedlstm.losses import squared_error
from fusedlstm.optimizers import SGD, Optimizer
from fusedlstm.schedules import (
    SCHEDULES,
    Cosine,
    CosineRestarts,
    Exponential,
    OneCycle,
    ReduceOnPlateau,
    ScheduleState,
    Step,
    as_schedule,
)
from fusedlstm.training import SequenceBatches, epochs

pytestmark = pytest.mark.usefixtures("one_thread")

X = np.random.default_rng(0).standard_normal((40, 6, 2))
TOTAL = X.sum(axis=(1, 2))


@pytest.fixture
def rates(monkeypatch):
    """Record the learning rate of each update."""
    seen = []
    step = Optimizer.step

    def note(self, params, grads, state, learning_rate, *args):
        seen.append(learning_rate)
        step(self, params, grads, state, learning_rate, *args)

    monkeypatch.setattr(Optimizer, "step", note)
    return seen


def quick(**options):
    settings = {"hidden_size": 4, "max_iter": 6, "random_state": 0, "batch_size": 10}
    return LSTMRegressor(**{**settings, "learning_rate": 0.01, **options})


def by_update(schedule, n_epochs, n=4):
    return [schedule.multiplier(ScheduleState(e), i, n) for e in range(n_epochs) for i in range(n)]


@pytest.mark.parametrize("name", SCHEDULES)
def test_estimators_follow_each_schedule(name, rates):
    quick(schedule=name, learning_rate=0.5).fit(X, TOTAL)
    expected = by_update(SCHEDULES[name].for_epochs(6), 6)
    assert rates == pytest.approx([0.5 * factor for factor in expected])
    assert min(rates) >= 0


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_can_be_compared_pickled_and_cloned(name):
    schedule = SCHEDULES[name]
    assert as_schedule(name) == as_schedule(schedule) == pickle.loads(pickle.dumps(schedule))
    model = quick(schedule=schedule)
    assert clone(model).get_params() == model.get_params()
    assert schedule.for_epochs(7).for_epochs(9) == schedule.for_epochs(7)


def test_the_factor_stays_constant_after_the_last_epoch():
    for schedule in (Cosine(epochs=4), Cosine(warm_up=2.5).for_epochs(4), OneCycle(epochs=4)):
        factors = by_update(schedule, 8)
        assert max(factors) == pytest.approx(1.0, abs=0.1)
        assert factors[16:] == pytest.approx([factors[-1]] * 16, abs=1e-12)
        assert factors[-1] < 1e-5


def test_warm_up_increases_the_factor_linearly():
    for schedule in (Cosine(10, warm_up=2, start=0.2), CosineRestarts(5, warm_up=2, start=0.2)):
        assert by_update(schedule, 2, 2) == pytest.approx([0.2, 0.4, 0.6, 0.8])
        assert schedule.multiplier(ScheduleState(2)) == 1.0
    restarts = by_update(CosineRestarts(2, growth=3, warm_up=1), 10, 1)
    assert [epoch for epoch, factor in enumerate(restarts) if factor == 1.0] == [1, 3, 9]


def test_schedules_of_one_to_three_epochs_stay_in_range():
    for n_epochs in (1, 2, 3):
        for schedule in SCHEDULES.values():
            factors = by_update(schedule.for_epochs(n_epochs), n_epochs, 1)
            assert all(0 <= factor <= 1 for factor in factors)
    assert Cosine(warm_up=5).for_epochs(3).epochs == 6


def test_reduce_on_plateau_follows_the_training_loss(rates):
    x = X.astype("float32")
    model = Sequential([LSTM(4), LastStep(), Dense(1)], 2, random_state=0)
    source = SequenceBatches(x, TOTAL[:, np.newaxis].astype("float32"), batch_size=40)
    schedule = ReduceOnPlateau(0.5, patience=1, threshold=1e9)  # nothing is an improvement
    run = epochs(
        model,
        source,
        squared_error,
        SGD(),
        learning_rate=1e-3,
        schedule=schedule,
        rng=np.random.default_rng(0),
    )
    assert len(list(islice(run, 7))) == 7
    assert rates == pytest.approx(1e-3 * np.array([1, 1, 1, 0.5, 0.5, 0.25, 0.25]))


def test_reduce_on_plateau_follows_the_validation_score(rates):
    scores = iter([0.1, 0.2, 0.2, 0.2, 0.9, 0.9, 0.9])
    schedule = ReduceOnPlateau(0.5, patience=1, min_factor=0.3)
    model = quick(
        schedule=schedule,
        early_stopping=True,
        scoring=lambda model, X, y: next(scores),
        max_iter=7,
        batch_size=40,
    )
    model.fit(X, TOTAL)
    assert rates == pytest.approx(0.01 * np.array([1, 1, 1, 1, 0.5, 0.5, 0.5]))


@pytest.mark.parametrize("schedule", [Exponential(0.7), Cosine(warm_up=2), OneCycle()])
def test_partial_fit_continues_the_schedule(schedule, rates):
    quick(schedule=schedule).fit(X, TOTAL)
    whole = rates.copy()
    parts = quick(schedule=schedule)
    for _ in range(3):
        parts.partial_fit(X, TOTAL)
    parts = copy.deepcopy(parts)
    for _ in range(3):
        parts.partial_fit(X, TOTAL)
    assert rates[len(whole) :] == whole


def test_a_change_of_optimizer_continues_the_schedule(rates):
    model = quick(schedule=Exponential(0.5)).partial_fit(X, TOTAL)
    model.set_params(optimizer="sgd").partial_fit(X, TOTAL)
    assert rates == [0.01] * 4 + [0.005] * 4


def test_warm_start_continues_the_schedule(rates):
    model = quick(schedule=Exponential(0.5), warm_start=True, max_iter=2, batch_size=40)
    model.fit(X, TOTAL).fit(X, TOTAL)
    assert rates == pytest.approx(0.01 * np.array([1, 0.5, 0.25, 0.125]))
    model.set_params(warm_start=False).fit(X, TOTAL)
    assert rates[4:] == rates[:2]


def test_warm_start_continues_a_plateau():
    schedule = ReduceOnPlateau(0.5, patience=0, threshold=1e9)
    model = quick(schedule=schedule, max_iter=3).fit(X, TOTAL)
    assert model._schedule_state.reduced == 0.5  # the schedule has not yet seen the third epoch
    model.set_params(warm_start=True, max_iter=1).fit(X, TOTAL)
    assert model._schedule_state.reduced == 0.25


def test_training_with_one_cycle_learns():
    model = LSTMClassifier(8, schedule="one_cycle", learning_rate=0.05, max_iter=20, random_state=0)
    assert model.fit(X, TOTAL > 0).score(X, TOTAL > 0) > 0.9


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Step(0), "step_size must be a positive integer; got 0"),
        (lambda: Exponential(-1.0), "gamma must be a positive number; got -1.0"),
        (lambda: Cosine(0), "epochs must be a positive integer or None; got 0"),
        (lambda: Cosine(3, warm_up=3), "warm_up must be less than epochs, 3; got 3"),
        (lambda: Cosine(end=2), "end must be a number in [0, 1]; got 2"),
        (lambda: Cosine().multiplier(ScheduleState()), "epochs must be an integer"),
        (lambda: CosineRestarts(growth=0), "growth must be a positive integer; got 0"),
        (lambda: OneCycle(pct_start=1.0), "pct_start must be a number in (0, 1); got 1.0"),
        (lambda: ReduceOnPlateau(1.5), "factor must be a number in (0, 1); got 1.5"),
        (lambda: ReduceOnPlateau(patience=-1), "patience must be an integer of at least 0; got -1"),
        (lambda: as_schedule("cosin"), "Did you mean 'cosine'?"),
        (lambda: as_schedule(Cosine), "Did you mean Cosine()?"),
        (lambda: as_schedule(0.1), "schedule must be one of step, exponential, cosine, "),
    ],
)
def test_errors_of_schedules(make, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        make()
    assert sentence in str(caught.value)
