"""
Classify handwritten digits
===========================

Sequence classification: each image is a sequence of its eight rows, and a row has eight features.
:class:`~fusedlstm.LSTMClassifier` standardizes the features and reads the rows in both directions.

The baseline is a logistic regression on all 64 pixels.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fusedlstm import LSTMClassifier

images, labels = load_digits(return_X_y=True)
rows = images.reshape(-1, 8, 8)  # 1797 sequences of 8 steps with 8 features

# %%
# The images are not shuffled, and images of one writer are near each other. Training on the first
# half and testing on the second half therefore shows how well the model reads other writers.

half = len(rows) // 2
model = LSTMClassifier(
    hidden_size=64,
    bidirectional=True,
    dropout=0.3,
    recurrent_dropout=0.3,
    learning_rate=0.006,
    schedule="cosine",
    max_iter=30,
    random_state=0,
)
model.fit(rows[:half], labels[:half])
baseline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
baseline.fit(images[:half], labels[:half])
print("Trained on the first half, accuracy on the second:")
print(f"LSTMClassifier       {model.score(rows[half:], labels[half:]):.3f}")
print(f"logistic regression  {baseline.score(images[half:], labels[half:]):.3f}")

# %%
# This is a three-fold cross-validation over all images, also without shuffling.

for name, estimator, X in (("LSTMClassifier", model, rows), ("logistic", baseline, images)):
    scores = cross_val_score(estimator, X, labels, cv=3)
    print(f"{name:<20} {scores.mean():.3f} +- {scores.std():.3f}")

# %%
# The plot is the confusion matrix of the second half.

figure, ax = plt.subplots(figsize=(6, 5), layout="constrained")
ConfusionMatrixDisplay.from_estimator(
    model, rows[half:], labels[half:], cmap="Blues", colorbar=False, ax=ax
)
ax.set_title("Digits of the second half")
plt.show()
