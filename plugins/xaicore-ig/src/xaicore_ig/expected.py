"""Expected gradients: integrated gradients averaged over baselines, one random point for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from xaicore.analyzer import AnalyzerBase
from xaicore.backward import Backward
from xaicore.declaration import part
from xaicore.protocols import Analyzer, Attribution
from xaicore.values import integer, optional, site_text
from xaicore_ig.baselines import as_baseline, number_or_part, rows_of
from xaicore_ig.line import along

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.engine.copies import Repeat
    from xaicore.engine.program import Program
    from xaicore.engine.target import Target
    from xaicore.protocols import Step, Tensors


@attrs.frozen(str=False)
class ExpectedGradients(AnalyzerBase):
    """Expected gradients: Erion et al. 2021, eq. 3, by Monte Carlo.

        a_i = 1/n sum_k (x_i - b_ki) A_i(b_k + t_k (x - b_k)),   t_k ~ U(0, 1)

    b_k the baselines in turn.  On average over draws the attributions sum to f(x) minus the mean of f over baselines;
    for n draws they do not, so that no residual is reported.

    Args:
        baseline: Where paths start, as in ``ig.integrated_gradients``; ``ig.reference(samples=...)`` as in the paper.
        n_steps: Number of draws.
        seed: With the sample's id and the number of the draw it fixes t.
        at: Site whose output is explained instead of the model's inputs; as there, baselines are in the units of the
            model's inputs, and lines are straight in the site's output.
        inner: What is averaged.
    """

    baseline: Any = part("baseline", literal=True, default=0.0, converter=number_or_part)
    n_steps: int = attrs.field(default=50, converter=integer(minimum=1))
    seed: int = attrs.field(default=0, converter=integer(minimum=0))
    at: str | None = attrs.field(default=None, converter=optional(site_text))
    inner: Analyzer = part("analyzer", factory=Backward)

    def passes(self, inner: float) -> float:
        """Return a forward, and n_steps times the inner passes."""
        return 1 + self.n_steps * inner

    def rows(self, program: Program) -> int | None:
        """Return for how many samples there are baselines of their own."""
        return rows_of(self.baseline, program.graph)

    def check_program(self, program: Program) -> None:
        """Refuse a baseline that does not fit the inputs."""
        as_baseline(self.baseline).check(program.graph)

    def copies(self, inner: int) -> int:
        """Return the number of steps times the copies inside."""
        return self.n_steps * inner

    def attribute(self, program: Program) -> Step:
        """Return the step: one forward, and the inner step n_steps times."""
        self.check_program(program)
        head, tail, count = None, program, 0
        if self.at is not None:
            head, tail = program.cut(self.at)
            count = len(program.tensors_at(self.at))
        self.inner.attribute(tail)
        baselines = as_baseline(self.baseline)

        def step(inputs: Tensors, target: Target, ids: tf.Tensor) -> Attribution:
            import tensorflow as tf

            from xaicore.engine.copies import weighted_sum
            from xaicore.engine.random import uniform

            end, inside = inputs, tail
            if head is not None:
                values = head(inputs)
                end, inside = values[:count], tail.given(values[count:])
            outputs = inside.outputs(end)
            fixed = target.anchor(outputs)
            scores = fixed(outputs)

            def starts(repeat: Repeat, k: tf.Tensor, ids: tf.Tensor) -> Tensors:
                found: Tensors = baselines(tuple(map(repeat, inputs)), ids, k % baselines.count)
                if self.at is None:
                    return found
                copies = program.given(tuple(map(repeat, program.context)))
                return copies.cut(self.at)[0](found)[:count]

            def points(repeat: Repeat, k: tf.Tensor, ids: tf.Tensor) -> Tensors:
                # No input has the number -1, so that a random baseline of the same seed draws other numbers.
                t = uniform(ids, seed=self.seed, draw=k, stream=-1, dtype=scores.dtype)
                pairs = zip(starts(repeat, k, ids), map(repeat, end), strict=True)
                return tuple(b + tf.cast(along(t, x), x.dtype) * (x - b) for b, x in pairs)

            def ways(repeat: Repeat, k: tf.Tensor, ids: tf.Tensor) -> Tensors:
                pairs = zip(starts(repeat, k, ids), map(repeat, end), strict=True)
                return tuple(x - b for b, x in pairs)

            weights = tf.fill([self.n_steps], tf.constant(1 / self.n_steps, scores.dtype))
            found = weighted_sum(self.inner.attribute, inside, fixed, ids, weights, points, scale=ways)
            return Attribution(found, scores)

        return step
