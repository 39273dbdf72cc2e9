"""
Prediction intervals
====================

This example forecasts a range that should contain 80 % of the values. Two losses give such a range:
``Pinball`` trains a network to predict quantiles, and ``"gaussian"`` trains a network to predict a
mean and a standard deviation.

The data are returns with changing volatility from a GARCH(1, 1) process (Bollerslev, "Generalized
Autoregressive Conditional Heteroskedasticity", 1986). The next return cannot be predicted, but the
width of its distribution can. The true width is known, so the best possible interval is also known.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm
from sklearn.metrics import mean_pinball_loss

from fusedlstm import LSTMRegressor, make_windows
from fusedlstm.losses import Pinball

rng = np.random.default_rng(0)
returns, deviation = np.zeros(8000), np.ones(8000)
for t in range(1, len(returns)):
    deviation[t] = np.sqrt(0.05 + 0.35 * returns[t - 1] ** 2 + 0.6 * deviation[t - 1] ** 2)
    returns[t] = deviation[t] * rng.standard_normal()

X, y = make_windows(returns, width=30)
train, test = slice(5000), slice(5030, None)  # windows on either side share no value

# %%
# The quantiles 0.1 and 0.9 enclose 80 % of the values. A normal distribution has the same share
# within 1.28 standard deviations of its mean.

settings = {"learning_rate": 0.005, "schedule": "cosine", "max_iter": 20, "random_state": 0}
pinball = LSTMRegressor(16, loss=Pinball((0.1, 0.5, 0.9)), **settings).fit(X[train], y[train])
gaussian = LSTMRegressor(16, loss="gaussian", **settings).fit(X[train], y[train])

quantiles = pinball.predict(X[test])
mean, std = gaussian.predict(X[test], return_std=True)
z, true_std = norm.ppf(0.9), deviation[30:][test]
last_20 = X[test, -20:].std(axis=1)
intervals = {
    "Pinball": (quantiles[:, 0], quantiles[:, -1]),
    "gaussian": (mean - z * std, mean + z * std),
    "last 20 returns": (-z * last_20, z * last_20),
    "constant": np.quantile(y[train], [[0.1], [0.9]]) + np.zeros(len(y[test])),
    "true process": (-z * true_std, z * true_std),
}

# %%
# The coverage should be 0.80. The pinball loss measures the error of quantile forecasts: it is
# small if intervals are wide only at steps with a high volatility. Smaller is better.

actual = y[test]
print(f"{'':<16} coverage  pinball loss")
for name, (low, high) in intervals.items():
    coverage = np.mean((low <= actual) & (actual <= high))
    losses = mean_pinball_loss(actual, low, alpha=0.1), mean_pinball_loss(actual, high, alpha=0.9)
    print(f"{name:<16} {coverage:8.2f} {np.mean(losses):13.4f}")

# %%
# The plot shows that the predicted interval follows the true interval.

shown = slice(600, 900)
steps = np.arange(300)
low, high = intervals["Pinball"]
figure, ax = plt.subplots(figsize=(10, 4), layout="constrained")
ax.fill_between(steps, low[shown], high[shown], alpha=0.35, lw=0, label="predicted interval")
ax.plot(steps, actual[shown], ".", color="0.25", ms=4, label="return")
for sign in (-1, 1):
    label = "true interval" if sign > 0 else None
    ax.plot(steps, sign * z * true_std[shown], "C3:", lw=1.2, label=label)
ax.set(xlabel="step", ylabel="return", title="80 % prediction interval, one step ahead")
ax.legend(ncols=3)
plt.show()
