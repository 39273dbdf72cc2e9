"""Classify handwritten digits, each image read as a sequence of its 8 rows.

python examples/digits.py
"""

from __future__ import annotations

from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from fusedlstm import LSTMClassifier, SequenceScaler


def main() -> None:
    images, labels = load_digits(return_X_y=True)
    rows = images.reshape(-1, 8, 8)  # 1797 sequences of 8 steps with 8 features

    half = len(rows) // 2
    model = make_pipeline(
        SequenceScaler(), LSTMClassifier(hidden_size=64, max_iter=30, random_state=0, verbose=1)
    )
    model.fit(rows[:half], labels[:half])
    accuracy = model.score(rows[half:], labels[half:])
    print(f"Trained on the first half, accuracy on the second: {accuracy:.3f}")

    model.set_params(lstmclassifier__verbose=0)
    scores = cross_val_score(model, rows, labels, cv=5)
    print(f"Five-fold cross-validation: {scores.mean():.3f} +- {scores.std():.3f}")


if __name__ == "__main__":
    main()
