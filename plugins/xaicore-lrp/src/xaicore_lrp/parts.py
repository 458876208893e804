"""Layer-wise relevance propagation: rules whose pieces are weighed one by one, and those of a sign alone.

None of them conserves relevance, so none of them claims to.  Notation as in ``rules``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from xaicore.errors import InvalidParameter
from xaicore.protocols import Effort, Relevance
from xaicore.values import Array, choice, numeric_or_array, real
from xaicore_lrp.rules import BIAS
from xaicore_lrp.setting import SETTING, WEIGHTED, affine_form

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.inspect.facts import Facts
    from xaicore.protocols import OpCall, Setting
    from xaicore_lrp.rules import Backward, Bias

_PAIR = 2


def _pair(value: Any) -> tuple[float, float]:
    numbers = isinstance(value, tuple | list) and len(value) == _PAIR
    if not numbers or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in value):
        raise InvalidParameter(f"Given {value!r}; expected two numbers, for positive and for negative inputs.")
    return float(value[0]), float(value[1])


@attrs.frozen
class AlphaBetaX:
    """Four parts by the signs of input and weight, each with a denominator of its own.

        R_j = sum_k (a_0 x+W+ / z++ + a_1 x-W- / z-- - b_0 x+W- / z+- - b_1 x-W+ / z-+) R_k

    ``z++ = sum_j x_j+ W_jk+ + b_k+`` and so on, each with the half of the bias that has the weights' sign: the rule for
    batch normalization of iNNvestigate, stated there without a publication.  Relevance is conserved only where the
    four factors' parts that are not empty sum to one.

    Args:
        alpha: (a_0, a_1), for the parts that excite.
        beta: (b_0, b_1), for the parts that inhibit.
        stabilizer: Keeps the denominators away from zero; 0 divides, and an exact zero gives zero.
    """

    setting: ClassVar[Setting] = attrs.evolve(WEIGHTED, claims=frozenset())

    alpha: tuple[float, float] = attrs.field(default=(0.5, 0.5), converter=_pair)
    beta: tuple[float, float] = attrs.field(default=(0.5, 0.5), converter=_pair)
    stabilizer: float = attrs.field(default=0.0, converter=real(minimum=0.0))

    def __call__(self, op: OpCall, *inputs: tf.Tensor) -> tuple[tf.Tensor, Backward]:
        """Return the output and relevance: (batch, *outputs) -> Relevance of (batch, *features)."""
        import tensorflow as tf

        from xaicore.engine.vjp import vjp
        from xaicore_lrp.signs import negative, positive
        from xaicore_lrp.stabilizer import divide

        form, (x,) = affine_form(op, self), inputs
        terms = []
        for factor, of_x, of_w in self._terms(positive, negative):
            part, kernel = of_x(x), of_w(form.kernel)
            bias = None if form.bias is None else of_w(form.bias)
            terms.append((factor, part, *vjp(lambda v, w=kernel, b=bias: form.apply(v, w, b), part)))

        def backward(relevance: tf.Tensor) -> Relevance:
            shares = [
                tf.constant(factor, x.dtype) * part * pull(divide(relevance, z, self.stabilizer))[0]
                for factor, part, z, pull in terms
            ]
            return Relevance((tf.add_n(shares) if shares else tf.zeros_like(x),))

        return op.forward(x), backward

    def effort(self, facts: Facts) -> Effort:  # noqa: ARG002  # other rules look at them
        """Return the forward, and two passes for each part that counts."""
        parts = sum(factor != 0 for factor in (*self.alpha, *self.beta))
        return Effort(passes=1 + 2 * parts, sweeps=2 * parts, outputs=1 + parts, kernels=2)

    def _terms(self, positive: Any, negative: Any) -> list[tuple[float, Any, Any]]:
        """Return (factor, part of the input, part of the weights), those of factor 0 left out."""
        (a0, a1), (b0, b1) = self.alpha, self.beta
        exciting = [(a0, positive, positive), (a1, negative, negative)]
        inhibiting = [(-b0, positive, negative), (-b1, negative, positive)]
        return [term for term in (*exciting, *inhibiting) if term[0] != 0]


@attrs.frozen
class StdxEpsilon:
    """The epsilon rule with ``epsilon = stdfactor * std(x)``, x the layer's own input: SIGN-XAI's.

    Args:
        stdfactor: Of the population's standard deviation.
        scope: "sample": over each sample's input, so that it is explained alone as in a batch.  "batch": over the whole
            batch's, as SIGN-XAI does; a sample's relevance then depends on its batch mates.
        bias: "publication" (or True) keeps b in z; "ignore" (or False) leaves it out.
    """

    setting: ClassVar[Setting] = WEIGHTED

    stdfactor: float = attrs.field(default=0.25, converter=real(minimum=0.0))
    scope: str = attrs.field(default="sample", converter=choice("sample", "batch"))
    bias: Bias = attrs.field(default="publication", converter=BIAS)

    def __call__(self, op: OpCall, *inputs: tf.Tensor) -> tuple[tf.Tensor, Backward]:
        """Return the output and relevance: (batch, *outputs) -> Relevance of (batch, *features)."""
        import tensorflow as tf

        from xaicore.engine.vjp import vjp
        from xaicore_lrp.stabilizer import per_sample

        form, (x,) = affine_form(op, self), inputs
        bias = None if self.bias == "ignore" else form.bias
        z, pull = vjp(lambda x: form.apply(x, form.kernel, bias), x)
        own = z if bias is form.bias else form.apply(x, form.kernel, form.bias)
        axes = list(range(1 if self.scope == "sample" else 0, x.shape.rank))
        spread = tf.constant(self.stdfactor, x.dtype) * tf.math.reduce_std(x, axes)
        step = tf.reshape(spread, [-1] + [1] * (z.shape.rank - 1)) * tf.where(z >= 0, tf.ones_like(z), -tf.ones_like(z))

        def backward(relevance: tf.Tensor) -> Relevance:
            quotient = tf.math.divide_no_nan(relevance, z + step)
            shares = (x * pull(quotient)[0],)
            if not op.sinks:
                return Relevance(shares)
            offset = form.apply(tf.zeros_like(x[:1]), form.kernel, bias)
            to_bias = per_sample(quotient * offset) if bias is not None else tf.zeros_like(per_sample(relevance))
            return Relevance(shares, {"bias": to_bias, "stabilizer": per_sample(relevance - quotient * z)})

        return form.activate(own), backward

    def effort(self, facts: Facts) -> Effort:  # noqa: ARG002  # other rules look at them
        """Return a gradient's passes, a deviation and a division."""
        return Effort(passes=2, sweeps=4)


