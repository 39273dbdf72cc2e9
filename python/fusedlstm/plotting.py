"""Displays that plot the losses of a fit and forecasts, in the style of scikit-learn.

The displays require matplotlib (``pip install "fusedlstm[plot]"``). matplotlib is imported when a
display is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from fusedlstm._core import Array
from fusedlstm._utils import validation as check

__all__ = ["ForecastDisplay", "LossCurveDisplay"]

NORMAL_95 = 1.96
"""Half width of the central 95 % interval of a normal distribution, in standard deviations."""


class LossCurveDisplay:
    """Plot of the training and validation loss by epoch.

    `from_estimator` creates a display from a fitted estimator.

    Parameters
    ----------
    loss_curve : list of float
        Training loss of each epoch.
    validation_loss_curve : list of float, optional
        Validation loss of each epoch. If there are fewer validation losses than training losses,
        they are the losses of the last epochs.
    best_iter : int, optional
        Epoch to mark with a vertical line. The first epoch is 1.
    estimator_name : str, optional
        Title of the plot.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the plot.
    figure_ : matplotlib Figure
        Figure that contains the axes.
    lines_ : list of matplotlib Line2D
        The curves, and the vertical line if ``best_iter`` is given.

    See Also
    --------
    ForecastDisplay : Plot predictions against actual values.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import LSTMRegressor, LossCurveDisplay
    >>> X = np.random.default_rng(0).standard_normal((40, 5, 1))
    >>> model = LSTMRegressor(4, max_iter=5).fit(X, X[:, -1, 0])
    >>> display = LossCurveDisplay.from_estimator(model)
    >>> display.ax_.get_xlabel()
    'Epoch'
    """

    def __init__(
        self,
        *,
        loss_curve: Sequence[float],
        validation_loss_curve: Sequence[float] = (),
        best_iter: int | None = None,
        estimator_name: str | None = None,
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_loss_curve = validation_loss_curve
        self.best_iter = best_iter
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Any = None, name: str | None = None, log_scale: bool = False
    ) -> LossCurveDisplay:
        """Plot the losses of a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator
            An estimator of this package, a pipeline that ends in such an estimator, or another
            object with the attribute ``loss_curve_``.
        ax : matplotlib Axes, optional
            Axes to plot on. If None, a new figure is created.
        name : str, optional
            Title of the plot. If None, the name of the class of the estimator.
        log_scale : bool, default False
            If True, the axis of the losses is logarithmic.

        Returns
        -------
        LossCurveDisplay
            The display with the plot.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        ImportError
            If matplotlib is not installed.
        """
        from sklearn.pipeline import Pipeline
        from sklearn.utils.validation import check_is_fitted

        if isinstance(estimator, Pipeline):
            estimator = estimator[-1]
        check_is_fitted(estimator, "loss_curve_")
        validation = list(getattr(estimator, "validation_loss_curve_", []))
        display = cls(
            loss_curve=list(estimator.loss_curve_),
            validation_loss_curve=validation,
            best_iter=getattr(estimator, "best_iter_", None) if validation else None,
            estimator_name=type(estimator).__name__ if name is None else name,
        )
        return display.plot(ax, log_scale=log_scale)

    def plot(self, ax: Any = None, *, log_scale: bool = False) -> LossCurveDisplay:
        """Plot the curves.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to plot on. If None, a new figure is created.
        log_scale : bool, default False
            If True, the axis of the losses is logarithmic.

        Returns
        -------
        LossCurveDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        check.true_or_false("log_scale", log_scale)
        self.ax_, self.figure_ = _axes(self, ax)
        n_epochs = len(self.loss_curve)
        self.lines_ = self.ax_.plot(range(1, n_epochs + 1), self.loss_curve, label="training")
        if len(self.validation_loss_curve):
            # With warm_start, earlier fits may have had no validation data.
            first = n_epochs - len(self.validation_loss_curve) + 1
            epochs = range(first, n_epochs + 1)
            self.lines_ += self.ax_.plot(epochs, self.validation_loss_curve, label="validation")
        if self.best_iter is not None:
            line = self.ax_.axvline(self.best_iter, color="gray", linestyle=":", label="best")
            self.lines_.append(line)
        if log_scale:
            self.ax_.set_yscale("log")
        self.ax_.set(xlabel="Epoch", ylabel="Loss", title=self.estimator_name or "")
        if len(self.lines_) > 1:
            self.ax_.legend()
        return self


