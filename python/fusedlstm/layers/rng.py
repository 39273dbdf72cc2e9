"""Random numbers for the layers of a model: one generator per layer and call of `forward`."""

from __future__ import annotations

import numpy as np

# Generators for reuse: to make a generator takes six times as long as to set the key of one.
_idle: list[np.random.Generator] = []


class LayerGenerators:
    """Generators of the layers for one call of ``forward``.

    One number, the key, is drawn from the generator of the caller. The key and the number of a
    layer determine the random numbers of the layer. So they do not depend on the other layers, and
    the next numbers of the caller's generator do not depend on the layers.

    Parameters
    ----------
    rng : numpy Generator
        The generator of the caller.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._key = rng.bit_generator.random_raw() >> 1
        self._generator: np.random.Generator | None = None

    def for_layer(self, number: int) -> np.random.Generator:
        """Return the generator of a layer. It may be used until the next call of this method."""
        if self._generator is None:
            try:
                self._generator = _idle.pop()
            except IndexError:
                self._generator = np.random.Generator(np.random.Philox(key=0))
        self._generator.bit_generator.state = {
            "bit_generator": "Philox",
            "state": {
                "counter": np.zeros(4, np.uint64),
                "key": np.array([self._key, number], np.uint64),
            },
            "buffer": np.zeros(4, np.uint64),
            "buffer_pos": 4,  # the buffer is empty
            "has_uint32": 0,
            "uinteger": 0,
        }
        return self._generator

    def release(self) -> None:
        """Make the generator available to other calls."""
        if self._generator is not None:
            _idle.append(self._generator)
            self._generator = None
