"""The equations of each cell and option in NumPy and float64, for one step of one sequence.

A cell is described by the dictionary that the core takes. The code is written to be easy to check
and shares nothing with the code under test.
"""

from __future__ import annotations

import numpy as np

ACTIVATIONS = {
    "linear": lambda x, a, b: x,
    "sigmoid": lambda x, a, b: np.exp(-np.logaddexp(0, -x)),
    "tanh": lambda x, a, b: np.tanh(x),
    "relu": lambda x, a, b: np.maximum(x, 0),
    "leaky_relu": lambda x, a, b: np.where(x > 0, x, a * x),
    "thresholded_relu": lambda x, a, b: np.where(x > a, x, 0),
    "scaled_tanh": lambda x, a, b: a * np.tanh(b * x),
    "hard_sigmoid": lambda x, a, b: np.clip(a * x + b, 0, 1),
    "elu": lambda x, a, b: np.where(x > 0, x, a * np.expm1(np.minimum(x, 0))),
    "softsign": lambda x, a, b: x / (1 + np.abs(x)),
    "softplus": lambda x, a, b: np.logaddexp(0, x),
    "affine": lambda x, a, b: a * x + b,
}


def lstm_spec(**options):
    spec = {
        "family": "lstm",
        "activations": (("sigmoid", 0.0, 0.0), ("tanh", 0.0, 0.0), ("tanh", 0.0, 0.0)),
        "peepholes": False,
        "coupled": False,
        "input_gate": True,
        "forget_gate": True,
        "output_gate": True,
        "full_gate_recurrence": False,
        "layer_norm": False,
        "cell_clip": None,
        "projection": 0,
        "projection_bias": False,
    }
    assert options.keys() <= spec.keys()
    return {**spec, **options}


def gru_spec(**options):
    spec = {
        "family": "gru",
        "activations": (("sigmoid", 0.0, 0.0), ("tanh", 0.0, 0.0)),
        "reset_after": True,
    }
    assert options.keys() <= spec.keys()
    return {**spec, **options}


def rnn_spec(name="tanh", alpha=0.0, beta=0.0):
    return {"family": "rnn", "activations": ((name, alpha, beta),)}


def gates_of(spec):
    """Return the names of the blocks of the stacked weights, in order."""
    if spec["family"] == "rnn":
        return "h"
    if spec["family"] == "gru":
        return "rzn"
    present = {
        "i": spec["input_gate"] and not spec["coupled"],
        "f": spec["forget_gate"],
        "g": True,
        "o": spec["output_gate"],
    }
    return "".join(gate for gate, there in present.items() if there)


def output_size(spec, hidden):
    return spec.get("projection") or hidden


def param_shapes(spec, inputs, hidden):
    """Return names and shapes of one direction's parameters in the order of the flat vector."""
    gates, outputs = gates_of(spec), output_size(spec, hidden)
    rows = len(gates) * hidden
    shapes = {"weight_ih": (rows, inputs), "weight_hh": (rows, outputs), "bias": (rows,)}
    if spec["family"] == "gru" and spec["reset_after"]:
        shapes["bias_hn"] = (hidden,)
    if spec["family"] != "lstm":
        return shapes
    if spec["peepholes"]:
        shapes |= {f"peephole_{gate}": (hidden,) for gate in gates if gate != "g"}
    if spec["full_gate_recurrence"]:
        shapes["weight_gates"] = (3 * hidden, 3 * hidden)
    if spec["layer_norm"]:
        shapes |= {"gain_ih": (rows,), "gain_hh": (rows,), "gain_c": (hidden,), "bias_c": (hidden,)}
    if spec["projection"]:
        shapes["weight_hr"] = (outputs, hidden)
        if spec["projection_bias"]:
            shapes["bias_hr"] = (outputs,)
    return shapes


def param_count(spec, inputs, hidden):
    return sum(int(np.prod(shape)) for shape in param_shapes(spec, inputs, hidden).values())


def split(flat, spec, inputs, hidden):
    """Return the flat parameters of one direction by name."""
    params, start = {}, 0
    for name, shape in param_shapes(spec, inputs, hidden).items():
        stop = start + int(np.prod(shape))
        params[name] = np.asarray(flat[start:stop], np.float64).reshape(shape)
        start = stop
    assert start == len(flat)
    return params


