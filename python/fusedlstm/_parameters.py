"""What the parameters of the estimators' constructors must be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sklearn.metrics import get_scorer_names
from sklearn.utils import check_random_state

from fusedlstm import _validation as check
from fusedlstm.layers import LSTM
from fusedlstm.model import check_layers
from fusedlstm.optimizers import as_optimizer

if TYPE_CHECKING:
    from fusedlstm._estimator import SequenceEstimator

CELLS = {"lstm": LSTM}


def check_parameters(estimator: SequenceEstimator) -> None:
    """Check every parameter that classifier and regressor share."""
    e = estimator
    check.positive_int("hidden_size", e.hidden_size)
    check.positive_int("num_layers", e.num_layers)
    check.choice("cell", e.cell, CELLS)
    check.true_or_false("bidirectional", e.bidirectional)
    if e.layers is not None:
        if not isinstance(e.layers, (tuple, list)):
            needed = "a tuple of layers from fusedlstm.layers or None"
            raise TypeError(check.needs("layers", needed, e.layers))
        check_layers(e.layers)
    check.fraction("dropout", e.dropout)
    check.choice("loss", e.loss, e._losses)
    as_optimizer(e.optimizer)
    check.positive("learning_rate", e.learning_rate)
    check.not_negative("weight_decay", e.weight_decay)
    if e.clip_norm is not None:
        check.positive("clip_norm", e.clip_norm)
    if not (isinstance(e.batch_size, str) and e.batch_size == "auto"):
        check.int_at_least("batch_size", e.batch_size, 1, "a positive integer or 'auto'")
    check.positive_int("max_iter", e.max_iter)
    check.true_or_false("shuffle", e.shuffle)
    check.true_or_false("early_stopping", e.early_stopping)
    if e.scoring is not None and not callable(e.scoring):
        needed = "a name from sklearn.metrics.get_scorer_names(), a function or None"
        check.choice("scoring", e.scoring, get_scorer_names(), needed)
    check.real_in(
        "validation_fraction",
        e.validation_fraction,
        "a number in (0, 1)",
        0.0,
        1.0,
        open_low=True,
        open_high=True,
    )
    check.positive_int("n_iter_no_change", e.n_iter_no_change)
    check.not_negative("tol", e.tol)
    check.float_dtype("dtype", e.dtype)
    if e.n_threads is not None:
        check.positive_int("n_threads", e.n_threads)
    try:
        check_random_state(e.random_state)
    except ValueError:
        needed = f"an integer from 0 to {2**32 - 1}, a numpy RandomState or None"
        raise ValueError(check.needs("random_state", needed, e.random_state)) from None
    check.true_or_false("warm_start", e.warm_start)
    if not isinstance(e.verbose, bool):
        check.int_at_least("verbose", e.verbose, 0, "an integer of at least 0")
