"""Layer-wise relevance propagation: the rules that look at neither the input nor the bias.

For operations whose inputs may be zero, such as the first layer of pixels.  Notation and law as in ``rules``;
nothing goes to the bias.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from xaicore.protocols import Effort, Relevance
from xaicore.values import real
from xaicore_lrp.setting import SETTING, affine_form

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.inspect.affine import AffineForm
    from xaicore.inspect.facts import Facts
    from xaicore.protocols import OpCall, Setting
    from xaicore_lrp.rules import Backward


@attrs.frozen
class WSquare:
    """``R_j = sum_k W_jk^2 / (sum_i W_ik^2) R_k``: the w^2 rule of Montavon et al. 2017, for unbounded inputs.

    Neither the input nor the bias takes part, so that nothing goes to the bias.

    Args:
        stabilizer: Keeps the denominator away from zero; 0 divides, and an exact zero gives zero.
    """

    setting: ClassVar[Setting] = SETTING

    stabilizer: float = attrs.field(default=0.0, converter=real(minimum=0.0))

    def __call__(self, op: OpCall, *inputs: tf.Tensor) -> tuple[tf.Tensor, Backward]:
        """Return the output and relevance: (batch, *outputs) -> Relevance of (batch, *features)."""
        form = affine_form(op, self)
        return _spread(op, form, form.kernel * form.kernel, self.stabilizer, *inputs)

    def effort(self, facts: Facts) -> Effort:  # noqa: ARG002  # other rules look at them
        """Return a gradient's passes, and a division."""
        return Effort(passes=2, sweeps=2, kernels=1)


@attrs.frozen
class Flat:
    """``R_j = sum_k R_k / n_k`` over the n_k inputs of output k: the flat rule of Bach et al. 2016 (ICIP).

    The rule of w^2 with every weight 1.  Padding of the layer's own is no input; to what a layer such as ZeroPadding
    puts before it goes its share, which that layer's sink "padding" then holds.  Nothing goes to the bias.

    Args:
        stabilizer: Keeps the denominator away from zero; 0 divides, and an exact zero gives zero.
    """

    setting: ClassVar[Setting] = SETTING

    stabilizer: float = attrs.field(default=0.0, converter=real(minimum=0.0))

    def __call__(self, op: OpCall, *inputs: tf.Tensor) -> tuple[tf.Tensor, Backward]:
        """Return the output and relevance: (batch, *outputs) -> Relevance of (batch, *features)."""
        import tensorflow as tf

        form = affine_form(op, self)
        if form.join is None:
            return _spread(op, form, tf.ones_like(form.kernel), self.stabilizer, *inputs)
        return _spread_evenly(op, form, self.stabilizer, *inputs)

    def effort(self, facts: Facts) -> Effort:  # noqa: ARG002  # other rules look at them
        """Return the forward alone, and a sum: the kernel of one channel costs next to nothing."""
        return Effort(passes=1, sweeps=2)


def _spread(op: OpCall, form: AffineForm, kernel: tf.Tensor, amount: float, x: tf.Tensor) -> tuple[tf.Tensor, Backward]:
    """Distribute relevance in proportion to the kernel alone, as if every input were 1."""
    import tensorflow as tf

    from xaicore.engine.vjp import vjp
    from xaicore_lrp.stabilizer import account, divide

    # One sample of ones is enough: the denominator is the same for all.
    ones = tf.ones_like(x[:1])
    denominator = form.apply(ones, kernel)
    _, pull = vjp(lambda x: form.apply(x, kernel), x)

    def backward(relevance: tf.Tensor) -> Relevance:
        quotient = divide(relevance, denominator, amount, nonnegative=True)
        shares = [(1.0, denominator, quotient, None)]
        return Relevance(pull(quotient), account(form, x, relevance, shares, amount) if op.sinks else {})

    return op.forward(x), backward


def _spread_evenly(op: OpCall, form: AffineForm, amount: float, x: tf.Tensor) -> tuple[tf.Tensor, Backward]:
    """Distribute relevance as under a kernel of ones, where all inputs and outputs meet in one channel each.

    All of an operation's input channels then get the same, and its output channels matter by their sum alone: a kernel
    of one channel does what the large one would.
    """
    import tensorflow as tf

    from xaicore.engine.vjp import vjp
    from xaicore_lrp.stabilizer import account, divide

    assert form.join is not None  # noqa: S101  # tells mypy what the caller has checked
    channels, rows = form.join[0] % x.shape.rank, form.join[1] % form.kernel.shape.rank
    kernel = tf.ones([1 if axis >= rows else n for axis, n in enumerate(form.kernel.shape)], form.kernel.dtype)
    thin = tf.gather(x, [0], axis=channels)
    denominator = form.kernel.shape[rows] * form.apply(tf.ones_like(thin[:1]), kernel)
    _, pull = vjp(lambda thin: form.apply(thin, kernel), thin)

    def backward(relevance: tf.Tensor) -> Relevance:
        summed = tf.reduce_sum(relevance, axis=channels, keepdims=True)
        quotient = divide(summed, denominator, amount, nonnegative=True)
        shares = [(1.0, denominator, quotient, None)]
        sinks = account(form, x, summed, shares, amount) if op.sinks else {}
        return Relevance((tf.broadcast_to(pull(quotient)[0], tf.shape(x)),), sinks)

    return op.forward(x), backward
