"""Layers of layers, tied layers, and the properties that streams and masks read."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import fusedlstm
import reference
from custom_layers import X
from fusedlstm import Model, Sequential
from fusedlstm.layers import (
    GRU,
    LSTM,
    Chain,
    Dense,
    Dropout,
    LastStep,
    Parallel,
    Residual,
    Tied,
)
from fusedlstm.models import select_rows

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
def test_gradients_agree_with_finite_differences(layers, lengths):
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
def test_all_ways_of_predicting_give_the_same_bits(layers):
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
def test_composed_layers_survive_files_and_repr(layers, tmp_path):
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
def test_gradients_of_states_agree_with_finite_differences(layers):
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
def test_streams_give_the_bits_of_predictions(layers):
    model = Sequential(layers, input_size=3, random_state=1)
    x = numbers(0, (4, 6, 3)).astype("float32")
    stream = model.stream(4)
    for t in range(6):
        y = stream.step(x[:, t])
        whole = model.predict(x[:, : t + 1])
        assert y.tobytes() == (whole if whole.ndim == 2 else whole[:, -1]).tobytes()


@pytest.mark.parametrize("layers", CAUSAL.values(), ids=CAUSAL)
def test_states_of_streams_are_those_of_run(layers):
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


def test_wrong_rows_and_states_of_streams_are_an_error():
    model = Sequential([LSTM(3), Dense(2)], input_size=3, random_state=1)
    stream = model.stream(2)
    stream.step(np.ones((2, 3)))
    before = stream.state
    for rows in ([], [2], [-1], [0.5], [[0]], "ab"):
        with pytest.raises(ValueError, match="rows must be integers from 0 to 1, at least one"):
            stream.select(rows)
    with pytest.raises(ValueError, match="state must be a tuple with 2 entries, one per layer"):
        stream.state = (before[0],)
    with pytest.raises(ValueError, match=r"state\[0\] must be a tuple of arrays of shapes"):
        stream.state = ((before[0][0], before[0][1][:, :1]), None)
    assert pickle.dumps(stream.state) == pickle.dumps(before)
    with pytest.raises(ValueError, match="n_sequences must be given for select"):
        model.stream().select([0])


def test_last_step_after_pointwise_layers_is_taken_per_direction():
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
def test_an_ambiguous_last_step_is_an_error(layers):
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
            r"layers\[1\] must be a layer with an output at every step",
        ),
        (lambda: Parallel(LSTM(3), LastStep()), "branches must be layers that all have an output"),
        (
            lambda: Chain(LastStep(), LSTM(2)),
            r"layers\[1\] must be a layer for vectors after Last",
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
def test_errors_of_compositions(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_tied_layers_share_one_set_of_parameters():
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


def test_model_takes_a_single_layer():
    model = Model(Parallel(LSTM(3), GRU(2)), 3, random_state=0)
    assert next(iter(model.named_params())) == "0.weight_ih"
    assert model.predict(numbers()).shape == (3, 4, 5)
    assert repr(model) == (
        "Model(Parallel(LSTM(hidden_size=3), GRU(hidden_size=2)), input_size=3, dtype='float32')"
    )


def test_summary_shows_inner_layers_indented():
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


@pytest.mark.parametrize("inner", [Dropout(0.5), Chain(Dropout(0.1)), Dense(2)])
def test_pointwise_layers_at_the_end_of_a_chain_before_the_last_step(inner):
    model = Sequential([Chain(LSTM(2), inner), LastStep()], 2, random_state=0)
    expected = model.predict(X)
    for y in (model.run(X)[0], model.forward(X)[0], model.predictor().predict(X)):
        np.testing.assert_array_equal(y, expected)
