"""The oracles of `bench/oracles.py` are exact, and estimators are close to them."""

from __future__ import annotations

import itertools
import runpy
from pathlib import Path

import numpy as np
import pytest

ORACLES = runpy.run_path(str(Path(__file__).parents[2] / "bench/oracles.py"))
Drawn, HiddenMarkov, Result = ORACLES["Drawn"], ORACLES["HiddenMarkov"], ORACLES["Result"]
LinearStateSpace, TASKS = ORACLES["LinearStateSpace"], ORACLES["TASKS"]


@pytest.fixture
def chain():
    rng = np.random.default_rng(0)
    return HiddenMarkov(
        rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(3), 3), rng.dirichlet(np.ones(4), 3)
    )


def enumerated(chain, words, n_seen):
    """Return the probabilities of the tags at each step given the first ``n_seen`` words."""
    marginals = np.zeros((len(words), len(chain.start)))
    for tags in itertools.product(range(len(chain.start)), repeat=len(words)):
        probability = chain.start[tags[0]]
        for tag, after in itertools.pairwise(tags):
            probability *= chain.transitions[tag, after]
        for tag, word in zip(tags[:n_seen], words[:n_seen], strict=True):
            probability *= chain.emissions[tag, word]
        marginals[np.arange(len(words)), tags] += probability
    return marginals / marginals.sum(axis=1, keepdims=True)


def test_filtered_tags_agree_with_enumeration(chain):
    words = np.random.default_rng(1).integers(4, size=(3, 5))
    filtered = chain.filtered(Drawn(words, words, np.full(3, 5)))
    for row, expected in zip(filtered, words, strict=True):
        for t in range(5):
            np.testing.assert_allclose(row[t], enumerated(chain, expected, t + 1)[t], rtol=1e-12)


def test_smoothed_tags_agree_with_enumeration(chain):
    words = np.random.default_rng(2).integers(4, size=(4, 5))
    lengths = np.array([5, 1, 3, 4])
    smoothed = chain.smoothed(Drawn(words, words, lengths))
    for row, of_row, n in zip(smoothed, words, lengths, strict=True):
        np.testing.assert_allclose(row[:n], enumerated(chain, of_row[:n], n), rtol=1e-12)


def conditional_means(space, observed, n_seen):
    """Return the mean of every state given the first ``n_seen`` observations.

    It is computed from the joint covariance of all states and observations.
    """
    n_steps, size = len(observed), len(space.transition)
    states = np.zeros((n_steps, n_steps, size, size))
    for t in range(n_steps):
        for s in range(t + 1):
            power = np.linalg.matrix_power(space.transition, t - s)
            states[t, s] = power @ space.stationary()
            states[s, t] = states[t, s].T
    of_states = states.transpose(0, 2, 1, 3).reshape(n_steps * size, n_steps * size)
    look = np.kron(np.eye(n_steps)[:n_seen], space.observation)
    of_observed = look @ of_states @ look.T + np.kron(np.eye(n_seen), space.observation_noise)
    means = of_states @ look.T @ np.linalg.solve(of_observed, observed[:n_seen].ravel())
    return means.reshape(n_steps, size)


@pytest.fixture
def space():
    rng = np.random.default_rng(3)
    noise = rng.standard_normal((2, 2, 2))
    return LinearStateSpace(
        np.array([[0.8, -0.3], [0.2, 0.7]]),
        noise[0] @ noise[0].T,
        rng.standard_normal((2, 2)),
        noise[1] @ noise[1].T,
    )


def test_the_stationary_covariance_is_a_fixed_point(space):
    covariance = space.stationary()
    after = space.transition @ covariance @ space.transition.T + space.process_noise
    np.testing.assert_allclose(after, covariance, rtol=1e-10)


def test_filtered_states_agree_with_the_joint_covariance(space):
    drawn = space.draw(np.random.default_rng(4), 2)
    filtered = space.filtered(drawn)
    for row, observed in zip(filtered, drawn.observed, strict=True):
        for t in range(6):
            expected = conditional_means(space, observed[:6], t + 1)[t]
            np.testing.assert_allclose(row[t], expected, rtol=1e-8, atol=1e-10)


