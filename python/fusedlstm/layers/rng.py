"""Random numbers of the layers of a model: a generator a layer, keyed by the call."""

from __future__ import annotations

import numpy as np

_idle: list[np.random.Generator] = []  # making one takes six times as long as a new key


class Draws:
    """What the layers draw in one call of ``forward``.

    Of a generator of the caller it takes one number; what one layer draws then does not shift what
    another does, nor the caller's next numbers.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._key = rng.bit_generator.random_raw() >> 1
        self._generator: np.random.Generator | None = None

    def of_layer(self, number: int) -> np.random.Generator:
        """Return the generator of a layer; it is for this layer until the next one's is asked."""
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
            "buffer_pos": 4,  # nothing is left in the buffer
            "has_uint32": 0,
            "uinteger": 0,
        }
        return self._generator

    def end(self) -> None:
        """Leave the generator to other calls."""
        if self._generator is not None:
            _idle.append(self._generator)
            self._generator = None
