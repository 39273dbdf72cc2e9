"""
Grid search in a pipeline
=========================

A pipeline classifies images of digits with missing pixels. :class:`~fusedlstm.SequenceImputer`
fills the missing pixels, and :class:`~fusedlstm.LSTMClassifier` reads the rows. Scikit-learn's
``GridSearchCV`` compares settings of both steps by cross-validation.

The baseline is a pipeline of scikit-learn: ``SimpleImputer`` and logistic regression.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fusedlstm import LSTMClassifier, SequenceImputer

images, labels = load_digits(return_X_y=True)
X = images.reshape(-1, 8, 8).copy()
X[np.random.default_rng(0).random(X.shape) < 0.2] = np.nan
X_train, X_test, y_train, y_test = train_test_split(X, labels, random_state=0)

# %%
# A parameter of the grid has the name of the step, two underscores and the name of the parameter.

pipeline = make_pipeline(
    SequenceImputer(), LSTMClassifier(max_iter=20, schedule="cosine", random_state=0)
)
grid = {
    "sequenceimputer__strategy": ["mean", "forward_fill"],
    "lstmclassifier__hidden_size": [16, 64],
    "lstmclassifier__learning_rate": [0.001, 0.003, 0.01],
}
search = GridSearchCV(pipeline, grid, cv=3).fit(X_train, y_train)
for name, value in search.best_params_.items():
    print(f"{name}: {value}")

baseline = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=1000))
baseline.fit(X_train.reshape(len(X_train), -1), y_train)
print(f"best pipeline:       {search.score(X_test, y_test):.3f}")
print(f"logistic regression: {baseline.score(X_test.reshape(len(X_test), -1), y_test):.3f}")

# %%
# The plot shows the mean accuracy of the three folds for each setting.

scores = search.cv_results_["mean_test_score"]
parameters = search.cv_results_["params"]
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
for ax, strategy in zip(axes, grid["sequenceimputer__strategy"], strict=True):
    table = np.array(
        [s for s, p in zip(scores, parameters, strict=True) if strategy in p.values()]
    ).reshape(2, 3)
    image = ax.imshow(table, cmap="viridis", vmin=scores.min(), vmax=scores.max(), aspect="auto")
    for (row, column), value in np.ndenumerate(table):
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7}
        ax.text(column, row, f"{value:.3f}", ha="center", va="center", bbox=box)
    ax.set(title=f"strategy={strategy!r}", xlabel="learning_rate")
    ax.set_xticks(range(3), grid["lstmclassifier__learning_rate"])
    ax.set_yticks(range(2), grid["lstmclassifier__hidden_size"])
axes[0].set_ylabel("hidden_size")
figure.colorbar(image, ax=axes, label="accuracy")
plt.show()
