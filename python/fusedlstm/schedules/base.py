"""Base class of the schedules, their state, and shared functions."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass

from fusedlstm._utils import validation as check
from fusedlstm._utils.representation import ShortRepr


@dataclass
class ScheduleState:
    """State of a schedule between epochs.

    Attributes
    ----------
    epoch : int
        Number of finished epochs.
    watched : float or None
        Value that `ReduceOnPlateau` monitors. Lower is better. Training sets it to the training
        loss after each epoch. The caller may then assign another value. `Schedule.update` sets it
        to None.
    best : float
        Lowest value of ``watched`` so far.
    waited : int
        Number of epochs since the last improvement, reduction or end of a cooldown.
    cooling : int
        Number of epochs left in the cooldown after a reduction.
    reduced : float
        Product of the factors of all reductions so far.

    Examples
    --------
    >>> from fusedlstm.schedules import ScheduleState
    >>> ScheduleState(epoch=3).epoch
    3
    """

    epoch: int = 0
    watched: float | None = None
    best: float = math.inf
    waited: int = 0
    cooling: int = 0
    reduced: float = 1.0


class Schedule(ShortRepr, abc.ABC):
    """Base class of learning rate schedules.

    A subclass implements `multiplier`. It overrides `update` if the factor depends on the losses,
    and `for_epochs` if the factor depends on the number of epochs.

    Examples
    --------
    The factor ``1 / (1 + t)`` after t epochs:

    >>> from fusedlstm.schedules import Schedule, ScheduleState
    >>> class Inverse(Schedule):
    ...     def multiplier(self, state, i=0, n=1):
    ...         return 1 / (1 + state.epoch + i / n)
    >>> [Inverse().multiplier(ScheduleState(epoch)) for epoch in (0, 1, 3)]
    [1.0, 0.5, 0.25]
    """

    @abc.abstractmethod
    def multiplier(self, state: ScheduleState, i: int = 0, n: int = 1) -> float:
        """Return the factor of the learning rate for one update.

        Parameters
        ----------
        state : ScheduleState
            The state of the schedule, with the number of finished epochs.
        i : int, default 0
            Index of the update in the epoch, from 0 to n - 1.
        n : int, default 1
            Number of updates per epoch.

        Returns
        -------
        float
            The factor.
        """

    def update(self, state: ScheduleState) -> None:
        """Update the state with the value of the last epoch, ``state.watched``.

        Training calls this method before each epoch.

        Parameters
        ----------
        state : ScheduleState
            The state to update, in place.
        """
        state.watched = None

    def for_epochs(self, n_epochs: int) -> Schedule:
        """Return the schedule for a given number of epochs.

        Parameters
        ----------
        n_epochs : int
            Number of epochs. Ignored if the schedule was made with a number of epochs, or does not
            depend on it.

        Returns
        -------
        Schedule
            A schedule whose `multiplier` can be called.
        """
        return self


def between(first: float, last: float, part: float) -> float:
    """Interpolate linearly, from ``first`` at part 0 to ``last`` at part 1."""
    return first + (last - first) * part


def half_cosine(first: float, last: float, part: float) -> float:
    """Interpolate with half a cosine, from ``first`` at part 0 to ``last`` at part 1 and above."""
    return between(last, first, (1 + math.cos(math.pi * min(part, 1.0))) / 2)


def known_epochs(epochs: int | None) -> int:
    """Return the number of epochs, or raise ValueError if it is None."""
    if epochs is None:
        hint = "Call for_epochs first."
        raise ValueError(check.needs("epochs", "an integer to compute a multiplier", None, hint))
    return epochs


def check_epochs(epochs: int | None) -> None:
    """Raise an error if the number of epochs is not a positive integer or None."""
    if epochs is not None:
        check.int_at_least("epochs", epochs, 1, "a positive integer or None")
