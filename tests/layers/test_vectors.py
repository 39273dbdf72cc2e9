"""Layers agree with the vectors that other projects publish in their test suites.

They are read from the folder ``FUSEDLSTM_VECTORS``, or ``../shared/vectors`` beside the checkout,
and are not part of this project. Each project orders its weights differently. One function per
project converts them to the named parameters of the layers.
"""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from conftest import vectors_folder
from fusedlstm import Sequential, load_torch_state_dict
from fusedlstm.layers import GRU, LSTM, RNN, Dense, LastStep

FOLDER = vectors_folder()

pytestmark = pytest.mark.skipif(
    FOLDER is None, reason="the vectors of other projects were not found"
)

LAYERS = {"LSTM": LSTM, "GRU": GRU, "RNN": RNN}
GATES = {"LSTM": "ifgo", "GRU": "rzn", "RNN": "h"}


def read(project):
    """Return the cases and the arrays of a project, keyed by case."""
    if FOLDER is None:
        return [], {}
    (description,) = (FOLDER / project).glob("*.json")
    cases = json.loads(description.read_text())["cases"]
    arrays = dict(np.load(description.with_suffix(".npz")))
    return cases, arrays


def arrays_of(arrays, key):
    return {name[len(key) + 1 :]: a for name, a in arrays.items() if name.startswith(key + "/")}


