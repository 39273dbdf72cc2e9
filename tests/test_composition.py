"""Layers of layers, tied layers, and properties that streams, masks and truncation ask for."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass

import numpy as np
import pytest

import fusedlstm
import reference
from fusedlstm import LSTMClassifier, LSTMRegressor, Model, Sequential
from fusedlstm.layers import (
    GRU,
    LSTM,
    RNN,
    Chain,
    Dense,
    Dropout,
    LastStep,
    Layer,
    Parallel,
    Pool,
    Residual,
    Sequence,
    Tied,
)
from fusedlstm.losses import squared_error
from fusedlstm.models import select_rows
from fusedlstm.optimizers import SGD
from fusedlstm.training import SeriesBatches, epochs, full_batch

BI = LSTM(3, bidirectional=True)

STACKS = {
    "chain": [Chain(LSTM(4), Dense(3, "tanh")), LSTM(2)],
    "chain in chain": [Chain(Chain(LSTM(3)), Chain(Dense(2), GRU(4))), LastStep(), Dense(2)],
    "chain that reduces": [Chain(BI, LastStep(), Dense(4, "tanh")), Dense(2)],
    "residual": [Residual(LSTM(3)), Dense(2)],
    "residual, last step": [LSTM(3), Residual(LSTM(3)), LastStep()],
    "residual with a projection": [Residual(LSTM(5), Dense(4, "tanh")), LastStep()],
    "residual of vectors": [LSTM(4), LastStep(), Residual(Dense(4, "tanh")), Residual(Dense(3))],
    "residual in residual": [Residual(LSTM(3), Residual(GRU(3), Dense(3))), LastStep(), Dense(1)],
    "parallel": [Parallel(LSTM(3), GRU(2)), Dense(2)],
    "parallel, last step": [Parallel(BI, GRU(2)), LastStep(), Dense(2)],
    "parallel that reduces": [Parallel(Chain(LSTM(3), LastStep()), Chain(GRU(2), LastStep()))],
    "parallel of vectors": [LSTM(4), LastStep(), Parallel(Dense(2), Dense(3, "tanh"))],
    "parallel with dropout": [Parallel(Chain(LSTM(3), Dropout(0.4)), Dropout(0.2)), LSTM(2)],
    "pointwise before the last step": [BI, Dense(4, "tanh"), Dropout(0.3), LastStep(), Dense(2)],
    "tied": [Dense(4, "tanh"), LSTM(4), Tied(1, LSTM(4)), LastStep()],
    "last step in a chain": [LSTM(4), Dropout(0.3), Chain(Dense(3, "tanh"), LastStep()), Dense(2)],
    "last step in branches": [GRU(3), Parallel(LastStep(), Chain(LastStep(), Dense(2)))],
    "tied in a chain": [Chain(Dense(3), Tied(0, Dense(3, "tanh"))), GRU(2)],
}


def numbers(seed=0, shape=(3, 4, 3)):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("layers", STACKS.values(), ids=STACKS)
@pytest.mark.parametrize("lengths", [None, [4, 1, 3]], ids=["equal", "unequal"])
def test_finite_differences(layers, lengths):
    model = Sequential(layers, input_size=3, dtype="float64", random_state=1)
    x = numbers()

    def forward():
        return model.forward(x, lengths, np.random.default_rng(7))

    y, saved = forward()
    dy = numbers(1, y.shape)
    grads = np.zeros_like(model.params)
    dx = model.backward(saved, dy, grads)

    def loss():
        return float((forward()[0] * dy).sum())

    assert reference.relative_error(grads, reference.numeric_gradient(loss, model.params)) < 1e-7
    assert reference.relative_error(dx, reference.numeric_gradient(loss, x)) < 1e-7


@pytest.mark.parametrize("layers", STACKS.values(), ids=STACKS)
def test_predictions_of_all_kinds_are_the_same(layers):
    model = Sequential(layers, input_size=3, random_state=1)
    x = numbers(0, (5, 6, 3)).astype("float32")
    for lengths in (None, [6, 1, 2, 6, 3]):
        expected = model.forward(x, lengths)[0]
        for other in (model, model.predictor(), pickle.loads(pickle.dumps(model))):
            assert other.predict(x, lengths).tobytes() == expected.tobytes()
        rows = [
            model.predict(x[[i]], None if lengths is None else lengths[i : i + 1]) for i in range(5)
        ]
        for row, whole in zip(rows, expected, strict=True):
            assert row[0].tobytes() == whole[: row.shape[1] if row.ndim == 3 else None].tobytes()
        if lengths is not None and expected.ndim == 3:
            assert not expected[1, 1:].any()


@pytest.mark.parametrize("layers", STACKS.values(), ids=STACKS)
def test_files_and_values(layers, tmp_path):
    model = Sequential(layers, input_size=3, random_state=1)
    model.save(tmp_path / "model")
    same = fusedlstm.load(tmp_path / "model")
    assert same.layers == model.layers
    assert hash(same.layers) == hash(model.layers)
    assert repr(same) == repr(model)
    assert eval(repr(model.layers), vars(fusedlstm.layers)) == model.layers
    assert same.predict(numbers()).tobytes() == model.predict(numbers()).tobytes()
    assert sum(view.size for view in model.named_params().values()) == model.params.size


@pytest.mark.parametrize("layers", STACKS.values(), ids=STACKS)
def test_gradients_of_states(layers):
    model = Sequential(layers, input_size=3, dtype="float64", random_state=1)
    x = numbers()
    _, state = model.run(x)
    leaves = []

    def collect(tree):
        if isinstance(tree, np.ndarray):
            leaves.append(tree)
        for part in tree if isinstance(tree, tuple) else ():
            collect(part)

    collect(state)
    if not leaves:
        return
    rng = np.random.default_rng(3)
    for leaf in leaves:
        leaf[...] = rng.standard_normal(leaf.shape)
    y, saved = model.forward(x, state=state)
    dy, weights = numbers(1, y.shape), []

    def random_like(tree):
        if isinstance(tree, tuple):
            return tuple(random_like(part) for part in tree)
        if tree is None:
            return None
        weights.append(rng.standard_normal(tree.shape))
        return weights[-1]

    dstate = random_like(saved.state)
    grads = np.zeros_like(model.params)
    dx, before = model.backward(saved, dy, grads, dstate)

    def loss():
        out, kept = model.forward(x, state=state)
        final = []

        def gather(tree):
            if isinstance(tree, tuple):
                for part in tree:
                    gather(part)
            elif tree is not None:
                final.append(tree)

        gather(kept.state)
        return float((out * dy).sum()) + sum(
            float((w * s).sum()) for w, s in zip(weights, final, strict=True)
        )

    got = []

    def gather_gradients(tree):
        if isinstance(tree, tuple):
            for part in tree:
                gather_gradients(part)
        elif tree is not None:
            got.append(tree)

    gather_gradients(before)
    for leaf, gradient in zip(leaves, got, strict=True):
        expected = reference.numeric_gradient(loss, leaf)
        assert reference.relative_error(gradient, expected) < 1e-7
    assert reference.relative_error(grads, reference.numeric_gradient(loss, model.params)) < 1e-7
    assert reference.relative_error(dx, reference.numeric_gradient(loss, x)) < 1e-7


CAUSAL = {name: layers for name, layers in STACKS.items() if Chain(*layers).causal}


@pytest.mark.parametrize("layers", CAUSAL.values(), ids=CAUSAL)
def test_streams(layers):
    model = Sequential(layers, input_size=3, random_state=1)
    x = numbers(0, (4, 6, 3)).astype("float32")
    stream = model.stream(4)
    for t in range(6):
        y = stream.step(x[:, t])
        whole = model.predict(x[:, : t + 1])
        assert y.tobytes() == (whole if whole.ndim == 2 else whole[:, -1]).tobytes()


@pytest.mark.parametrize("layers", CAUSAL.values(), ids=CAUSAL)
def test_states_of_streams(layers):
    model = Sequential(layers, input_size=3, random_state=1)
    x = numbers(0, (4, 6, 3)).astype("float32")
    stream = model.stream(4)
    for t in range(3):
        stream.step(x[:, t])
    _, expected = model.run(x[:, :3])
    assert pickle.dumps(stream.state) == pickle.dumps(expected)
    other = model.stream(4)
    other.state = stream.state
    rows = np.array([2, 2, 0])
    fewer = model.stream(4)
    fewer.state = expected
    fewer.select(rows)
    for t in range(3, 6):
        y = stream.step(x[:, t])
        assert other.step(x[:, t]).tobytes() == y.tobytes()
        assert fewer.step(x[rows, t]).tobytes() == y[rows].tobytes()
    assert pickle.dumps(fewer.state) == pickle.dumps(select_rows(stream.state, rows))


def test_select_and_states_that_do_not_fit():
    model = Sequential([LSTM(3), Dense(2)], input_size=3, random_state=1)
    stream = model.stream(2)
    stream.step(np.ones((2, 3)))
    before = stream.state
    for rows in ([], [2], [-1], [0.5], [[0]], "ab"):
        with pytest.raises(ValueError, match="rows must be integers from 0 to 1, at least one"):
            stream.select(rows)
    with pytest.raises(ValueError, match="state must be 2 entries, one a layer"):
        stream.state = (before[0],)
    with pytest.raises(ValueError, match=r"state\[0\] must be a tuple of arrays of shapes"):
        stream.state = ((before[0][0], before[0][1][:, :1]), None)
    assert pickle.dumps(stream.state) == pickle.dumps(before)
    with pytest.raises(ValueError, match="n_sequences must be given for select"):
        model.stream().select([0])


def test_the_last_step_after_pointwise_layers_is_each_directions_own():
    body = [LSTM(4, bidirectional=True), Dense(3, "tanh")]
    model = Sequential([*body, LastStep()], input_size=3, random_state=0)
    other = Sequential([body[0], LastStep(), body[1]], input_size=3)
    other.params = model.params
    x = numbers()
    assert model.predict(x, [4, 1, 3]).tobytes() == other.predict(x, [4, 1, 3]).tobytes()


@pytest.mark.parametrize(
    "layers",
    [
        [Residual(BI), LastStep()],
        [Chain(BI, Dense(3)), LastStep()],
        [Parallel(BI, Dropout(0.1)), LastStep()],
        [Parallel(BI, Dropout(0.1)), Dense(2), LastStep()],
        [BI, Residual(LSTM(3, bidirectional=True)), LastStep()],
        [BI, Dense(3), Chain(LastStep(), Dense(2))],
        [BI, Chain(Dense(3), LastStep())],
        [BI, Dropout(0.1), Parallel(LastStep(), Chain(LastStep(), Dense(2)))],
    ],
    ids=repr,
)
def test_an_ambiguous_last_step_is_refused(layers):
    with pytest.raises(ValueError, match="must follow a layer that gives each direction's final"):
        Sequential(layers, input_size=3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Chain(), "layers must be a sequence of layers"),
        (lambda: Residual(3), r"layers\[0\] must be a layer; got 3"),
        (lambda: Residual(LSTM), r"Did you mean LSTM\(\.\.\.\)"),
        (
            lambda: Residual(LSTM(3), LastStep()),
            r"layers\[1\] must be a layer that keeps the steps",
        ),
        (lambda: Parallel(LSTM(3), LastStep()), "branches must be layers that all keep the steps"),
        (
            lambda: Chain(LastStep(), LSTM(2)),
            r"layers\[1\] must be a layer for vectors, since Last",
        ),
        (lambda: Chain(LastStep(), Residual(LSTM(2))), "must be a layer for vectors"),
        (lambda: Tied(-1, LSTM(2)), "number must be the number of an earlier layer; got -1"),
        (lambda: Tied(0, "LSTM"), "layer must be a layer; got 'LSTM'"),
        (
            lambda: Chain(Tied(0, LSTM(2))),
            r"layers\[0\].number must be the number of an earlier layer, and there is none before",
        ),
        (
            lambda: Chain(LSTM(2), Tied(1, LSTM(2))),
            r"layers\[1\].number must be the number of an earlier layer, at most 0; got 1",
        ),
        (
            lambda: Sequential([Dense(3), Tied(0, Dense(4))], 3),
            r"layers\[1\] must have parameters of the shapes \[\(3, 3\), \(3,\)\] of layers\[0\]",
        ),
        (lambda: Model("LSTM", 3), "layer must be a layer; got 'LSTM'"),
    ],
)
def test_bad_compositions(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_tied_layers_have_their_parameters_once():
    model = Sequential([Dense(3, "tanh"), LSTM(3), Tied(0, Dense(3))], 3, "float64", 0)
    assert list(model.named_params()) == [
        "0.weight",
        "0.bias",
        "1.weight_ih",
        "1.weight_hh",
        "1.bias",
    ]
    model.named_params()["0.weight"][:] = 0
    model.named_params()["0.bias"][:] = [1, 2, 3]
    np.testing.assert_array_equal(model.predict(numbers())[0, 0], [1, 2, 3])


def test_a_model_of_any_layer():
    model = Model(Parallel(LSTM(3), GRU(2)), 3, random_state=0)
    assert next(iter(model.named_params())) == "0.weight_ih"
    assert model.predict(numbers()).shape == (3, 4, 5)
    assert repr(model) == (
        "Model(Parallel(LSTM(hidden_size=3), GRU(hidden_size=2)), input_size=3, dtype='float32')"
    )


def test_summary_is_indented():
    model = Sequential([Residual(LSTM(4), Chain(Dense(3))), LastStep()], input_size=2)
    lines = str(model.summary()).splitlines()
    assert [line.split()[:2] for line in lines[4:-2]] == [
        ["0", "Residual"],
        ["0.0", "LSTM(hidden_size=4)"],
        ["0.1", "Chain"],
        ["0.1.0", "Dense(units=3,"],
        ["0.projection", "Dense(units=3,"],
        ["1", "LastStep()"],
    ]
    assert lines[-1].split()[1] == f"{model.params.size:,}"


# Layers of a user's own.


@dataclass(frozen=True)
class Smooth(Layer):
    """A convolution of three steps with fixed weights."""

    def output_size(self, input_size):
        return input_size

    def forward(self, params, seq, state=None, rng=None, all_steps=True):
        return (Sequence(self._smooth(seq.zeroed().x, seq), seq.lengths), None), seq

    def backward(self, params, saved, dseq, dstate, grads, input_gradient=True):
        return Sequence(self._smooth(dseq.x, saved), saved.lengths), None

    @staticmethod
    def _smooth(x, seq):
        padded = np.pad(x, ((0, 0), (1, 1), (0, 0)))
        out = (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3
        return Sequence(out.astype(x.dtype), seq.lengths).zeroed().x


@dataclass(frozen=True)
class MeanStep(Layer):
    """The mean over the steps, which declares that it reduces."""

    reduces = True

    def output_size(self, input_size):
        return input_size

    def forward(self, params, seq, state=None, rng=None, all_steps=True):
        x = seq.zeroed().x
        n = np.full(len(x), x.shape[1]) if seq.lengths is None else seq.lengths
        n = n[:, np.newaxis].astype(x.dtype)
        return (Sequence(x.sum(axis=1) / n), None), (seq, n)

    def backward(self, params, saved, dseq, dstate, grads, input_gradient=True):
        seq, n = saved
        dx = np.broadcast_to((dseq.x / n)[:, np.newaxis], seq.x.shape)
        return Sequence(dx, seq.lengths).zeroed(), None


@dataclass(frozen=True)
class Noise(Layer):
    """Noise on each step, in training."""

    pointwise = True

    def output_size(self, input_size):
        return input_size

    def forward(self, params, seq, state=None, rng=None, all_steps=True):
        x = seq.x
        if rng is not None:
            x = x + rng.standard_normal(x.shape).astype(x.dtype)
        return (Sequence(x, seq.lengths), None), None

    def backward(self, params, saved, dseq, dstate, grads, input_gradient=True):
        return dseq, None


X = np.random.default_rng(0).standard_normal((30, 6, 2))


def test_a_convolution_of_ones_own_is_right_or_refused():
    model = Sequential([LSTM(3), Smooth(), LastStep(), Dense(1)], 2, random_state=0)
    whole = model.predict(X)
    np.testing.assert_array_equal(whole[:3], model.predict(X[:3]))
    with pytest.raises(ValueError, match=r"A stream needs causal layers; layers\[1\] is not: Smo"):
        model.stream()
    with pytest.raises(ValueError, match=r"layers\[1\] must be maskable with mask"):
        model.predict(X, mask=np.ones(X.shape[:2], bool))
    estimator = LSTMRegressor(layers=(LSTM(3), Smooth()), max_iter=2, tbptt_steps=3)
    with pytest.raises(ValueError, match=r"layers\[1\] must be causal with tbptt_steps"):
        estimator.fit(X, X.sum(axis=(1, 2)))
    model = Sequential([Chain(LSTM(3), Smooth())], 2, random_state=0)
    with pytest.raises(ValueError, match=r"layers\[0\].layers\[1\] is not: Smooth"):
        model.stream()


def test_a_reducing_layer_of_ones_own():
    layers = (LSTM(3), MeanStep())
    model = LSTMClassifier(layers=layers, max_iter=3, random_state=0).fit(X, X.sum(axis=(1, 2)) > 0)
    assert "MeanStep" in model.summary()
    assert [type(layer).__name__ for layer in model.model_.layers] == ["LSTM", "MeanStep", "Dense"]
    with pytest.raises(ValueError, match="A stream needs causal layers"):
        model.stream()
    masked = model.model_.predict(X, mask=np.arange(6) < np.full((30, 1), 4))
    np.testing.assert_array_equal(masked, model.model_.predict(X[:, :4]))


def test_noise_of_ones_own():
    with pytest.raises(ValueError, match=r"got Noise\(\) for layers\[1\], whose .*random"):
        LSTMRegressor(layers=(LSTM(3), Noise()), optimizer="lbfgs").fit(X, X.sum(axis=(1, 2)))
    model = Sequential([LSTM(3), Noise(), Dense(1)], 2, random_state=0)
    stream = model.stream(30)
    for t in range(6):
        y = stream.step(X[:, t].astype("float32"))
    np.testing.assert_array_equal(y, model.predict(X.astype("float32"))[:, -1])


class Repeated(Layer):
    """Passes on the final outputs of the layer before, as if they were its own."""

    def output_size(self, input_size):
        return input_size

    def forward(self, params, seq, state=None, rng=None, all_steps=True):
        return (seq._replace(x=2 * seq.x), None), seq

    def backward(self, params, saved, dseq, dstate, grads, input_gradient=True):
        return dseq._replace(x=2 * dseq.x), None


def test_final_outputs_of_another_layer_are_not_passed_on():
    model = Sequential([LSTM(3), Repeated(), LastStep()], 2, random_state=0)
    steps = Sequential([LSTM(3), Repeated()], 2, random_state=0)
    np.testing.assert_array_equal(model.predict(X), steps.predict(X)[:, -1])


def test_a_subclass_that_computes_otherwise_is_not_lowered():
    class Doubled(Dense):
        def forward(self, params, seq, state=None, rng=None, all_steps=True):
            (out, after), saved = super().forward(params, seq, state, rng, all_steps)
            return (out._replace(x=2 * out.x), after), saved

    plain = Sequential([RNN(3), LastStep(), Dense(2)], 2, random_state=0)
    doubled = Sequential([RNN(3), LastStep(), Doubled(2)], 2, random_state=0)
    np.testing.assert_array_equal(doubled.predict(X), 2 * plain.predict(X))


# Mistakes in layers of a user's own are named.


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
def test_wrong_results_of_forward_are_named(result, message):
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
def test_wrong_results_of_backward_are_named(result, message):
    def backward(self, params, saved, dseq, dstate, grads, input_gradient=True):
        return result(dseq)

    model = Sequential([LSTM(3), own(backward=backward)], 2, random_state=0)
    y, saved = model.forward(X)
    with pytest.raises((TypeError, ValueError), match=message):
        model.backward(saved, y, np.zeros_like(model.params))


def test_wrong_initial_parameters_are_named():
    shapes = {"param_shapes": lambda self, size: {"weight": (size, size)}}
    other = own(**shapes, init_params=lambda self, size, rng: {"weigth": np.ones((size, size))})
    with pytest.raises(ValueError, match=r"must be of names of param_shapes; got '0\.weigth'"):
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


def test_a_subclass_of_chain_can_be_copied():
    class Block(Chain):
        def __init__(self, size):
            super().__init__(LSTM(size), Dense(size))

    layers = (Block(4),)
    model = LSTMClassifier(layers=layers, max_iter=1).fit(X, X.sum(axis=(1, 2)) > 0)
    again = copy.deepcopy(model)
    assert again.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()


def test_states_that_are_partly_none():
    model = Sequential([LSTM(3, trainable_state=True), Chain(GRU(2), Dense(1))], 2, random_state=0)
    model.named_params()["0.initial_h"][:] = 0.5
    _, state = model.run(X[:, :3])
    stream = model.stream(30)
    for given in (None, (None, state[1]), (state[0], None), (state[0], (None, None))):
        stream.state = given
        expected = model.run(X[:, 3:], given)[0]
        for t in range(3, 6):
            y = stream.step(X[:, t].astype("float32"))
        assert y.tobytes() == expected[:, -1].tobytes()


@pytest.mark.parametrize("tbptt_steps", [None, 5])
def test_batches_that_go_on_are_told_of_the_state(tbptt_steps):
    series = np.random.default_rng(0).standard_normal(121)
    sources = [
        SeriesBatches(series[:-1], series[1:, np.newaxis], batch_size=2, steps=steps)
        for steps in (10, 60)
    ]
    losses = []
    for source in sources:
        model = Sequential([GRU(4), Dense(1)], 1, random_state=0)
        options = {"learning_rate": 1e-30, "rng": np.random.default_rng(0)}
        run = epochs(model, source, squared_error, SGD(), tbptt_steps=tbptt_steps, **options)
        losses.append(next(run).loss)
        objective = full_batch.Objective(model, source, squared_error, tbptt_steps=tbptt_steps)
        losses.append(objective.value(model.params.astype(float)))
    assert losses == pytest.approx([losses[0]] * 4, rel=1e-6)


def test_states_need_layers_that_can_carry_them():
    series = np.random.default_rng(0).standard_normal(60)
    source = SeriesBatches(series, series[:, np.newaxis], batch_size=2, steps=10)
    options = {"learning_rate": 0.1, "rng": np.random.default_rng(0)}
    for layers, message in (
        ([BI, Dense(1)], "must read forward only if states are carried"),
        ([Smooth(), LSTM(3), Dense(1)], r"layers\[0\] must be causal if states are carried"),
    ):
        run = epochs(Sequential(layers, 1), source, squared_error, SGD(), **options)
        with pytest.raises(ValueError, match=message):
            next(run)
    model = Sequential([LSTM(3), Smooth()], 2)
    _, state = model.run(X)
    with pytest.raises(ValueError, match=r"layers\[1\] must be causal to start from a state"):
        model.run(X, state)


def test_outputs_do_not_share_memory_with_states():
    for layers in ([LSTM(3), LastStep()], [Pool("max")]):
        y, state = Sequential(layers, 2, random_state=0).run(X)
        assert not np.shares_memory(y, state[0][0])


def test_models_of_a_single_layer_are_saved(tmp_path):
    model = Model(Parallel(LSTM(3), GRU(2)), 2, random_state=0)
    model.save(tmp_path / "file")
    same = fusedlstm.load(tmp_path / "file")
    assert type(same) is Model
    assert repr(same) == repr(model)
    assert same.predict(X).tobytes() == model.predict(X).tobytes()
    with pytest.raises(ValueError, match="layer must be a layer with parameters of its own"):
        Model(Tied(3, Dense(2)), 4)
    with pytest.raises(ValueError, match="layer must be a layer that does not consist of layers"):
        Tied(0, Chain(Dense(2)))


@pytest.mark.parametrize("body", [Dropout(0.0), Residual(Dropout(0.0)), Parallel(Dropout(0.0))])
def test_the_gradient_of_padding_is_zero(body):
    model = Sequential([body], 2, "float64")
    y, saved = model.forward(np.ones((1, 3, 2)), [1])
    dx = model.backward(saved, np.ones_like(y), np.zeros_like(model.params))
    assert dx[0, 0].all()
    assert not dx[0, 1:].any()


@pytest.mark.parametrize("inner", [Dropout(0.5), Chain(Dropout(0.1)), Dense(2)])
def test_pointwise_layers_at_the_end_of_a_chain_before_the_last_step(inner):
    model = Sequential([Chain(LSTM(2), inner), LastStep()], 2, random_state=0)
    expected = model.predict(X)
    for y in (model.run(X)[0], model.forward(X)[0], model.predictor().predict(X)):
        np.testing.assert_array_equal(y, expected)


@dataclass(frozen=True)
class Attend(Layer):
    """Weights the steps by a softmax of their first feature and sums them up."""

    reduces = True
    random = False

    def output_size(self, input_size):
        return input_size

    def forward(self, params, seq, state=None, rng=None, all_steps=True):
        x, mask = seq.x, seq.mask()
        scores = x[:, :, 0] if mask is None else np.where(mask, x[:, :, 0], -np.inf)
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        p = (e / e.sum(axis=1, keepdims=True))[:, :, np.newaxis].astype(x.dtype)
        y = (p * seq.zeroed().x).sum(axis=1)
        return (Sequence(y), None), (seq, p, y)

    def backward(self, params, saved, dseq, dstate, grads, input_gradient=True):
        seq, p, y = saved
        dy = dseq.x[:, np.newaxis]
        dx = p * dy
        dx[:, :, 0] += p[:, :, 0] * ((seq.zeroed().x - y[:, np.newaxis]) * dy).sum(axis=2)
        return Sequence(dx, seq.lengths).zeroed(), None


def test_an_attention_of_ones_own_is_right_or_refused():
    layers = [LSTM(3), Attend(), Dense(1)]
    model = Sequential(layers, 2, "float64", random_state=0)
    x, lengths = X[:3].copy(), [6, 2, 4]
    y, saved = model.forward(x, lengths)
    grads = np.zeros_like(model.params)
    dx = model.backward(saved, np.ones_like(y), grads)
    for array, gradient in ((model.params, grads), (x, dx)):
        expected = reference.numeric_gradient(lambda: float(model.predict(x, lengths).sum()), array)
        assert reference.relative_error(gradient, expected) < 1e-7
    mask = np.arange(6) < np.array(lengths)[:, np.newaxis]
    np.testing.assert_array_equal(model.predict(x, mask=mask), model.predict(x, lengths))
    with pytest.raises(ValueError, match=r"causal layers; layers\[1\] is not: Attend"):
        model.stream()
    estimator = LSTMRegressor(layers=tuple(layers[:2]), max_iter=2, tbptt_steps=3)
    with pytest.raises(ValueError, match=r"layers\[1\] must be causal with tbptt_steps"):
        estimator.fit(X, X.sum(axis=(1, 2)))
    assert estimator.set_params(tbptt_steps=None).fit(X, X.sum(axis=(1, 2))).n_iter_ == 2
