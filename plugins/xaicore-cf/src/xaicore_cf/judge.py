"""What a candidate costs, where it is to go, and whether it will do."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import attrs

from xaicore_cf.costs import leaves
from xaicore_cf.outcomes import lead, probability
from xaicore_cf.plausible import Diversity

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore_cf.box import Box
    from xaicore_cf.copies import Given, Seen
    from xaicore_cf.counterfactual import Counterfactual

# How far a probability may lie from the value to reach where nothing is said: alibi's, after Wachter et al. 2017.
NEAR = 0.05

Look: TypeAlias = "Callable[[tf.Tensor, tf.Tensor, tf.Tensor], Seen]"


class Verdict(NamedTuple):
    """Of each candidate: (rows,) or (rows, features).

    distance, prediction: the two costs.  near, far: their gradients.  valid: whether it will do.
    Of n candidates that go together all have the same distance, the mean and how alike they are, and ``valid``.
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

    def __call__(self, x: tf.Tensor, given: Given, moved: tf.Tensor) -> Verdict:
        """Return the verdict on candidates x (rows, features), which lie in the box.

        moved: where they were before categories and whole numbers were made of them.
        """
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
        return found if settings.n == 1 else self._together(x, moved, found)

    def settled(self, given: Given) -> tf.Tensor:
        """Return which samples will do as they are, (rows,); of pertinent positives, which baselines."""
        origin = given.origin(self.box)
        return self._will_do(origin, self.look(origin, given.original, given.index), given)

    def valid(self, x: tf.Tensor, seen: Seen, given: Given) -> tf.Tensor:
        """Return whether candidates will do, (rows,): reached, plausible where that is asked for, and in the box."""
        return self._will_do(x, seen, given) & self.box.within(x, given.original, given.baseline)

    def _will_do(self, x: tf.Tensor, seen: Seen, given: Given) -> tf.Tensor:
        import tensorflow as tf

        settings, reached = self.settings, self.reached(seen)
        if settings.plausibility is None:
            return reached
        rare = settings.plausibility(x, original=given.origin(self.box), outputs=seen.logits, target=seen.target)
        return reached & (rare <= tf.constant(settings.threshold, rare.dtype))

    def reached(self, seen: Seen) -> tf.Tensor:
        """Return whether candidates are where they are to go, (rows,).

        What the user's predicate says; else what the parts of the prediction cost say of themselves, or whether the
        probability is near the value that they name; else whether the target is predicted, and near to certainty where
        that is asked for.
        """
        import tensorflow as tf

        settings, logits = self.settings, seen.logits
        if seen.met is not None:
            return seen.met
        said = []
        for part in leaves(settings.prediction):
            content, value = getattr(part, "met", None), getattr(part, "value", 1.0)
            if content is not None:
                said.append(content(logits, seen.target))
            elif value < 1:
                tol = tf.constant(NEAR if settings.tol is None else settings.tol, logits.dtype)
                said.append(tf.abs(probability(logits, seen.target) - tf.constant(value, logits.dtype)) <= tol)
        if not said:
            said.append(lead(logits, seen.target) > tf.constant(settings.margin, logits.dtype))
            if settings.tol is not None and settings.tol < 1:
                said.append(probability(logits, seen.target) >= tf.constant(1 - settings.tol, logits.dtype))
        return functools.reduce(tf.logical_and, said)

    def _together(self, x: tf.Tensor, moved: tf.Tensor, one: Verdict) -> Verdict:
        """Return the verdict on candidates that go together: the mean of their distances and how alike they are.

        How alike they are is told at x, and its slope at ``moved``: of candidates that are equal none is told where to
        go.
        """
        import tensorflow as tf

        n = self.settings.n

        def mean(t: tf.Tensor) -> tf.Tensor:
            return tf.repeat(tf.reduce_mean(tf.reshape(t, [-1, n]), axis=1), n)

        cost = Diversity() if self.settings.diversity is None else self.settings.diversity

        def alike(x: tf.Tensor) -> tf.Tensor:
            among = tf.reshape(x, [-1, n, *x.shape[1:]])
            return cost(among, original=among, outputs=among[:, 0], target=among[:, 0])

        with tf.GradientTape() as tape:
            tape.watch(moved)
            apart = alike(moved)
        distance = mean(one.distance) + tf.repeat(alike(x), n)
        near = one.near / n + tape.gradient(apart, moved)
        valid = one.valid & ~repeated(x, n)
        valid = tf.repeat(tf.reduce_all(tf.reshape(valid, [-1, n]), axis=1), n)
        return Verdict(distance, one.prediction, near, one.far / n, valid)


def repeated(x: tf.Tensor, n: int) -> tf.Tensor:
    """Return which candidates (rows, features) are equal to an earlier one of the n that go together, (rows,)."""
    import numpy as np
    import tensorflow as tf

    among = tf.reshape(x, [-1, n, tf.shape(x)[1]])
    same = tf.reduce_all(among[:, :, None] == among[:, None], axis=3)
    earlier = tf.constant(np.tri(n, k=-1, dtype=bool))
    return tf.reshape(tf.reduce_any(same & earlier, axis=2), [-1])
