"""Compare predictions at every step with the best possible ones, on data from known generators.

For tags of hidden Markov models, `LSTMTagger` is compared with the forward filter, which uses the
steps so far, and with the posterior marginals, which use the whole sequence. For states of linear
Gaussian state spaces, `LSTMStepRegressor` is compared with the Kalman filter and with the
Rauch-Tung-Striebel smoother. Each seed draws a generator, 20,000 ragged training sequences, 5,000
test sequences and the initial weights. The settings in ``TASKS`` were chosen before the first run,
except for one task with a comment.

    python bench/oracles.py [--quick] [task ...]

The script fails if a seed misses a bound: an accuracy of at least 0.98 times the oracle's, or a
squared error of at most 1.05 times the oracle's. It also fails if an estimator is better than its
oracle by more than three standard errors, because it then uses data that it must not use.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

import fusedlstm
from fusedlstm import LSTMStepRegressor, LSTMTagger

SEEDS = range(5)
SHORTEST, LONGEST = 10, 30
NOISE = 3
"""Standard errors by which an estimator may be better than its oracle."""


@dataclass(frozen=True)
class Drawn:
    """Sequences of a generator.

    Attributes
    ----------
    observed : array (n, T) or (n, T, n_observed)
        Words or numbers.
    hidden : array (n, T) or (n, T, n_states)
        Tags or states.
    lengths : int array (n,)
        Real steps of each sequence.
    """

    observed: np.ndarray
    hidden: np.ndarray
    lengths: np.ndarray

    @property
    def real(self) -> np.ndarray:
        """The real steps, (n, T)."""
        return np.arange(self.hidden.shape[1]) < self.lengths[:, np.newaxis]

    def ragged(self, steps: np.ndarray) -> list[np.ndarray]:
        """Return an array (n, T, ...) as a list of arrays (T_i, ...)."""
        return [row[:n] for row, n in zip(steps, self.lengths, strict=True)]


def draw_lengths(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.integers(SHORTEST, LONGEST + 1, size=n)


@dataclass(frozen=True)
class HiddenMarkov:
    """A chain of tags, each of which emits a word.

    Attributes
    ----------
    start : array (n_tags,)
        Probabilities of the first tag.
    transitions : array (n_tags, n_tags)
        Row i holds the probabilities of the tag after tag i.
    emissions : array (n_tags, n_words)
        Row i holds the probabilities of the words of tag i.
    """

    start: np.ndarray
    transitions: np.ndarray
    emissions: np.ndarray

    @classmethod
    def random(cls, rng: np.random.Generator, n_tags: int = 8, n_words: int = 50) -> HiddenMarkov:
        """Return a model with ambiguous words and tags that depend on neighboring tags."""
        transitions = 0.98 * rng.dirichlet(np.full(n_tags, 0.15), n_tags) + 0.02 / n_tags
        own = rng.dirichlet(np.full(n_words, 0.1), n_tags)
        shared = rng.dirichlet(np.full(n_words, 0.5))
        return cls(np.full(n_tags, 1 / n_tags), transitions, 0.6 * own + 0.4 * shared)

    def draw(self, rng: np.random.Generator, n: int) -> Drawn:
        """Return ``n`` sequences of words and tags."""
        tags = np.empty((n, LONGEST), np.int64)
        tags[:, 0] = _choose(rng, np.broadcast_to(self.start, (n, len(self.start))))
        for t in range(1, LONGEST):
            tags[:, t] = _choose(rng, self.transitions[tags[:, t - 1]])
        words = np.stack([_choose(rng, self.emissions[tag]) for tag in tags.T], axis=1)
        return Drawn(words, tags, draw_lengths(rng, n))

    def inputs(self, drawn: Drawn) -> list[np.ndarray]:
        """Return the words as one-hot columns."""
        return drawn.ragged(np.eye(self.emissions.shape[1], dtype=np.float32)[drawn.observed])

    def targets(self, drawn: Drawn) -> list[np.ndarray]:
        """Return the tags."""
        return drawn.ragged(drawn.hidden)

    def filtered(self, drawn: Drawn) -> np.ndarray:
        """Return the probability of each tag given the words so far, (n, T, n_tags)."""
        likelihood = self.emissions.T[drawn.observed]
        forward = np.empty_like(likelihood)
        prior = self.start
        for t in range(likelihood.shape[1]):
            joint = prior * likelihood[:, t]
            forward[:, t] = joint / joint.sum(axis=1, keepdims=True)
            prior = forward[:, t] @ self.transitions
        return forward

    def smoothed(self, drawn: Drawn) -> np.ndarray:
        """Return the probability of each tag given all words, (n, T, n_tags)."""
        likelihood = self.emissions.T[drawn.observed]
        backward = np.ones_like(likelihood)
        for t in range(likelihood.shape[1] - 2, -1, -1):
            later = (backward[:, t + 1] * likelihood[:, t + 1]) @ self.transitions.T
            later /= later.sum(axis=1, keepdims=True)
            goes_on = (t + 1 < drawn.lengths)[:, np.newaxis]
            backward[:, t] = np.where(goes_on, later, 1)
        joint = self.filtered(drawn) * backward
        return joint / joint.sum(axis=2, keepdims=True)

    def losses(self, drawn: Drawn, probabilities: np.ndarray) -> np.ndarray:
        """Return 1 at each step whose most probable tag is wrong, else 0, (n, T)."""
        return (probabilities.argmax(axis=2) != drawn.hidden).astype(np.float64)

    def losses_of(self, drawn: Drawn, predicted: list[np.ndarray]) -> np.ndarray:
        """Return the losses of predicted tags, one row per real step."""
        return (np.concatenate(predicted) != drawn.hidden[drawn.real]).astype(np.float64)


def _choose(rng: np.random.Generator, probabilities: np.ndarray) -> np.ndarray:
    """Draw a column of each row of probabilities."""
    below = probabilities.cumsum(axis=1) < rng.random((len(probabilities), 1))
    return below.sum(axis=1).clip(0, probabilities.shape[1] - 1)


@dataclass(frozen=True)
class LinearStateSpace:
    """A linear state with Gaussian noise, observed through a linear map with Gaussian noise.

    The first state has the stationary distribution.

    Attributes
    ----------
    transition : array (n_states, n_states)
    process_noise : array (n_states, n_states)
        Covariance.
    observation : array (n_observed, n_states)
    observation_noise : array (n_observed, n_observed)
        Covariance.
    """

    transition: np.ndarray
    process_noise: np.ndarray
    observation: np.ndarray
    observation_noise: np.ndarray

    @classmethod
    def random(cls, rng: np.random.Generator) -> LinearStateSpace:
        """Return a damped rotation of two states with one noisy observed number."""
        damping, angle = rng.uniform(0.85, 0.97), rng.uniform(0.3, 1.0)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        toward = rng.uniform(0, 2 * np.pi)
        observation = np.array([[np.cos(toward), np.sin(toward)]])
        noise = rng.uniform(0.3, 1.0) / (1 - damping**2)  # relative to the state's variance
        return cls(damping * turn, np.eye(2), observation, np.array([[noise]]))

    def stationary(self) -> np.ndarray:
        """Return the covariance of the state at any time."""
        size = len(self.transition)
        kron = np.kron(self.transition, self.transition)
        flat = np.linalg.solve(np.eye(size**2) - kron, self.process_noise.ravel())
        return flat.reshape(size, size)

    def draw(self, rng: np.random.Generator, n: int) -> Drawn:
        """Return ``n`` sequences of observations and states."""
        n_observed, size = self.observation.shape
        noise = np.linalg.cholesky(self.process_noise).T
        states = np.empty((n, LONGEST, size))
        states[:, 0] = rng.standard_normal((n, size)) @ np.linalg.cholesky(self.stationary()).T
        for t in range(1, LONGEST):
            states[:, t] = states[:, t - 1] @ self.transition.T
            states[:, t] += rng.standard_normal((n, size)) @ noise
        observed = states @ self.observation.T
        observed += rng.standard_normal((n, LONGEST, n_observed)) @ (
            np.linalg.cholesky(self.observation_noise).T
        )
        return Drawn(observed, states, draw_lengths(rng, n))

    def inputs(self, drawn: Drawn) -> list[np.ndarray]:
        """Return the observations."""
        return drawn.ragged(drawn.observed.astype(np.float32))

    def targets(self, drawn: Drawn) -> list[np.ndarray]:
        """Return the states."""
        return drawn.ragged(drawn.hidden.astype(np.float32))

    def filtered(self, drawn: Drawn) -> np.ndarray:
        """Return the mean of each state given the observations so far, by the Kalman filter."""
        return self._filter(drawn)[0]

    def smoothed(self, drawn: Drawn) -> np.ndarray:
        """Return the mean of each state given all observations (Rauch, Tung and Striebel)."""
        filtered, covariances, predicted = self._filter(drawn)
        smoothed = filtered.copy()
        for t in range(drawn.observed.shape[1] - 2, -1, -1):
            gain = np.linalg.solve(predicted[t + 1], self.transition @ covariances[t]).T
            step = smoothed[:, t + 1] - filtered[:, t] @ self.transition.T
            goes_on = (t + 1 < drawn.lengths)[:, np.newaxis]
            smoothed[:, t] += np.where(goes_on, step @ gain.T, 0)
        return smoothed

    def _filter(self, drawn: Drawn) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
        """Return filtered means and covariances, and the covariances of the predicted states."""
        size = len(self.transition)
        means = np.empty((*drawn.observed.shape[:2], size))
        mean, covariance = np.zeros((len(means), size)), self.stationary()
        covariances, predicted = [], []
        for t in range(means.shape[1]):
            if t > 0:
                mean = means[:, t - 1] @ self.transition.T
                covariance = self.transition @ covariances[-1] @ self.transition.T
                covariance = covariance + self.process_noise
            predicted.append(covariance)
            seen = self.observation @ covariance
            gain = np.linalg.solve(seen @ self.observation.T + self.observation_noise, seen).T
            surprise = drawn.observed[:, t] - mean @ self.observation.T
            means[:, t] = mean + surprise @ gain.T
            covariances.append(covariance - gain @ seen)
        return means, covariances, predicted

    def losses(self, drawn: Drawn, means: np.ndarray) -> np.ndarray:
        """Return the squared error of each step, summed over the states, (n, T)."""
        return ((means - drawn.hidden) ** 2).sum(axis=2)

    def losses_of(self, drawn: Drawn, predicted: list[np.ndarray]) -> np.ndarray:
        """Return the losses of predicted states, one row per real step."""
        return ((np.concatenate(predicted) - drawn.hidden[drawn.real]) ** 2).sum(axis=1)


@dataclass(frozen=True)
class Result:
    """An estimator and its oracle on the same test steps.

    Attributes
    ----------
    ours, oracle : float
        Mean losses: the share of wrong tags, or the squared error.
    standard_error : float
        Standard error of the difference between the two, over the test sequences.
    """

    ours: float
    oracle: float
    standard_error: float

    @classmethod
    def of(cls, ours: np.ndarray, oracle: np.ndarray, lengths: np.ndarray) -> Result:
        """Return the result of the losses of all real steps."""
        difference = ours - oracle
        starts = np.cumsum(lengths) - lengths
        sums = np.add.reduceat(difference - difference.mean(), starts)
        standard_error = np.sqrt((sums**2).sum()) / len(difference)
        return cls(float(ours.mean()), float(oracle.mean()), float(standard_error))

    @property
    def is_leak(self) -> bool:
        """True if the estimator is better than the oracle by more than noise."""
        return self.oracle - self.ours > NOISE * self.standard_error


@dataclass(frozen=True)
class Task:
    """An estimator with its settings, its generator, its oracle and its bound."""

    generator: type[HiddenMarkov] | type[LinearStateSpace]
    oracle: str
    estimator: Callable[..., Any]
    bound: float
    settings: dict[str, Any] = field(default_factory=dict)
    training: int = 20_000
    test: int = 5_000

    @property
    def measures_accuracy(self) -> bool:
        """True for accuracies, False for squared errors."""
        return self.generator is HiddenMarkov

    def run(self, seed: int) -> Result:
        """Train on data of the seed; compare with the oracle on test data."""
        rng = np.random.default_rng(seed)
        generator = self.generator.random(rng)
        train, test = generator.draw(rng, self.training), generator.draw(rng, self.test)
        model = self.estimator(**self.settings, random_state=seed)
        model.fit(generator.inputs(train), generator.targets(train))
        ours = generator.losses_of(test, model.predict(generator.inputs(test)))
        best = generator.losses(test, getattr(generator, self.oracle)(test))[test.real]
        return Result.of(ours, best, test.lengths)

    def ratio(self, result: Result) -> float:
        """Return the accuracy or squared error of the estimator over the oracle's."""
        if self.measures_accuracy:
            return (1 - result.ours) / (1 - result.oracle)
        return result.ours / result.oracle

    def problem(self, result: Result) -> str | None:
        """Return the bound that the result misses, or None."""
        ratio = self.ratio(result)
        if result.is_leak:
            return f"better than the oracle by more than {NOISE} standard errors"
        if self.measures_accuracy and ratio < self.bound:
            return f"{ratio:.4f} of the oracle's accuracy, at least {self.bound} needed"
        if not self.measures_accuracy and ratio > self.bound:
            return f"{ratio:.4f} times the oracle's error, at most {self.bound} allowed"
        return None


