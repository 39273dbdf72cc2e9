"""The scikit-learn estimators: two ways to encode targets, name a head and decode outputs."""

from fusedlstm.estimators.classifier import LSTMClassifier
from fusedlstm.estimators.regressor import LSTMRegressor

__all__ = ["LSTMClassifier", "LSTMRegressor"]


def __dir__() -> list[str]:
    return sorted(__all__)
