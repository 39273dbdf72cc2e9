"""Numbers that other projects publish in their own test suites: the cases of a plain LSTM.

They are read from the folder that ``FUSEDLSTM_VECTORS`` names, or ``../shared/vectors`` beside the
checkout, and are no part of this project.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from conftest import vectors_folder
from fusedlstm import Sequential
from fusedlstm.layers import LSTM, Dense

FOLDER = vectors_folder()

pytestmark = pytest.mark.skipif(FOLDER is None, reason="other projects' vectors are not here")


def read(project):
    """The cases and the arrays of a project, keyed by case."""
    if FOLDER is None:
        return [], {}
    (description,) = (FOLDER / project).glob("*.json")
    cases = json.loads(description.read_text())["cases"]
    arrays = dict(np.load(description.with_suffix(".npz")))
    return cases, arrays


def arrays_of(arrays, key):
    return {name[len(key) + 1 :]: a for name, a in arrays.items() if name.startswith(key + "/")}


def gates(array, order, axis=0):
    """Gate blocks in another project's order, such as "ifcg", put into i, f, g, o."""
    blocks = dict(zip(order, np.split(array, 4, axis=axis), strict=True))
    return np.concatenate([blocks[gate] for gate in "ifgo"], axis=axis)


def lstm(input_size, hidden_size, weights):
    """A double-precision LSTM; ``weights`` holds (weight_ih, weight_hh, bias) a direction."""
    model = Sequential([LSTM(hidden_size, len(weights) == 2)], input_size, "float64")
    model.params = np.concatenate([np.ravel(a) for direction in weights for a in direction])
    return model


ONNX, ONNX_ARRAYS = read("migraphx")
PLAIN = ["Sigmoid", "Tanh", "Tanh"]


def is_plain_onnx(case):
    options = case["attributes"]
    return (
        case["op"] == "LSTM"
        and "P" not in case["inputs"]
        and options["activations"] in (PLAIN, PLAIN * 2)
    )


@pytest.mark.parametrize(
    "case", [*filter(is_plain_onnx, ONNX)], ids=lambda case: f"{case['key']}:{case['gold']}"
)
def test_migraphx(case):
    given = arrays_of(ONNX_ARRAYS, case["key"])
    x = given["in/X"].transpose(1, 0, 2).astype(float)
    hidden = case["attributes"]["hidden_size"]
    reverse = case["attributes"]["direction"] == "reverse"
    lengths = given.get("in/sequence_lens", np.full(len(x), x.shape[1])).astype(int)

    weights = []
    for d in range(len(given["in/W"])):
        bias = given.get("in/B", np.zeros((2, 8 * hidden)))[d].reshape(2, -1).sum(axis=0)
        weights.append(
            [gates(a, "iofg") for a in (given["in/W"][d], given["in/R"][d], bias)],
        )
    state = None
    if "in/initial_h" in given:
        state = ((given["in/initial_h"], given["in/initial_c"]),)
    if reverse:  # the direction alone: run forward over each sequence turned round
        x = np.stack([np.r_[row[:n][::-1], row[n:]] for row, n in zip(x, lengths, strict=True)])
    y, ((h, c),) = lstm(x.shape[2], hidden, weights).run(x, state, lengths)
    if reverse:
        y = np.stack([np.r_[row[:n][::-1], row[n:]] for row, n in zip(y, lengths, strict=True)])
    # ONNX: (T, D, B, H)
    y = y.reshape(*y.shape[:2], len(weights), hidden).transpose(1, 2, 0, 3)
    result = {"Y": y, "Y_h": h, "Y_c": c}[case["which"]]
    np.testing.assert_allclose(result, given["out/" + case["which"]], atol=1e-4)


KERAS, KERAS_ARRAYS = read("keras")


def is_plain_keras(case):
    layer = case["layer"]
    inner = layer.get("layer", layer)
    if inner["cls"] != "LSTM" or layer.get("merge_mode", "concat") != "concat":
        return False
    mask = KERAS_ARRAYS.get(case["key"] + "/mask")
    return mask is None or is_suffix_mask(mask, layer.get("go_backwards", False))


def is_suffix_mask(mask, backwards):
    """Whether the masked steps are the last ones."""
    mask = mask[:, ::-1] if backwards else mask
    return bool((np.diff(mask.astype(int), axis=1) <= 0).all() and mask[:, 0].all())


