"""Schedules agree with PyTorch."""

from __future__ import annotations

import dataclasses
import inspect

import numpy as np
import pytest

from fusedlstm.schedules import (
    Cosine,
    CosineRestarts,
    Exponential,
    OneCycle,
    ReduceOnPlateau,
    ScheduleState,
    Step,
)

torch = pytest.importorskip("torch")


torch.set_num_threads(1)  # two thread pools on the same processors take ten times as long


pytestmark = pytest.mark.usefixtures("one_thread")


def factors(schedule, n_epochs, n=1):
    return [schedule.multiplier(ScheduleState(e), i, n) for e in range(n_epochs) for i in range(n)]


def their_factors(make, count):
    """Return the learning rates that a scheduler sets when the initial rate is 1."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(count):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def lr(name, **options):
    return lambda optimizer: getattr(torch.optim.lr_scheduler, name)(optimizer, **options)


def warmed_up(optimizer):
    schedulers = torch.optim.lr_scheduler
    first = schedulers.LinearLR(optimizer, start_factor=0.1, total_iters=5)
    then = schedulers.CosineAnnealingLR(optimizer, T_max=15)
    return schedulers.SequentialLR(optimizer, [first, then], milestones=[5])


@pytest.mark.filterwarnings("ignore:The epoch parameter in:UserWarning")  # raised by PyTorch
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Step(4, 0.5), lr("StepLR", step_size=4, gamma=0.5)),
        (Exponential(0.9), lr("ExponentialLR", gamma=0.9)),
        (Cosine(20), lr("CosineAnnealingLR", T_max=20)),
        (Cosine(20, end=0.1), lr("CosineAnnealingLR", T_max=20, eta_min=0.1)),
        (Cosine(20, warm_up=5, start=0.1), warmed_up),
        (CosineRestarts(6), lr("CosineAnnealingWarmRestarts", T_0=6)),
        (
            CosineRestarts(3, 2, end=0.1),
            lr("CosineAnnealingWarmRestarts", T_0=3, T_mult=2, eta_min=0.1),
        ),
        (OneCycle(20), lr("OneCycleLR", max_lr=1.0, total_steps=20)),
        (
            OneCycle(20, 0.5, 10, 100),
            lr(
                "OneCycleLR",
                max_lr=1.0,
                total_steps=20,
                pct_start=0.5,
                div_factor=10,
                final_div_factor=100,
            ),
        ),
    ],
    # The id must not contain the address of a function, which differs between processes.
    ids=lambda value: "torch" if inspect.isfunction(value) else repr(value),
)
def test_schedules_agree_with_pytorch(ours, theirs):
    expected = their_factors(theirs, 20)
    np.testing.assert_allclose(factors(ours, 20), expected, rtol=0, atol=1e-12)
    if isinstance(ours, (Cosine, OneCycle)):  # update by update
        quarter = dataclasses.replace(
            ours, epochs=5, **({"warm_up": ours.warm_up / 4} if isinstance(ours, Cosine) else {})
        )
        np.testing.assert_allclose(factors(quarter, 5, 4), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", [
    {"patience": 0}, {"patience": 2}, {"patience": 1, "cooldown": 2},
    {"patience": 0, "factor": 0.5, "threshold": 0.3},
])  # fmt: skip
def test_reduce_on_plateau_agrees_with_pytorch(options):
    watched = np.random.default_rng(0).standard_normal(60).cumsum() / 3 + np.linspace(3, 0, 60)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, threshold_mode="abs", eps=0, min_lr=1e-3, **options
    )
    ours, state = ReduceOnPlateau(min_factor=1e-3, **options), ScheduleState()
    reduced = []
    for value in watched:
        theirs.step(value)
        state.watched = value
        ours.update(state)
        reduced.append(ours.multiplier(state))
        assert reduced[-1] == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
    assert len(set(reduced)) > 2
