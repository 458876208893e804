"""Accelerated proximal descent: the smooth part by its gradient, the norm by shrinking."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from xaicore.values import Array, flag, numeric_or_array
from xaicore_cf.costs import per_feature, require_positive
from xaicore_cf.minimize import Descent

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.protocols import Tensors

# Longest step, in learning rates: where the objective is flat, curvature would allow any.
_MOST = 10.0


@attrs.frozen
class Proximal(Descent):
    """FISTA, Beck and Teboulle 2009, eqs. 4.1 to 4.3, with the momentum k / (k + 3): features that L1 keeps stay exact.

        d <- S(u - rate g(u), rate C kink),   S(v, t) = sign(v) max(|v| - t, 0),
        u <- d + k / (k + 3) (d - d of the step before),
        rate = learning_rate f,   f <- min(f sqrt(1 + f / f of the step before), |u - u_0| / (2 |g - g_0|), 10)

    u is the change of the input where the model is asked, g the gradient of the objective without the norm.  Without
    a norm in the cost it is Nesterov's accelerated gradient.  f is a local estimate of what the curvature allows, as
    Malitsky and Mishchenko 2020, eq. 4, have it, and k is 0 again where the momentum leads uphill, O'Donoghue and
    Candes 2015, eq. 13; both of each sample for itself, and without asking the model once more, as a line search would.

    Departure: the momentum of the paper is (t - 1) / t', t' = (1 + sqrt(1 + 4 t^2)) / 2; k / (k + 3) is that of
    Chambolle and Dossal 2015 with a = 3, whose iterates converge, and of the code of Dhurandhar et al. 2018.

    Args:
        learning_rate: Positive, one number or one per feature of the flattened sample.
        adaptive: Whether f and k are adapted; if not, f is 1 and k grows.
    """

    thresholds: ClassVar[bool] = True

    learning_rate: float | Array = attrs.field(default=0.1, converter=numeric_or_array)
    adaptive: bool = attrs.field(default=True, converter=flag)

    def __attrs_post_init__(self) -> None:
        """Refuse what does not descend."""
        require_positive("learning_rate", self.learning_rate, "Hold features by features=.")

    def init(self, x: tf.Tensor) -> Tensors:
        """Return (d, k, u, g, f, r): of the step before, and by how much f has grown; like x, or (batch,)."""
        import tensorflow as tf

        nothing, one = tf.zeros_like(x), tf.ones_like(x[:, 0])
        return nothing, 0 * one, nothing, nothing, one, one

    def update(self, gradient: tf.Tensor, state: Tensors, x: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
        """Return the step to add to x (batch, features), and the new state; without a norm."""
        import tensorflow as tf

        # Changes are kept relative to x, which alone does not tell how far it has come.
        whole = tf.ones_like(x[:, :1])
        step, (d, k, _, *rest) = self.shrink(gradient, state, tf.zeros_like(x), None, whole)
        return step, (d - step, k, -step, *rest)

    def shrink(
        self, gradient: tf.Tensor, state: Tensors, away: tf.Tensor, edge: tf.Tensor | None, scale: tf.Tensor
    ) -> tuple[tf.Tensor, Tensors]:
        """Return the step to add to the change u (batch, features), and the new state.

        gradient: of the smooth part.  edge: slope of the norm, like u, or None.  scale: factor on the learning rate.
        """
        import tensorflow as tf

        d, k, *before = state
        unit = per_feature("learning_rate", self.learning_rate, away)
        factor, ratio = self._factor(gradient, away, unit, before)
        rate = scale * factor[:, None] * unit
        found = away - rate * gradient
        if edge is not None:
            found = tf.sign(found) * tf.nn.relu(tf.abs(found) - rate * edge)
        # Where the momentum leads uphill it begins anew, each sample for itself.
        uphill = tf.reduce_sum((away - found) * (found - d) / unit, axis=1) > 0
        if self.adaptive:
            k = tf.where(uphill, tf.zeros_like(k), k)
        share = (k / (k + 3))[:, None]
        step = found + share * (found - d) - away
        return step, (found, k + 1, away, gradient, factor, ratio)

    def _factor(
        self, gradient: tf.Tensor, away: tf.Tensor, unit: tf.Tensor, before: list[tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the factor on the learning rate, (batch,), and by how much it has grown."""
        import tensorflow as tf

        u, g, factor, ratio = before
        if not self.adaptive:
            return factor, ratio
        moved = tf.sqrt(tf.reduce_sum(tf.square(away - u) / unit, axis=1))
        turned = tf.sqrt(tf.reduce_sum(tf.square(gradient - g) * unit, axis=1))
        curved = (moved > 0) & (turned > 0)
        known = tf.where(curved, moved / tf.where(curved, 2 * turned, tf.ones_like(turned)), factor)
        most = tf.minimum(tf.sqrt(1 + ratio) * factor, tf.constant(_MOST, factor.dtype))
        now = tf.where(curved, tf.minimum(most, known), factor)
        return now, now / factor
