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
    return FAMILIES[spec["family"]].gates_of(spec)


def output_size(spec, hidden):
    return state_sizes(spec, hidden)["h"]


def state_sizes(spec, hidden):
    """Return the size of each state by name. h is first."""
    return FAMILIES[spec["family"]].state_sizes(spec, hidden)


def param_shapes(spec, inputs, hidden):
    """Return names and shapes of one direction's parameters in the order of the flat vector."""
    rows = len(gates_of(spec)) * hidden
    shapes = {
        "weight_ih": (rows, inputs),
        "weight_hh": (rows, output_size(spec, hidden)),
        "bias": (rows,),
    }
    return shapes | FAMILIES[spec["family"]].more_params(spec, hidden)


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
    """One direction of a layer. The subclasses have the equations of one family of cells."""

    has_candidate = True  # the cell has dropout of the candidate

    def __init__(self, spec, flat, inputs, hidden):
        self.spec = spec
        self.gates = self.gates_of(spec)
        self.hidden = hidden
        self.p = split(flat, spec, inputs, hidden)
        self.functions = [
            lambda x, name=name, a=alpha, b=beta: ACTIVATIONS[name](x, a, b)
            for name, alpha, beta in spec.get("activations", ())
        ]

    @staticmethod
    def state_sizes(spec, hidden):
        return {"h": hidden}

    @staticmethod
    def more_params(spec, hidden):
        """Return the shapes of parameters other than weights and bias."""
        return {}

    def step(self, x, states, masks, t):
        """Return the states after step t, without zoneout."""
        raise NotImplementedError

    def sequence(self, x, states, masks=None):
        """Run all steps of x (T, I); return y (T, R) and the final states by name."""
        masks = masks or Masks()
        y = []
        for t, x_t in enumerate(x):
            new = self.step(x_t, states, masks, t)
            new["h"] = masks.zoneout_h(t, states["h"], new["h"])
            if "c" in new:
                new["c"] = masks.zoneout_c(t, states["c"], new["c"])
            states = new
            y.append(states["h"])
        return np.array(y), states


class Lstm(Cell):
    @staticmethod
    def gates_of(spec):
        present = {
            "i": spec["input_gate"] and not spec["coupled"],
            "f": spec["forget_gate"],
            "g": True,
            "o": spec["output_gate"],
        }
        return "".join(gate for gate, there in present.items() if there)

    @staticmethod
    def state_sizes(spec, hidden):
        sizes = {"h": spec["projection"] or hidden, "c": hidden}
        return sizes | ({"gates": 3 * hidden} if spec["full_gate_recurrence"] else {})

    @staticmethod
    def more_params(spec, hidden):
        gates, shapes = Lstm.gates_of(spec), {}
        rows = len(gates) * hidden
        if spec["peepholes"]:
            shapes |= {f"peephole_{gate}": (hidden,) for gate in gates if gate != "g"}
        if spec["full_gate_recurrence"]:
            shapes["weight_gates"] = (3 * hidden, 3 * hidden)
        if spec["layer_norm"]:
            shapes |= {"gain_ih": (rows,), "gain_hh": (rows,)}
            shapes |= {"gain_c": (hidden,), "bias_c": (hidden,)}
        if spec["projection"]:
            shapes["weight_hr"] = (spec["projection"], hidden)
            if spec["projection_bias"]:
                shapes["bias_hr"] = (spec["projection"],)
        return shapes

    def step(self, x, states, masks, t):
        p, spec, c = self.p, self.spec, states["c"]
        act_gate, act_candidate, act_output = self.functions
        by_input, by_hidden = p["weight_ih"] @ x, p["weight_hh"] @ masks.recurrent(states["h"])
        if spec["layer_norm"]:
            by_input = p["gain_ih"] * normalized(by_input)
            by_hidden = p["gain_hh"] * normalized(by_hidden)
        sums = np.split(by_input + by_hidden + p["bias"], len(self.gates))
        z = dict(zip(self.gates, sums, strict=True))
        if spec["full_gate_recurrence"]:
            extra = np.split(p["weight_gates"] @ states["gates"], 3)
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
        gates = {"gates": np.concatenate([i, f, o])} if spec["full_gate_recurrence"] else {}
        return {"h": h, "c": c} | gates


class Gru(Cell):
    @staticmethod
    def gates_of(spec):
        return "rzn"

    @staticmethod
    def more_params(spec, hidden):
        return {"bias_hn": (hidden,)} if spec["reset_after"] else {}

    def step(self, x, states, masks, t):
        p, h = self.p, states["h"]
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
        return {"h": (1 - z) * masks.candidate(t, n) + z * h}


class Rnn(Cell):
    has_candidate = False

    @staticmethod
    def gates_of(spec):
        return "h"

    def step(self, x, states, masks, t):
        p = self.p
        z = p["weight_ih"] @ x + p["weight_hh"] @ masks.recurrent(states["h"]) + p["bias"]
        return {"h": self.functions[0](z)}


FAMILIES = {"lstm": Lstm, "gru": Gru, "rnn": Rnn}


def forward(
    spec, params, hidden, x, states, lengths=None, directions=1, reverse=False, masks_of=None
):
    """Run a batch; return y (B, T, D * R), zero past the end, and the states (D, B, size).

    A state of None is zero. ``masks_of(direction, row)`` returns the regularizers of a sequence.
    """
    batch, steps, inputs = x.shape
    sizes = state_sizes(spec, hidden)
    y = np.zeros((batch, steps, directions * sizes["h"]))
    last = {name: np.zeros((directions, batch, size)) for name, size in sizes.items()}
    given = {
        name: np.zeros_like(zeros) if state is None else state
        for (name, zeros), state in zip(last.items(), states, strict=True)
    }
    for d, flat in enumerate(np.split(np.asarray(params, np.float64), directions)):
        cell = FAMILIES[spec["family"]](spec, flat, inputs, hidden)
        order = slice(None, None, -1 if reverse or d else 1)
        for b in range(batch):
            n = steps if lengths is None else lengths[b]
            masks = masks_of(d, b) if masks_of else None
            first = {name: state[d, b] for name, state in given.items()}
            out, final = cell.sequence(x[b, :n][order], first, masks)
            for name, value in final.items():
                last[name][d, b] = value
            y[b, :n, d * sizes["h"] : (d + 1) * sizes["h"]] = out[order]
    return y, tuple(last.values())


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
