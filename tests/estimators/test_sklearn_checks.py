"""The estimators pass scikit-learn's checks, and an integer weight is a repetition.

The checks depend on scikit-learn's version and on the tags of an estimator. The important checks
are named here, so that a wrong tag cannot drop them unnoticed.
"""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.estimator_checks import (
    check_sample_weight_equivalence_on_dense_data as check_weights,
)
from sklearn.utils.fixes import parse_version

from fusedlstm import (
    LSTMClassifier,
    LSTMRegressor,
    PadSequences,
    SequenceImputer,
    SequenceScaler,
    Sequential,
)
from fusedlstm.layers import LSTM, Dense, LastStep
from fusedlstm.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES, log_loss
from fusedlstm.training import SequenceBatches

pytestmark = pytest.mark.usefixtures("one_thread")

WEIGHTS = "check_sample_weight_equivalence_on_dense_data"
EXPECTED_FAILURES = {
    WEIGHTS: (
        "Repeated rows change the batches of 32, and 100 epochs of Adam amplify rounding errors. "
        "test_integer_weights_are_repetitions has the check with full batches."
    )
}


def named(names: str) -> set[str]:
    return {f"check_{name}" for name in names.split()}


EVERYBODY = named("""
    complex_data dict_unchanged do_not_raise_errors_in_init_or_set_params
    dont_overwrite_parameters dtype_object estimator_cloneable estimator_repr
    estimator_sparse_array estimator_sparse_matrix estimators_dtypes
    estimators_empty_data_messages estimators_fit_returns_self estimators_nan_inf
    estimators_overwrite_params estimators_pickle estimators_unfitted
    f_contiguous_array_estimator fit1d fit2d_1feature fit2d_1sample fit2d_predict1d
    fit_check_is_fitted fit_idempotent get_params_invariance methods_sample_order_invariance
    methods_subset_invariance n_features_in n_features_in_after_fitting
    no_attributes_set_in_init parameters_default_constructible pipeline_consistency
    positive_only_tag_during_fit readonly_memmap_input set_params
""")
SUPERVISED = named("""
    estimators_partial_fit_n_features non_transformer_estimators_n_iter requires_y_none
    sample_weight_equivalence_on_dense_data sample_weights_list sample_weights_not_an_array
    sample_weights_not_overwritten sample_weights_pandas_series sample_weights_shape
    supervised_y_2d supervised_y_no_nan
""")
OF_TRANSFORMERS = named("""
    transformer_data_not_an_array transformer_general transformer_preserve_dtypes
    transformers_unfitted
""")
IMPORTANT = {
    SequenceScaler: OF_TRANSFORMERS,
    SequenceImputer: OF_TRANSFORMERS,
    PadSequences: OF_TRANSFORMERS,
    LSTMClassifier: SUPERVISED
    | named("""
        class_weight_classifiers classifier_data_not_an_array classifiers_classes
        classifiers_multilabel_output_format_decision_function
        classifiers_multilabel_output_format_predict
        classifiers_multilabel_output_format_predict_proba
        classifiers_multilabel_representation_invariance classifiers_one_label
        classifiers_one_label_sample_weights classifiers_regression_target classifiers_train
        decision_proba_consistency
    """),
    LSTMRegressor: SUPERVISED
    | named("""
        regressor_data_not_an_array regressor_multioutput regressors_int
        regressors_no_decision_function regressors_train
    """),
}
SINCE_1_9 = named("array_api_input estimator_sparse_tag")


@pytest.mark.filterwarnings("ignore")  # each check expects its own warnings
@pytest.mark.parametrize("estimator", IMPORTANT)
def test_estimators_pass_the_checks_of_scikit_learn(estimator):
    pytest.importorskip("pandas")
    expected = EXPECTED_FAILURES if estimator in (LSTMClassifier, LSTMRegressor) else {}
    results = check_estimator(
        estimator(), expected_failed_checks=expected, on_skip=None, on_fail=None
    )
    wrong = {
        result["check_name"]: (result["status"], repr(result["exception"]))
        for result in results
        if result["status"] != ("xfail" if result["check_name"] in expected else "passed")
    }
    assert wrong == {}
    names = {result["check_name"] for result in results}
    important = EVERYBODY | IMPORTANT[estimator]
    if parse_version(sklearn.__version__) >= parse_version("1.9"):
        important |= SINCE_1_9
    if get_tags(estimator()).input_tags.allow_nan:
        important = important - {"check_estimators_nan_inf"}
    assert names >= important
    print(f"{estimator.__name__}: {len(results)} checks of {len(names)} names")


@pytest.mark.parametrize("estimator", [LSTMClassifier, LSTMRegressor])
def test_integer_weights_are_repetitions(estimator):
    options = {"optimizer": "sgd", "dtype": "float64", "batch_size": 1000, "max_iter": 20}
    check_weights(estimator.__name__, estimator(**options))


LOSSES = {**CLASSIFICATION_LOSSES, "log_loss of labels": log_loss, **REGRESSION_LOSSES}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_with_integer_weights_are_those_of_repetitions(name, dtype, rng):
    n, outputs = 12, 3
    times = rng.integers(0, 5, n)
    X = rng.standard_normal((n, 7, 2))
    y = {
        "log_loss": rng.integers(0, outputs, n),
        "focal": rng.integers(0, outputs, n),
        "log_loss of labels": rng.integers(0, 2, (n, outputs)),
    }.get(name, rng.uniform(size=(n, outputs)).astype(dtype))
    if name in REGRESSION_LOSSES:
        outputs = LOSSES[name].n_outputs(outputs)
    model = Sequential([LSTM(9), LastStep(), Dense(outputs)], 2, dtype, random_state=0)

    def gradient(X, y, weights):
        source = SequenceBatches(X, y, weights=weights, batch_size=1000, dtype=dtype, shuffle=False)
        batch = source.batch(source.order(rng), 0)
        y_pred, saved = model.forward(batch.x)
        value, dy = LOSSES[name](y_pred, batch.y, batch.weights)
        grads = np.zeros_like(model.params)
        model.add_gradients(saved, dy, grads)
        return value, grads

    weighted = gradient(X, y, times / times.mean())
    repeated = gradient(X.repeat(times, axis=0), y.repeat(times, axis=0), None)
    tolerance = 1e-12 if dtype == "float64" else 1e-6
    assert weighted[0] == pytest.approx(repeated[0], rel=tolerance)
    np.testing.assert_allclose(
        weighted[1], repeated[1], rtol=0, atol=tolerance * np.abs(repeated[1]).max()
    )
