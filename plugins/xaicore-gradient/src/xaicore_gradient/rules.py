"""Guided backpropagation and the deconvolutional network: gradients with another rule at ReLUs.

A ReLU is met where it is an operation of its own and where it ends another one (``activation="relu"``).
Notation: y the output, z the pre-activation, R the relevance of y, ``[c]`` one where c holds and zero elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from xaicore.errors import UnsupportedOperation
from xaicore.protocols import Relevance, Setting
from xaicore.values import real

if TYPE_CHECKING:
    from collections.abc import Callable

    import tensorflow as tf

    from xaicore.protocols import OpCall

    Backward = Callable[[tf.Tensor], Relevance]

_SETTING = Setting(applies="relu", initial="one", otherwise="gradient")


@attrs.frozen
class GuidedRelu:
    """``R_z = max(R, 0) [z > 0]``, then the gradient of what is before the ReLU: Springenberg et al. 2015, figure 1.

    Relevance starts from one; other systems start from the output's value, which turns the map of a negative output
    into another one.
    """

    setting: ClassVar[Setting] = _SETTING

    def __call__(self, op: OpCall, *inputs: tf.Tensor) -> tuple[tf.Tensor, Backward]:
        """Return the output and relevance: like the output -> Relevance of every input."""
        import tensorflow as tf

        from xaicore.engine.vjp import vjp

        # The gradient of a ReLU reads its output only, so that z is not kept and the operation stays fused.
        output, pull = vjp(op.forward, *inputs)

        def backward(relevance: tf.Tensor) -> Relevance:
            return Relevance(pull(tf.nn.relu(relevance)))

        return output, backward


@attrs.frozen
class DeconvRelu:
    """``R_z = max(R, 0)``, then the gradient of what is before the ReLU: Zeiler and Fergus 2014, section 2.1.

    Relevance starts from one.  The paper starts from the activation of the chosen neuron.
    """

    setting: ClassVar[Setting] = _SETTING

    def __call__(self, op: OpCall, *inputs: tf.Tensor) -> tuple[tf.Tensor, Backward]:
        """Return the output and relevance: like the output -> Relevance of every input.

        Raises:
            UnsupportedOperation: a ReLU ends an operation that is not affine, so that the two cannot be told apart.
        """
        import tensorflow as tf

        from xaicore.engine.vjp import vjp

        form = op.affine
        if form is not None:
            (x,) = inputs
            z, pull = vjp(lambda x: form.apply(x, form.kernel, form.bias), x)
            output = form.activate(z)
        elif op.facts.kind == "activation":
            output, pull = op.forward(*inputs), lambda relevance: (relevance,)
        else:
            raise UnsupportedOperation(
                f"The rule DeconvRelu skips the gradient of a ReLU; in {type(op.operation).__name__} at "
                f"{str(op.site)!r} the ReLU is a part of something that is not affine. "
                "Use gradient.guided_backprop, or make the ReLU a layer of its own."
            )

        def backward(relevance: tf.Tensor) -> Relevance:
            return Relevance(pull(tf.nn.relu(relevance)))

        return output, backward


@attrs.frozen
class RectRelu:
    """``R_z = R [y R > tau]``, tau the quantile of y R over a sample's units of this ReLU: Kim et al. 2019, eq. 3.

    Only units whose activation and relevance speak together for the output pass anything on.  The paper starts from the
    logit's value; the quantile is taken for each layer and each sample.

    Args:
        quantile: Of y R, from 0 to 1; 0.98 in the paper's figures.
    """

    setting: ClassVar[Setting] = Setting(applies="relu", initial="score", otherwise="gradient")

    quantile: float = attrs.field(default=0.98, converter=real(minimum=0.0, maximum=1.0))

    def __call__(self, op: OpCall, *inputs: tf.Tensor) -> tuple[tf.Tensor, Backward]:
        """Return the output and relevance: like the output -> Relevance of every input."""
        import tensorflow as tf

        from xaicore.engine.vjp import vjp
        from xaicore.filters import quantile

        output, pull = vjp(op.forward, *inputs)

        def backward(relevance: tf.Tensor) -> Relevance:
            product = output * relevance
            limit = quantile(product, self.quantile, list(range(1, len(product.shape))))
            return Relevance(pull(tf.where(product > limit, relevance, tf.zeros_like(relevance))))

        return output, backward
