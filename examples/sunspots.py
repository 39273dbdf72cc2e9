"""
Forecast the sunspot numbers
============================

The network forecasts the sunspot number of the next year from the numbers of twelve years.
:class:`~fusedlstm.LSTMRegressor` has default settings. The variance of the numbers grows with
their size, so the network is trained on square roots, and its forecasts are squared.

The training years end in 1920. Errors of other methods are published for the two test periods. The
measure is the average relative variance: the mean squared error divided by 1535, the variance of
the series in these publications. Smaller is better.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LinearRegression

from fusedlstm import LSTMRegressor, make_windows
from fusedlstm.datasets import load_sunspots

VARIANCE = 1535
PUBLISHED = {"Weigend et al. 1990": (0.086, 0.35), "Tong and Lim 1980": (0.097, 0.28)}

years, sunspots = load_sunspots()
X, y = make_windows(sunspots, width=12)
year = years[12:]  # of the target
train = year <= 1920
periods = {
    "1921-1955": (year > 1920) & (year <= 1955),
    "1956-1979": (year > 1955) & (year < 1980),
}

# %%
# The result depends on the initial weights, so five random states are compared.

forecasts = []
for seed in range(5):
    model = LSTMRegressor(random_state=seed)
    model.fit(np.sqrt(X[train]), np.sqrt(y[train]))
    forecasts.append(model.predict(np.sqrt(X)) ** 2)
autoregression = LinearRegression().fit(X[train], y[train]).predict(X)


def errors(forecast):
    """Return the average relative variance in each period."""
    return [float(np.mean((forecast - y)[p] ** 2)) / VARIANCE for p in periods.values()]


# %%
# The baselines are a linear autoregression of order 12 and the last value.

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

# %%
# The plot shows the forecasts of the first random state.

figure, ax = plt.subplots(figsize=(10, 4), layout="constrained")
ax.plot(years, sunspots, color="0.6", label="sunspot number")
ax.plot(year[~train], forecasts[0][~train], lw=1.2, label="forecast, one year ahead")
ax.axvline(1920.5, color="0.3", ls=":", label="end of the training years")
ax.set(xlabel="year", ylabel="yearly mean", title="Sunspot numbers, one year ahead")
ax.legend(ncols=3)
plt.show()
