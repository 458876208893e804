"""Layer-wise relevance propagation: the z^B rule, for inputs within known bounds.

Notation and law as in ``rules``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from xaicore.errors import InvalidParameter
from xaicore.protocols import Effort, Relevance
from xaicore.values import Array, numeric_or_array, real
from xaicore_lrp.setting import SETTING, affine_form

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.inspect.facts import Facts
    from xaicore.protocols import OpCall, Setting
    from xaicore_lrp.rules import Backward


@attrs.frozen
class ZBox:
    """``R_j = sum_k (x_j W_jk - l_j W_jk+ - h_j W_jk-) R_k / sum_i (x_i W_ik - l_i W_ik+ - h_i W_ik-)``.

    The z^B rule of Montavon et al. 2017, eq. 13, for a first layer whose inputs lie in [l, h]: pixels.  The bias takes
    no part.  Every term is non-negative there; an input outside of the bounds can get relevance of the other sign.
    Padding of the layer's own is no input, and no bound holds for it; the zeros of a layer such as ZeroPadding before
    it are inputs, whose share that layer's sink "padding" holds.

    Args:
        low, high: The bounds, numbers or arrays that broadcast to one sample of the layer's input.
        stabilizer: Keeps the denominator away from zero; 0 divides, and an exact zero gives zero.

    Raises:
        InvalidParameter: low is above high somewhere, or the shapes do not broadcast.
    """

    setting: ClassVar[Setting] = SETTING

    low: float | Array = attrs.field(default=-1.0, converter=numeric_or_array)
    high: float | Array = attrs.field(default=1.0, converter=numeric_or_array)
    stabilizer: float = attrs.field(default=0.0, converter=real(minimum=0.0))

    def __attrs_post_init__(self) -> None:
        """Refuse an empty box."""
        import numpy as np

        try:
            empty = bool((np.asarray(self.low) > np.asarray(self.high)).any())
        except ValueError as error:
            raise InvalidParameter(f"Given low={self.low!r}, high={self.high!r}, whose shapes differ.") from error
        if empty:
            raise InvalidParameter(f"Given low={self.low!r}, high={self.high!r}; expected low <= high everywhere.")

    def __call__(self, op: OpCall, *inputs: tf.Tensor) -> tuple[tf.Tensor, Backward]:
        """Return the output and relevance: (batch, *outputs) -> Relevance of (batch, *features)."""
        import tensorflow as tf

        from xaicore.engine.vjp import vjp
        from xaicore_lrp.signs import negative, positive
        from xaicore_lrp.stabilizer import account, divide

        form, (x,) = affine_form(op, self), inputs
        low, high = (self._bound(bound, x) for bound in (self.low, self.high))
        z, pull = vjp(lambda x: form.apply(x, form.kernel), x)
        plus, minus = positive(form.kernel), negative(form.kernel)
        below, pull_low = vjp(lambda bound: form.apply(bound, plus), tf.broadcast_to(low, tf.shape(x)))
        above, pull_high = vjp(lambda bound: form.apply(bound, minus), tf.broadcast_to(high, tf.shape(x)))
        denominator = z - below - above
        output = z if form.bias is None else form.apply(x, form.kernel, form.bias)

        def backward(relevance: tf.Tensor) -> Relevance:
            quotient = divide(relevance, denominator, self.stabilizer)
            (by_x,), (by_low,), (by_high,) = pull(quotient), pull_low(quotient), pull_high(quotient)
            shares = [(1.0, denominator, quotient, None)]
            sinks = account(form, x, relevance, shares, self.stabilizer) if op.sinks else {}
            return Relevance((x * by_x - low * by_low - high * by_high,), sinks)

        return form.activate(output), backward

    def effort(self, facts: Facts) -> Effort:  # noqa: ARG002  # other rules look at them
        """Return the passes of three terms, forward and back."""
        return Effort(passes=6, sweeps=4, outputs=2, kernels=2)

    def _bound(self, bound: float | Array, x: tf.Tensor) -> tf.Tensor:
        import numpy as np
        import tensorflow as tf

        value = tf.constant(np.asarray(bound), x.dtype)
        try:
            tf.broadcast_static_shape(value.shape, tf.TensorShape([1, *x.shape[1:]]))
        except ValueError as error:
            raise InvalidParameter(
                f"Given a bound of shape {tuple(value.shape)}; expected one that broadcasts to a sample of the layer's "
                f"input, {tuple(x.shape[1:])}."
            ) from error
        return value
