"""The search with an optimizer of the host: C per copy, every point that is asked for judged and remembered."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import attrs

from xaicore_cf.copies import Copies, Given
from xaicore_cf.host import Said

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import tensorflow as tf

    from xaicore_cf.judge import Judge, Verdict

# Rows are filled up to a multiple of this; see ``xaicore_cf.search``.
_LANES = 16
# How often C is divided by ten for the copies that have met nothing valid; the paper's weight grows likewise.
_TENFOLD = 8
# Halvings between the sample and the nearest valid point met: 2^-20 of the way is below what float32 tells apart.
_HALVINGS = 20


@attrs.frozen(eq=False)
class HostSearch:
    """One search on one model, outside of any graph: a thread that waits inside of one would hold the others up.

    judge: what candidates cost, and whether they will do.
    opaque: whether the model calls a function on arrays, which may wait for TensorFlow itself: it is called directly.
    """

    judge: Judge
    opaque: bool = False
    judged: Callable[..., tuple[tf.Tensor, Verdict]] = attrs.field(init=False)

    @judged.default
    def _compiled(self) -> Callable[..., tuple[tf.Tensor, Verdict]]:
        import tensorflow as tf

        return self._judged if self.opaque else tf.function(self._judged, autograph=False, reduce_retracing=True)

    def run(self, copies: Copies, given: Given, ids: tf.Tensor) -> Copies:
        """Return the copies with the best that each has met; ids: (batch,) of the samples."""
        import numpy as np
        import tensorflow as tf

        settings, active = self.judge.settings, np.flatnonzero(copies.scale.numpy() > 0)
        if not len(active):
            return copies
        x, keys = copies.x.numpy()[active], np.repeat(ids.numpy(), settings.searches)[active]
        unit = units(self.judge, x)
        met = _Met(self.judged, Given(*(one.numpy()[active] for one in given)), x, unit)
        free = np.ones(x.shape, bool) if self.judge.box.free is None else np.broadcast_to(self.judge.box.free, x.shape)
        optimizer = settings.optimizer
        if getattr(optimizer, "seed", 0) is None:
            optimizer = attrs.evolve(optimizer, seed=settings.seed)
        for _ in range(_TENFOLD):
            left = np.flatnonzero(np.isinf(met.distance))
            if not len(left):
                break
            asked = functools.partial(met.moved, left)
            optimizer.solve(asked, np.zeros(x[left].shape), free[left], keys[left], settings.max_iter, 0.0)
            if getattr(optimizer, "weightless", False):
                break
            met.overshoot()
            met.lighten()
        met.halve()

        def back(every: tf.Tensor, some: np.ndarray) -> tf.Tensor:
            return tf.tensor_scatter_nd_update(every, active[:, None], some)

        return copies._replace(
            kept=back(copies.kept, met.best),
            distance=back(copies.distance, met.distance),
            effort=back(copies.effort, met.effort),
            steps=back(copies.steps, met.steps),
            found=back(copies.found, met.found),
        )

    def _judged(self, x: tf.Tensor, given: Given, unit: tf.Tensor) -> tuple[tf.Tensor, Verdict]:
        import tensorflow as tf

        box = self.judge.box
        inside = box.hold(x, given.original, given.baseline)
        point = box.snap(inside, given.original, given.baseline)
        verdict = self.judge(point, given, inside)
        slope = box.freed(given.weight[:, None] * verdict.near + verdict.far)
        # Beyond a bound nothing changes; an optimizer without bounds is told how far it has gone astray.
        astray = (x - inside) / unit
        slope = tf.where(astray == 0, slope, 2 * astray / unit)
        value = given.weight * verdict.distance + verdict.prediction + tf.reduce_sum(tf.square(astray), axis=1)
        return point, verdict._replace(near=slope, prediction=value, far=verdict.prediction[:, None])


def told_units(judge: Judge) -> np.ndarray:
    """Return the units of features as far as they are told, what broadcasts to (features,); NaN where they are not.

    The standard deviation of the reference; where there is none, or it is 0, a quarter of the distance of the bounds.
    """
    import numpy as np

    box, reference, unit = judge.box, judge.settings.reference, np.asarray(np.nan)
    told = [] if box.low is None or box.high is None else [np.asarray(box.high - box.low) / 4]
    if reference is not None:
        told.append(reference.data.reshape(len(reference.data), -1).std(0))
    for one in told:
        unit = np.where(np.isfinite(one) & (one > 0), one, unit)
    return unit


def units(judge: Judge, x: np.ndarray) -> np.ndarray:
    """Return how far a step of 1 of an optimizer goes in each feature, like x (copies, features), positive.

    What is told; where nothing is, the size of the feature in the sample, and 1 if that is smaller.
    """
    import numpy as np

    told = np.broadcast_to(told_units(judge), x.shape)
    return np.where(np.isnan(told), np.maximum(np.abs(x), 1), told).astype(x.dtype)


class _Met:
    """What has been met: of each copy the nearest valid point, or the one of smallest prediction cost."""

    def __init__(
        self, judged: Callable[..., tuple[tf.Tensor, Verdict]], given: Given, x: np.ndarray, unit: np.ndarray
    ) -> None:
        import numpy as np

        self._judged, self._given, self._begin, self._unit = judged, given, x, unit
        self.best = x.copy()
        self.distance = np.full(len(x), np.inf, x.dtype)
        self.effort = np.full(len(x), np.inf, x.dtype)
        self.steps = np.zeros(len(x), np.int32)
        self.found = given.weight.copy()
        self._optimum, self._least = x.copy(), np.full(len(x), np.inf, x.dtype)  # of the objective, where valid

    def ask(self, rows: np.ndarray, points: np.ndarray) -> Said:
        """Judge a point for each of some rows (k,), which may come several times, and remember the best."""
        import numpy as np
        import tensorflow as tf

        filled = np.concatenate([np.arange(len(rows)), np.full(-len(rows) % _LANES, len(rows) - 1)])
        given = Given(*(tf.constant(one[rows[filled]]) for one in self._given))
        asked = tf.constant(points.astype(self.best.dtype)[filled])
        unit = tf.constant(self._unit[rows[filled]])
        found = tf.nest.map_structure(lambda t: t.numpy()[: len(rows)], self._judged(asked, given, unit))
        point, verdict = found
        np.add.at(self.steps, rows, 1)
        valid, lost = verdict.valid, ~verdict.valid & np.isinf(self.distance[rows])
        _least(rows, verdict.far[:, 0], lost, point, self.best, self.effort)
        _least(rows, verdict.distance, valid, point, self.best, self.distance)
        _least(rows, verdict.prediction, valid, point, self._optimum, self._least)
        return Said(verdict.prediction, verdict.near, verdict.valid, verdict.distance)

    def moved(self, left: np.ndarray, rows: np.ndarray, away: np.ndarray) -> Said:
        """Judge points that are told by how far they are from the begin of their copies, in units of the features.

        left: the copies that are searched, of which rows (k,) are numbers.  away: (k, features).
        """
        import numpy as np

        copies = left[rows]
        said = self.ask(copies, self._begin[copies].astype(np.float64) + away * self._unit[copies])
        return said._replace(gradient=said.gradient * self._unit[copies])

    def overshoot(self) -> None:
        """Look behind the best points of copies that have met nothing valid: seen from the sample, ever farther.

        Where the prediction cost is 0 inside of a set and smooth at its end, as that of an interval, optimizers come as
        near to the set as one likes, and not into it.
        """
        import numpy as np

        for k in range(_HALVINGS, 0, -1):
            rows = np.flatnonzero(np.isinf(self.distance))
            if not len(rows):
                return
            begin, end = self._begin[rows].astype(np.float64), self.best[rows].astype(np.float64)
            self.ask(rows, begin + (1 + 2.0**-k) * (end - begin))

    def lighten(self) -> None:
        """Take a tenth of C for the copies that have met nothing valid."""
        import numpy as np

        lost = np.isinf(self.distance)
        self._given = self._given._replace(weight=np.where(lost, self._given.weight / 10, self._given.weight))
        self.found = np.where(lost, self._given.weight, self.found)

    def halve(self) -> None:
        """Look between where each copy began and two points that it has met.

        They are the nearest valid one, and the one where the objective was least: with a small C that lies behind the
        boundary, in the direction in which the boundary is near.
        """
        import numpy as np

        rows = np.flatnonzero(np.isfinite(self.distance))
        if len(rows):
            self._between(rows, self._optimum[rows].astype(np.float64))
            self._between(rows, self.best[rows].astype(np.float64))

    def _between(self, rows: np.ndarray, ends: np.ndarray) -> None:
        import numpy as np

        begin = self._begin[rows].astype(np.float64)
        low, high = np.zeros(len(rows)), np.ones(len(rows))
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            said = self.ask(rows, begin + middle[:, None] * (ends - begin))
            low, high = np.where(said.valid, low, middle), np.where(said.valid, middle, high)


def _least(
    rows: np.ndarray, values: np.ndarray, chosen: np.ndarray, point: np.ndarray, best: np.ndarray, least: np.ndarray
) -> None:
    """Write into ``best`` the chosen point of each row whose value is smallest, where it is below ``least``.

    rows, values, chosen: (k,), of points (k, features).  best: (copies, features).  least: (copies,).
    """
    import numpy as np

    places = np.flatnonzero(chosen)
    order = places[np.lexsort((values[places], rows[places]))]
    _, first = np.unique(rows[order], return_index=True)
    picked = order[first]
    picked = picked[values[picked] < least[rows[picked]]]
    best[rows[picked]], least[rows[picked]] = point[picked], values[picked]
