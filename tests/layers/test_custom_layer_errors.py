"""Errors for mistakes in layers that a user defines."""

from __future__ import annotations

import numpy as np
import pytest

from custom_layers import MeanStep, X
from fusedlstm import Sequential
from fusedlstm.layers import (
    LSTM,
    Dense,
    LastStep,
    Layer,
    Pool,
    Sequence,
)


class Plain(Layer):
    """Doubles its input."""

    random = False

    def output_size(self, input_size):
        return input_size

    def forward(self, params, seq, state=None, rng=None, all_steps=True):
        return (Sequence(2 * seq.x, seq.lengths), None), seq

    def backward(self, params, saved, dseq, dstate, grads, input_gradient=True):
        return Sequence(2 * dseq.x, dseq.lengths), None


def own(base=Plain, **members):
    return type("Own", (base,), members)()


WRONG_FORWARDS = {
    "no saved": (lambda seq: (seq, None), r"forward of layers\[1\] must be \(\(Sequence, state\)"),
    "an array": (lambda seq: seq.x, r"forward of layers\[1\] must be"),
    "rows": (
        lambda seq: ((seq._replace(x=seq.rows()), None), None),
        r"the output of layers\[1\] must be a float32 array of shape \(30, 6, 3\); got an array of "
        r"shape \(180, 3\)",
    ),
    "dtype": (lambda seq: ((seq._replace(x=seq.x.astype(float)), None), None), "must be a float32"),
    "a state": (
        lambda seq: ((seq, (seq.x[np.newaxis, :, 0],)), None),
        r"the state from forward of layers\[1\] must have the shapes None",
    ),
}


@pytest.mark.parametrize(("result", "message"), WRONG_FORWARDS.values(), ids=WRONG_FORWARDS)
def test_wrong_results_of_forward_are_an_error(result, message):
    def forward(self, params, seq, state=None, rng=None, all_steps=True):
        return result(seq)

    model = Sequential([LSTM(3), own(forward=forward)], 2, random_state=0)
    for call in (model.predict, model.forward):
        with pytest.raises((TypeError, ValueError), match=message):
            call(X)


WRONG_BACKWARDS = {
    "an array": (lambda dseq: dseq.x, r"backward of layers\[1\] must be \(Sequence or None, state"),
    "no sequence": (lambda dseq: (dseq.x, None), r"backward of layers\[1\] must be"),
    "rows": (lambda dseq: (dseq._replace(x=dseq.rows()), None), r"the gradient from layers\[1\]"),
}


@pytest.mark.parametrize(("result", "message"), WRONG_BACKWARDS.values(), ids=WRONG_BACKWARDS)
def test_wrong_results_of_backward_are_an_error(result, message):
    def backward(self, params, saved, dseq, dstate, grads, input_gradient=True):
        return result(dseq)

    model = Sequential([LSTM(3), own(backward=backward)], 2, random_state=0)
    y, saved = model.forward(X)
    with pytest.raises((TypeError, ValueError), match=message):
        model.backward(saved, y, np.zeros_like(model.params))


def test_wrong_initial_parameters_are_an_error():
    shapes = {"param_shapes": lambda self, size: {"weight": (size, size)}}
    other = own(**shapes, init_params=lambda self, size, rng: {"weigth": np.ones((size, size))})
    with pytest.raises(ValueError, match=r"return only names of param_shapes; got '0\.weigth'"):
        Sequential([other], 2)
    wrong = own(**shapes, init_params=lambda self, size, rng: {"weight": np.ones(size)})
    with pytest.raises(ValueError, match=r"must be an array of shape \(2, 2\) for '0\.weight'"):
        Sequential([wrong], 2)


def test_a_causal_layer_that_reduces_needs_a_state():
    model = Sequential([LSTM(3), own(MeanStep, causal=True)], 2)
    with pytest.raises(ValueError, match=r"layers\[1\] must have a state to be causal"):
        model.stream()


def test_an_output_that_is_not_contiguous_can_be_read():
    def forward(self, params, seq, state=None, rng=None, all_steps=True):
        x = np.asfortranarray(2 * seq.x)
        return (Sequence(x, seq.lengths), None), seq

    for after in (LSTM(2), Dense(2), Pool()):
        whole = Sequential([own(), after], 2, random_state=0)
        other = Sequential([own(forward=forward), after], 2, random_state=0)
        np.testing.assert_array_equal(other.predict(X), whole.predict(X))


def test_outputs_do_not_share_memory_with_states():
    for layers in ([LSTM(3), LastStep()], [Pool("max")]):
        y, state = Sequential(layers, 2, random_state=0).run(X)
        assert not np.shares_memory(y, state[0][0])
