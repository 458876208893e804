"""Integrated gradients: attributions along the straight line from a baseline to the input, summed by a quadrature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from xaicore.analyzer import AnalyzerBase
from xaicore.backward import Backward
from xaicore.declaration import part
from xaicore.protocols import Analyzer, Attribution, Quadrature
from xaicore.values import flag, integer, optional, site_text
from xaicore_ig.baselines import as_baseline, number_or_part, rows_of, starts
from xaicore_ig.line import total
from xaicore_ig.paths import Blurring, Journey, Path, Straight
from xaicore_ig.quadratures import GaussLegendre

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from xaicore.engine.program import Program
    from xaicore.engine.target import Target
    from xaicore.protocols import Step, Tensors

_USUAL = 50  # nodes, as alibi and captum take them


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
        n_steps: Number of nodes; None is 50, or 51 for quadratures that need an odd number.  The paper finds 20 to 300
            enough.
        baseline: Where the line starts, in the units of the model's inputs: a number, an array that broadcasts to one
            sample, a tuple of these, one per input; or a baseline by name, such as ``ig.blur``.  Where there are
            several for each sample, attributions are their mean.
        at: Site whose output is explained instead of the model's inputs.  The line is straight there, from the site's
            value at the baseline to its value at the input; what runs around the site stays as it is at the input.
        inner: What is summed along the line.
        path: Another way from the baseline to the input than the straight line.
        internal_batch_size: Most points of all samples that go through the model at once; a larger batch is divided.
            None: every sample of the batch at one point, and at several points as long as the outputs of all
            operations fit into 32 MB, 1024 points at most: small models are held up by starting operations and want
            many points, large ones gain nothing beyond some.  No number is best for both: of 32, 100 and 512 none was
            faster on a small table and on small pictures alike.
        prefix: Whether the part of the model that is affine in the inputs runs at both ends only, where that saves
            time.  Points are rounded differently then; False runs the model whole at each.

    Raises:
        InvalidParameter: the quadrature needs more nodes, or a baseline does not fit its input.
    """

    quadrature: Quadrature = part("quadrature", factory=GaussLegendre)
    n_steps: int | None = attrs.field(default=None, converter=optional(integer(minimum=1)))
    baseline: Any = part("baseline", literal=True, default=0.0, converter=number_or_part)
    at: str | None = attrs.field(default=None, converter=optional(site_text))
    inner: Analyzer = part("analyzer", factory=Backward)
    path: Path = part("path", factory=Straight)
    internal_batch_size: int | None = attrs.field(default=None, converter=optional(integer(minimum=1)))
    prefix: bool = attrs.field(default=True, converter=flag)

    def __attrs_post_init__(self) -> None:
        """Refuse a number of nodes that the quadrature cannot have."""
        self.quadrature(self.count)

    @property
    def count(self) -> int:
        """The number of nodes."""
        usual: int = getattr(self.quadrature, "usual", _USUAL)
        return self.n_steps or usual

    @property
    def claims(self) -> frozenset[str]:
        """Completeness, for the gradient inside: it is the only integrand whose integral is the change of score."""
        inner = self.inner
        gradient = isinstance(inner, Backward) and inner.rules == () and not inner.times_input and inner.at is None
        return frozenset({"completeness"}) if gradient and inner.initial in {None, "one"} else frozenset()

    def passes(self, inner: float) -> float:
        """Return the inner passes n_steps times, and a forward at each end."""
        return 2 + self.count * inner

    def copies(self, inner: int) -> int:
        """Return the number of nodes times the copies inside, where the nodes may run together."""
        together = self.internal_batch_size is None and isinstance(self.path, Straight | Blurring)
        return self.count * inner if together else 1

    def spared(self, program: Program) -> float:
        """Return what the linear prefix takes of a pass."""
        from xaicore.engine.prefix import spared

        moving = len(program.graph.input_names) if self.at is None else 1
        return spared(program, moving) if self.prefix and bool(self.claims) and isinstance(self.path, Straight) else 0.0

    def rows(self, program: Program) -> int | None:
        """Return for how many samples there are baselines of their own."""
        return rows_of(self.baseline, program.graph)

    def starts(self, inputs: Sequence[np.ndarray], ids: np.ndarray) -> list[np.ndarray]:
        """Return the baselines, like the inputs."""
        return starts(self.baseline, inputs, ids)

    def described(self) -> dict[str, object]:
        """Return what goes by other names in alibi's ``meta``."""
        return {"method": self.quadrature, "n_steps": self.count, "layer": self.at}

    def check_program(self, program: Program) -> None:
        """Refuse a baseline that does not fit the inputs, and inputs that have no such path."""
        as_baseline(self.baseline).check(program.graph)
        self.path.check(program.graph if self.at is None else program.cut(self.at)[1].graph)

    def attribute(self, program: Program) -> Step:
        """Return the step: two forwards, and the inner step n_steps times, for each baseline."""
        self.check_program(program)
        step = self._step(program)
        if self.internal_batch_size is None:
            return step
        from xaicore.engine.slices import in_slices

        return in_slices(self._step, program, self.internal_batch_size)

    def _step(self, program: Program) -> Step:
        nodes, weights = self.quadrature(self.count)

        def along(program: Program, start: Tensors, end: Tensors, target: Target, ids: tf.Tensor) -> Tensors:
            prefix = self.prefix and bool(self.claims)  # where a gradient is summed
            rows = self.internal_batch_size
            journey = Journey(program, start, end, target, ids, self.inner, nodes, weights, rows, prefix)
            return self.path.attributions(journey)

        return path_step(self, program, as_baseline(self.baseline), along, self.path.origin)


