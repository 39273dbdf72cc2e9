"""
Read a line of handwritten digits
=================================

In this example there is a label at every step. A line consists of images of digits side by side,
and the network reads the line column by column. :class:`~fusedlstm.LSTMTagger` predicts the digit
to which each column of pixels belongs. By default it reads the line in both directions, so a
column's label may depend on the columns to its right.

The baseline is a logistic regression on a column and three columns on either side.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fusedlstm import LSTMTagger

# %%
# A line has 4 to 8 digits. The training lines and the test lines consist of different images.

images, labels = load_digits(return_X_y=True)
columns = images.reshape(-1, 8, 8).transpose(0, 2, 1)  # 8 columns of 8 pixels per image
rng = np.random.default_rng(0)


def lines(chosen, n_lines):
    """Return lines as sequences of columns, and the digit of every column."""
    X, y = [], []
    for _ in range(n_lines):
        line = rng.choice(chosen, rng.integers(4, 9))
        X.append(columns[line].reshape(-1, 8))
        y.append(labels[line].repeat(8))
    return X, y


X_train, y_train = lines(np.arange(900), 500)
X_test, y_test = lines(np.arange(900, 1797), 200)

# %%
# The score of :class:`~fusedlstm.LSTMTagger` is the share of the columns with the right label.

tagger = LSTMTagger(hidden_size=32, max_iter=30, random_state=0).fit(X_train, y_train)


def neighborhoods(X):
    """Return every column with its neighbors as one row."""
    padded = [np.pad(x, ((3, 3), (0, 0))) for x in X]
    shape = (7, 8)
    return np.concatenate(
        [np.lib.stride_tricks.sliding_window_view(x, shape).reshape(-1, 56) for x in padded]
    )


baseline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
baseline.fit(neighborhoods(X_train), np.concatenate(y_train))
print(f"LSTMTagger:          {tagger.score(X_test, y_test):.3f}")
print(f"logistic regression: {baseline.score(neighborhoods(X_test), np.concatenate(y_test)):.3f}")

# %%
# The plot shows three test lines with the probabilities of the ten digits at every column. Dark
# colors are high probabilities.

figure, axes = plt.subplots(
    6, 1, figsize=(9, 7), layout="constrained", gridspec_kw={"height_ratios": [1, 1.3] * 3}
)
for x, image, map_ in zip(X_test, axes[::2], axes[1::2], strict=False):
    image.imshow(x.T, cmap="gray_r", aspect="auto")
    image.set(xticks=[], yticks=[])
    map_.imshow(tagger.predict_proba([x])[0].T, cmap="Blues", aspect="auto")
    map_.set(xticks=[], yticks=range(0, 10, 3), ylabel="digit")
map_.set_xlabel("column")
plt.show()
