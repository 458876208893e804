"""Integrated gradients: attributions along the straight line from a baseline to the input, summed by a quadrature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from xaicore.analyzer import AnalyzerBase
from xaicore.backward import Backward
from xaicore.declaration import part
from xaicore.protocols import Analyzer, Attribution, Quadrature
from xaicore.values import integer, optional, text
from xaicore_ig.baseline import baseline, check, filled
from xaicore_ig.quadratures import GaussLegendre

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.engine.copies import Repeat
    from xaicore.engine.program import Program
    from xaicore.engine.target import Target
    from xaicore.protocols import Step, Tensors
    from xaicore.values import Array


@attrs.frozen(str=False)
class PathIntegral(AnalyzerBase):
    """Integrated gradients: Sundararajan, Taly and Yan 2017, eq. 1.

        a_i = (x_i - b_i) * sum_k w_k A_i(b + t_k (x - b))

    with A the inner analyzer (the gradient: df/dx_i) and (t_k, w_k) a quadrature on [0, 1].
    Completeness (their proposition 1): the attributions sum to f(x) - f(b); ``residual`` is what is missing,
    sum of attributions - (f(x) - f(b)), (batch,), reported for the gradient inside, for which it holds.
    "max" is decided on the input as it is, and both ends are read by the same target.

    Args:
        quadrature: Nodes and weights; Gauss-Legendre by default (the paper's sum is ``ig.riemann_right``).
        n_steps: Number of nodes.  The paper finds 20 to 300 enough; the residual tells.
        baseline: Where the line starts, in the units of the model's inputs: a number, an array that broadcasts to one
            sample, or a tuple of these, one per input.
        at: Site whose output is explained instead of the model's inputs.  The line is straight there, from the site's
            value at the baseline to its value at the input; what runs around the site stays as it is at the input.
        inner: What is summed along the line.

    Raises:
        InvalidParameter: the quadrature needs more nodes, or a baseline does not fit its input.
    """

    quadrature: Quadrature = part("quadrature", factory=GaussLegendre)
    n_steps: int = attrs.field(default=50, converter=integer(minimum=1))
    baseline: float | Array | tuple[float | Array, ...] = attrs.field(default=0.0, converter=baseline)
    at: str | None = attrs.field(default=None, converter=optional(text))
    inner: Analyzer = part("analyzer", factory=Backward)

    def __attrs_post_init__(self) -> None:
        """Refuse a number of nodes that the quadrature cannot have."""
        self.quadrature(self.n_steps)

    @property
    def claims(self) -> frozenset[str]:
        """Completeness, for the gradient inside: it is the only integrand whose integral is the change of score."""
        inner = self.inner
        gradient = isinstance(inner, Backward) and inner.rules == () and not inner.times_input and inner.at is None
        return frozenset({"completeness"}) if gradient and inner.initial in {None, "one"} else frozenset()

    def passes(self, inner: float) -> float:
        """Return the inner passes n_steps times, and a forward at each end."""
        return 2 + self.n_steps * inner

    def attribute(self, program: Program) -> Step:
        """Return the step: two forwards, and the inner step n_steps times."""
        check(self.baseline, program.graph)
        if self.at is None:
            self.inner.attribute(program)  # so that what is wrong with a plan is said before the trace
            return lambda inputs, target, ids: self._integrate(
                program, filled(self.baseline, inputs), inputs, target, ids
            )
        head, tail = program.cut(self.at)
        count = len(program.tensors_at(self.at))
        self.inner.attribute(tail)

        def step(inputs: Tensors, target: Target, ids: tf.Tensor) -> Attribution:
            end, start = head(inputs), head(filled(self.baseline, inputs))
            return self._integrate(tail.given(end[count:]), start[:count], end[:count], target, ids)

        return step

    def _integrate(self, program: Program, start: Tensors, end: Tensors, target: Target, ids: tf.Tensor) -> Attribution:
        import tensorflow as tf

        from xaicore.engine.copies import weighted_sum

        nodes, weights = self.quadrature(self.n_steps)
        outputs = program.outputs(end)
        fixed = target.anchor(outputs)
        scores = fixed(outputs)

        def between(repeat: Repeat, k: tf.Tensor, ids: tf.Tensor) -> Tensors:  # noqa: ARG001  # nothing is random here
            return tuple(_between(repeat(b), repeat(x), nodes, k) for b, x in zip(start, end, strict=True))

        sums = weighted_sum(self.inner.attribute, program, fixed, ids, tf.constant(weights, scores.dtype), between)
        found = tuple((x - b) * a for b, x, a in zip(start, end, sums, strict=True))
        if not self.claims:
            return Attribution(found, scores)
        change = scores - fixed(program.outputs(start))
        return Attribution(found, scores, {"residual": _total(found, scores.dtype) - change})


def _between(start: tf.Tensor, end: tf.Tensor, nodes: object, k: tf.Tensor) -> tf.Tensor:
    """Return the points on the line, row i at its node k_i."""
    import tensorflow as tf

    t = tf.gather(tf.constant(nodes, end.dtype), k)
    return start + tf.reshape(t, [-1] + [1] * (end.shape.rank - 1)) * (end - start)


def _total(attributions: Tensors, dtype: tf.DType) -> tf.Tensor:
    """Return the sum over all explained tensors, (batch,)."""
    import tensorflow as tf

    return tf.add_n([tf.reduce_sum(tf.cast(a, dtype), axis=list(range(1, a.shape.rank))) for a in attributions])
