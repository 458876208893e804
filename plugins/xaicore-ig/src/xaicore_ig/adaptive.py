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
from xaicore_ig.levels import nested_levels, stated_error
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
_FIRST, _FIRST_WITH_JUMPS = 3, 5  # the levels of 9 and 21 points, where samples leave for the first time


@attrs.frozen(str=False)
class Adaptive(AnalyzerBase):
    """Integrated gradients of the gradient, with as many points as a sample needs.

        a^(l) = (x - b) * sum_k w_k^(l) df/dx (b + t_k (x - b)),   c_l = |a^(l) - a^(l-1)|_1 / |a^(last)|_1
        error = mean_r e_r + 1.75 std_r e_r,  e_r^2 = sum over quarters q of the path of s c_(l(q, r))^2,  r = 1, 2, 3

    Levels have 2, 3, 5, 9, 17 points; then the steps of one quarter of the path at a time are halved: 21, 25, 29, 33,
    41, ...  Each level has the points of the one before, whose gradients are used again, and the weights nearest to
    the trapezoidal rule's that integrate polynomials exactly, of degree 8 at 9 points.  A sample is done when its error
    is at most ``tolerance``, and leaves the batch.
    Level l(q, 1) is the one that divided quarter q last, l(q, 2) the one before, l(q, 3) one more.  Where gradients
    jump, as at the kinks of ReLU, a change and the error that is left are both sums over jumps; s is the ratio of
    their mean squares with jumps anywhere in the quarter.  That makes three readings of one error.  On a path with few
    jumps one can be small by luck; so how much they scatter counts too, and no such sample is done before 21 points.
    On a smooth path readings fall; the error is at most 1.5 e_1 then, and 9 points may do.
    Departure: the change is not the error but what it is read off: 1.7 times the error, where all steps are halved.
    A small ``residual`` would not do instead: it can vanish while the attributions are wrong.

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
                f"{nested_levels(self.max_steps).sizes[-1]} points; the largest error is {error.max():.2g}. Raise "
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

        levels = nested_levels(self.max_steps)
        count, end, batch = len(levels.sizes), problem.end, tf.shape(problem.ids)[0]
        dtype = end[0].dtype
        nodes, weights, expected = (
            tf.constant(array, dtype)
            for array in (levels.nodes.clip(_START[dtype.name]), levels.weights, levels.expected)
        )
        offsets = tf.constant([0, *levels.sizes])

        def one(number: tf.Tensor, active: tf.Tensor, state: Tensors) -> tuple[Tensors, Tensors, tf.Tensor]:
            *sums, changes = state
            new = slice(offsets[number], offsets[number + 1])
            added, now, before = self._level(problem.of(active), nodes[new], weights[new], number, tuple(sums))
            change = total(tuple(tf.abs(a - b) for a, b in zip(now, before, strict=True)), dtype)
            changes += change[:, None] * tf.one_hot(number, count, dtype=dtype)
            error, smooth = stated_error(changes, total(tuple(map(tf.abs, now)), dtype), expected[number])
            points = tf.fill(tf.shape(active), offsets[number + 1])
            early = (number < _FIRST) | ((number < _FIRST_WITH_JUMPS) & ~smooth)
            going = (error > tf.constant(self.tolerance, dtype)) | early
            return (*added, changes), (*now, error, points), going

        behind = problem.line(prefix=self.prefix)  # for the shapes of its ends; the rest is pruned from the trace
        empty = tuple(tf.zeros(tf.concat([[batch, count], tf.shape(e)[1:]], 0), e.dtype) for e in behind.end)
        results = (*map(tf.zeros_like, end), tf.zeros([batch], dtype), tf.zeros([batch], tf.int32))
        shaped = tuple(tf.ensure_shape(s, [None, count, *e.shape[1:]]) for s, e in zip(empty, behind.end, strict=True))
        history = tf.zeros([batch, count], dtype)
        *kept, error, points = refine(count, (*shaped, history), results, one)
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