SETTINGS: dict[str, Any] = {
    "hidden_size": 32,
    "batch_size": 100,
    "learning_rate": 0.01,
    "schedule": "cosine",
    "max_iter": 15,
}
ONE_WAY, BOTH_WAYS = {"bidirectional": False, **SETTINGS}, {"bidirectional": True, **SETTINGS}
TASKS = {
    "tags, forward filter": Task(HiddenMarkov, "filtered", LSTMTagger, 0.98, ONE_WAY),
    "tags, posterior": Task(HiddenMarkov, "smoothed", LSTMTagger, 0.98, BOTH_WAYS),
    "states, Kalman filter": Task(LinearStateSpace, "filtered", LSTMStepRegressor, 1.05, ONE_WAY),
    # Changed once: with one layer, seed 4 missed the bound (1.07). A linear function of the two
    # directions adds them with constant weights; the smoother's weights depend on the distances
    # from both ends.
    "states, smoother": Task(
        LinearStateSpace, "smoothed", LSTMStepRegressor, 1.05, {**BOTH_WAYS, "num_layers": 2}
    ),
}


def quick(task: Task) -> Task:
    """Return the task with fewer sequences and epochs, and a wider bound for accuracies."""
    return replace(
        task,
        bound=0.97 if task.measures_accuracy else task.bound,
        settings={**task.settings, "max_iter": 10},
        training=10_000,
        test=2_000,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", help=f"of {'; '.join(TASKS)}; default all")
    parser.add_argument("--quick", action="store_true", help="one seed, less data, a wider bound")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    for name in options.tasks:
        if name not in TASKS:
            parser.error(f"task must be one of {'; '.join(TASKS)}; got {name!r}")
    fusedlstm.set_num_threads(options.threads)
    warnings.simplefilter("ignore", ConvergenceWarning)
    missed = []
    for name in options.tasks or TASKS:
        task = quick(TASKS[name]) if options.quick else TASKS[name]
        settings = ", ".join(f"{key}={value!r}" for key, value in task.settings.items())
        what = "accuracy" if task.measures_accuracy else "squared error"
        print(f"{name}: {what} of {task.estimator.__name__}({settings})")
        print(f"{'seed':>8}{'ours':>10}{'oracle':>10}{'ratio':>10}{'difference':>13}", end="")
        print(f"{'std. error':>13}{'cpu, s':>9}")
        for seed in SEEDS[:1] if options.quick else SEEDS:
            begin = time.process_time()
            result = task.run(seed)
            seconds = time.process_time() - begin
            ours, oracle = result.ours, result.oracle
            if task.measures_accuracy:
                ours, oracle = 1 - ours, 1 - oracle
            print(
                f"{seed:>8}{ours:>10.4f}{oracle:>10.4f}{task.ratio(result):>10.4f}"
                f"{ours - oracle:>13.5f}{result.standard_error:>13.5f}{seconds:>9.1f}",
                flush=True,
            )
            problem = task.problem(result)
            missed += [] if problem is None else [f"{name}, seed {seed}: {problem}"]
    if missed:
        raise SystemExit("missed: " + "; ".join(missed))
    print("all bounds hold")


if __name__ == "__main__":
    main()
