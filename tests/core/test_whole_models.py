"""A model that runs in one call of the core gives the bits of separate calls of its layers."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from fusedlstm import Sequential
from fusedlstm.layers import GRU, LSTM, RNN, Dense, Dropout, LastStep, Sequence

STACKS = {
    "all steps": [LSTM(17)],
    "the last step": [LSTM(16), LastStep()],
    "bidirectional": [
        LSTM(5, bidirectional=True),
        GRU(7, bidirectional=True),
        LastStep(),
        Dense(2),
    ],
    "reversed": [GRU(4, reverse=True), Dropout(0.5), RNN(6), LastStep(), Dropout(0.5), Dense(3)],
    "dense on steps": [Dense(6, ("elu", 0.5)), LSTM(5, zoneout=0.2), Dense(2)],
    "the last of dense steps": [LSTM(5), Dense(4, "tanh"), LastStep(), Dense(2), Dense(1)],
    "the last of what came": [LastStep()],
    "nothing": [Dropout(0.3)],
    "merged by sum": [LSTM(4, bidirectional=True, merge="sum"), LastStep()],
    "an initial state": [LSTM(4, trainable_state=True), LastStep()],
    "the original gru": [GRU(4, reset_after=False), LastStep()],
    "all options": [
        LSTM(
            9,
            bidirectional=True,
            peepholes=True,
            full_gate_recurrence=True,
            layer_norm=True,
            cell_clip=1.0,
            projection_size=5,
            projection_bias=True,
            activation="softsign",
            zoneout=0.1,
            zoneout_cell=0.2,
            trainable_state=True,
        ),
        Dense(2),
    ],
}
LENGTHS = np.array([6, 1, 4])


class Negative(Dense):
    """A custom layer derived from Dense, which the core must not replace by Dense."""

    def run(self, params, seq, state=None, all_steps=True):
        out, state = super().run(params, seq, state, all_steps)
        return out._replace(x=-out.x), state


def model_of(layers, dtype="float32"):
    model = Sequential(layers, 3, dtype, 0)
    rng = np.random.default_rng(1)
    model.params += 0.1 * rng.standard_normal(model.params.shape).astype(dtype)
    return model, rng.standard_normal((3, 6, 3)).astype(dtype)


@pytest.mark.usefixtures("force_threads")
@pytest.mark.parametrize("name", STACKS)
def test_predictions_have_the_same_bits_as_the_layers(name, dtype):
    model, x = model_of(STACKS[name], dtype.name)
    predictor = model.predictor()
    strided = np.repeat(x, 2, axis=1)[:, ::2]
    for given in (x, x[:1], x[:, :1], strided, x.transpose(1, 0, 2), x.astype(float), x.tolist()):
        expected, _ = model.run(given)
        for y in (model.predict(given), predictor.predict(given)):
            assert y.dtype == dtype
            assert y.shape == expected.shape
            assert y.tobytes() == expected.tobytes()
    expected, _ = model.run(x, lengths=LENGTHS)
    for y in (model.predict(x, LENGTHS), predictor.predict(x, LENGTHS)):
        assert y.tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", STACKS)
def test_predictions_follow_changes_of_parameters(name):
    model, x = model_of(STACKS[name])
    others = [copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    before = model.predict(x)
    model.params[:] *= 2
    assert model.predict(x).tobytes() == model.run(x)[0].tobytes()
    assert others[0].predict(x).tobytes() == model.predict(x).tobytes()  # shared parameters
    for other in others[1:]:
        assert other.predict(x).tobytes() == before.tobytes()


def test_custom_layers_are_not_replaced_by_compiled_layers():
    model, x = model_of([LSTM(4), LastStep(), Negative(2)])
    named = model.named_params()
    twin = Sequential.from_named_params([LSTM(4), LastStep(), Dense(2)], 3, named)
    for y in (model.predict(x), model.predictor().predict(x)):
        np.testing.assert_array_equal(y, -twin.predict(x))


def test_errors_of_whole_models(core):
    whole = core.Program("float32", 3)
    weights = core.pack_dense(np.zeros(8, "f"), 3, 2)
    for wrong in (np.zeros(7, "f"), np.zeros(8), core.pack_dense(np.zeros(8), 3, 2)):
        with pytest.raises(ValueError):  # noqa: PT011
            whole.add_dense(2, wrong, "linear")
    with pytest.raises(ValueError, match="another layer"):
        whole.add_dense(3, weights, "linear")
    with pytest.raises(ValueError, match="unknown cell"):
        core.Cell({"family": "none"})
    with pytest.raises(ValueError, match="incorrect name"):
        whole.add_recurrent(
            core.Cell({"family": "rnn"}), 1, False, 2, weights, None, True, *[None] * 2
        )
    whole.add_dense(2, weights, "linear")
    x = np.zeros((2, 4, 3), "f")
    assert whole.predict_contiguous(x, lambda: 1).shape == (2, 4, 2)
    for other in (x.astype(float), x[:, ::2], x[0], x[:, :, :2], x[:0], x.tolist(), None):
        assert whole.predict_contiguous(other, lambda: 1) is None
    with pytest.raises(ValueError, match="lengths must be between"):
        whole.predict(x, np.array([1, 5]), lambda: 1)
    with pytest.raises(ValueError, match="two arguments"):
        whole.predict_contiguous(x)
    whole.add_dense(1, np.zeros(3, "f"), "linear")
    with pytest.raises(ValueError, match="packed"):
        core.Stream(whole, True, 1)


def test_a_custom_run_method_is_called():
    class Twice(LSTM):
        def run(self, params, seq, state=None, all_steps=True):
            out, after = super().run(params, seq, state, all_steps)
            return Sequence(2 * out.x), after

    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    once = Sequential([LSTM(5)], 4, random_state=0).predict(x)
    twice = Sequential([Twice(5)], 4, random_state=0)
    np.testing.assert_array_equal(twice.predict(x), 2 * once)
    np.testing.assert_array_equal(twice.predictor().predict(x), 2 * once)
