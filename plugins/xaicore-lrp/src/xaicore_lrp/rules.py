"""Layer-wise relevance propagation: the rules of affine operations.

Notation: ``z_k = sum_j x_j W_jk + b_k`` is the pre-activation of one operation, ``v+ = max(v, 0)``, ``v- = min(v, 0)``,
R_k the relevance of output k, R_j that of input j.  The operation's own activation passes relevance unchanged.
A division by an exact zero gives zero; ``stabilizer=s`` divides by ``z + s*sign(z)`` instead, sign(0) = +1.

Law of every rule: the relevance of the inputs and the sinks sum to the relevance of the output, per sample.
Sinks: "bias" is the part of the bias; "stabilizer" is what the stabiliser keeps back, what is dropped at exact zeros,
and (alpha-beta) the inhibiting relevance of an output that nothing inhibits, which is negative.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import attrs

from xaicore.errors import InvalidParameter, MissingParameter
from xaicore.protocols import Effort, Relevance
from xaicore.values import choice, flag, optional, real
from xaicore_lrp.setting import WEIGHTED, affine_form

if TYPE_CHECKING:
    from collections.abc import Callable

    import tensorflow as tf

    from xaicore.inspect.affine import AffineForm
    from xaicore.inspect.facts import Facts
    from xaicore.protocols import OpCall, Setting
    from xaicore_lrp.signs import SignSplit

    Backward = Callable[[tf.Tensor], Relevance]

Bias = Literal["publication", "ignore", "innvestigate"]


def _spelled(bias: object) -> object:
    """Spell True and False as the first two ways to treat a bias."""
    return ("publication" if bias else "ignore") if isinstance(bias, bool) else bias


BIAS = attrs.converters.pipe(_spelled, choice("publication", "ignore", "innvestigate"))


@attrs.frozen
class Epsilon:
    """``R_j = x_j sum_k W_jk R_k / (z_k + epsilon*sign(z_k))``: Bach et al. 2015, eq. 58.

    Without epsilon (None) it is the z rule, eq. 56, which has a name of its own, ``lrp.z``.

    Args:
        epsilon: Keeps z away from zero, more than 0.  The paper names no value; 1e-7 is the published default of
            iNNvestigate.
        bias: "publication" (or True) keeps b in z; "ignore" (or False) leaves it out, so that nothing goes to it;
            "innvestigate" means the same as "publication" here.  Without it z can cancel where the output does not,
            most of all before a normalization, whose shift is left out too: relevance then has a pole, which float64
            mostly holds and float32 does not (``OverflowWarning``).
        stabilizer: What the z rule divides by beside z.

    Raises:
        InvalidParameter: epsilon is not positive, stabilizer is negative, or both are given.
    """

    setting: ClassVar[Setting] = WEIGHTED

    epsilon: float | None = attrs.field(default=1e-7, converter=optional(real(above=0.0)))
    bias: Bias = attrs.field(default="publication", converter=BIAS)
    stabilizer: float = attrs.field(default=0.0, converter=real(minimum=0.0))

    def __attrs_post_init__(self) -> None:
        """Refuse two stabilisers for one division."""
        if self.bias == "innvestigate":
            object.__setattr__(self, "bias", "publication")  # one spelling for one meaning
        if self.epsilon and self.stabilizer:
            raise InvalidParameter(
                f"Given epsilon={self.epsilon!r} and stabilizer={self.stabilizer!r}: both keep the same division away "
                "from zero. Give epsilon alone, or stabilizer to the z rule."
            )

    def __call__(self, op: OpCall, *inputs: tf.Tensor) -> tuple[tf.Tensor, Backward]:
        """Return the output and relevance: (batch, *outputs) -> Relevance of (batch, *features)."""
        from xaicore.engine.vjp import vjp
        from xaicore_lrp.stabilizer import account, divide

        form, (x,) = affine_form(op, self), inputs
        amount = self.epsilon or self.stabilizer
        bias = None if self.bias == "ignore" else form.bias
        z, pull = vjp(lambda x: form.apply(x, form.kernel, bias), x)
        own = z if bias is form.bias else form.apply(x, form.kernel, form.bias)
        output = form.activate(own)
        # Where y = max(z, 0) and no relevance arrives at y = 0, y stands for z: it is in memory, and its sign is known.
        rectified = form.unbounded and op.facts.weighted and bias is form.bias
        denominator = output if rectified else z

        def backward(relevance: tf.Tensor) -> Relevance:
            quotient = divide(relevance, denominator, amount, nonnegative=rectified)
            (gradient,) = pull(quotient)
            shares = [(1.0, denominator, quotient, bias)]
            return Relevance((x * gradient,), account(form, x, relevance, shares, amount) if op.sinks else {})

        return output, backward

    def effort(self, facts: Facts) -> Effort:  # noqa: ARG002  # other rules look at them
        """Return a gradient's passes, and a division: compare, select, add, divide, multiply, each op by op.

        The denominators are made on the way there, as nothing keeps them waiting, beside the output.
        """
        return Effort(passes=2, sweeps=6, outputs=2)


@attrs.frozen
class AlphaBeta:
    """``R_j = sum_k (alpha z_jk+ / z_k+ - beta z_jk- / z_k-) R_k``, ``z_jk = x_j W_jk``: Bach et al. 2015, eq. 60.

    ``z_k+ = sum_j z_jk+ + b_k+`` and ``z_k- = sum_j z_jk- + b_k-``, for inputs of either sign.  The paper writes beta
    with the other sign (alpha + beta = 1).  With alpha=1, beta=0, bias="ignore" it is the z+ rule of Montavon et al.
    2017, which the paper states for x >= 0.

    Args:
        alpha: At least 1; inferred from alpha - beta = 1 where only beta is given.
        beta: At least 0; inferred likewise.
        bias: "publication" (or True): as above.  "ignore" (or False): without b.  "innvestigate": the whole of b in
            both denominators, which that library does; a negative bias can then turn the sign of z_k+.
        stabilizer: Keeps both denominators away from zero; 0 divides, and an exact zero gives zero.
        assume_nonnegative: Take every input for non-negative, as z+ is often written: ``x W+`` with x as it is.  Wrong
            for inputs of both signs; where they are known to be non-negative, the same and no faster.

    Raises:
        InvalidParameter: alpha and beta are both missing, out of range, or alpha - beta is not 1.
    """

    setting: ClassVar[Setting] = WEIGHTED

    alpha: float = attrs.field(default=None, converter=optional(real(minimum=1.0)))
    beta: float = attrs.field(default=None, converter=optional(real(minimum=0.0)))
    bias: Bias = attrs.field(default="publication", converter=BIAS)
    stabilizer: float = attrs.field(default=0.0, converter=real(minimum=0.0))
    assume_nonnegative: bool = attrs.field(default=False, converter=flag)

    def __attrs_post_init__(self) -> None:
        """Infer a missing parameter from alpha - beta = 1, and check the law."""
        alpha, beta = _completed(self.alpha, self.beta)
        object.__setattr__(self, "alpha", alpha)
        object.__setattr__(self, "beta", beta)

    def __call__(self, op: OpCall, *inputs: tf.Tensor) -> tuple[tf.Tensor, Backward]:
        """Return the output and relevance: (batch, *outputs) -> Relevance of (batch, *features)."""
        from xaicore_lrp.signs import SignSplit
        from xaicore_lrp.stabilizer import account, divide

        form, (x,) = affine_form(op, self), inputs
        nonnegative = self.assume_nonnegative or op.facts.nonnegative[0]
        split = SignSplit.of(form, x, nonnegative=nonnegative)
        exciting, inhibiting = self._biases(form)
        plus = split.apply(split.agree, exciting)
        pull_plus = split.pull(split.agree, self.alpha, plus)
        if self.beta:
            minus = split.apply(split.differ, inhibiting)
            pull_minus = split.pull(split.differ, -self.beta, minus)
            output = form.activate(self._whole(split, plus, minus))
        else:
            output = form.activate(form.apply(x, form.kernel, form.bias))

        def backward(relevance: tf.Tensor) -> Relevance:
            quotient = divide(relevance, plus, self.stabilizer)
            gradients, shares = pull_plus(quotient), [(self.alpha, plus, quotient, exciting)]
            if self.beta:
                quotient = divide(relevance, minus, self.stabilizer)
                gradients = tuple(a + b for a, b in zip(gradients, pull_minus(quotient), strict=True))
                shares.append((-self.beta, minus, quotient, inhibiting))
            sinks = account(form, x, relevance, shares, self.stabilizer) if op.sinks else {}
            return Relevance((split.weigh(gradients),), sinks)

        return output, backward

    def effort(self, facts: Facts) -> Effort:
        """Return the passes of each part that is made, forward and back; twice as wide where inputs have both signs."""
        wide = 1 if facts.nonnegative and facts.nonnegative[0] else 2
        if self.beta:
            return Effort(passes=4 * wide, sweeps=6, outputs=3, kernels=2 * wide)
        return Effort(passes=1 + 2 * wide, sweeps=2, outputs=2, kernels=wide)

    def _biases(self, form: AffineForm) -> tuple[tf.Tensor | None, tf.Tensor | None]:
        """Return what stands in the denominators of the exciting and of the inhibiting part."""
        from xaicore_lrp.signs import negative, positive

        if form.bias is None or self.bias == "ignore":
            return None, None
        return (positive(form.bias), negative(form.bias)) if self.bias == "publication" else (form.bias, form.bias)

    def _whole(self, split: SignSplit, plus: tf.Tensor, minus: tf.Tensor) -> tf.Tensor:
        """Return the pre-activation; the two parts sum to it, and its own forward is not run."""
        if split.form.bias is None or self.bias == "publication":
            return plus + minus
        # The same convolutions as in plus and minus: TensorFlow merges equal ones.
        return split.apply(split.agree, split.form.bias) + split.apply(split.differ)


def _completed(alpha: float | None, beta: float | None) -> tuple[float, float]:
    """Return alpha and beta, one of them inferred from alpha - beta = 1; raises InvalidParameter."""
    given = f"Given alpha={alpha!r}, beta={beta!r}; "
    if alpha is None:
        if beta is None:
            raise MissingParameter(given + "expected at least one of them. For example alpha=2, beta=1.")
        return beta + 1, beta
    if beta is None:
        return alpha, alpha - 1
    # 1.1 - 0.1 is 1 only to rounding.
    if abs(alpha - beta - 1) > 1e-12 * alpha:
        raise InvalidParameter(given + "expected alpha - beta = 1, or relevance is not conserved. Give one of them.")
    return alpha, beta
