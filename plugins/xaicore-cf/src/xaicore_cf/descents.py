"""Further rules of descent: pure, and per sample.  See ``xaicore_cf.optimizers``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from xaicore.errors import InvalidParameter
from xaicore.values import Array, flag, numeric_or_array, real
from xaicore_cf.costs import per_feature, require_positive
from xaicore_cf.minimize import Descent
from xaicore_cf.optimizers import Adam

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.protocols import Tensors


@attrs.frozen
class Sgd(Descent):
    """``b <- momentum b + g``, step = -learning_rate b; with ``nesterov``, -learning_rate (g + momentum b).

    Polyak 1964; Sutskever et al. 2013, eqs. 1 to 4.

    Args:
        learning_rate: Positive, one number or one per feature of the flattened sample.
        momentum: Share of the last step that is kept, at least 0 and below 1.
        nesterov: Look ahead.
    """

    learning_rate: float | Array = attrs.field(default=0.1, converter=numeric_or_array)
    momentum: float = attrs.field(default=0.0, converter=real(minimum=0, maximum=1))
    nesterov: bool = attrs.field(default=False, converter=flag)

    def __attrs_post_init__(self) -> None:
        """Refuse what does not descend."""
        require_positive("learning_rate", self.learning_rate, "Hold features by features=.")
        if self.momentum == 1:
            raise InvalidParameter("Given momentum=1; expected a number below 1.")

    def init(self, x: tf.Tensor) -> Tensors:
        """Return (b,): zeros like x (batch, features)."""
        import tensorflow as tf

        return (tf.zeros_like(x),)

    def update(self, gradient: tf.Tensor, state: Tensors, x: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
        """Return the step to add to x (batch, features), and the new state."""
        import tensorflow as tf

        momentum = tf.constant(self.momentum, x.dtype)
        b = momentum * state[0] + gradient
        direction = gradient + momentum * b if self.nesterov else b
        return -per_feature("learning_rate", self.learning_rate, x) * direction, (b,)


@attrs.frozen
class RmsProp(Descent):
    """``v <- rho v + (1 - rho) g^2``, step = -learning_rate g / (sqrt(v) + epsilon): Tieleman and Hinton 2012.

    Args:
        learning_rate: Positive, one number or one per feature of the flattened sample.
        rho: Share that the mean of squared gradients keeps, at least 0 and below 1.
        epsilon: Below this size gradients no longer make full steps; positive.
    """

    learning_rate: float | Array = attrs.field(default=0.1, converter=numeric_or_array)
    rho: float = attrs.field(default=0.9, converter=real(minimum=0, maximum=1))
    epsilon: float = attrs.field(default=1e-8, converter=real(above=0))

    def __attrs_post_init__(self) -> None:
        """Refuse what does not descend."""
        require_positive("learning_rate", self.learning_rate, "Hold features by features=.")
        if self.rho == 1:
            raise InvalidParameter("Given rho=1; expected a number below 1.")

    def init(self, x: tf.Tensor) -> Tensors:
        """Return (v,): zeros like x (batch, features)."""
        import tensorflow as tf

        return (tf.zeros_like(x),)

    def update(self, gradient: tf.Tensor, state: Tensors, x: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
        """Return the step to add to x (batch, features), and the new state."""
        import tensorflow as tf

        rho, epsilon = tf.constant(self.rho, x.dtype), tf.constant(self.epsilon, x.dtype)
        v = rho * state[0] + (1 - rho) * tf.square(gradient)
        return -per_feature("learning_rate", self.learning_rate, x) * gradient / (tf.sqrt(v) + epsilon), (v,)


@attrs.frozen
class AdamW(Adam):
    """Adam whose steps also shrink x: ``step - learning_rate weight_decay x``, Loshchilov and Hutter 2019, algorithm 2.

    A feature that may not change does not shrink either.

    Args:
        weight_decay: At least 0.
    """

    weight_decay: float = attrs.field(default=0.004, converter=real(minimum=0))

    def update(self, gradient: tf.Tensor, state: Tensors, x: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
        """Return the step to add to x (batch, features), and the new state."""
        import tensorflow as tf

        step, state = super().update(gradient, state, x)
        rate = per_feature("learning_rate", self.learning_rate, x)
        return step - rate * tf.constant(self.weight_decay, x.dtype) * x, state


@attrs.frozen
class Nadam(Adam):
    """Adam that looks ahead, Dozat 2016, with a constant beta_1.

    step = -learning_rate (beta_1 m / (1 - beta_1^(t+1)) + (1 - beta_1) g / (1 - beta_1^t)) / (sqrt(v^) + epsilon)
    """

    def update(self, gradient: tf.Tensor, state: Tensors, x: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
        """Return the step to add to x (batch, features), and the new state."""
        import tensorflow as tf

        m, v, t = state
        beta_1, beta_2, epsilon = (tf.constant(n, x.dtype) for n in (self.beta_1, self.beta_2, self.epsilon))
        t += 1
        m = beta_1 * m + (1 - beta_1) * gradient
        v = beta_2 * v + (1 - beta_2) * tf.square(gradient)
        ahead = beta_1 * m / (1 - tf.pow(beta_1, t + 1))[:, None]
        mean = ahead + (1 - beta_1) * gradient / (1 - tf.pow(beta_1, t))[:, None]
        size = tf.sqrt(v / (1 - tf.pow(beta_2, t))[:, None])
        return -per_feature("learning_rate", self.learning_rate, x) * mean / (size + epsilon), (m, v, t)
