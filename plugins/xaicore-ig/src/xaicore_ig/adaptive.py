"""Integrated gradients to a stated error: nested rules, sample by sample, until what they say no longer changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from xaicore.analyzer import AnalyzerBase
from xaicore.backward import Backward
from xaicore.declaration import part
from xaicore.errors import InvalidParameter
from xaicore.protocols import Analyzer, Attribution
from xaicore.values import flag, integer, optional, real, site_text
from xaicore_ig.baselines import as_baseline, number_or_part, rows_of, starts
from xaicore_ig.levels import CHANGES, counted_at, gregory_levels, levels, stated_error
from xaicore_ig.line import Line, line, total

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import tensorflow as tf

    from xaicore.engine.program import Program
    from xaicore.engine.target import Target
    from xaicore.explanation import Explanation
    from xaicore.protocols import Step, Tensors

# Where the path leaves the baseline: at the baseline itself, activations may be at a tie that the path never meets.
# Far above the rounding of a dtype, and so small that what it changes is below every error that can be stated.
_START = {"float32": 2.0**-16, "float64": 2.0**-40}
_FIRST = 2  # the level where samples leave for the first time


@attrs.frozen(str=False)
class Adaptive(AnalyzerBase):
    """Integrated gradients of the gradient, with as many points as a sample needs.

        a^(l) = (x - b) * sum_k w_k^(l) df/dx (b + t_k (x - b)),   c_l = |a^(l) - a^(l-1)|_1 / |a^(l)|_1
        error = max(c_l / 2, 0.4 mean_j h_j + 0.5 std_j h_j),      h_j = c_(l-j) / 2^j, j = 0 to 3

    Level l is Gregory's rule on 3, 5, 9, ... points: the trapezoidal rule with corrections at its ends (Davis and
    Rabinowitz 1984, section 2.9).  Each level has the points of the one before, whose gradients are used again.  A
    sample is done when its error is at most ``tolerance``, after 9 points at the earliest, and leaves the batch.
    On paths with kinks, as ReLU makes them, errors fall like 1/n, so that half of a change is about the error of the
    last level, and h_j is what the change j levels ago lets expect of this one.  A path with few kinks can change
    little by luck just where it is asked whether it is done: then the changes before it say more, and so does how much
    they scatter.  Where the last change is below an eighth of the one before, the path is smooth, and the error is c_l
    at most, far above the true one.  A small ``residual`` would not do instead: it
    can vanish while the attributions are wrong.

    Extras: ``error``, (batch,), at least some units of rounding; ``steps``, (batch,), the gradients taken;
    ``residual``, what completeness misses.

    Args:
        tolerance: Largest error, relative to the L1 norm of a sample's attributions.
        max_steps: Most steps from point to point, so that 256 allow 257 points, both ends among them; a sample that is
            above the tolerance there keeps what it has, with a warning.
        baseline: As in ``ig.integrated_gradients``, one for each sample.
        at: As there.
        inner: A plain gradient: its ``score`` counts.
        prefix: As there.
    """

    tolerance: float = attrs.field(default=1e-2, converter=real(above=0))
    max_steps: int = attrs.field(default=256, converter=integer(minimum=5))
    baseline: Any = part("baseline", literal=True, default=0.0, converter=number_or_part)
    at: str | None = attrs.field(default=None, converter=optional(site_text))
    inner: Analyzer = part("analyzer", factory=Backward)
    prefix: bool = attrs.field(default=True, converter=flag)

    def __attrs_post_init__(self) -> None:
        """Refuse several baselines, and an inner analyzer whose integral has no meaning."""
        if as_baseline(self.baseline).count != 1:
            raise InvalidParameter(f"Given baseline={self.baseline!r}; expected one for each sample.")
        inner = self.inner
        if not (isinstance(inner, Backward) and inner.rules == () and not inner.times_input and inner.at is None):
            raise InvalidParameter(f"Given inner={inner!r}; expected the gradient.")

    @property
    def claims(self) -> frozenset[str]:
        """Completeness, up to the error."""
        return frozenset({"completeness"})

    def passes(self, inner: float) -> float:
        """Return two forwards and 9 gradients, which smooth models take; kinks take more."""
        return 2 + 9 * inner

    def spared(self, program: Program) -> float:
        """Return what the linear prefix takes of a pass."""
        from xaicore.engine.prefix import spared

        moving = len(program.graph.input_names) if self.at is None else 1
        return spared(program, moving) if self.prefix else 0.0

    def rows(self, program: Program) -> int | None:
        """Return for how many samples there are baselines of their own."""
        return rows_of(self.baseline, program.graph)

    def starts(self, inputs: Sequence[np.ndarray], ids: np.ndarray) -> list[np.ndarray]:
        """Return the baselines, like the inputs."""
        return starts(self.baseline, inputs, ids)

    def check_program(self, program: Program) -> None:
        """Refuse a baseline that does not fit the inputs."""
        as_baseline(self.baseline).check(program.graph)

    def warn_about(self, explanation: Explanation) -> None:
        """Warn of samples whose error is above the tolerance."""
        error = explanation.extras.get("error")  # an analyzer around this one may leave it out
        missed = 0 if error is None else int((error > self.tolerance).sum())
        if missed:
            from warnings import warn

            from xaicore.errors import ToleranceWarning

            warn(
                f"{missed} of {error.size} explanations are above the tolerance {self.tolerance:g} after "
                f"{levels(self.max_steps)[-1]} points; the largest error is {error.max():.2g}. Raise "
                "max_steps or the tolerance; explanation.error tells of each.",
                ToleranceWarning,
                stacklevel=2,
            )

    def attribute(self, program: Program) -> Step:
        """Return the step: a loop over levels, of those samples that are not done."""
        self.check_program(program)
        head, tail, count = None, program, 0
        if self.at is not None:
            head, tail = program.cut(self.at)
            count = len(program.tensors_at(self.at))
        self.inner.attribute(tail)

        def step(inputs: Tensors, target: Target, ids: tf.Tensor) -> Attribution:
            import tensorflow as tf

            start = as_baseline(self.baseline)(inputs, ids, tf.zeros_like(ids, tf.int32))
            end, inside = inputs, tail
            if head is not None:
                values = head(inputs)
                end, start, inside = values[:count], head(start)[:count], tail.given(values[count:])
            outputs = inside.outputs(end)
            fixed = target.anchor(outputs)
            scores = fixed(outputs)
            found, error, steps = self._refined(_Problem(inside, start, end, fixed, ids))
            change = scores - fixed(inside.outputs(start))
            residual = total(found, scores.dtype) - change
            return Attribution(found, scores, {"residual": residual, "error": error, "steps": steps})

        return step

    def _refined(self, problem: _Problem) -> tuple[Tensors, tf.Tensor, tf.Tensor]:
        """Return attributions, error and number of points for each sample."""
        import tensorflow as tf

        from xaicore.engine.refine import refine

        sizes = levels(self.max_steps)
        end, batch = problem.end, tf.shape(problem.ids)[0]
        dtype = end[0].dtype
        grid, table = gregory_levels(len(sizes))
        nodes, weights = tf.constant(grid.clip(_START[dtype.name]), dtype), tf.constant(table, dtype)
        offsets = tf.constant([0, *sizes])

        counted = tf.constant([counted_at(level) for level in range(len(sizes))])

        def one(number: tf.Tensor, active: tf.Tensor, state: Tensors) -> tuple[Tensors, Tensors, tf.Tensor]:
            *sums, changes = state
            new = slice(offsets[number], offsets[number + 1])
            added, now, before = self._level(problem.of(active), nodes[new], weights[new], number, tuple(sums))
            change = total(tuple(tf.abs(a - b) for a, b in zip(now, before, strict=True)), dtype)
            # No attribution at all, at this level and the one before, is an answer.
            relative = tf.math.divide_no_nan(change, total(tuple(map(tf.abs, now)), dtype))
            changes = tf.concat([relative[:, None], changes[:, :-1] / 2], 1)
            error = stated_error(changes, counted[number])
            points = tf.fill(tf.shape(active), offsets[number + 1])
            going = (error > tf.constant(self.tolerance, dtype)) | (number < _FIRST)
            return (*added, changes), (*now, error, points), going

        behind = problem.line(prefix=self.prefix)  # for the shapes of its ends; the rest is pruned from the trace
        empty = tuple(tf.zeros(tf.concat([[batch, len(sizes)], tf.shape(e)[1:]], 0), e.dtype) for e in behind.end)
        results = (*map(tf.zeros_like, end), tf.zeros([batch], dtype), tf.zeros([batch], tf.int32))
        shaped = tuple(
            tf.ensure_shape(s, [None, len(sizes), *e.shape[1:]]) for s, e in zip(empty, behind.end, strict=True)
        )
        history = tf.zeros([batch, CHANGES], dtype)
        *kept, error, points = refine(len(sizes), (*shaped, history), results, one)
        return tuple(kept), error, points

    def _level(
        self, problem: _Problem, nodes: tf.Tensor, weights: tf.Tensor, number: tf.Tensor, sums: Tensors
    ) -> tuple[Tensors, Tensors, Tensors]:
        """Return the sums for every level with new points added, and the attributions of this level and the one before.

        The weights of a point differ from level to level, so that there is a sum for each, and no gradient is kept.
        """
        import tensorflow as tf

        from xaicore.engine.copies import weighted_sum

        behind = problem.line(prefix=self.prefix)
        points = behind.points(nodes)
        terms = weighted_sum(self.inner.attribute, behind.program, problem.target, problem.ids, weights, points)
        added = tuple(tf.ensure_shape(s + t, [None, *s.shape[1:]]) for s, t in zip(sums, terms, strict=True))
        now, before = (
            behind.finish(tuple(tf.gather(a, tf.maximum(at, 0), axis=1) for a in added)) for at in (number, number - 1)
        )
        return added, now, before


@attrs.frozen(eq=False)
class _Problem:
    """What is integrated, for some samples of a batch."""

    program: Program
    start: Tensors
    end: Tensors
    target: Target
    ids: tf.Tensor

    def of(self, rows: tf.Tensor) -> _Problem:
        """Return the problem of the samples with these numbers."""
        import tensorflow as tf

        def some(tensors: Tensors) -> Tensors:
            return tuple(tf.gather(t, rows) for t in tensors)

        index = self.target.index
        target = attrs.evolve(self.target, index=None if index is None else tf.gather(index, rows))
        program = self.program.given(some(self.program.context))
        return _Problem(program, some(self.start), some(self.end), target, tf.gather(self.ids, rows))

    def line(self, *, prefix: bool) -> Line:
        """Return the line between the ends."""
        return line(self.program, self.start, self.end, prefix=prefix)
