"""The properties of layers that decide where a layer can be used."""

from __future__ import annotations


class LayerProperties:
    """Properties of a layer, with defaults.

    Streams, truncated backpropagation, masks and L-BFGS require some of the properties and refuse
    other layers. The defaults are cautious: a layer that sets no property works in `Layer.forward`,
    `Layer.backward` and `Sequential.predict`, and is refused elsewhere.
    """

    @property
    def pointwise(self) -> bool:
        """True if each step of the output depends only on the same step of the input.

        Such a layer also accepts vectors, (B, F).
        """
        return False

    @property
    def causal(self) -> bool:
        """True if no step of the output depends on later steps of the input.

        The layer's state holds everything that the output needs of earlier steps.
        """
        return self.pointwise

    @property
    def reduces(self) -> bool:
        """True if the output is one vector per sequence."""
        return False

    @property
    def random(self) -> bool:
        """True if `forward` draws random numbers."""
        return True

    @property
    def maskable(self) -> bool:
        """True if masked steps may be removed from the sequence."""
        return self.pointwise or self.reduces

    @property
    def has_complete_state(self) -> bool:
        """True if a sequence can be computed in pieces, with the state carried between them."""
        return True

    @property
    def selects(self) -> bool:
        """True if the output is one of the steps, unchanged, as the output of `LastStep`.

        Pointwise layers directly before such a layer are computed after it, on vectors.
        """
        return False

    @property
    def reads_last(self) -> bool:
        """True if the output depends on the position of the last step of the input."""
        return self.selects

    @property
    def reads_backward(self) -> bool:
        """True if a part of the output is computed from the last step to the first."""
        return False

    @property
    def shares_params_of(self) -> int | None:
        """Number of the earlier layer of the same `Chain` whose parameters this layer uses."""
        return None
