"""
Sequences of unequal lengths
============================

In this example a digit is the list of its dark pixels. Each dark pixel is one step with the
features row, column and darkness. The images have 16 to 34 dark pixels, so X is a list of arrays of
unequal lengths. No padding is needed, and the computing time is proportional to the number of real
steps.

The baseline is a logistic regression on summaries of the sequences: the length, and the mean and
the standard deviation of each feature.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fusedlstm import LSTMClassifier

images, labels = load_digits(return_X_y=True)
X = []
for image in images.reshape(-1, 8, 8):
    rows, columns = np.nonzero(image > 4)
    X.append(np.column_stack([rows, columns, image[rows, columns]]))
lengths = np.array([len(x) for x in X])
print(f"{len(X)} sequences of {lengths.min()} to {lengths.max()} steps")
X_train, X_test, y_train, y_test = train_test_split(X, labels, random_state=0)

# %%
# The network is bidirectional and uses the maximum over all steps. A prediction does not depend on
# the other sequences of the call.

model = LSTMClassifier(
    32, bidirectional=True, pooling="max", max_iter=50, learning_rate=0.01, random_state=0
)
model.fit(X_train, y_train)


def summaries(X):
    return [[len(x), *x.mean(axis=0), *x.std(axis=0)] for x in X]


baseline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
baseline.fit(summaries(X_train), y_train)
print(f"LSTMClassifier:      {model.score(X_test, y_test):.3f}")
print(f"logistic regression: {baseline.score(summaries(X_test), y_test):.3f}")
assert np.array_equal(model.predict(X_test[:1]), model.predict(X_test)[:1])

# %%
# The plot shows four test sequences. The color of a pixel is its step.

figure, axes = plt.subplots(1, 4, figsize=(10, 3), layout="constrained")
for ax, x, predicted in zip(axes, X_test, model.predict(X_test[:4]), strict=False):
    ax.plot(x[:, 1], x[:, 0], color="0.8", lw=1, zorder=1)
    points = ax.scatter(x[:, 1], x[:, 0], c=np.arange(len(x)), s=10 * x[:, 2], cmap="viridis")
    ax.set(xlim=(-0.5, 7.5), ylim=(7.5, -0.5), aspect="equal", xticks=[], yticks=[])
    ax.set_title(f"{len(x)} steps, predicted: {predicted}")
figure.colorbar(points, ax=axes, label="step", shrink=0.8)
plt.show()
