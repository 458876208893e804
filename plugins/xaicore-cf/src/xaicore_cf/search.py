"""The search: all copies of all samples descend side by side in one loop, and leave it as they arrive.

Each copy minimises ``C * cost + prediction`` with a weight C of its own, which grows while the copy is valid (closer!)
and shrinks while it is not (further!), so that it is led along the boundary of the class; met for the first time, the
boundary is looked for again from the C given, because C may have had to shrink a long way.  Of all the points that a
copy has been at, the valid one of smallest cost is kept.  When a copy has left the class again and again without having
come nearer in it, its steps are halved; after a number of halvings it is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from xaicore_cf.costs import kink

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore_cf.box import Box
    from xaicore_cf.copies import Copies, Given
    from xaicore_cf.counterfactual import Counterfactual
    from xaicore_cf.judge import Judge, Verdict

# Iterations between two looks at who has arrived: rare enough that taking rows out costs little.
_BLOCK = 25
# Rows are filled up to a multiple of this by copies of the last.  Products and elementwise functions of the last few
# rows of a tensor round differently, and a search that compares distances would take another way for it.
_LANES = 16
# Iterations without coming nearer that count like leaving the class too often: for copies that do not leave it.
_IDLE = 100
# A distance counts as nearer when it is smaller by this share; rounding would otherwise pass for progress.
_GAIN = 1e-4
# Iterations' worth of a smaller C for a copy that is held where it is.
_HELD = 5
# Of C, within float32; and of a slope: optimizers take squares, and 1e-12 has one in float32.
_LEAST, _FLAT = 1e-30, 1e-12


def _told_apart(slope: tf.Tensor) -> tf.Tensor:
    """Return the gradient of the objective, made longer where its square would be 0: far from a class it fades."""
    import tensorflow as tf

    size = tf.reduce_max(tf.abs(slope), axis=1, keepdims=True)
    flat = tf.constant(_FLAT, slope.dtype)
    return tf.where((size > 0) & (size < flat), slope * (flat / tf.where(size > 0, size, flat)), slope)


@attrs.frozen(eq=False)
class Search:
    """One search on one model.

    judge: what candidates cost, and whether they will do.
    """

    judge: Judge

    @property
    def settings(self) -> Counterfactual:
        """The numbers of the search."""
        return self.judge.settings

    @property
    def box(self) -> Box:
        """Where features may go."""
        return self.judge.box

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

        # Those that go together stay together: they arrive at the same time, and stand one behind the other.
        n = self.settings.n
        active = tf.where(self.active(copies)[::n])[:, 0]
        filled = tf.concat([active, tf.fill([-tf.size(active) % _LANES], active[-1])], 0)
        filled = tf.reshape(filled[:, None] * n + tf.range(n, dtype=tf.int64), [-1])
        size = tf.size(active) * n
        rows = filled[:size]
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

        point = self.box.snap(copies.x, given.original, given.baseline)
        verdict = self.judge(point, given, copies.x)
        slope = copies.weight[:, None] * verdict.near + verdict.far
        kept = self.keep(copies, point, verdict)
        if self.settings.schedule is not None:
            return self.scheduled(copies, kept, given, verdict, _told_apart(slope))
        weight = self.weighed(copies, given, verdict.valid)
        moved = self.move(kept, given, _told_apart(slope))
        # Where the cost's kinks hold every feature nothing is lost by taking less of it at once; a copy that has met
        # something is near the kink's own C, and would lose what it has found out about it.
        stuck = tf.reduce_all(moved.x == copies.x, axis=1) & ~verdict.valid & tf.math.is_inf(copies.distance)
        ratio = tf.constant(self.settings.growth**_HELD, weight.dtype)
        return moved._replace(weight=tf.where(stuck, tf.maximum(weight / ratio, _LEAST), weight))

    def scheduled(self, copies: Copies, kept: Copies, given: Given, verdict: Verdict, slope: tf.Tensor) -> Copies:
        """Return the copies one step on, with C as the schedule says; steps are never halved."""
        import tensorflow as tf

        schedule = self.settings.schedule
        moved = self.move(kept._replace(scale=schedule.scale(copies.weight, copies.schedule)), given, slope)
        still = tf.reduce_all(moved.x == copies.x, axis=1)
        objective = copies.weight * verdict.distance + verdict.prediction
        turn = schedule.turn(copies.weight, verdict.valid, still, objective, copies.schedule)
        fresh = self.settings.optimizer.init(moved.x)
        none, one = tf.zeros_like(kept.scale), tf.ones_like(kept.scale)
        return moved._replace(
            x=tf.where(turn.back[:, None], copies.begin[0], moved.x),
            weight=turn.weight,
            scale=tf.where(turn.over | (kept.distance == 0), none, one),
            optimizer=tuple(
                tf.where(tf.reshape(turn.anew, [-1] + [1] * (new.shape.rank - 1)), new, old)
                for new, old in zip(fresh, moved.optimizer, strict=True)
            ),
            schedule=turn.state,
        )

    def weighed(self, copies: Copies, given: Given, valid: tf.Tensor) -> tf.Tensor:
        """Return C for the next iteration, (rows,)."""
        import tensorflow as tf

        ratio = 1 + (self.settings.growth - 1) * copies.scale
        weight = tf.where(valid, copies.weight * ratio, copies.weight / ratio)
        first = valid & tf.math.is_inf(copies.distance)
        return tf.clip_by_value(tf.where(first, given.weight, weight), _LEAST, 1 / _LEAST)  # within float32

    def keep(self, copies: Copies, point: tf.Tensor, verdict: Verdict) -> Copies:
        """Return the copies with what they have met last weighed against what they keep."""
        import tensorflow as tf

        none, nothing = tf.zeros_like(copies.since), tf.math.is_inf(copies.distance)
        valid, distance = verdict.valid, verdict.distance
        better = valid & (distance < copies.distance)
        take = better | (nothing & ~valid & (verdict.prediction < copies.effort))
        gained = valid & (distance < (1 - _GAIN) * copies.distance)
        left = tf.where(gained, none, copies.left + tf.cast(copies.inside & ~valid, tf.int32))
        since = tf.where(gained | (nothing & ~valid), none, copies.since + 1)
        stalled = (left >= self.settings.patience) | (since >= _IDLE)
        scale = tf.where(stalled, copies.scale / 2, copies.scale)
        nearest = tf.where(better, distance, copies.distance)
        return copies._replace(
            kept=tf.where(take[:, None], point, copies.kept),
            found=tf.where(take, copies.weight, copies.found),
            distance=nearest,
            effort=tf.where(take, verdict.prediction, copies.effort),
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
        An optimizer with a threshold of its own takes the kink out of its steps itself.
        """
        import tensorflow as tf

        settings, x, origin = self.settings, copies.x, given.origin(self.box)
        away = x - origin
        edge = kink(settings.cost, x)
        if edge is not None:
            edge *= copies.weight[:, None] / settings.n  # of n that go together the mean counts
        if getattr(settings.optimizer, "thresholds", False):
            slope = slope if edge is None else slope - tf.sign(away) * edge
            step, state = settings.optimizer.shrink(
                self.box.freed(slope), copies.optimizer, away, edge, copies.scale[:, None]
            )
            moved = away + step
        else:
            if edge is not None:
                slope = tf.where(away == 0, tf.sign(slope) * tf.nn.relu(tf.abs(slope) - edge), slope)
            slope = self.box.freed(slope)
            step, state = settings.optimizer.update(slope, copies.optimizer, x)
            moved = away + copies.scale[:, None] * step
            if edge is not None:
                side = tf.where(away == 0, -tf.sign(slope), tf.sign(away))
                moved = tf.where((edge > 0) & (tf.sign(moved) != side), tf.zeros_like(moved), moved)
        x = self.box.hold(origin + moved, given.original, given.baseline)
        return copies._replace(x=x, optimizer=state)
