"""Forecast the yearly sunspot numbers: twelve years in, the next one out.

The network sees the square roots of the numbers, since their spread grows with their size, and its
forecasts are squared. This and every setting below was chosen on the years up to 1920, with 1880 to
1920 as validation. The two later periods are those on which the literature reports; the model meets
them at the end.

The measure is the average relative variance, the mean squared error over 1535 (the variance of the
series that the literature divides by), of forecasts one year ahead. Less is better.

    python examples/quickstart.py
"""

from __future__ import annotations

import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

import fusedlstm
from fusedlstm import LSTMRegressor, SequenceScaler, make_windows
from fusedlstm.datasets import load_sunspots

mpl.use("Agg")
import matplotlib.pyplot as plt

WIDTH = 12
PUBLISHED = {"Weigend et al. 1990": (0.086, 0.35), "Tong and Lim 1980": (0.097, 0.28)}


def lstm(random_state: int, verbose: int = 0):
    """Return the model, with what a search on the validation years gave."""
    network = LSTMRegressor(
        hidden_size=64,
        dropout=0.4,
        optimizer="adamw",
        learning_rate=0.001,
        weight_decay=1.0,
        batch_size=16,
        max_iter=50,
        n_iter_no_change=50,
        random_state=random_state,
        verbose=verbose,
    )
    return make_pipeline(SequenceScaler(), network)


def relative_variance(forecast, actual) -> float:
    return float(np.mean((forecast - actual) ** 2) / 1535)


def show(title: str, rows: dict[str, tuple[float, ...]], columns: tuple[str, ...]) -> None:
    print(f"\n{title}\n{'':<34}" + "".join(f"{column:>12}" for column in columns))
    for name, values in rows.items():
        print(f"{name:<34}" + "".join(f"{value:>12.3f}" for value in values))


def main() -> None:
    warnings.filterwarnings("ignore", category=ConvergenceWarning)  # fifty epochs are chosen
    fusedlstm.show_config()
    years, sunspots = load_sunspots()
    X, y = make_windows(sunspots, WIDTH)
    roots, root = np.sqrt(X), np.sqrt(y)
    year = years[WIDTH:]  # of the target

    # What the settings were chosen by: trained up to 1879, judged on 1880 to 1920.
    train, validation = year < 1880, (year >= 1880) & (year <= 1920)
    models = [lstm(seed).fit(roots[train], root[train]) for seed in range(10)]
    scores = [
        relative_variance(model.predict(roots[validation]) ** 2, y[validation]) for model in models
    ]
    autoregression = LinearRegression().fit(X[train], y[train])
    rows = {
        "LSTM, median of ten random states": (float(np.median(scores)),),
        "  the worst of them": (max(scores),),
        "AR(12)": (relative_variance(autoregression.predict(X[validation]), y[validation]),),
        "last value": (relative_variance(X[validation, -1], y[validation]),),
    }
    show("Average relative variance on the validation years", rows, ("1880-1920",))

    # The model: trained once on all years up to 1920.
    print("\nTraining on 1700 to 1920")
    train, early, late = year <= 1920, (year > 1920) & (year <= 1955), (year > 1955) & (year < 1980)
    model = lstm(random_state=0, verbose=1).fit(roots[train], root[train])
    autoregression = LinearRegression().fit(X[train], y[train])
    forecast = model.predict(roots) ** 2
    rows = {
        name: tuple(relative_variance(values[period], y[period]) for period in (early, late))
        for name, values in (
            ("LSTM", forecast),
            ("AR(12)", autoregression.predict(X)),
            ("last value", X[:, -1]),
        )
    }
    rows |= {f"{name} (published)": values for name, values in PUBLISHED.items()}
    show("Average relative variance on years never seen", rows, ("1921-1955", "1956-1979"))
    print(
        f"The largest number up to 1920 is {y[train].max():.0f}, after it "
        f"{y[early].max():.0f} and {y[late].max():.0f}."
    )

    figure, axes = plt.subplots(figsize=(10, 4), layout="constrained")
    axes.plot(years, sunspots, color="0.6", label="sunspot number")
    axes.plot(year[train], forecast[train], lw=1, label="fitted, one year ahead")
    seen = early | late
    axes.plot(year[seen], forecast[seen], lw=1.5, label="forecast, one year ahead")
    axes.axvline(1920.5, color="0.3", ls=":", label="end of the training years")
    axes.set(xlabel="year", ylabel="yearly mean", title="Sunspots: twelve years in, the next out")
    axes.legend(ncols=2)
    path = Path("sunspots_forecast.png").resolve()
    figure.savefig(path, dpi=120)
    print(f"\nPlot: {path}")


if __name__ == "__main__":
    main()