class ForecastDisplay:
    """Plot of predictions against actual values.

    `from_predictions` creates a display from predictions, with or without intervals.

    Parameters
    ----------
    y_true : array (n_samples,)
        Actual values.
    y_pred : array (n_samples,)
        Predictions.
    lower, upper : array (n_samples,), optional
        Bounds of the prediction interval. If None, no interval is plotted.
    times : array (n_samples,), optional
        Values of the horizontal axis, such as dates. If None, 0 to n_samples - 1.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the plot.
    figure_ : matplotlib Figure
        Figure that contains the axes.
    lines_ : list of matplotlib Line2D
        The line of the actual values and the line of the predictions.
    band_ : matplotlib PolyCollection or None
        The prediction interval.

    See Also
    --------
    LossCurveDisplay : Plot the losses of a fit.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedlstm import ForecastDisplay
    >>> y_true = np.sin(np.arange(50) / 5)
    >>> display = ForecastDisplay.from_predictions(y_true, y_true + 0.1, y_std=np.full(50, 0.2))
    >>> [line.get_label() for line in display.lines_]
    ['actual', 'predicted']
    """

    def __init__(
        self,
        *,
        y_true: Array,
        y_pred: Array,
        lower: Array | None = None,
        upper: Array | None = None,
        times: Any = None,
    ) -> None:
        self.y_true, self.y_pred = y_true, y_pred
        self.lower, self.upper = lower, upper
        self.times = times

    @classmethod
    def from_predictions(
        cls,
        y_true: npt.ArrayLike,
        y_pred: npt.ArrayLike,
        *,
        y_std: npt.ArrayLike | None = None,
        times: Any = None,
        ax: Any = None,
        name: str | None = None,
    ) -> ForecastDisplay:
        """Plot predictions against actual values.

        Parameters
        ----------
        y_true : array (n_samples,)
            Actual values.
        y_pred : array (n_samples,) or (n_samples, n_quantiles)
            Predictions. Several quantiles must be in increasing order. The line then shows the
            middle quantile, and the first and the last quantile are the bounds of the interval.
        y_std : array (n_samples,), optional
            Standard deviations of the predictions. The interval is then the central 95 % interval
            of a normal distribution.
        times : array (n_samples,), optional
            Values of the horizontal axis, such as dates. If None, 0 to n_samples - 1.
        ax : matplotlib Axes, optional
            Axes to plot on. If None, a new figure is created.
        name : str, optional
            Label of the predictions in the legend. If None, "predicted".

        Returns
        -------
        ForecastDisplay
            The display with the plot.

        Raises
        ------
        ValueError
            If the shapes of the arrays do not match, or ``y_std`` is given for several quantiles.
        TypeError
            If an array does not contain numbers.
        ImportError
            If matplotlib is not installed.
        """
        true = check.real_array("y_true", y_true, np.float64)
        if true.ndim != 1:
            hint = "To plot one of several targets, pass y_true[:, i]."
            raise ValueError(check.needs("y_true", "of shape (n_samples,)", true, hint))
        predicted = check.real_array("y_pred", y_pred, np.float64)
        if predicted.ndim not in (1, 2) or len(predicted) != len(true) or predicted.size == 0:
            needed = f"of shape ({len(true)},) or ({len(true)}, n_quantiles), as y_true"
            raise ValueError(check.needs("y_pred", needed, predicted))
        lower = upper = None
        if predicted.ndim == 2:
            lower, upper = predicted[:, 0], predicted[:, -1]
            predicted = predicted[:, predicted.shape[1] // 2]
        if y_std is not None:
            if lower is not None:
                raise ValueError(check.needs("y_std", "None if y_pred has quantiles", y_std))
            spread = check.real_array("y_std", y_std, np.float64)
            if spread.shape != true.shape:
                raise ValueError(check.needs("y_std", f"of shape {true.shape}, as y_true", spread))
            lower, upper = predicted - NORMAL_95 * spread, predicted + NORMAL_95 * spread
        if times is not None and np.shape(times) != true.shape:
            needed = f"of shape {true.shape}, as y_true"
            raise ValueError(check.needs("times", needed, np.asarray(times)))
        display = cls(y_true=true, y_pred=predicted, lower=lower, upper=upper, times=times)
        return display.plot(ax, name=name)

    def plot(self, ax: Any = None, *, name: str | None = None) -> ForecastDisplay:
        """Plot the actual values, the predictions and the interval.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to plot on. If None, a new figure is created.
        name : str, optional
            Label of the predictions in the legend. If None, "predicted".

        Returns
        -------
        ForecastDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.ax_, self.figure_ = _axes(self, ax)
        times = np.arange(len(self.y_true)) if self.times is None else self.times
        self.lines_ = self.ax_.plot(times, self.y_true, color="black", label="actual")
        self.lines_ += self.ax_.plot(times, self.y_pred, label=name or "predicted")
        self.band_ = None
        if self.lower is not None and self.upper is not None:
            color = self.lines_[1].get_color()
            self.band_ = self.ax_.fill_between(
                times,
                self.lower,
                self.upper,
                color=color,
                alpha=0.2,
                linewidth=0,
                label="prediction interval",
            )
        _shorten_dates(self.ax_.xaxis)
        self.ax_.set(xlabel="Step" if self.times is None else "Time", ylabel="Value")
        self.ax_.legend()
        return self


def _shorten_dates(axis: Any) -> None:
    """Format the dates of an axis so that their labels do not overlap."""
    from matplotlib import dates

    untyped = cast(Any, dates)
    if isinstance(axis.get_major_formatter(), untyped.AutoDateFormatter):
        locator = untyped.AutoDateLocator()
        axis.set_major_locator(locator)
        axis.set_major_formatter(untyped.ConciseDateFormatter(locator))


def _axes(display: object, ax: Any) -> tuple[Any, Any]:
    """Return the axes to plot on, and their figure. With None a new figure is created."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            f'{type(display).__name__} needs matplotlib: pip install "fusedlstm[plot]"'
        ) from error
    if ax is None:
        ax = pyplot.subplots(layout="constrained")[1]  # keeps all labels inside the figure
    return ax, cast(Any, ax).figure


def __dir__() -> list[str]:
    return sorted(__all__)