@pytest.mark.parametrize("case", [*filter(is_plain_keras, KERAS)], ids=lambda case: case["key"])
def test_keras(case):
    given = arrays_of(KERAS_ARRAYS, case["key"])
    layer, both = case["layer"], case["layer"]["cls"] == "Bidirectional"
    x, mask = given["x"].astype(float), given.get("mask")
    if layer.get("go_backwards"):
        x, mask = x[:, ::-1], None if mask is None else mask[:, ::-1]
    units = layer.get("layer", layer)["units"]
    weights = [
        [
            gates(given[prefix + "W"].T, "ifgo"),
            gates(given[prefix + "R"].T, "ifgo"),
            gates(given.get(prefix + "b", np.zeros(4 * units)), "ifgo"),
        ]
        for prefix in (("fw_", "bw_") if both else ("",))
    ]
    model = lstm(x.shape[2], units, weights)
    states = [given[name] for name in sorted(given) if name.startswith("initial_state")]
    state = None
    if states:
        pairs = zip(states[::2], states[1::2], strict=True)
        state = (tuple(np.stack(arrays) for arrays in zip(*pairs, strict=True)),)
    lengths = None if mask is None else mask.sum(axis=1)
    for _ in range(case["n_calls_stateful"]):
        y, state = model.run(x, state, lengths)
    h, c = state[0]
    last = np.concatenate(h, axis=1)
    outputs = y if layer.get("return_sequences") else last
    real = np.ones(outputs.shape[:2] if outputs.ndim == 3 else len(outputs), bool)
    if mask is not None and outputs.ndim == 3:
        real = mask.astype(bool)  # ours is zero past the end
    result = outputs
    for select in case["selects"]:
        if select == "out":
            result = [outputs, *(s[d] for d in range(len(h)) for s in (h, c))]
        else:
            result, real = result[select], (real if isinstance(result, list) else real[select])
    np.testing.assert_allclose(result[real], given["expected"][real], atol=1e-5, rtol=1e-5)


TFLITE, TFLITE_ARRAYS = read("tflite")


@pytest.mark.parametrize("key", ["NoCifgNoPeepholeNoProjectionNoClipping"])
def test_tflite(key):
    given = arrays_of(TFLITE_ARRAYS, key)
    weights = [[np.concatenate([given[f"{name}_{g}"] for g in "ifgo"]) for name in "WRb"]]
    y = lstm(given["X"].shape[2], given["Y"].shape[2], weights).predict(given["X"])
    np.testing.assert_allclose(y, given["Y"], atol=1e-5)


RTNEURAL, RTNEURAL_ARRAYS = read("rtneural")


def run_trained(layers, weights, key):
    """A whole model over one long sequence of one feature, in single precision."""
    given = arrays_of(RTNEURAL_ARRAYS, key)
    model = Sequential(layers, input_size=1)
    model.params = np.concatenate([np.ravel(a) for a in weights(given)])
    y = model.predict(given["x"].reshape(1, -1, 1)).ravel()
    np.testing.assert_allclose(y, given["y"], atol=1e-5)


def test_rtneural_torch():
    def weights(given):
        for name in ("lstm.{}_l0", "lstm2.{}_l0", "lstm2.{}_l1", "lstm2.{}_l2"):
            yield given[name.format("weight_ih")]
            yield given[name.format("weight_hh")]
            yield given[name.format("bias_ih")] + given[name.format("bias_hh")]
        yield from (given["dense.weight"], given["dense.bias"])

    run_trained([*[LSTM(8)] * 4, Dense(1)], weights, "lstm_torch_4layer")


@pytest.mark.parametrize(
    ("key", "layers"),
    [
        ("lstm_keras", [Dense(8, "tanh"), LSTM(8), Dense(1)]),
        ("lstm_1d_keras", [LSTM(8), Dense(1)]),
    ],
)
def test_rtneural_keras(key, layers):
    def weights(given):
        for name in sorted(n for n in given if n.startswith("layer")):
            # Keras stores matrices input-major, and its gates stand in our order, i, f, c, o.
            yield given[name].T

    run_trained(layers, weights, key)


def test_the_cases_were_found():
    assert sum(map(is_plain_onnx, ONNX)) >= 8
    assert sum(map(is_plain_keras, KERAS)) >= 15
