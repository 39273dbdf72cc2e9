"""The scikit-learn estimators."""

from fusedlstm.estimators.classifier import LSTMClassifier
from fusedlstm.estimators.regressor import LSTMRegressor
from fusedlstm.estimators.step_regressor import LSTMStepRegressor
from fusedlstm.estimators.tagger import LSTMTagger

__all__ = ["LSTMClassifier", "LSTMRegressor", "LSTMStepRegressor", "LSTMTagger"]


def __dir__() -> list[str]:
    return sorted(__all__)
