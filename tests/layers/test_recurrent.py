"""Each recurrent layer with each option that the layers share."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

import fusedlstm
import reference
from fusedlstm import Sequential, layers
from fusedlstm.layers import (
    CIFGLSTM,
    GRU,
    LSTM,
    RNN,
    LastStep,
    LayerNormLSTM,
    PeepholeLSTM,
    Sequence,
)
from recurrent_layers import RECURRENT

pytestmark = pytest.mark.usefixtures("one_thread")

CELLS = {
    **{name: kind(3) for name, kind in RECURRENT.items()},
    "cifg peephole lstm": CIFGLSTM(3, peepholes=True),
    "no input gate": LSTM(3, input_gate=False),
    "no forget gate": LSTM(3, forget_gate=False),
    "no output gate": LSTM(3, output_gate=False),
    "no gate": LSTM(3, input_gate=False, forget_gate=False, output_gate=False),
    "full gate recurrence": LSTM(3, full_gate_recurrence=True),
    "linear candidate": LSTM(3, activation="linear", output_activation="tanh"),
    "linear output": LSTM(3, output_activation="linear"),
    "relu lstm": LSTM(3, activation="relu"),
    "clipped lstm": LSTM(3, cell_clip=0.3),
    "projected lstm": LSTM(3, projection_size=2),
    "lstm projected to more": LSTM(3, projection_size=5, projection_bias=True),
    "original gru": GRU(3, reset_after=False),
    "gru with hard sigmoid": GRU(
        3, activation="softsign", recurrent_activation=("hard_sigmoid", 0.25)
    ),
    "relu rnn": RNN(3, activation="relu"),
    "leaky rnn": RNN(3, activation=("leaky_relu", 0.1)),
}
RATES = {
    "recurrent_dropout": 0.3,
    "candidate_dropout": 0.2,
    "zoneout": 0.25,
    "zoneout_cell": 0.15,
    "weight_dropout": 0.4,
}
LENGTHS = np.array([4, 1, 3])
X = np.random.default_rng(0).standard_normal((3, 4, 2))

each_cell = pytest.mark.parametrize("layer", CELLS.values(), ids=CELLS)


def with_options(layer, options):
    """Return the layer with the options that it supports."""
    return replace(layer, **{name: v for name, v in options.items() if hasattr(layer, name)})


def model_of(*stack, params=None, dtype="float64"):
    model = Sequential(stack, X.shape[2], dtype, random_state=1)
    # Zero biases and initial states would hide parameters in the wrong place.
    rng = np.random.default_rng(2)
    model.params = model.params + 0.3 * rng.standard_normal(model.params.shape)
    if params is not None:
        model.params = params
    return model


OPTIONS = {
    "plain": {},
    "reverse": {"reverse": True},
    "concat": {"bidirectional": True},
    "sum": {"bidirectional": True, "merge": "sum"},
    "average": {"bidirectional": True, "merge": "average"},
    "trainable state": {"bidirectional": True, "trainable_state": True},
    "regularized": {"trainable_state": True, **RATES},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("last", [False, True], ids=["all steps", "last step"])
@each_cell
def test_gradients_agree_with_finite_differences(layer, options, last):
    layer = with_options(layer, options)
    model = model_of(layer, *[LastStep()] * last)
    x = X.copy()

    def forward():
        return model.forward(x, LENGTHS, np.random.default_rng(7))

    y, saved = forward()
    dy = np.random.default_rng(3).standard_normal(y.shape)
    grads = np.zeros_like(model.params)
    dx = model.backward(saved, dy, grads)

    def loss():
        return float((forward()[0] * dy).sum())

    tolerance = 1e-6 if getattr(layer, "layer_norm", False) else 1e-8  # its curvature is larger
    for gradient, at in ((grads, model.params), (dx, x)):
        expected = reference.numeric_gradient(loss, at)
        assert reference.relative_error(gradient, expected) < tolerance


@each_cell
def test_layers_can_be_compared_pickled_and_evaluated_from_repr(layer):
    for options in OPTIONS.values():
        given = with_options(layer, options)
        model_of(given).predict(X)  # cached attributes do not count in comparisons
        copy = pickle.loads(pickle.dumps(given))
        assert copy == given == eval(repr(given), vars(layers))
        assert hash(copy) == hash(given)
        assert (given == layer) == (not options)
        with pytest.raises(AttributeError):
            given.hidden_size = 3


def test_repr_shows_only_options_that_are_not_default():
    assert repr(LSTM(4, True)) == "LSTM(hidden_size=4, bidirectional=True)"
    assert repr(PeepholeLSTM(4, zoneout=0.1)) == "PeepholeLSTM(hidden_size=4, zoneout=0.1)"
    leaky = "RNN(hidden_size=4, activation=('leaky_relu', 0.1))"
    assert repr(RNN(4, activation=("leaky_relu", 0.1))) == leaky


def test_named_variants_compute_the_same_as_the_option():
    """The named layer is of another class and computes the same values."""
    for named, options in (
        (PeepholeLSTM(3), {"peepholes": True}),
        (CIFGLSTM(3), {"coupled_gates": True}),
        (LayerNormLSTM(3), {"layer_norm": True}),
    ):
        plain = LSTM(3, **options)
        assert named != plain
        assert named.param_shapes(2) == plain.param_shapes(2)
        np.testing.assert_array_equal(model_of(named).predict(X), model_of(plain).predict(X))


@each_cell
def test_merges_combine_the_outputs_of_the_directions(layer):
    both = model_of(replace(layer, bidirectional=True))
    y, states = both.run(X, lengths=LENGTHS)
    forward, backward = np.split(y, 2, axis=2)
    for merge, expected in (("sum", forward + backward), ("average", (forward + backward) / 2)):
        merging = replace(layer, bidirectional=True, merge=merge)
        merged, merged_states = model_of(merging, params=both.params).run(X, lengths=LENGTHS)
        np.testing.assert_array_equal(merged, expected)
        for state, other in zip(states[0], merged_states[0], strict=True):
            np.testing.assert_array_equal(state, other)
        last = model_of(merging, LastStep(), params=both.params).predict(X, LENGTHS)
        ends = np.arange(len(X)), LENGTHS - 1
        factor = 1 if merge == "sum" else 0.5
        np.testing.assert_array_equal(last, factor * (forward[ends] + backward[:, 0]))


@each_cell
def test_reverse_reads_each_sequence_from_its_last_step(layer):
    def turned(array):
        return np.stack([np.r_[a[:n][::-1], a[n:]] for a, n in zip(array, LENGTHS, strict=True)])

    plain = model_of(layer)
    reverse = model_of(replace(layer, reverse=True), params=plain.params)
    y, state = reverse.run(X, lengths=LENGTHS)
    expected, expected_state = plain.run(turned(X), lengths=LENGTHS)
    np.testing.assert_array_equal(y, turned(expected))
    for ours, theirs in zip(state[0], expected_state[0], strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("bidirectional", [False, True])
@each_cell
def test_trainable_states_are_initial_states_with_gradients(layer, bidirectional):
    layer = replace(layer, bidirectional=bidirectional)
    trained = model_of(replace(layer, trainable_state=True))
    named = trained.named_params()
    plain = Sequential.from_named_params(
        [layer], 2, {n: a for n, a in named.items() if "initial" not in n}, "float64"
    )
    # The gates of full gate recurrence have no initial parameters and start at zero.
    state = [np.zeros(shape) for shape in layer.state_shapes(len(X))]
    for array, name in zip(state, layer.trainable_states, strict=False):
        array[:] = named[f"0.initial_{name}"].reshape(array.shape[0], 1, array.shape[2])
    state = tuple(state)
    np.testing.assert_array_equal(trained.predict(X), plain.run(X, (state,))[0])

    given = tuple(np.full_like(array, 0.5) for array in state)
    np.testing.assert_array_equal(trained.run(X, (given,))[0], plain.run(X, (given,))[0])
    recurrent, grads = trained.layers[0], np.zeros_like(trained.params)
    (out, _), saved = recurrent.forward(trained.params, Sequence(X), given)
    recurrent.backward(trained.params, saved, out, None, grads)
    for name, gradient in trained.views(grads).items():
        assert gradient.any() == ("initial" not in name), name


@each_cell
@pytest.mark.parametrize("bidirectional", [False, True])
def test_initial_states_are_parameters_of_h_and_c_only(layer, bidirectional):
    layer = replace(layer, bidirectional=bidirectional)
    directions = 2 if bidirectional else 1
    names = ("h", "c") if isinstance(layer, LSTM) else ("h",)
    sizes = (layer.output_size(2) // directions, layer.hidden_size)
    expected = {f"initial_{n}": (directions * s,) for n, s in zip(names, sizes, strict=False)}
    shapes = replace(layer, trainable_state=True).param_shapes(2)
    assert {name: shape for name, shape in shapes.items() if "initial" in name} == expected
    assert {n: s for n, s in shapes.items() if "initial" not in n} == layer.param_shapes(2)
    assert list(shapes)[-len(names) :] == list(expected)


def test_trainable_states_start_at_zero():
    named = Sequential([LSTM(4, trainable_state=True)], 2, random_state=0).named_params()
    assert not named["0.initial_h"].any()
    assert not named["0.initial_c"].any()


@pytest.mark.parametrize("bidirectional", [False, True])
@each_cell
def test_weight_dropout_masks_the_recurrent_weights_in_training(layer, bidirectional):
    layer = replace(layer, hidden_size=8, bidirectional=bidirectional)
    plain = model_of(layer)
    model = model_of(replace(layer, weight_dropout=0.4), params=plain.params)
    np.testing.assert_array_equal(model.predict(X), plain.predict(X))
    np.testing.assert_array_equal(model.forward(X)[0], plain.predict(X))

    before = model.params.copy()
    y, saved = model.forward(X, rng=np.random.default_rng(5))
    masks = saved.layer[1][0].weight_masks
    grads = np.zeros_like(model.params)
    model.backward(saved, np.ones_like(y), grads)
    np.testing.assert_array_equal(model.params, before)
    np.testing.assert_array_equal(y, model.forward(X, rng=np.random.default_rng(5))[0])
    assert not np.array_equal(y, model.forward(X, rng=np.random.default_rng(6))[0])

    # The plain layer with masked weights gives the same outputs and the gradients before the mask.
    assert masks.keys() == {"weight_hh" + direction for direction in layer.directions}
    for name, mask in masks.items():
        assert set(np.unique(mask)) == {0, 1 / 0.6}
        assert np.mean(mask == 0) == pytest.approx(0.4, abs=0.2)
        plain.named_params()["0." + name][...] *= mask
    expected, saved = plain.forward(X)
    np.testing.assert_array_equal(y, expected)
    expected_grads = np.zeros_like(plain.params)
    plain.backward(saved, np.ones_like(y), expected_grads)
    for name, mask in masks.items():
        plain.views(expected_grads)["0." + name][...] *= mask
    np.testing.assert_array_equal(grads, expected_grads)


@pytest.mark.parametrize(
    ("name", "rate"),
    [(name, r) for name, layer in CELLS.items() for r in RATES if hasattr(layer, r)],
)
def test_dropout_and_zoneout_depend_only_on_the_generator(name, rate, dtype):
    layer = CELLS[name]
    # Enough rows for each of four threads.
    x = np.random.default_rng(0).standard_normal((33, 5, 2))
    lengths = np.random.default_rng(1).integers(1, 6, len(x))
    layer = replace(layer, hidden_size=9, bidirectional=True)
    plain = model_of(layer, dtype=dtype)
    model = model_of(replace(layer, **{rate: RATES[rate]}), params=plain.params, dtype=dtype)

    def results(seed):
        y, saved = model.forward(x, lengths, None if seed is None else np.random.default_rng(seed))
        grads = np.zeros_like(model.params)
        dx = model.backward(saved, np.ones_like(y), grads)
        return y.tobytes() + dx.tobytes() + grads.tobytes()

    first = results(3)
    for threads in (1, 2, 3, 4):
        fusedlstm.set_num_threads(threads)
        assert results(3) == first
    assert results(4) != first
    assert results(None) == results(None) != first
    at_inference = model.predict(x, lengths)
    np.testing.assert_array_equal(model.forward(x, lengths)[0], at_inference)
    same = np.array_equal(at_inference, plain.predict(x, lengths))
    assert same == (not rate.startswith("zoneout"))  # zoneout also acts at inference


@each_cell
def test_zoneout_at_inference_is_the_mean_over_its_masks(layer):
    draws, rng = 20000, np.random.default_rng(0)
    model = model_of(with_options(layer, {"zoneout": 0.25, "zoneout_cell": 0.15}))
    state = tuple(
        np.repeat(rng.standard_normal((1, 1, shape[2])), draws, axis=1)
        for shape in layer.state_shapes(1)
    )
    x = np.repeat(X[:1, :1], draws, axis=0)
    expected, (expected_state,) = model.run(x[:1], (tuple(s[:, :1] for s in state),))
    recurrent = model.layers[0]
    (_, after), _ = recurrent.forward(model.params, Sequence(x), state, np.random.default_rng(1))
    np.testing.assert_array_equal(expected[:, 0], expected_state[0][0])
    for drawn, mean in zip(after, expected_state, strict=True):
        deviation = drawn.std(axis=1) / np.sqrt(draws)
        assert (np.abs(drawn.mean(axis=1) - mean[:, 0]) <= 5 * deviation + 1e-12).all()


@each_cell
def test_zoneout_keeps_the_old_state_with_the_given_probability(layer):
    """After one step each state is the old or the new state, with the given probability."""
    model = model_of(replace(layer, hidden_size=50, zoneout=0.25))
    plain = model_of(replace(layer, hidden_size=50), params=model.params)
    state = tuple(np.full(shape, 0.7) for shape in plain.layers[0].state_shapes(len(X)))
    seq = Sequence(X[:, :1])
    (_, (h, *_)), _ = model.layers[0].forward(model.params, seq, state, np.random.default_rng(0))
    new = plain.layers[0].run(plain.params, seq, state)[1][0]
    kept = h != new
    assert (h[kept] == 0.7).all()
    assert np.mean(kept) == pytest.approx(0.25, abs=5 * np.sqrt(0.25 * 0.75 / kept.size))