def params_of(kind, order, weight_ih, weight_hh, bias, bias_hh=None, reset_after=True):
    """Return the named parameters of a direction from gate blocks in an order such as "zrn"."""

    def in_our_order(array):
        blocks = dict(zip(order, np.split(array, len(order)), strict=True))
        return np.concatenate([blocks[gate] for gate in GATES[kind]])

    of_input = in_our_order(bias)
    of_hidden = np.zeros_like(of_input) if bias_hh is None else in_our_order(bias_hh)
    params = {
        "weight_ih": in_our_order(weight_ih),
        "weight_hh": in_our_order(weight_hh),
        "bias": of_input + of_hidden,
    }
    if kind == "GRU" and reset_after:
        candidate = slice(2 * len(of_input) // 3, None)
        params["bias"][candidate] = of_input[candidate]
        params["bias_hn"] = of_hidden[candidate]
    return params


def model_of(layers, input_size, params, dtype):
    """Return a model whose first layer has ``params``, one dict per direction."""
    named = {
        f"0.{name}{suffix}": array
        for suffix, direction in zip(layers[0].directions, params, strict=True)
        for name, array in direction.items()
    }
    return Sequential.from_named_params(layers, input_size, named, dtype)


# AMDMIGraphX: ONNX's operators, with time first and one bias for each of the two matrices.

ONNX, ONNX_ARRAYS = read("migraphx")
ONNX_GATES = {"LSTM": "iofg", "GRU": "zrn", "RNN": "h"}
ONNX_ACTIVATIONS = {
    "LSTM": ("recurrent_activation", "activation", "output_activation"),
    "GRU": ("recurrent_activation", "activation"),
    "RNN": ("activation",),
}


def onnx_layer(op, given, *, hidden_size, direction, activations, linear_before_reset=None):
    roles = ONNX_ACTIVATIONS[op]
    directions = 2 if direction == "bidirectional" else 1
    chosen = [name.lower() for name in activations[: len(roles)]]
    assert [name.lower() for name in activations] == chosen * directions
    options = dict(zip(roles, chosen, strict=True))
    if op == "GRU":
        options["reset_after"] = bool(linear_before_reset)
    if "in/P" in given:
        options["peepholes"] = True
    return LAYERS[op](hidden_size, directions == 2, reverse=direction == "reverse", **options)


def onnx_params(op, given, d, reset_after):
    rows = given["in/W"].shape[1]
    bias = given.get("in/B", np.zeros((d + 1, 2 * rows)))[d]
    matrices = given["in/W"][d], given["in/R"][d]
    params = params_of(op, ONNX_GATES[op], *matrices, *np.split(bias, 2), reset_after)
    if "in/P" in given:
        for gate, peephole in zip("iof", np.split(given["in/P"][d], 3), strict=True):
            params[f"peephole_{gate}"] = peephole
    return params


@pytest.mark.parametrize("case", ONNX, ids=lambda case: f"{case['key']}:{case['gold']}")
def test_layers_agree_with_the_vectors_of_migraphx(case, dtype):
    given = arrays_of(ONNX_ARRAYS, case["key"])
    layer = onnx_layer(case["op"], given, **case["attributes"])
    x = given["in/X"].transpose(1, 0, 2)
    params = [
        onnx_params(case["op"], given, d, getattr(layer, "reset_after", True))
        for d in range(len(layer.directions))
    ]
    model = model_of([layer], x.shape[2], params, dtype)
    states = tuple(given[name] for name in ("in/initial_h", "in/initial_c") if name in given)
    y, (state,) = model.run(x, (states,) if states else None, given.get("in/sequence_lens"))
    # (T, D, B, H)
    y = y.reshape(*y.shape[:2], len(layer.directions), -1).transpose(1, 2, 0, 3)
    results = dict(zip(("Y", "Y_h", "Y_c"), (y, *state), strict=False))
    np.testing.assert_allclose(results[case["which"]], given["out/" + case["which"]], atol=1e-4)


# Keras: matrices are input-major; a GRU with reset_after has two biases.

KERAS, KERAS_ARRAYS = read("keras")
KERAS_GATES = {"LSTM": "ifgo", "GRU": "zrn", "SimpleRNN": "h"}
# fusedlstm has no merge None or mul; the test computes them from the two outputs.
KERAS_MERGES = {"concat": "concat", "sum": "sum", "ave": "average", None: "concat", "mul": "concat"}


def keras_params(name, weight_ih, weight_hh, bias):
    kind = name.removeprefix("Simple")
    return params_of(kind, KERAS_GATES[name], weight_ih.T, weight_hh.T, *np.atleast_2d(bias),
                     reset_after=bias.ndim == 2)  # fmt: skip


def keras_model(layer, given, dtype):
    both = layer["cls"] == "Bidirectional"
    each = layer["layer"] if both else layer
    name = each["cls"]
    ours = LAYERS[name.removeprefix("Simple")](
        each["units"],
        both,
        merge=KERAS_MERGES[layer.get("merge_mode", "concat")],
        reverse=each.get("go_backwards", False),
        **({"reset_after": each.get("reset_after", True)} if name == "GRU" else {}),
    )
    params = [
        keras_params(name, *(given[prefix + array] for array in "WRb"))
        for prefix in (("fw_", "bw_") if both else ("",))
    ]
    layers = [ours] if each.get("return_sequences") else [ours, LastStep()]
    return model_of(layers, given["x"].shape[2], params, dtype)


def keras_state(model, given):
    """Return the initial state; Keras lists h, or h and c, one direction after the other."""
    states = [given[name] for name in sorted(given) if name.startswith("initial_state")]
    if not states:
        return None
    apart = len(model.layers[0].trainable_states)
    arrays = tuple(np.stack(states[n::apart]) for n in range(apart))
    return (arrays, None)[: len(model.layers)]


@pytest.mark.parametrize("case", KERAS, ids=lambda case: case["key"])
def test_layers_agree_with_the_vectors_of_keras(case, dtype):
    given = arrays_of(KERAS_ARRAYS, case["key"])
    model = keras_model(case["layer"], given, dtype)
    state, mask = keras_state(model, given), None
    assert (state is not None) == ("initial_state" in case["call"])
    if case["call"].get("mask"):
        mask = given["mask"].astype(bool)
    for _ in range(case["n_calls_stateful"]):
        y, state = model.run(given["x"], state, mask=mask)

    merge = case["layer"].get("merge_mode", "concat")
    result, expected, selects = y, given["expected"], case["selects"]
    if merge == "mul":
        result = np.prod(np.split(y, 2, axis=-1), axis=0)
    elif merge is None:
        result = np.split(y, 2, axis=-1)[selects[1]]
    elif selects[:1] == ["out"]:
        of_directions = zip(*state[0], strict=True)
        result = [y, *(array for states in of_directions for array in states)][selects[1]]
    elif selects:
        (row,) = selects
        assert not np.any(y[row, np.flatnonzero(mask[row])[-1] + 1 :])
        if case["layer"].get("zero_output_for_mask"):
            compared = mask[row]  # at a masked step fusedlstm repeats the previous output
        else:
            # fusedlstm returns zeros past the end
            compared = np.logical_or.accumulate(mask[row, ::-1])[::-1]
        result, expected = y[row, compared], expected[compared]
    np.testing.assert_allclose(result, expected, atol=case["atol"], rtol=case["rtol"])


# LiteRT: one array per gate.

TFLITE, TFLITE_ARRAYS = read("tflite")
OUT_OF_SCOPE = {
    "CifgPeepholeNoProjectionNoClippingLayerNorm": "normalizes each gate's whole pre-activation, "
    "peephole included; ours, as Ba 2016, what comes from the input and what comes from h",
}


@pytest.mark.parametrize(
    "case",
    [case for case in TFLITE if case["key"] not in OUT_OF_SCOPE],
    ids=lambda case: case["key"],
)
def test_layers_agree_with_the_vectors_of_litert(case, dtype):
    given = arrays_of(TFLITE_ARRAYS, case["key"])
    if case["key"] == "GRU_reset_before":
        layer = GRU(given["h0"].shape[1], reset_after=False)
        params = {
            ours: np.concatenate([given[theirs.format(gate)] for gate in "rzn"])
            for ours, theirs in (("weight_ih", "W{}_x"), ("weight_hh", "W{}_h"), ("bias", "b{}"))
        }
        x, expected = (given[name].transpose(1, 0, 2) for name in ("X_time_major", "Y_time_major"))
        state = ((given["h0"][np.newaxis],),)
    else:
        layer = LSTM(
            case["cell"],
            peepholes=case["peephole"],
            coupled_gates=case["cifg"],
            projection_size=len(given["proj_W"]) if case["projection"] else None,
            projection_bias="proj_b" in given,
        )
        params = {
            ours: np.concatenate([given[f"{theirs}_{gate}"] for gate in layer.blocks])
            for ours, theirs in (("weight_ih", "W"), ("weight_hh", "R"), ("bias", "b"))
        }
        for ours, theirs in (
            *((f"peephole_{gate}", f"P_{gate}") for gate in "ifo"),
            ("weight_hr", "proj_W"),
            ("bias_hr", "proj_b"),
        ):
            if theirs in given:
                params[ours] = given[theirs]
        x, expected, state = given["X"], given["Y"], None
    y, _ = model_of([layer], x.shape[2], [params], dtype).run(x, state)
    np.testing.assert_allclose(y, expected, atol=1e-5)


# RTNeural: trained models of PyTorch and Keras on one long sequence of one feature.

RTNEURAL, RTNEURAL_ARRAYS = read("rtneural")


def rtneural_torch(key, given, dtype):
    layer = {"lstm": LSTM, "gru": GRU}[key.partition("_")[0]](8)
    model = Sequential([*[layer] * 4, Dense(1)], 1, dtype)
    load_torch_state_dict(model, {name: a for name, a in given.items() if "." in name})
    return model


def rtneural_keras(described, given, dtype):
    layers, named = [], {}
    for number, (kind, size, activation) in enumerate(text.split(":") for text in described):
        arrays = [given[name] for name in sorted(given) if name.startswith(f"layer{number}_")]
        if kind.endswith("dense"):
            layers.append(Dense(int(size), activation or "linear"))
            params = dict(zip(("weight", "bias"), (a.T for a in arrays), strict=True))
        else:
            layers.append(LAYERS[kind.upper()](int(size), activation=activation))
            params = keras_params(kind.upper(), *arrays)
        named |= {f"{number}.{name}": array for name, array in params.items()}
    return Sequential.from_named_params(layers, 1, named, dtype)


@pytest.mark.parametrize("case", RTNEURAL, ids=lambda case: case["key"])
def test_layers_agree_with_the_vectors_of_rtneural(case, dtype):
    given = arrays_of(RTNEURAL_ARRAYS, case["key"])
    if case["framework"] == "Keras":
        model = rtneural_keras(case["layers"], given, dtype)
    else:
        model = rtneural_torch(case["key"], given, dtype)
    y = model.predict(given["x"].reshape(1, -1, 1)).ravel()
    np.testing.assert_allclose(y, given["y"], atol=1e-5)


def test_every_published_case_is_read():
    assert Counter(case["op"] for case in ONNX) == {"RNN": 19, "GRU": 30, "LSTM": 28}
    assert len({case["key"] for case in KERAS}) == 62
    assert len({case["key"] for case in TFLITE}) == 6
    assert len({case["key"] for case in TFLITE} - OUT_OF_SCOPE.keys()) == 5
    assert len({case["key"] for case in RTNEURAL}) == 6
