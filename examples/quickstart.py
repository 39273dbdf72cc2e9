"""Forecast a chaotic series: the last 50 values in, the value ten steps ahead out.

The series is the Mackey-Glass equation, a model of the number of blood cells and a common benchmark
of nonlinear forecasting (Mackey and Glass, "Oscillation and Chaos in Physiological Control
Systems", 1977). Every estimator has its default settings. They are fitted to the first part of the
series and compared on the rest, which they have not seen.

    python examples/quickstart.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score, root_mean_squared_error

import fusedlstm
from fusedlstm import LSTMRegressor, make_windows

mpl.use("Agg")
import matplotlib.pyplot as plt

WIDTH, HORIZON = 50, 10
N_TRAIN, N_TEST = 1500, 1000


def mackey_glass(n_steps: int, delay: float = 17.0, step: float = 0.1) -> np.ndarray:
    """Return x(0), x(1), ... of dx/dt = 0.2 x(t - delay) / (1 + x(t - delay)^10) - 0.1 x(t)."""
    per_unit, lag, transient = round(1 / step), round(delay / step), 500
    x = np.full((n_steps + transient) * per_unit + lag, 1.2)
    for t in range(lag, len(x)):
        before, delayed = x[t - 1], x[t - lag]
        x[t] = before + step * (0.2 * delayed / (1 + delayed**10) - 0.1 * before)
    return x[lag + transient * per_unit :: per_unit][:n_steps]


def main() -> None:
    fusedlstm.show_config()
    series = mackey_glass(N_TRAIN + N_TEST + 2 * (WIDTH + HORIZON))
    X, y = make_windows(series, WIDTH, horizon=HORIZON)
    y = y[:, -1]  # the value HORIZON steps ahead
    gap = WIDTH + HORIZON  # windows on either side share no value
    train, test = slice(N_TRAIN), slice(N_TRAIN + gap, N_TRAIN + gap + N_TEST)

    models = {
        "LSTMRegressor": LSTMRegressor(random_state=0, verbose=1),
        "HistGradientBoostingRegressor": HistGradientBoostingRegressor(random_state=0),
        "LinearRegression": LinearRegression(),
    }
    forecasts = {
        name: model.fit(X[train], y[train]).predict(X[test]) for name, model in models.items()
    }
    forecasts["last value"] = X[test, -1]
    print(f"\nForecasts {HORIZON} steps ahead, on {N_TEST} unseen steps")
    print(f"{'':<30} {'RMSE':>8} {'R2':>8}")
    for name, forecast in forecasts.items():
        error = root_mean_squared_error(y[test], forecast)
        print(f"{name:<30} {error:>8.4f} {r2_score(y[test], forecast):>8.4f}")

    figure, axes = plt.subplots(figsize=(10, 4), layout="constrained")
    shown = slice(0, 200)
    axes.plot(y[test][shown], color="0.6", lw=4, label="series")
    for name, style in (("LinearRegression", ":"), ("LSTMRegressor", "-")):
        axes.plot(forecasts[name][shown], style, lw=1.2, label=name)
    axes.set(xlabel="step", ylabel="x", title=f"Mackey-Glass series, {HORIZON} steps ahead")
    axes.legend()
    path = Path("mackey_glass_forecast.png").resolve()
    figure.savefig(path, dpi=120)
    print(f"\nPlot: {path}")


if __name__ == "__main__":
    main()
