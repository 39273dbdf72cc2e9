"""The training of the estimators."""
