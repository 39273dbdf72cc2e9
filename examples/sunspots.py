"""Forecast the yearly sunspot numbers: twelve years in, the next one out.

The estimator has its default settings; none was tuned for this series. The network sees the square
roots of the numbers, because their spread grows with their size, and its forecasts are squared. The
training years end in 1920; the two later periods are those for which the literature reports errors.

The measure is the average relative variance, the mean squared error over 1535 (the variance of the
series that the literature divides by), of forecasts one year ahead. Smaller is better.

    python examples/sunspots.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from sklearn.linear_model import LinearRegression

from fusedlstm import LSTMRegressor, make_windows
from fusedlstm.datasets import load_sunspots

mpl.use("Agg")
import matplotlib.pyplot as plt

WIDTH, VARIANCE = 12, 1535
PUBLISHED = {"Weigend et al. 1990": (0.086, 0.35), "Tong and Lim 1980": (0.097, 0.28)}


def main() -> None:
    years, sunspots = load_sunspots()
    X, y = make_windows(sunspots, WIDTH)
    year = years[WIDTH:]  # of the target
    train = year <= 1920
    periods = {
        "1921-1955": (year > 1920) & (year <= 1955),
        "1956-1979": (year > 1955) & (year < 1980),
    }

    forecasts = []
    for seed in range(5):
        model = LSTMRegressor(random_state=seed)
        model.fit(np.sqrt(X[train]), np.sqrt(y[train]))
        forecasts.append(model.predict(np.sqrt(X)) ** 2)
    autoregression = LinearRegression().fit(X[train], y[train]).predict(X)

    def errors(forecast: np.ndarray) -> list[float]:
        return [float(np.mean((forecast - y)[p] ** 2)) / VARIANCE for p in periods.values()]

    rows = {
        "LSTM, median of five random states": np.median([errors(f) for f in forecasts], axis=0),
        "LSTM, worst of them": np.max([errors(f) for f in forecasts], axis=0),
        "AR(12)": errors(autoregression),
        "last value": errors(X[:, -1]),
    }
    rows |= {f"{name} (published)": values for name, values in PUBLISHED.items()}
    print(f"{'Average relative variance':<36}" + "".join(f"{name:>12}" for name in periods))
    for name, values in rows.items():
        print(f"{name:<36}" + "".join(f"{value:>12.3f}" for value in values))

    figure, axes = plt.subplots(figsize=(10, 4), layout="constrained")
    axes.plot(years, sunspots, color="0.6", label="sunspot number")
    axes.plot(year[~train], forecasts[0][~train], lw=1.2, label="forecast, one year ahead")
    axes.axvline(1920.5, color="0.3", ls=":", label="end of the training years")
    axes.set(xlabel="year", ylabel="yearly mean", title="Sunspot numbers, one year ahead")
    axes.legend(ncols=3)
    path = Path("sunspots_forecast.png").resolve()
    figure.savefig(path, dpi=120)
    print(f"\nPlot: {path}")


if __name__ == "__main__":
    main()
