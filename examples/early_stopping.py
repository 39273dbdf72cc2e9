"""
Early stopping and loss curves
==============================

In this example a quarter of the training labels are replaced by random labels. A fit over all
epochs memorizes the wrong labels, and its predictions for other data become worse. Early stopping
ends the fit when the validation loss no longer decreases, and restores the best weights. Weight
decay also improves the predictions for other data.

The baseline is a logistic regression on all pixels.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fusedlstm import LossCurveDisplay, LSTMClassifier

images, labels = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    images.reshape(-1, 8, 8), labels, test_size=0.5, random_state=0
)
rng = np.random.default_rng(0)
noisy = np.where(rng.random(len(y_train)) < 0.25, rng.permutation(y_train), y_train)

# %%
# Each of the three settings is trained on the noisy labels. The test labels have no errors.

settings = {
    "all 100 epochs": {},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.2},
    "weight decay": {"weight_decay": 0.01},
}
models = {}
print(f"{'':<20} epochs  training  test")
for name, options in settings.items():
    model = LSTMClassifier(32, max_iter=100, random_state=0, **options).fit(X_train, noisy)
    scores = model.score(X_train, noisy), model.score(X_test, y_test)
    print(f"{name:<20} {model.n_iter_:>6}  {scores[0]:8.2f}  {scores[1]:.2f}")
    models[name] = model

logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
logistic.fit(X_train.reshape(len(X_train), -1), noisy)
scores = (
    logistic.score(X_train.reshape(len(X_train), -1), noisy),
    logistic.score(X_test.reshape(len(X_test), -1), y_test),
)
print(f"{'logistic regression':<20} {'':>6}  {scores[0]:8.2f}  {scores[1]:.2f}")

# %%
# :class:`~fusedlstm.LossCurveDisplay` plots the training loss and the validation loss. The dotted
# line marks the epoch whose weights are restored.

figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True, layout="constrained")
for ax, name in zip(axes, ("all 100 epochs", "early stopping"), strict=True):
    LossCurveDisplay.from_estimator(models[name], ax=ax, name=name)
axes[1].set_ylabel("")
plt.show()
