"""Layer-wise relevance propagation: the gamma rule, for inputs of either sign.

Notation and law as in ``rules``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from xaicore.protocols import Effort, Relevance
from xaicore.values import real
from xaicore_lrp.rules import BIAS
from xaicore_lrp.setting import WEIGHTED, affine_form

if TYPE_CHECKING:
    from collections.abc import Callable

    import tensorflow as tf

    from xaicore.inspect.facts import Facts
    from xaicore.protocols import OpCall, Setting
    from xaicore_lrp.rules import Backward, Bias
    from xaicore_lrp.signs import SignSplit, Tensors


@attrs.frozen
class Gamma:
    """``R_j = x_j sum_k (W_jk + gamma W_jk+) R_k / sum_i x_i (W_ik + gamma W_ik+)``: Montavon et al. 2019, sect. 10.2.

    For inputs of either sign, outputs of either sign (Andeol et al. 2023): with z_k > 0 what excites counts 1 + gamma
    times, ``z_k + gamma z_k+`` in the denominator; with z_k < 0 what inhibits does, ``z_k + gamma z_k-``; with z_k = 0
    nothing is passed on.  For x >= 0 and z > 0 it is the rule above; gamma=0 is the z rule, a large gamma nears z+.

    Args:
        gamma: How much more the favoured part counts.  The paper uses 0.25 in lower layers.
        bias: "publication" (or True): b takes part as weights do.  "ignore" (or False): without b; the sign of z_k with
            its bias still decides.
        stabilizer: Keeps the denominators away from zero; 0 divides, and an exact zero gives zero.
    """

    setting: ClassVar[Setting] = WEIGHTED

    gamma: float = attrs.field(default=0.5, converter=real(minimum=0.0))
    bias: Bias = attrs.field(default="publication", converter=BIAS)
    stabilizer: float = attrs.field(default=0.0, converter=real(minimum=0.0))

    def __call__(self, op: OpCall, *inputs: tf.Tensor) -> tuple[tf.Tensor, Backward]:
        """Return the output and relevance: (batch, *outputs) -> Relevance of (batch, *features)."""
        import tensorflow as tf

        from xaicore_lrp.signs import SignSplit, negative, positive
        from xaicore_lrp.stabilizer import account, divide, per_sample

        form, (x,) = affine_form(op, self), inputs
        bias = None if self.bias == "ignore" else form.bias
        own = form.apply(x, form.kernel, form.bias)
        split = SignSplit.of(form, x, nonnegative=op.facts.nonnegative[0])
        # No relevance arrives where z <= 0 if a ReLU follows and relevance is 0 where its output is.
        one_sided = form.unbounded and op.facts.weighted
        sides = [(None if one_sided else own > 0, *self._raised(split, split.agree, bias, positive))]
        if not one_sided:
            sides.append((own < 0, *self._raised(split, split.differ, bias, negative)))

        def backward(relevance: tf.Tensor) -> Relevance:
            left, shares = relevance, []
            sinks = {"bias": per_sample(tf.zeros_like(relevance)), "stabilizer": per_sample(tf.zeros_like(relevance))}
            for side, denominator, offset, pull in sides:
                arrived = relevance if side is None else tf.where(side, relevance, tf.zeros_like(relevance))
                left = left - arrived
                quotient = divide(arrived, denominator, self.stabilizer)
                shares.append(split.weigh(pull(quotient)))
                if op.sinks:
                    share = (1.0, denominator, quotient, offset)
                    for name, value in account(form, x, arrived, [share], self.stabilizer).items():
                        sinks[name] += value
            sinks["stabilizer"] += per_sample(left)
            return Relevance((tf.add_n(shares),), sinks if op.sinks else {})

        return form.activate(own), backward

    def effort(self, facts: Facts) -> Effort:
        """Return the passes of the two parts, one of them back; twice as wide where inputs have both signs."""
        wide = 1 if facts.nonnegative and facts.nonnegative[0] else 2
        sides = 1 if facts.relu else 2
        return Effort(passes=1 + 2 * wide * sides, sweeps=4 * sides, outputs=1 + sides, kernels=wide * sides)

    def _raised(
        self, split: SignSplit, kernels: Tensors, bias: tf.Tensor | None, part: Callable[[tf.Tensor], tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor | None, Callable[[tf.Tensor], Tensors]]:
        """Return denominator, the bias in it, and the way back, where the favoured part has these kernels."""
        import tensorflow as tf

        factor = tf.constant(self.gamma, split.form.kernel.dtype)
        raised = tuple(w + factor * kernel for w, kernel in zip(split.whole, kernels, strict=True))
        offset = None if bias is None else bias + factor * part(bias)
        denominator = split.apply(raised, offset)
        return denominator, offset, split.pull(raised, 1.0, denominator)