def normalized(x):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5)


class Masks:
    """The regularizers of one sequence; this base class changes nothing."""

    def recurrent(self, h):
        return h

    def candidate(self, step, g):
        return g

    def zoneout_h(self, step, before, now):
        return now

    def zoneout_c(self, step, before, now):
        return now


class Cell:
    """One direction of a layer."""

    def __init__(self, spec, flat, inputs, hidden):
        self.spec = spec
        self.gates = gates_of(spec)
        self.hidden = hidden
        self.p = split(flat, spec, inputs, hidden)
        self.functions = [
            lambda x, name=name, a=alpha, b=beta: ACTIVATIONS[name](x, a, b)
            for name, alpha, beta in spec["activations"]
        ]

    def sequence(self, x, states, masks=None):
        """Run all steps of x (T, I); return y (T, R) and the states: h, c and the carried gates."""
        masks = masks or Masks()
        h, c, gates = (*states, None, None)[:3]
        y = []
        for t, x_t in enumerate(x):
            if self.spec["family"] == "lstm":
                new_h, new_c, gates = self.lstm(x_t, h, c, gates, masks, t)
                c = masks.zoneout_c(t, c, new_c)
            elif self.spec["family"] == "gru":
                new_h = self.gru(x_t, h, masks, t)
            else:
                new_h = self.rnn(x_t, h, masks)
            h = masks.zoneout_h(t, h, new_h)
            y.append(h)
        return np.array(y), (h, c, gates)[: len(states)]

    def lstm(self, x, h, c, gates_before, masks, t):
        p, spec = self.p, self.spec
        act_gate, act_candidate, act_output = self.functions
        by_input, by_hidden = p["weight_ih"] @ x, p["weight_hh"] @ masks.recurrent(h)
        if spec["layer_norm"]:
            by_input = p["gain_ih"] * normalized(by_input)
            by_hidden = p["gain_hh"] * normalized(by_hidden)
        z = dict(
            zip(
                self.gates,
                np.split(by_input + by_hidden + p["bias"], len(self.gates)),
                strict=True,
            )
        )
        if spec["full_gate_recurrence"]:
            extra = np.split(p["weight_gates"] @ gates_before, 3)
            for gate, more in zip("ifo", extra, strict=True):
                z[gate] = z[gate] + more
        for gate in "if":
            if gate in z and spec["peepholes"]:
                z[gate] = z[gate] + p[f"peephole_{gate}"] * c
        f = act_gate(z["f"]) if "f" in z else 1.0
        i = act_gate(z["i"]) if "i" in z else 1.0
        if spec["coupled"]:
            i = 1 - f
        g = masks.candidate(t, act_candidate(z["g"]))
        c = f * c + i * g
        if spec["cell_clip"] is not None:
            c = np.clip(c, -spec["cell_clip"], spec["cell_clip"])
        if "o" in z and spec["peepholes"]:
            z["o"] = z["o"] + p["peephole_o"] * c
        o = act_gate(z["o"]) if "o" in z else 1.0
        inside = p["gain_c"] * normalized(c) + p["bias_c"] if spec["layer_norm"] else c
        h = o * act_output(inside)
        if spec["projection"]:
            h = p["weight_hr"] @ h + p.get("bias_hr", 0.0)
        gates = np.concatenate([i, f, o]) if spec["full_gate_recurrence"] else None
        return h, c, gates

    def gru(self, x, h, masks, t):
        p, hidden = self.p, self.hidden
        act_gate, act_candidate = self.functions
        seen = masks.recurrent(h)
        x_r, x_z, x_n = np.split(p["weight_ih"] @ x + p["bias"], 3)
        w_r, w_z, w_n = np.split(p["weight_hh"], 3)
        r = act_gate(x_r + w_r @ seen)
        z = act_gate(x_z + w_z @ seen)
        if self.spec["reset_after"]:
            n = act_candidate(x_n + r * (w_n @ seen + p["bias_hn"]))
        else:
            n = act_candidate(x_n + w_n @ (r * seen))
        assert n.shape == (hidden,)
        return (1 - z) * masks.candidate(t, n) + z * h

    def rnn(self, x, h, masks):
        p = self.p
        seen = masks.recurrent(h)
        return self.functions[0](p["weight_ih"] @ x + p["weight_hh"] @ seen + p["bias"])