def test_smoothed_states_agree_with_the_joint_covariance(space):
    drawn = space.draw(np.random.default_rng(5), 3)
    lengths = np.array([6, 1, 4])
    short = Drawn(drawn.observed[:, :6], drawn.hidden[:, :6], lengths)
    smoothed = space.smoothed(short)
    for row, observed, n in zip(smoothed, drawn.observed, lengths, strict=True):
        expected = conditional_means(space, observed[:n], n)
        np.testing.assert_allclose(row[:n], expected, rtol=1e-8, atol=1e-10)


def test_drawn_tags_have_the_error_that_the_oracle_expects():
    rng = np.random.default_rng(9)
    chain = HiddenMarkov.random(rng)
    drawn = chain.draw(rng, 4000)
    for probabilities in (chain.filtered(drawn), chain.smoothed(drawn)):
        expected = 1 - probabilities.max(axis=2)[drawn.real]
        wrong = chain.losses(drawn, probabilities)[drawn.real]
        result = Result.of(wrong, expected, drawn.lengths)
        assert abs(result.ours - result.oracle) < 4 * result.standard_error


def test_drawn_states_have_the_error_that_the_filter_expects():
    rng = np.random.default_rng(10)
    space = LinearStateSpace.random(rng)
    drawn = space.draw(rng, 4000)
    means, covariances, _ = space._filter(drawn)
    expected = np.broadcast_to(np.trace(covariances, axis1=1, axis2=2), drawn.real.shape)
    errors = space.losses(drawn, means)
    result = Result.of(errors[drawn.real], expected[drawn.real], drawn.lengths)
    assert abs(result.ours - result.oracle) < 4 * result.standard_error


@pytest.mark.parametrize("kind", [HiddenMarkov, LinearStateSpace])
def test_smoothing_has_a_lower_loss_than_filtering(kind):
    rng = np.random.default_rng(6)
    generator = kind.random(rng)
    drawn = generator.draw(rng, 2000)
    filtered, smoothed = (
        generator.losses(drawn, oracle)[drawn.real].mean()
        for oracle in (generator.filtered(drawn), generator.smoothed(drawn))
    )
    assert smoothed < filtered


def test_the_standard_error_is_taken_over_sequences():
    rng = np.random.default_rng(7)
    lengths = np.full(400, 10)
    per_sequence = np.repeat(rng.standard_normal(400), 10)  # equal at all steps of a sequence
    result = Result.of(per_sequence, np.zeros(4000), lengths)
    assert result.standard_error == pytest.approx(per_sequence.std() / 20, rel=1e-9)


@pytest.mark.parametrize(
    ("ours", "problem"),
    [(0.20, None), (0.214, None), (0.22, "accuracy"), (0.198, None), (0.195, "better")],
)
def test_bounds_of_an_accuracy(ours, problem):
    task = TASKS["tags, forward filter"]
    found = task.problem(Result(ours, 0.2, 0.001))
    assert found is None if problem is None else problem in found


@pytest.mark.parametrize(
    ("ours", "problem"), [(1.0, None), (1.04, None), (1.06, "error"), (0.98, None), (0.9, "better")]
)
def test_bounds_of_a_squared_error(ours, problem):
    task = TASKS["states, Kalman filter"]
    found = task.problem(Result(ours, 1.0, 0.01))
    assert found is None if problem is None else problem in found


def test_a_leak_of_later_words_is_detected():
    rng = np.random.default_rng(8)
    generator = HiddenMarkov.random(rng)
    drawn = generator.draw(rng, 500)
    oracle = generator.losses(drawn, generator.filtered(drawn))[drawn.real]
    later = generator.losses(drawn, generator.smoothed(drawn))[drawn.real]
    assert Result.of(later, oracle, drawn.lengths).is_leak


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_estimators_come_close_to_the_oracles(name):
    task = ORACLES["quick"](TASKS[name])
    for seed in (0, 1):
        result = task.run(seed)
        assert task.problem(result) is None, result
