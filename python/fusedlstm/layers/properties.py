"""The properties of layers that streams, masks and training check."""

from __future__ import annotations


class LayerProperties:
    """Properties of a layer, with defaults.

    Streams, truncated back-propagation, masks and L-BFGS refuse layers without the properties that
    they require. A layer that sets no property works in prediction and in training with batches.
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

        The state of the layer must contain all information about earlier steps that the output
        depends on.
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
        """True if skipping a step gives the same result as a sequence without this step."""
        return self.pointwise or self.reduces

    @property
    def has_complete_state(self) -> bool:
        """True if computing a sequence in chunks gives the same result as computing it at once.

        Each chunk starts from the final state of the previous chunk.
        """
        return True

    @property
    def selects(self) -> bool:
        """True if the output is one of the steps of the input, as for `LastStep`.

        Pointwise layers directly before such a layer are computed after it, on vectors.
        """
        return False

    @property
    def reads_last(self) -> bool:
        """True if the output depends on the position of the last step of the input."""
        return self.selects

    @property
    def reads_backward(self) -> bool:
        """True if the layer, or one of its directions, reads from the last step to the first."""
        return False

    @property
    def shares_params_of(self) -> int | None:
        """Number of the earlier layer of the same `Chain` whose parameters this layer uses."""
        return None
