"""The search: all copies of all samples descend side by side in one loop, and leave it as they arrive.

Each copy minimises ``C * cost + prediction`` with a weight C of its own, which grows while the copy is valid (closer!)
and shrinks while it is not (further!), so that it is led along the boundary of the class; met for the first time, the
boundary is looked for again from the C given, because C may have had to shrink a long way.  Of all the points that a
copy has been at, the valid one of smallest cost is kept.  When a copy has left the class again and again without having
come nearer in it, its steps are halved; after a number of halvings it is done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import attrs

from xaicore_cf.classes import lead
from xaicore_cf.costs import kink, probability

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore_cf.copies import Copies, Given, Seen
    from xaicore_cf.counterfactual import Counterfactual
    from xaicore_cf.samples import Box

Look: TypeAlias = "Callable[[tf.Tensor, tf.Tensor, tf.Tensor], Seen]"

# Iterations between two looks at who has arrived: rare enough that taking rows out costs little.
_BLOCK = 25
# Rows are filled up to a multiple of this by copies of the last.  Products and elementwise functions of the last few
# rows of a tensor round differently, and a search that compares distances would take another way for it.
_LANES = 16
# Iterations without coming nearer that count like leaving the class too often: for copies that do not leave it.
_IDLE = 100
# A distance counts as nearer when it is smaller by this share; rounding would otherwise pass for progress.
_GAIN = 1e-4


@attrs.frozen(eq=False)
class Search:
    """One search on one model.

    settings: costs, optimizer and numbers.  box: where features may go.
    look: (x, original, index) -> what the model says at x.
    """

    settings: Counterfactual
    box: Box
    look: Look

    def run(self, copies: Copies, given: Given) -> Copies:
        """Return the copies after the search: block by block, those that have arrived left out."""
        import tensorflow as tf

        last = self.settings.max_iter

        def block(done: tf.Tensor, copies: Copies) -> tuple[tf.Tensor, Copies]:
            count = tf.minimum(_BLOCK, last - done)
            return done + count, self.block(copies, given, count)

        def searching(done: tf.Tensor, copies: Copies) -> tf.Tensor:
            return (done < last) & tf.reduce_any(self.active(copies))

        return tf.while_loop(searching, block, (0, copies), parallel_iterations=1)[1]

    def active(self, copies: Copies) -> tf.Tensor:
        """Return which copies have not arrived, (rows,)."""
        return copies.scale > 0.5**self.settings.halvings

    def block(self, copies: Copies, given: Given, count: tf.Tensor) -> Copies:
        """Return the copies with the active ones some iterations on; at least one has to be."""
        import tensorflow as tf

        rows = tf.where(self.active(copies))[:, 0]
        size = tf.size(rows)
        filled = tf.concat([rows, tf.fill([-size % _LANES], rows[-1])], 0)
        taken, of = (tf.nest.map_structure(lambda t: tf.gather(t, filled), both) for both in (copies, given))
        _, moved = tf.while_loop(
            lambda k, _: k < count, lambda k, c: (k + 1, self.iterate(c, of)), (0, taken), parallel_iterations=1
        )

        def back(every: tf.Tensor, some: tf.Tensor) -> tf.Tensor:
            return tf.tensor_scatter_nd_update(every, rows[:, None], some[:size])

        return tf.nest.map_structure(back, copies, moved)

    def iterate(self, copies: Copies, given: Given) -> Copies:
        """Return the copies one iteration on: judged where they are, and moved."""
        import tensorflow as tf

        x, settings = copies.x, self.settings
        logits, target, slope = self.look(x, given.original, given.index)
        with tf.GradientTape() as tape:
            tape.watch(x)
            known = {"original": given.original, "outputs": logits, "target": target}
            distance = settings.cost(x, **known)
            prediction = settings.prediction(x, **known)
            total = copies.weight * distance + prediction
        slope += tape.gradient(total, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        valid = self.valid(logits, target)
        weight = self.weighed(copies, given, valid)
        return self.move(self.keep(copies, distance, prediction, valid), given, slope)._replace(weight=weight)

    def valid(self, logits: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        """Return whether the target is predicted, and with the probability asked for, (rows,)."""
        import tensorflow as tf

        settings = self.settings
        valid = lead(logits, target) > tf.constant(settings.margin, logits.dtype)
        if settings.tol < 1:
            valid &= probability(logits, target) >= tf.constant(1 - settings.tol, logits.dtype)
        return valid

    def weighed(self, copies: Copies, given: Given, valid: tf.Tensor) -> tf.Tensor:
        """Return C for the next iteration, (rows,)."""
        import tensorflow as tf

        ratio = 1 + (self.settings.growth - 1) * copies.scale
        weight = tf.where(valid, copies.weight * ratio, copies.weight / ratio)
        first = valid & tf.math.is_inf(copies.distance)
        return tf.clip_by_value(tf.where(first, given.weight, weight), 1e-30, 1e30)  # within float32

    def keep(self, copies: Copies, distance: tf.Tensor, prediction: tf.Tensor, valid: tf.Tensor) -> Copies:
        """Return the copies with what they have met last weighed against what they keep."""
        import tensorflow as tf

        none, nothing = tf.zeros_like(copies.since), tf.math.is_inf(copies.distance)
        better = valid & (distance < copies.distance)
        take = better | (nothing & ~valid & (prediction < copies.effort))
        gained = valid & (distance < (1 - _GAIN) * copies.distance)
        left = tf.where(gained, none, copies.left + tf.cast(copies.inside & ~valid, tf.int32))
        since = tf.where(gained | (nothing & ~valid), none, copies.since + 1)
        stalled = (left >= self.settings.patience) | (since >= _IDLE)
        scale = tf.where(stalled, copies.scale / 2, copies.scale)
        nearest = tf.where(better, distance, copies.distance)
        return copies._replace(
            kept=tf.where(take[:, None], copies.x, copies.kept),
            distance=nearest,
            effort=tf.where(take, prediction, copies.effort),
            scale=tf.where(nearest == 0, tf.zeros_like(scale), scale),  # nothing can be nearer
            inside=valid,
            left=tf.where(stalled, none, left),
            since=tf.where(stalled, none, since),
            steps=copies.steps + 1,
        )

    def move(self, copies: Copies, given: Given, slope: tf.Tensor) -> Copies:
        """Return the copies one step on.  slope: (rows, features), the gradient of the objective.

        At a kink of the cost a feature leaves the original value where the rest is steeper than the kink, and one that
        would cross the original value stops there: Andrew and Gao 2007, who stay within an orthant, for any optimizer.
        """
        import tensorflow as tf

        settings, x, original = self.settings, copies.x, given.original
        away = x - original
        edge = kink(settings.cost, x)
        if edge is not None:
            edge *= copies.weight[:, None]
            slope = tf.where(away == 0, tf.sign(slope) * tf.nn.relu(tf.abs(slope) - edge), slope)
        slope = self.box.freed(slope)
        step, state = settings.optimizer.update(slope, copies.optimizer, x)
        moved = away + copies.scale[:, None] * step
        if edge is not None:
            side = tf.where(away == 0, -tf.sign(slope), tf.sign(away))
            moved = tf.where((edge > 0) & (tf.sign(moved) != side), tf.zeros_like(moved), moved)
        return copies._replace(x=self.box.hold(original + moved, original), optimizer=state)
