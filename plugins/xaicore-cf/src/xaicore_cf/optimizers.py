"""Rules of descent: pure, and per sample, so that samples may leave the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from xaicore.errors import InvalidParameter
from xaicore.values import Array, numeric_or_array, real
from xaicore_cf.costs import per_feature, require_positive
from xaicore_cf.minimize import Descent

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.protocols import Tensors


@attrs.frozen
class Adam(Descent):
    """Kingma and Ba 2015, algorithm 1, each sample with means and a count of steps of its own.

        m <- beta_1 m + (1 - beta_1) g,   v <- beta_2 v + (1 - beta_2) g^2,
        step = -learning_rate * m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon)

    Args:
        learning_rate: About how far a feature goes in one step, in units of the input: positive, one number or one per
            feature, in the order of the flattened sample.  The default is for standardised features.
        beta_1: Share that the mean of gradients keeps, at least 0 and below 1.
        beta_2: Share that the mean of squared gradients keeps, at least 0 and below 1.
        epsilon: Below this size gradients no longer make full steps; positive.

    Departure: the paper's defaults, 0.001, 0.9 and 0.999, are for the noisy gradients of training.  These are exact, of
    an objective whose weights change on the way, and a short memory follows it in fewer steps.

    Raises:
        InvalidParameter: a value is outside its range.
    """

    learning_rate: float | Array = attrs.field(default=0.1, converter=numeric_or_array)
    beta_1: float = attrs.field(default=0.7, converter=real(minimum=0, maximum=1))
    beta_2: float = attrs.field(default=0.9, converter=real(minimum=0, maximum=1))
    epsilon: float = attrs.field(default=1e-8, converter=real(above=0))

    def __attrs_post_init__(self) -> None:
        """Refuse what does not descend."""
        require_positive("learning_rate", self.learning_rate, "Hold features by features=.")
        if 1 in {self.beta_1, self.beta_2}:
            raise InvalidParameter(f"Given beta_1={self.beta_1:g}, beta_2={self.beta_2:g}; expected numbers below 1.")

    def init(self, x: tf.Tensor) -> Tensors:
        """Return (m, v, t): zeros like x (batch, features), twice, and the count of steps (batch,)."""
        import tensorflow as tf

        return tf.zeros_like(x), tf.zeros_like(x), tf.zeros_like(x[:, 0])

    def update(self, gradient: tf.Tensor, state: Tensors, x: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
        """Return the step to add to x (batch, features), and the new state."""
        import tensorflow as tf

        m, v, t = state
        beta_1, beta_2, epsilon = (tf.constant(n, x.dtype) for n in (self.beta_1, self.beta_2, self.epsilon))
        t += 1
        m = beta_1 * m + (1 - beta_1) * gradient
        v = beta_2 * v + (1 - beta_2) * tf.square(gradient)
        mean = m / (1 - tf.pow(beta_1, t))[:, None]
        size = tf.sqrt(v / (1 - tf.pow(beta_2, t))[:, None])
        rate = per_feature("learning_rate", self.learning_rate, x)
        return -rate * mean / (size + epsilon), (m, v, t)