Integrate = Callable[["Program", "Tensors", "Tensors", "Target", "tf.Tensor"], "Tensors"]
Origin = Callable[["Tensors", "Tensors"], "Tensors"]


def path_step(analyzer: AnalyzerBase, program: Program, baseline: Any, integrate: Integrate, origin: Origin) -> Step:
    """Return the step of a path method: "max" decided at the input, the site's own line, the mean over baselines.

    Args:
        analyzer: With ``inner``, ``at``, ``claims``.
        program: The model.
        baseline: Where paths start.
        integrate: (program, start, end, target, ids) -> attributions for one baseline.
        origin: (start, end) -> where the path starts.
    """
    import tensorflow as tf

    from xaicore.engine.loops import accumulate

    head, tail, count = None, program, 0
    if analyzer.at is not None:  # type: ignore[attr-defined]
        head, tail = program.cut(analyzer.at)  # type: ignore[attr-defined]
        count = len(program.tensors_at(analyzer.at))  # type: ignore[attr-defined]
    analyzer.inner.attribute(tail)  # type: ignore[attr-defined]  # so that what is wrong with a plan is said at once

    def step(inputs: Tensors, target: Target, ids: tf.Tensor) -> Attribution:
        end, inside = inputs, tail
        if head is not None:
            values = head(inputs)
            end, inside = values[:count], tail.given(values[count:])
        outputs = inside.outputs(end)
        fixed = target.anchor(outputs)
        scores = fixed(outputs)

        def one(draw: tf.Tensor) -> Tensors:
            """Return the attributions, and the score at the start."""
            start = baseline(inputs, ids, tf.fill(tf.shape(ids), draw))
            if head is not None:
                start = head(start)[:count]
            start = origin(start, end)
            found = integrate(inside, start, end, fixed, ids)
            share = tf.constant(1 / baseline.count, scores.dtype)
            means = tuple(tf.cast(share, a.dtype) * a for a in found) if baseline.count > 1 else found
            return (*means, share * tf.ensure_shape(fixed(inside.outputs(start)), [None])) if analyzer.claims else means

        found = one(tf.constant(0)) if baseline.count == 1 else accumulate(baseline.count, one)
        if not analyzer.claims:
            return Attribution(found, scores)
        *attributions, before = found
        return Attribution(
            tuple(attributions), scores, {"residual": total(tuple(attributions), scores.dtype) - (scores - before)}
        )

    return step
