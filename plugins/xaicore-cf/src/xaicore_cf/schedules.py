"""How the weight of the cost changes during a search, where it is not adapted at every step: round by round."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import attrs

from xaicore.values import flag, integer, real
from xaicore_cf.costs import Named

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.protocols import Tensors

# By how much of itself an objective has to have fallen since the last look: Carlini and Wagner's program.
_FALLEN = 1e-4


class Turn(NamedTuple):
    """What a schedule says after an iteration, (rows,) each.

    weight: C from now on.  anew: whether the optimizer begins anew.  back: whether the copy goes back to its start too.
    over: whether the copy is done.  state: the schedule's own.
    """

    weight: tf.Tensor
    anew: tf.Tensor
    back: tf.Tensor
    over: tf.Tensor
    state: Tensors


@runtime_checkable
class Schedule(Protocol):
    """Decides C for each copy.  Law: pure, and per row, so that samples may leave the batch."""

    def init(self, weight: tf.Tensor) -> Tensors:
        """Return the state before the first iteration; weight: (rows,), the C given."""
        ...

    def scale(self, weight: tf.Tensor, state: Tensors) -> tf.Tensor:
        """Return the factor on the optimizer's step, (rows,)."""
        ...

    def turn(self, weight: tf.Tensor, valid: tf.Tensor, still: tf.Tensor, objective: tf.Tensor, state: Tensors) -> Turn:
        """Return what follows.

        valid: whether the candidate will do.  still: whether the step moved nothing.  objective: its value, (rows,).
        """
        ...


@attrs.frozen
class Rounds(Named):
    """Rounds of descent with c = 1 / C constant in each, c found by growing and then halving.

        c <- factor c while no round has met a valid candidate, then the middle of the largest c that has met none and
        the smallest that has;   step of the optimizer times (1 - k / steps)^decay in iteration k of a round

    Carlini and Wagner 2017, section VI; the search for pertinent negatives of Dhurandhar et al. 2018 has 10 rounds of
    1000 steps from c = 10, each from the sample, and decay 0.5.

    Args:
        rounds: How many.
        steps: Iterations of each; a round whose candidate no longer moves is cut short.
        looks: How often in a round it is looked whether the objective still falls; where it has not fallen by 1e-4 of
            itself since the last look the round is cut short, as in the program of Carlini and Wagner.  0 for never.
        factor: Above 1.
        back: Whether each round begins at the start of its copy, and not where the last one ended.
        decay: At least 0; 0 leaves the steps as they are.
        by_cost: Whether the optimizer's steps are those on c times the prediction and the cost once: divided by C.
        near: A copy is done before its rounds are when the two c differ by this share of the larger; 0 for never.
        any_met: Whether a round has met something when any of its candidates was valid; else its last one has to be.
    """

    rounds: int = attrs.field(default=10, converter=integer(minimum=1))
    steps: int = attrs.field(default=1000, converter=integer(minimum=1))
    factor: float = attrs.field(default=10.0, converter=real(above=1))
    back: bool = attrs.field(default=True, converter=flag)
    decay: float = attrs.field(default=0.5, converter=real(minimum=0))
    by_cost: bool = attrs.field(default=True, converter=flag)
    near: float = attrs.field(default=0.0, converter=real(minimum=0, maximum=1))
    looks: int = attrs.field(default=10, converter=integer(minimum=0))
    any_met: bool = attrs.field(default=True, converter=flag)

    def init(self, weight: tf.Tensor) -> Tensors:
        """Return (low, high, k, round, hit, last): the ends of c, counts, 1 where something was met, the last look."""
        import tensorflow as tf

        none, never = tf.zeros_like(weight), tf.fill(tf.shape(weight), tf.constant(float("inf"), weight.dtype))
        return none, never, none, none, none, never

    def scale(self, weight: tf.Tensor, state: Tensors) -> tf.Tensor:
        """Return the factor on the optimizer's step, (rows,)."""
        import tensorflow as tf

        left = tf.pow(1 - state[2] / self.steps, tf.constant(self.decay, weight.dtype))
        return left / weight if self.by_cost else left

    def turn(self, weight: tf.Tensor, valid: tf.Tensor, still: tf.Tensor, objective: tf.Tensor, state: Tensors) -> Turn:
        """Return what follows an iteration."""
        import tensorflow as tf

        low, high, k, count, hit, last = state
        now = tf.cast(valid, weight.dtype)
        hit = tf.maximum(hit, now) if self.any_met else now
        k += 1
        ended = still | (k >= self.steps)
        if self.looks:
            look = tf.math.floormod(k, max(1, self.steps // self.looks)) == 0
            ended |= look & (objective > last * (1 - _FALLEN * tf.sign(last)))
            last = tf.where(look, objective, last)
        c, met = 1 / weight, hit > 0
        high = tf.where(ended & met, tf.minimum(high, c), high)
        low = tf.where(ended & ~met, tf.maximum(low, c), low)
        known = tf.math.is_finite(high)
        after = tf.where(known, (low + tf.where(known, high, low)) / 2, c * self.factor)
        weight = tf.where(ended, 1 / tf.minimum(after, tf.constant(1e30, c.dtype)), weight)  # within float32
        count += tf.cast(ended, count.dtype)
        over = (count >= self.rounds) | (known & (high - low < self.near * high))
        none = tf.zeros_like(k)
        last = tf.where(ended, tf.constant(float("inf"), c.dtype), last)
        state = (low, high, tf.where(ended, none, k), count, tf.where(ended, none, hit), last)
        return Turn(weight, ended, ended if self.back else tf.zeros_like(ended), over, state)
