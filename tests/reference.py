"""The equations once more, in plain NumPy and float64, one sequence and one step at a time.

Written for being obviously right, and to share nothing with the code under test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))


@dataclass
class Weights:
    """One direction: weight_ih (4H, I), weight_hh (4H, H), bias (4H,), gates i, f, g, o."""

    ih: np.ndarray
    hh: np.ndarray
    bias: np.ndarray

    @classmethod
    def split(cls, flat, input_size, hidden_size):
        flat = np.asarray(flat, np.float64)
        gates = 4 * hidden_size
        ih, hh, bias = np.split(flat, [gates * input_size, gates * (input_size + hidden_size)])
        return cls(ih.reshape(gates, input_size), hh.reshape(gates, hidden_size), bias)

    def flat(self):
        return np.concatenate([self.ih.ravel(), self.hh.ravel(), self.bias])


def lstm_step(weights, x, h, c):
    """One step of one sequence; returns h, c and the gates."""
    i, f, g, o = np.split(weights.ih @ x + weights.hh @ h + weights.bias, 4)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    c = f * c + i * g
    return o * np.tanh(c), c, (i, f, g, o)


def lstm_sequence(weights, x, h, c):
    """All steps of x (T, I); returns y (T, H), h, c and what each step did."""
    y, tape = [], []
    for x_t in x:
        before = (h, c)
        h, c, gates = lstm_step(weights, x_t, h, c)
        y.append(h)
        tape.append((x_t, *before, c, gates))
    return np.array(y), h, c, tape


def lstm_sequence_backward(weights, tape, dy, dh, dc):
    """Gradients of all weights, x and the initial state from dy (T, H) and the final dh, dc."""
    d = Weights(*(np.zeros_like(w) for w in (weights.ih, weights.hh, weights.bias)))
    dx = []
    for (x, h_before, c_before, c, (i, f, g, o)), dy_t in zip(tape[::-1], dy[::-1], strict=True):
        dh = dh + dy_t
        dc = dc + dh * o * (1 - np.tanh(c) ** 2)
        dz = np.concatenate(
            [
                dc * g * i * (1 - i),
                dc * c_before * f * (1 - f),
                dc * i * (1 - g**2),
                dh * np.tanh(c) * o * (1 - o),
            ]
        )
        d.ih += np.outer(dz, x)
        d.hh += np.outer(dz, h_before)
        d.bias += dz
        dx.append(weights.ih.T @ dz)
        dh, dc = weights.hh.T @ dz, dc * f
    return d, np.array(dx[::-1]), dh, dc


class Layer:
    """A batch of sequences of unequal lengths in one or two directions."""

    def __init__(self, params, input_size, hidden_size, directions):
        each = np.split(np.asarray(params, np.float64), directions)
        self.weights = [Weights.split(flat, input_size, hidden_size) for flat in each]
        self.hidden_size = hidden_size

    def forward(self, x, lengths, h, c):
        """Return y (B, T, D * H) and final h, c (D, B, H) from x (B, T, I) and h, c."""
        x, h, c = (np.asarray(a, np.float64) for a in (x, h, c))
        size, y = self.hidden_size, np.zeros((*x.shape[:2], len(self.weights) * self.hidden_size))
        last_h, last_c, self.tapes = np.zeros_like(h), np.zeros_like(c), {}
        for d, weights in enumerate(self.weights):
            order = slice(None, None, -1 if d else 1)
            for b, n in enumerate(lengths):
                out, last_h[d, b], last_c[d, b], self.tapes[d, b] = lstm_sequence(
                    weights, x[b, :n][order], h[d, b], c[d, b]
                )
                y[b, :n, d * size : (d + 1) * size] = out[order]
        return y, last_h, last_c

    def backward(self, dy, dh, dc, x_shape):
        """Return the flat gradient, dx (B, T, I) and the initial dh, dc (D, B, H)."""
        dy, dh, dc = (np.asarray(a, np.float64) for a in (dy, dh, dc))
        size, dx = self.hidden_size, np.zeros(x_shape)
        first_dh, first_dc, grads = np.zeros_like(dh), np.zeros_like(dc), []
        for d, weights in enumerate(self.weights):
            order = slice(None, None, -1 if d else 1)
            total = np.zeros_like(weights.flat())
            for b in range(len(dx)):
                tape = self.tapes[d, b]
                dy_b = dy[b, : len(tape), d * size : (d + 1) * size][order]
                g, dx_b, first_dh[d, b], first_dc[d, b] = lstm_sequence_backward(
                    weights, tape, dy_b, dh[d, b], dc[d, b]
                )
                total += g.flat()
                dx[b, : len(tape)] += dx_b[order]
            grads.append(total)
        return np.concatenate(grads), dx, first_dh, first_dc


def numeric_gradient(function, at, step=1e-5):
    """Central differences of a scalar function of an array, element by element."""
    gradient = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        kept = at[index]
        at[index] = kept + step
        above = function()
        at[index] = kept - step
        below = function()
        at[index] = kept
        gradient[index] = (above - below) / (2 * step)
    return gradient


def relative_error(value, expected):
    """Largest absolute error over max(1, largest absolute expected number)."""
    value, expected = np.asarray(value), np.asarray(expected)
    assert value.shape == expected.shape, (value.shape, expected.shape)
    return float(np.abs(value - expected).max() / max(1.0, np.abs(expected).max()))


def unaligned(array):
    """A copy whose numbers stand at odd addresses."""
    memory = np.empty(array.nbytes + 1, np.uint8)
    copy = memory[1:].view(array.dtype).reshape(array.shape)
    copy[...] = array
    assert not copy.flags.aligned
    return copy
