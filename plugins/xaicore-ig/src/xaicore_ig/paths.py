"""Paths from a baseline to the input, and what is summed along them.

Law of each: attributions sum to f(input) - f(start) as the number of steps grows; of ``Important``, for any number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

from xaicore.errors import InvalidParameter
from xaicore.values import real
from xaicore_ig.line import along, line, total

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from xaicore.engine.copies import Repeat
    from xaicore.engine.program import Program
    from xaicore.engine.target import Target
    from xaicore.inspect.nodes import Graph
    from xaicore.protocols import Analyzer, Tensors

_POSITIONS = 3  # axes of what has positions: batch, positions, channels


@attrs.frozen(eq=False)
class Journey:
    """What a path is followed with.

    program: the model, or its part behind a site.  start, end: where the path starts and ends, (batch, ...) each.
    target: decided.  ids: (batch,).  inner: what is summed.  nodes, weights: the quadrature, (n,), float64.
    rows: points that go through the model at once, None for as many as fit.  prefix: see ``line``.
    """

    program: Program
    start: Tensors
    end: Tensors
    target: Target
    ids: tf.Tensor
    inner: Analyzer
    nodes: np.ndarray
    weights: np.ndarray
    rows: int | None
    prefix: bool


class Path(Protocol):
    """A way from a baseline to the input."""

    def check(self, graph: Graph) -> None:
        """Raise InvalidParameter where the inputs of a graph have no such path."""
        ...

    def origin(self, start: Tensors, end: Tensors) -> Tensors:
        """Return where the path starts, given the baseline."""
        ...

    def attributions(self, journey: Journey) -> Tensors:
        """Return the sum along the path, shaped like its end."""
        ...


@attrs.frozen
class Straight:
    """``gamma(t) = b + t (x - b)``: Sundararajan et al. 2017, eq. 1."""

    def check(self, graph: Graph) -> None:
        """Take any inputs."""

    def origin(self, start: Tensors, end: Tensors) -> Tensors:  # noqa: ARG002
        """Return the baseline."""
        return start

    def attributions(self, journey: Journey) -> Tensors:
        """Return ``(x - b) sum_k w_k A(gamma(t_k))``."""
        import tensorflow as tf

        from xaicore.engine.copies import weighted_sum

        found = line(journey.program, journey.start, journey.end, prefix=journey.prefix)
        nodes, weights = (tf.constant(v, journey.end[0].dtype) for v in (journey.nodes, journey.weights))
        sums = weighted_sum(
            journey.inner.attribute,
            found.program,
            journey.target,
            journey.ids,
            weights,
            found.points(nodes),
            rows=journey.rows,
        )
        return found.finish(sums)


@attrs.frozen
class Blurring:
    """``gamma(t) = g_sigma(t) * x, sigma(t) = (1 - t)^2 sigma``: from the blurred input to the input itself.

    Blur integrated gradients, Xu, Venugopalan and Sundararajan 2020, eq. 4.  They take sigma in equal steps or steps
    of its root; the square puts more nodes where the picture is sharp.  The baseline plays no part.

    Args:
        sigma: Standard deviation of the filter at the start, in positions.
    """

    sigma: float = attrs.field(default=50.0, converter=real(above=0))

    def check(self, graph: Graph) -> None:
        """Raise InvalidParameter for an input without positions."""
        for name, key in zip(graph.input_names, graph.inputs, strict=False):
            if len(graph.specs[key].shape) < _POSITIONS:
                raise InvalidParameter(
                    f"Given a blur path for the input {name!r} of shape {graph.specs[key].shape}; expected positions, "
                    "(batch, *positions, channels)."
                )

    def origin(self, start: Tensors, end: Tensors) -> Tensors:  # noqa: ARG002
        """Return the blurred end."""
        from xaicore_ig.blur import blur

        return tuple(blur(x, self.sigma) for x in end)

    def attributions(self, journey: Journey) -> Tensors:
        """Return ``sum_k w_k gamma'(t_k) A(gamma(t_k))``."""
        import tensorflow as tf

        from xaicore.engine.copies import weighted_sum
        from xaicore_ig.blur import blurred

        dtype = journey.end[0].dtype
        left = 1 - journey.nodes
        sigmas, slopes = (tf.constant(v, dtype) for v in (self.sigma * left**2, -2 * self.sigma * left))

        def both(repeat: Repeat, k: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
            return [blurred(repeat(x), tf.cast(tf.gather(sigmas, k), x.dtype), self.sigma) for x in journey.end]

        def point(repeat: Repeat, k: tf.Tensor, ids: tf.Tensor) -> Tensors:  # noqa: ARG001  # nothing is random here
            return tuple(value for value, _ in both(repeat, k))

        def speed(repeat: Repeat, k: tf.Tensor, ids: tf.Tensor) -> Tensors:  # noqa: ARG001  # as above
            return tuple(
                slope * along(tf.cast(tf.gather(slopes, k), slope.dtype), slope) for _, slope in both(repeat, k)
            )

        return weighted_sum(
            journey.inner.attribute,
            journey.program,
            journey.target,
            journey.ids,
            tf.constant(journey.weights, dtype),
            point,
            scale=speed,
            rows=journey.rows,
        )


@attrs.frozen
class Important:
    """``a = sum_k (f(x_(k+1)) - f(x_k)) g_k^2 / |g_k|^2``, x_k in equal steps on the straight line.

    Integrated gradients along the important direction, Yang, Wang and Bilgic 2023, algorithm 1: the change of the
    output in each step goes to features by the square of their gradient.  Nodes of a quadrature play no part.
    """

    def check(self, graph: Graph) -> None:
        """Take any inputs."""

    def origin(self, start: Tensors, end: Tensors) -> Tensors:  # noqa: ARG002
        """Return the baseline."""
        return start

    def attributions(self, journey: Journey) -> Tensors:
        """Return the sum over steps, one step at a time: each needs the score of the next point."""
        import tensorflow as tf

        steps = len(journey.nodes)
        step = journey.inner.attribute(journey.program)
        dtype = journey.end[0].dtype

        def at(k: tf.Tensor) -> tuple[Tensors, tf.Tensor]:
            t = tf.cast(k, dtype) / steps
            points = tuple(b + tf.cast(t, x.dtype) * (x - b) for b, x in zip(journey.start, journey.end, strict=True))
            found = step(points, journey.target, journey.ids)
            return found.attributions, found.scores

        def body(k: tf.Tensor, sums: Tensors, gradients: Tensors, before: tf.Tensor) -> tuple[object, ...]:
            squares = tuple(g**2 for g in gradients)
            following, score = at(k + 1)
            # Where no gradient is, nothing says to whom a change belongs; the residual tells of it.
            share = tf.math.divide_no_nan(score - before, total(squares, score.dtype))
            added = tuple(s + tf.cast(along(share, q), q.dtype) * q for s, q in zip(sums, squares, strict=True))
            return k + 1, added, following, score

        first, score = at(tf.constant(0))
        _, sums, _, _ = tf.while_loop(
            lambda k, *_: k < steps,
            body,
            (tf.constant(0), tuple(map(tf.zeros_like, journey.end)), first, score),
            parallel_iterations=1,
        )
        return sums  # type: ignore[no-any-return]


@attrs.frozen
class Guided:
    """A path that moves the features with the smallest gradient first, step by step, near the straight line.

    Guided integrated gradients, Kapishnikov et al. 2021, algorithm 1 and section 3.4 (anchors left out).  Of each step,
    the distance to the input shrinks by 1/n of the whole, in the L1 norm.  Nodes of a quadrature play no part.

    Args:
        fraction: Share of the features that may move at a time.
        max_dist: How far a feature may be from the straight line, as a share of its whole way; 1 lets it be anywhere.
    """

    fraction: float = attrs.field(default=0.25, converter=real(above=0, maximum=1))
    max_dist: float = attrs.field(default=0.02, converter=real(minimum=0, maximum=1))

    def check(self, graph: Graph) -> None:
        """Take any inputs."""

    def origin(self, start: Tensors, end: Tensors) -> Tensors:  # noqa: ARG002
        """Return the baseline."""
        return start

    def attributions(self, journey: Journey) -> Tensors:
        """Return the sum over the moves, a gradient for each step."""
        from xaicore_ig.guided import walk

        return walk(journey, self.fraction, self.max_dist)
