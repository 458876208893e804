"""Costs of what the model says: how far a candidate is from the target class, or from an interval."""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from xaicore.errors import InvalidParameter, MissingParameter
from xaicore.values import real
from xaicore_cf.costs import OUTPUTS, Cost, Known

if TYPE_CHECKING:
    import tensorflow as tf


@attrs.frozen
class NegativeLogLikelihood(Cost):
    """``-log p_t = log sum_j exp z_j - z_t``, computed from logits: finite and steep where p_t underflows."""

    reads: ClassVar[frozenset[str]] = OUTPUTS

    def of(self, x: tf.Tensor, known: Known) -> tf.Tensor:  # noqa: ARG002  # costs have one signature
        """Return (batch,)."""
        import tensorflow as tf

        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=known.target, logits=known.outputs)


@attrs.frozen
class Logistic(Cost):
    """``log(1 + exp(-(z_t - max over j other than t of z_j)))``: the likelihood against the strongest other class.

    Of two classes it is the negative log-likelihood.  Of more, its gradient is normal to the boundary of the class,
    while that of the likelihood also pushes down classes that do not matter there: what is nearest is then missed.
    """

    reads: ClassVar[frozenset[str]] = OUTPUTS

    def of(self, x: tf.Tensor, known: Known) -> tf.Tensor:  # noqa: ARG002  # costs have one signature
        """Return (batch,)."""
        import tensorflow as tf

        return tf.nn.softplus(-lead(known.outputs, known.target))


@attrs.frozen
class SquaredError(Cost):
    """``(p_t - value)^2`` with p_t the probability of the target class: Wachter et al. 2017, eq. 1 on a probability.

    Args:
        value: The probability to reach, from 0 to 1.
    """

    reads: ClassVar[frozenset[str]] = OUTPUTS

    value: float = attrs.field(default=1.0, converter=real(minimum=0, maximum=1))

    def of(self, x: tf.Tensor, known: Known) -> tf.Tensor:  # noqa: ARG002  # costs have one signature
        """Return (batch,)."""
        import tensorflow as tf

        return tf.square(probability(known.outputs, known.target) - tf.constant(self.value, known.outputs.dtype))


@attrs.frozen
class Hinge(Cost):
    """``max(0, margin - (z_t - max over j other than t of z_j))``: 0 from the margin on, Dhurandhar et al. 2018, eq. 2.

    Args:
        margin: By how much the target's logit has to lead.
    """

    reads: ClassVar[frozenset[str]] = OUTPUTS

    margin: float = attrs.field(default=1.0, converter=real(minimum=0))

    def of(self, x: tf.Tensor, known: Known) -> tf.Tensor:  # noqa: ARG002  # costs have one signature
        """Return (batch,)."""
        import tensorflow as tf

        return tf.nn.relu(tf.constant(self.margin, known.outputs.dtype) - lead(known.outputs, known.target))


def _bound(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise InvalidParameter(f"Given {value!r:.40} as an end of an interval; expected a finite number, or None.")
    return float(value)


@attrs.frozen
class Interval(Cost):
    """``max(0, low + inside - y)^2 + max(0, y + inside - high)^2``: 0 well within an interval; for regressions.

    y is the output as it is, no logit: that of the target's index, or the only one.  It will do from ``low`` to
    ``high``, ends included.

    Args:
        low: Lower end, None for none.
        high: Upper end, None for none.
        inside: How far behind an end the cost ends, half of the interval at most.  With 0 it is flat at the end itself,
            and what is nearest is only approached, as C falls.

    Raises:
        InvalidParameter: neither end is given, or low is above high.
    """

    reads: ClassVar[frozenset[str]] = OUTPUTS
    numbers: ClassVar[bool] = True

    low: float | None = attrs.field(default=None, converter=_bound)
    high: float | None = attrs.field(default=None, converter=_bound)
    inside: float = attrs.field(default=1.0, converter=real(minimum=0))

    def __attrs_post_init__(self) -> None:
        """Refuse an interval that is none."""
        ends = (-math.inf if self.low is None else self.low, math.inf if self.high is None else self.high)
        if ends == (-math.inf, math.inf) or ends[0] > ends[1]:
            kind = InvalidParameter if ends[0] > ends[1] else MissingParameter
            raise kind(f"Given low={self.low}, high={self.high}; expected an end at least, and low <= high.")

    def of(self, x: tf.Tensor, known: Known) -> tf.Tensor:  # noqa: ARG002  # costs have one signature
        """Return (batch,)."""
        import tensorflow as tf

        y = tf.gather(known.outputs, known.target, batch_dims=1)
        cost, half = tf.zeros_like(y), math.inf
        if self.low is not None and self.high is not None:
            half = (self.high - self.low) / 2
        inside = min(self.inside, half)
        if self.low is not None:
            cost += tf.square(tf.nn.relu(tf.constant(self.low + inside, y.dtype) - y))
        if self.high is not None:
            cost += tf.square(tf.nn.relu(y - tf.constant(self.high - inside, y.dtype)))
        return cost

    def met(self, outputs: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        """Return whether the output lies within, (batch,)."""
        import tensorflow as tf

        y = tf.gather(outputs, target, batch_dims=1)
        within = tf.ones_like(y, tf.bool)
        if self.low is not None:
            within &= y >= tf.constant(self.low, y.dtype)
        if self.high is not None:
            within &= y <= tf.constant(self.high, y.dtype)
        return within


def probability(outputs: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return the softmax of logits (batch, classes) at the target (batch,)."""
    import tensorflow as tf

    return tf.gather(tf.nn.softmax(outputs), target, batch_dims=1)


def lead(logits: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return by how much the target's logit leads the largest of the others, (rows,): the log of their odds."""
    import tensorflow as tf

    own = tf.one_hot(target, tf.shape(logits)[1], on_value=True, off_value=False, dtype=tf.bool)
    others = tf.where(own, tf.constant(float("-inf"), logits.dtype), logits)
    return tf.gather(logits, target, batch_dims=1) - tf.reduce_max(others, axis=1)