def state_sizes(spec, hidden):
    """Return the size of each state: h, c and the gates that the next step reads."""
    sizes = [output_size(spec, hidden)]
    if spec["family"] == "lstm":
        sizes.append(hidden)
    if spec.get("full_gate_recurrence"):
        sizes.append(3 * hidden)
    return sizes


def forward(
    spec, params, hidden, x, states, lengths=None, directions=1, reverse=False, masks_of=None
):
    """Run a batch; return y (B, T, D * R), zero past the end, and the states (D, B, size).

    A state of None is zero. ``masks_of(direction, row)`` returns the regularizers of a sequence.
    """
    batch, steps, inputs = x.shape
    size = output_size(spec, hidden)
    y = np.zeros((batch, steps, directions * size))
    last = [np.zeros((directions, batch, n)) for n in state_sizes(spec, hidden)]
    for d, flat in enumerate(np.split(np.asarray(params, np.float64), directions)):
        cell = Cell(spec, flat, inputs, hidden)
        order = slice(None, None, -1 if reverse or d else 1)
        for b in range(batch):
            n = steps if lengths is None else lengths[b]
            first = [np.zeros(l.shape[2]) if s is None else s[d, b] for s, l in zip(states, last, strict=True)]
            masks = masks_of(d, b) if masks_of else None
            out, final = cell.sequence(x[b, :n][order], first, masks)
            for array, value in zip(last, final, strict=True):
                array[d, b] = value
            y[b, :n, d * size : (d + 1) * size] = out[order]
    return y, tuple(last)


def mixed(x):
    """The finalizer of SplitMix64, on a Python integer."""
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
    return x ^ (x >> 31)


def mixed32(x):
    """A 32-bit multiply-xorshift hash, on an array."""
    x = (x ^ (x >> 16)) * np.uint64(0x7FEB352D) % 2**32
    x = (x ^ (x >> 15)) * np.uint64(0x846CA68B) % 2**32
    return x ^ (x >> 16)


class DrawnMasks(Masks):
    """The masks that the core draws for one sequence by counters, or their expected values."""

    def __init__(self, regularizers, direction, row):
        self.key, *self.rates = regularizers
        self.direction, self.row = direction, row

    def hits(self, kind, step, units):
        """Return True with the probability of the rate."""
        odd = 0x9E3779B97F4A7C15
        seed = mixed((self.key + (self.direction + 1) * odd) % 2**64)
        row = mixed((mixed((seed + (kind + 1) * odd) % 2**64) + self.row * odd) % 2**64)
        high, low = divmod(mixed((row + step * odd) % 2**64), 2**32)
        unit = np.arange(units, dtype=np.uint64)
        of_units = mixed32((np.uint64(seed % 2**32) + unit * np.uint64(odd % 2**32)) % 2**32)
        number = (of_units ^ np.uint64(low)) * np.uint64(0x7FEB352D) % 2**32
        number = number ^ number >> np.uint64(15) ^ np.uint64(high)
        number = number * np.uint64(0x846CA68B) % 2**32
        return number < int(self.rates[kind] * 2**32)

    def dropped(self, kind, step, values):
        if self.key is None or self.rates[kind] == 0:
            return values
        return np.where(self.hits(kind, step, len(values)), 0, values / (1 - self.rates[kind]))

    def zoned(self, kind, step, before, now):
        rate = self.rates[kind]
        if self.key is None or rate == 0:
            return rate * before + (1 - rate) * now
        return np.where(self.hits(kind, step, len(now)), before, now)

    def recurrent(self, h):
        return self.dropped(0, 0, h)

    def candidate(self, step, g):
        return self.dropped(1, step, g)

    def zoneout_h(self, step, before, now):
        return self.zoned(2, step, before, now)

    def zoneout_c(self, step, before, now):
        return self.zoned(3, step, before, now)
