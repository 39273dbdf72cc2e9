"""
Quickstart: forecast a chaotic series
=====================================

The network forecasts the value ten steps ahead from the last 50 values. The series is a solution of
the Mackey-Glass equation, a model of the number of blood cells and a common benchmark of
forecasting (Mackey and Glass, "Oscillation and Chaos in Physiological Control Systems", 1977). All
estimators have default settings. They are fitted to the first part of the series and compared on a
later part.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score, root_mean_squared_error

import fusedlstm
from fusedlstm import LSTMRegressor, make_windows

fusedlstm.show_config()

WIDTH, HORIZON = 50, 10
N_TRAIN, N_TEST = 1500, 1000


def mackey_glass(n_steps, delay=17.0, step=0.1):
    """Return x(0), x(1), ... of dx/dt = 0.2 x(t - delay) / (1 + x(t - delay)^10) - 0.1 x(t)."""
    per_unit, lag, transient = round(1 / step), round(delay / step), 500
    x = np.full((n_steps + transient) * per_unit + lag, 1.2)
    for t in range(lag, len(x)):
        before, delayed = x[t - 1], x[t - lag]
        x[t] = before + step * (0.2 * delayed / (1 + delayed**10) - 0.1 * before)
    return x[lag + transient * per_unit :: per_unit][:n_steps]


# %%
# ``make_windows`` cuts the series into windows and the values that follow each window.

series = mackey_glass(N_TRAIN + N_TEST + 2 * (WIDTH + HORIZON))
X, y = make_windows(series, WIDTH, horizon=HORIZON)
y = y[:, -1]  # the value HORIZON steps ahead
gap = WIDTH + HORIZON  # training windows and test windows share no value
train, test = slice(N_TRAIN), slice(N_TRAIN + gap, N_TRAIN + gap + N_TEST)

# %%
# The baselines are two regressors of scikit-learn and the last value of the window.

models = {
    "LSTMRegressor": LSTMRegressor(random_state=0, verbose=1),
    "HistGradientBoostingRegressor": HistGradientBoostingRegressor(random_state=0),
    "LinearRegression": LinearRegression(),
}
forecasts = {name: model.fit(X[train], y[train]).predict(X[test]) for name, model in models.items()}
forecasts["last value"] = X[test, -1]
print(f"Forecasts {HORIZON} steps ahead, on {N_TEST} unseen steps")
print(f"{'':<30} {'RMSE':>8} {'R2':>8}")
for name, forecast in forecasts.items():
    error = root_mean_squared_error(y[test], forecast)
    print(f"{name:<30} {error:>8.4f} {r2_score(y[test], forecast):>8.4f}")

# %%
# The plot is saved to a file.

figure, ax = plt.subplots(figsize=(10, 4), layout="constrained")
shown = slice(0, 200)
ax.plot(y[test][shown], color="0.6", lw=4, label="series")
for name, style in (("LinearRegression", ":"), ("LSTMRegressor", "-")):
    ax.plot(forecasts[name][shown], style, lw=1.2, label=name)
ax.set(xlabel="step", ylabel="x", title=f"Mackey-Glass series, {HORIZON} steps ahead")
ax.legend()
figure.savefig("mackey_glass_forecast.png", dpi=120)
print("Plot: mackey_glass_forecast.png")
