"""The search with an optimizer of the host: a fixed C per copy, every point that is asked for judged and remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np
import tensorflow as tf

from xaicore.errors import InvalidParameter
from xaicore_cf.copies import Copies, Given
from xaicore_cf.host import HostOptimizer, Said

if TYPE_CHECKING:
    from collections.abc import Callable

    from xaicore_cf.judge import Judge, Verdict

# Rows are filled up to a multiple of this; see ``xaicore_cf.search``.
_LANES = 16
# Halvings between the sample and the nearest valid point met: 2^-20 of the way is below what float32 tells apart.
_HALVINGS = 20


def is_hosted(optimizer: object) -> bool:
    """Return whether an optimizer runs on the host."""
    return isinstance(optimizer, HostOptimizer)


@attrs.frozen(eq=False)
class HostSearch:
    """One search on one model; ``Search.run``'s signature.

    judge: what candidates cost, and whether they will do; it runs outside of the step's graph.
    """

    judge: Judge

    def run(self, copies: Copies, given: Given, ids: tf.Tensor) -> Copies:
        """Return the copies with the best that each has met; ids: (batch,) of the samples.

        Raises:
            InvalidParameter: samples have no fixed length.
        """
        if copies.x.shape[1] is None:
            raise InvalidParameter(
                "Given an optimizer of the host for a model that takes samples of any length; take one of the loop, "
                "such as cf.adam, or a model of a fixed length."
            )
        every = tf.repeat(ids, self.judge.settings.copies)
        dtype = copies.x.dtype
        kept, distance, effort, steps = tf.numpy_function(
            self._search, [copies.x, *given, every], [dtype, dtype, dtype, tf.int32], stateful=False
        )
        return copies._replace(
            kept=tf.ensure_shape(kept, copies.kept.shape),
            distance=tf.ensure_shape(distance, copies.distance.shape),
            effort=tf.ensure_shape(effort, copies.effort.shape),
            steps=tf.ensure_shape(steps, copies.steps.shape),
        )

    def _search(self, x: np.ndarray, *rest: np.ndarray) -> tuple[np.ndarray, ...]:
        *arrays, ids = rest
        settings, box = self.judge.settings, self.judge.box
        met = _Met(self._compiled(), Given(*arrays), x)
        free = np.ones(x.shape, bool) if box.free is None else np.broadcast_to(box.free, x.shape)
        settings.optimizer.solve(met.ask, x, free, ids, settings.max_iter, 0.0)
        met.halve()
        return met.best, met.distance, met.effort, met.steps

    def _compiled(self) -> Callable[..., tuple[tf.Tensor, Verdict]]:
        box, judge = self.judge.box, self.judge

        def judged(x: tf.Tensor, given: Given) -> tuple[tf.Tensor, Verdict]:
            inside = box.hold(x, given.original, given.baseline)
            point = box.snap(inside, given.original)
            verdict = judge(point, given)
            slope = box.freed(given.weight[:, None] * verdict.near + verdict.far)
            # Beyond a bound nothing changes, which is what an optimizer without bounds has to be told.
            slope = tf.where(inside == x, slope, tf.zeros_like(slope))
            value = given.weight * verdict.distance + verdict.prediction
            return point, verdict._replace(near=slope, prediction=value, far=verdict.prediction[:, None])

        return tf.function(judged, autograph=False, reduce_retracing=True)


class _Met:
    """What has been met: of each copy the nearest valid point, or the one of smallest prediction cost."""

    def __init__(self, judged: Callable[..., tuple[tf.Tensor, Verdict]], given: Given, x: np.ndarray) -> None:
        self._judged, self._given, self._begin = judged, given, x
        self.best = x.copy()
        self.distance = np.full(len(x), np.inf, x.dtype)
        self.effort = np.full(len(x), np.inf, x.dtype)
        self.steps = np.zeros(len(x), np.int32)
        self._optimum, self._least = x.copy(), np.full(len(x), np.inf, x.dtype)  # of the objective, where valid

    def ask(self, rows: np.ndarray, points: np.ndarray) -> Said:
        """Judge a point for each of some rows (k,), which may come several times, and remember the best."""
        filled = np.concatenate([np.arange(len(rows)), np.full(-len(rows) % _LANES, len(rows) - 1)])
        given = Given(*(tf.constant(one[rows[filled]]) for one in self._given))
        asked = tf.constant(points.astype(self.best.dtype)[filled])
        found = tf.nest.map_structure(lambda t: t.numpy()[: len(rows)], self._judged(asked, given))
        point, verdict = found
        np.add.at(self.steps, rows, 1)
        order = np.lexsort((verdict.distance, ~verdict.valid))[::-1]  # the best of a row is written last
        for k in order:
            self._weigh(rows[k], point[k], verdict.distance[k], verdict.far[k, 0], valid=bool(verdict.valid[k]))
            if verdict.valid[k] and verdict.prediction[k] < self._least[rows[k]]:
                self._optimum[rows[k]], self._least[rows[k]] = point[k], verdict.prediction[k]
        return Said(verdict.prediction, verdict.near, verdict.valid, verdict.distance)

    def _weigh(self, row: int, point: np.ndarray, distance: float, effort: float, *, valid: bool) -> None:
        if valid and distance < self.distance[row]:
            self.best[row], self.distance[row] = point, distance
        elif np.isinf(self.distance[row]) and effort < self.effort[row]:
            self.best[row], self.effort[row] = point, effort

    def halve(self) -> None:
        """Look between where each copy began and two points that it has met.

        They are the nearest valid one, and the one where the objective was least: with a small C that lies behind the
        boundary, in the direction in which the boundary is near.
        """
        rows = np.flatnonzero(np.isfinite(self.distance))
        if len(rows):
            self._between(rows, self._optimum[rows].astype(np.float64))
            self._between(rows, self.best[rows].astype(np.float64))

    def _between(self, rows: np.ndarray, ends: np.ndarray) -> None:
        begin = self._begin[rows].astype(np.float64)
        low, high = np.zeros(len(rows)), np.ones(len(rows))
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            said = self.ask(rows, begin + middle[:, None] * (ends - begin))
            low, high = np.where(said.valid, low, middle), np.where(said.valid, middle, high)
