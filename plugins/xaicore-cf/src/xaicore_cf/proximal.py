"""Accelerated proximal descent: the smooth part by its gradient, the norm by shrinking."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from xaicore.values import Array, numeric_or_array
from xaicore_cf.costs import per_feature, require_positive
from xaicore_cf.minimize import Descent

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.protocols import Tensors


@attrs.frozen
class Proximal(Descent):
    """FISTA, Beck and Teboulle 2009, eqs. 4.1 to 4.3, with the momentum k / (k + 3): features that L1 keeps stay exact.

        d <- S(u - learning_rate g(u), learning_rate C kink),   S(v, t) = sign(v) max(|v| - t, 0),
        u <- d + k / (k + 3) (d - d of the step before)

    u is the change of the input where the model is asked, g the gradient of the objective without the norm.  Without
    a norm in the cost it is Nesterov's accelerated gradient.

    Departure: the momentum of the paper is (t - 1) / t', t' = (1 + sqrt(1 + 4 t^2)) / 2; k / (k + 3) is that of
    Chambolle and Dossal 2015 with a = 3, whose iterates converge, and of the code of Dhurandhar et al. 2018.

    Args:
        learning_rate: Positive, one number or one per feature of the flattened sample.
    """

    thresholds: ClassVar[bool] = True

    learning_rate: float | Array = attrs.field(default=0.1, converter=numeric_or_array)

    def __attrs_post_init__(self) -> None:
        """Refuse what does not descend."""
        require_positive("learning_rate", self.learning_rate, "Hold features by features=.")

    def init(self, x: tf.Tensor) -> Tensors:
        """Return (d, k): zeros like x (batch, features), and the count of steps (batch,)."""
        import tensorflow as tf

        return tf.zeros_like(x), tf.zeros_like(x[:, 0])

    def update(self, gradient: tf.Tensor, state: Tensors, x: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
        """Return the step to add to x (batch, features), and the new state; without a norm."""
        # d is kept relative to x, which alone does not tell how far it has come.
        d, k = state
        change = -per_feature("learning_rate", self.learning_rate, x) * gradient
        step = change + (k / (k + 3))[:, None] * (change - d)
        return step, (change - step, k + 1)

    def shrink(
        self, gradient: tf.Tensor, state: Tensors, away: tf.Tensor, edge: tf.Tensor | None, scale: tf.Tensor
    ) -> tuple[tf.Tensor, Tensors]:
        """Return the step to add to the change u (batch, features), and the new state.

        gradient: of the smooth part.  edge: slope of the norm, like u, or None.  scale: factor on the learning rate.
        """
        import tensorflow as tf

        d, k = state
        rate = scale * per_feature("learning_rate", self.learning_rate, away)
        found = away - rate * gradient
        if edge is not None:
            found = tf.sign(found) * tf.nn.relu(tf.abs(found) - rate * edge)
        share = (k / (k + 3))[:, None]
        return found + share * (found - d) - away, (found, k + 1)
