"""Random numbers of the layers of a model: one generator per layer and call."""

from __future__ import annotations

import numpy as np

_idle: list[np.random.Generator] = []  # making a generator takes six times as long as a new key


class LayerGenerators:
    """Generators of the layers for one call of ``forward``.

    The caller's generator gives one number, the key. The key and the number of a layer determine
    the random numbers of the layer. So the numbers that one layer draws do not depend on the other
    layers, and the caller's next numbers do not depend on the layers.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._key = rng.bit_generator.random_raw() >> 1
        self._generator: np.random.Generator | None = None

    def for_layer(self, number: int) -> np.random.Generator:
        """Return the generator of a layer. It is valid until the next call of this method."""
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
        """Return the generator to the idle ones."""
        if self._generator is not None:
            _idle.append(self._generator)
            self._generator = None
