"""What a candidate costs, where it is to go, and whether it will do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import attrs

from xaicore_cf.outcomes import lead, probability
from xaicore_cf.plausible import Diversity

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore_cf.box import Box
    from xaicore_cf.copies import Given, Seen
    from xaicore_cf.counterfactual import Counterfactual

Look: TypeAlias = "Callable[[tf.Tensor, tf.Tensor, tf.Tensor], Seen]"


class Verdict(NamedTuple):
    """Of each candidate: (rows,) or (rows, features).

    distance, prediction: the two costs.  near, far: their gradients.  valid: whether it will do.
    Of n candidates that go together all have the same distance and prediction, the mean, and the same ``valid``.
    """

    distance: tf.Tensor
    prediction: tf.Tensor
    near: tf.Tensor
    far: tf.Tensor
    valid: tf.Tensor


@attrs.frozen(eq=False)
class Judge:
    """Judges candidates of one model.

    settings: costs and numbers.  box: where features may go.  look: (x, original, index) -> what the model says at x.
    """

    settings: Counterfactual
    box: Box
    look: Look

    def __call__(self, x: tf.Tensor, given: Given) -> Verdict:
        """Return the verdict on candidates x (rows, features), which lie in the box."""
        import tensorflow as tf

        settings, origin = self.settings, given.origin(self.box)
        seen = self.look(x, given.original, given.index)
        known = {"original": origin, "outputs": seen.logits, "target": seen.target}
        with tf.GradientTape() as tape:
            tape.watch(x)
            distance = settings.cost(x, **known)
        near = tape.gradient(distance, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        with tf.GradientTape() as tape:
            tape.watch(x)
            prediction = settings.prediction(x, **known)
        far = seen.slope + tape.gradient(prediction, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        found = Verdict(distance, prediction, near, far, self.valid(x, seen, given))
        return found if settings.n == 1 else self._together(x, found)

    def valid(self, x: tf.Tensor, seen: Seen, given: Given) -> tf.Tensor:
        """Return whether candidates will do, (rows,): reached, and plausible where that is asked for."""
        import tensorflow as tf

        settings, reached = self.settings, self.reached(seen)
        if settings.plausibility is None:
            return reached
        rare = settings.plausibility(x, original=given.origin(self.box), outputs=seen.logits, target=seen.target)
        return reached & (rare <= tf.constant(settings.threshold, rare.dtype))

    def reached(self, seen: Seen) -> tf.Tensor:
        """Return whether candidates are where they are to go, (rows,).

        What the user's predicate says; else what the prediction cost says of itself; else whether the target is
        predicted, and with the probability asked for: one below 1 may be reached without being predicted.
        """
        import tensorflow as tf

        settings, logits = self.settings, seen.logits
        if seen.met is not None:
            return seen.met
        content = getattr(settings.prediction, "met", None)
        if content is not None:
            return content(logits, seen.target)
        value = getattr(settings.prediction, "value", 1.0)
        wanted = tf.constant(value - settings.tol, logits.dtype)
        if value < 1:
            return probability(logits, seen.target) >= wanted
        valid = lead(logits, seen.target) > tf.constant(settings.margin, logits.dtype)
        if settings.tol < 1:
            valid &= probability(logits, seen.target) >= wanted
        return valid

    def _together(self, x: tf.Tensor, one: Verdict) -> Verdict:
        """Return the verdict on candidates that go together: the mean of their costs and how alike they are."""
        import tensorflow as tf

        n = self.settings.n

        def mean(t: tf.Tensor) -> tf.Tensor:
            return tf.repeat(tf.reduce_mean(tf.reshape(t, [-1, n]), axis=1), n)

        distance, near = mean(one.distance), one.near
        cost = Diversity() if self.settings.diversity is None else self.settings.diversity
        with tf.GradientTape() as tape:
            tape.watch(x)
            among = tf.reshape(x, [-1, n, *x.shape[1:]])
            alike = cost(among, original=among, outputs=among[:, 0], target=among[:, 0])
        distance += tf.repeat(alike, n)
        near += tape.gradient(alike, x)
        valid = tf.repeat(tf.reduce_all(tf.reshape(one.valid, [-1, n]), axis=1), n)
        return Verdict(distance, mean(one.prediction), near, one.far, valid)