@attrs.frozen
class Sign:
    """``R_j = s_j sum_k W_jk R_k / z_k``, s_j = -1 where x_j < mu, else +1: Gumpfer et al. 2023, for the first layer.

    What the z rule gives, without the size of the input: zeros and small inputs count like large ones.  As an analyzer
    it is the rule of the first layer, and the z rule that of the others: where inputs do not weight relevance, it grows
    from layer to layer.

    Args:
        mu: Where the sign changes: a number, or an array that broadcasts to one sample of the layer's input.
        bias: "publication" (or True) keeps b in z; "ignore" (or False) leaves it out.
        stabilizer: Keeps z away from zero; 0 divides, and an exact zero gives zero.
    """

    setting: ClassVar[Setting] = attrs.evolve(
        SETTING, applies="first", companions=(("affine", "lrp.z"), *SETTING.companions), claims=frozenset()
    )

    mu: float | Array = attrs.field(default=0.0, converter=numeric_or_array)
    bias: Bias = attrs.field(default="publication", converter=BIAS)
    stabilizer: float = attrs.field(default=0.0, converter=real(minimum=0.0))

    def __call__(self, op: OpCall, *inputs: tf.Tensor) -> tuple[tf.Tensor, Backward]:
        """Return the output and relevance: (batch, *outputs) -> Relevance of (batch, *features)."""
        import numpy as np
        import tensorflow as tf

        from xaicore.engine.vjp import vjp
        from xaicore_lrp.stabilizer import divide

        form, (x,) = affine_form(op, self), inputs
        bias = None if self.bias == "ignore" else form.bias
        z, pull = vjp(lambda x: form.apply(x, form.kernel, bias), x)
        own = z if bias is form.bias else form.apply(x, form.kernel, form.bias)
        below = x < tf.constant(np.asarray(self.mu), x.dtype)

        def backward(relevance: tf.Tensor) -> Relevance:
            (gradient,) = pull(divide(relevance, z, self.stabilizer))
            return Relevance((tf.where(below, -gradient, gradient),))

        return form.activate(own), backward

    def effort(self, facts: Facts) -> Effort:  # noqa: ARG002  # other rules look at them
        """Return a gradient's passes, and a division."""
        return Effort(passes=2, sweeps=2)
