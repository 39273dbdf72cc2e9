"""
Recognize a digit before it is complete
=======================================

The rows of an image arrive one by one, and the network predicts the digit after every row.
:class:`~fusedlstm.LSTMTagger` learns the label of the image at every row. With
``bidirectional=False`` a prediction depends on the rows so far only, and ``stream()`` computes one
step at a time.

The baselines are logistic regressions, one for each number of rows.
"""

from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fusedlstm import LSTMTagger

images, labels = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    images.reshape(-1, 8, 8), labels, test_size=0.4, random_state=0
)
model = LSTMTagger(
    128,
    bidirectional=False,
    dropout=0.3,
    recurrent_dropout=0.3,
    learning_rate=0.006,
    schedule="cosine",
    max_iter=40,
    random_state=0,
)
model.fit(X_train, np.repeat(y_train[:, np.newaxis], 8, axis=1))

# %%
# A stream accepts one step and returns the probabilities that ``predict_proba`` gives for the
# sequence so far. A new sequence starts with ``reset()``.

stream = model.stream()
arriving = []
start = perf_counter()
for image in X_test:
    stream.reset()
    arriving.append([stream.step(row) for row in image])
microseconds = (perf_counter() - start) / (8 * len(X_test)) * 1e6
arriving = np.array(arriving)  # (n_images, n_rows, n_classes)
print(f"{microseconds:.1f} microseconds per row")
assert np.array_equal(arriving, model.predict_proba(X_test))

# %%
# The accuracy increases with the number of rows. Three rows are often enough to exclude most
# digits.

correct = (model.classes_[arriving.argmax(axis=2)] == y_test[:, np.newaxis]).mean(axis=0)
baseline = []
for n_rows in range(1, 9):
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    logistic.fit(X_train[:, :n_rows].reshape(len(X_train), -1), y_train)
    baseline.append(logistic.score(X_test[:, :n_rows].reshape(len(X_test), -1), y_test))
print("rows                    ", *range(1, 9), sep="  ")
print("LSTMTagger, one model   ", *(f"{share:.2f}" for share in correct))
print("logistic, eight models  ", *(f"{share:.2f}" for share in baseline))

# %%
# The plot shows one image, the probabilities after each row, and the accuracy.

shown = np.flatnonzero(y_test == 9)[0]
figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
axes[0].imshow(X_test[shown], cmap="gray_r")
axes[0].set(xticks=[], ylabel="row", title="test image")
axes[0].set_yticks(range(8), range(1, 9))
axes[1].imshow(arriving[shown], cmap="Blues", vmin=0, vmax=1)
axes[1].set(xticks=range(10), xlabel="digit", ylabel="rows seen", title="probability")
axes[1].set_yticks(range(8), range(1, 9))
axes[2].plot(range(1, 9), correct, "o-", label="LSTMTagger, one model")
axes[2].plot(range(1, 9), baseline, "o:", label="logistic, eight models")
axes[2].set(xlabel="rows seen", ylabel="accuracy", title="all test images")
axes[2].legend()
plt.show()
