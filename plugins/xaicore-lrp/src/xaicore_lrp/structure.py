"""Relevance through the operations between the affine ones: activations, sums, average pooling.

Notation as in ``xaicore_lrp.rules``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from xaicore.protocols import Effort, Relevance
from xaicore.values import real
from xaicore_lrp.setting import SETTING, WEIGHTED, misfit

if TYPE_CHECKING:
    from collections.abc import Callable

    import tensorflow as tf

    from xaicore.inspect.facts import Facts
    from xaicore.protocols import OpCall, Setting

    Backward = Callable[[tf.Tensor], Relevance]

# Batch normalization counts: composites let relevance pass it.  "other" is what no table knows.
_ELEMENTWISE = "activation or softmax or identity or rescaling or norm or other"
# Alone as an analyzer, these rules stand in the z rule's surroundings.
AROUND = (("affine", "lrp.z"), *SETTING.companions)


@attrs.frozen
class Pass:
    """``R_j = R_k``: relevance goes through an elementwise operation of one input unchanged (Bach et al. 2015, 2.3)."""

    setting: ClassVar[Setting] = attrs.evolve(SETTING, applies=_ELEMENTWISE, companions=AROUND)

    def __call__(self, op: OpCall, *inputs: tf.Tensor) -> tuple[tf.Tensor, Backward]:
        """Return the output and relevance: like the output -> Relevance of the same."""
        if len(inputs) != 1:
            raise misfit(op, self, f"passes relevance to one input, and the operation has {len(inputs)}")

        output = op.forward(*inputs)
        if not output.shape.is_compatible_with(inputs[0].shape):
            raise misfit(op, self, f"keeps the shape, and the operation turns {inputs[0].shape} into {output.shape}")

        def backward(relevance: tf.Tensor) -> Relevance:
            return Relevance((relevance,))

        return output, backward

    def effort(self, facts: Facts) -> Effort:  # noqa: ARG002  # other rules look at them
        """Return the forward alone: nothing is computed on the way back."""
        return Effort(passes=1, outputs=0)


@attrs.frozen
class Proportional:
    """``R_ij = x_ij sum_k J_ijk R_k / y_k``: the z rule of an operation with the constant Jacobian J.

    For sums, average pooling and interpolation; i counts the inputs.  It takes no epsilon from the rules around it:
    these operations have no weights that could cancel by training, and a large epsilon would swallow skip connections.

    Args:
        stabilizer: Keeps y away from zero; 0 divides, and an exact zero gives zero.
    """

    setting: ClassVar[Setting] = attrs.evolve(
        WEIGHTED, applies="sum or average_pooling or interpolation", companions=AROUND
    )

    stabilizer: float = attrs.field(default=0.0, converter=real(minimum=0.0))

    def __call__(self, op: OpCall, *inputs: tf.Tensor) -> tuple[tf.Tensor, Backward]:
        """Return the output and relevance: like the output -> Relevance of every input."""
        import tensorflow as tf

        from xaicore.engine.vjp import vjp
        from xaicore_lrp.stabilizer import divide, kept_back, per_sample

        output, pull = vjp(op.forward, *inputs)

        def backward(relevance: tf.Tensor) -> Relevance:
            quotient = divide(relevance, output, self.stabilizer)
            pairs = zip(inputs, pull(quotient), strict=True)
            shares = tuple(None if gradient is None else x * gradient for x, gradient in pairs)
            if not op.sinks:
                return Relevance(shares)
            # What is left of the output when its inputs are zero: a constant that was added.
            constant = op.forward(*(tf.zeros_like(x) for x in inputs))
            back = kept_back(relevance, output, quotient, self.stabilizer)
            return Relevance(shares, {"bias": per_sample(quotient * constant), "stabilizer": per_sample(back)})

        return output, backward

    def effort(self, facts: Facts) -> Effort:  # noqa: ARG002  # other rules look at them
        """Return a gradient's passes, a division and a product."""
        return Effort(passes=2, sweeps=4)
