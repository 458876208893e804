"""What all perturbations share: replaced inputs, their scores, and sums of masks by scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import attrs

from xaicore.analyzer import AnalyzerBase
from xaicore.errors import InvalidParameter
from xaicore.protocols import Attribution
from xaicore.stand_ins import StandIn, check_stand_in, filled, stand_in
from xaicore.values import choice

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.engine.copies import Repeat
    from xaicore.engine.program import Program
    from xaicore.engine.target import Target
    from xaicore.inspect.nodes import Graph
    from xaicore.protocols import Step, Tensors

# (repeat, number of the copy for each row, id for each row) -> for each input what is kept, 0 to 1, one row per copy,
# broadcasting to the input.
Keep = Callable[["Repeat", "tf.Tensor", "tf.Tensor"], "Tensors"]


@attrs.frozen(str=False)
class Perturbation(AnalyzerBase):
    """Base of analyzers that only ever run the model forward.

    Args:
        baseline: What stands in for what is taken away, in the units of the inputs: a number, or an array that
            broadcasts to one sample; a tuple of these, one for each of several inputs.
        score: "logit" strips a softmax or sigmoid head, "probability" keeps it.
    """

    needs_gradient: ClassVar[bool] = False

    baseline: StandIn = attrs.field(default=0.0, converter=stand_in)
    score: str = attrs.field(default="logit", converter=choice("logit", "probability"))

    def sizes(self, program: Program) -> tuple[tuple[int, ...], ...]:
        """Return the shape of a sample of each input.

        Raises:
            InvalidParameter: a length is not known before the run, or the baseline does not fit.
        """
        graph = program.graph
        count = len(graph.input_names)  # beyond are further arguments of the model, which are left as they are
        check_stand_in(self.baseline, graph.input_names, [graph.specs[key] for key in graph.inputs[:count]])
        _check_symbols(self.baseline, graph)
        return tuple(shape_of(graph, i) for i in range(count))

    def replaced(self, inputs: Tensors, keep: Tensors) -> Tensors:
        """Return ``keep * x + (1 - keep) * baseline``; of integers, one of the two."""
        return tuple(map(_mixed, inputs, filled(self.baseline, inputs), keep))


@attrs.frozen(eq=False)
class Copies:
    """Perturbed copies of every sample, and what the model says of them.

    target: "max" decided.  ids: (batch,).  n: copies of each sample.  keep: what is kept of each.
    """

    analyzer: Perturbation
    program: Program
    inputs: Tensors
    target: Target
    ids: tf.Tensor
    n: int
    keep: Keep

    def sums(self, masks: Keep, ranks: Sequence[int]) -> Tensors:
        """Return sum over k of f(x_k) * mask_k, one tensor for each mask.  ranks: number of axes of each."""
        import tensorflow as tf

        from xaicore.engine.copies import weighted_sum

        def change(repeat: Repeat, k: tf.Tensor, ids: tf.Tensor) -> Tensors:
            return self.analyzer.replaced(tuple(map(repeat, self.inputs)), self.keep(repeat, k, ids))

        def score(program: Program) -> Step:
            def step(inputs: Tensors, target: Target, ids: tf.Tensor) -> Attribution:  # noqa: ARG001  # nothing random
                scores = target(program.outputs(inputs))
                return Attribution(tuple(tf.reshape(scores, [-1] + [1] * (r - 1)) for r in ranks), scores)

            return step

        return weighted_sum(score, self.program, self.target, self.ids, tf.ones([self.n]), change, scale=masks)

    def scores(self) -> tf.Tensor:
        """Return the score of each copy, (batch, n)."""
        import tensorflow as tf

        def places(repeat: Repeat, k: tf.Tensor, ids: tf.Tensor) -> Tensors:  # noqa: ARG001  # where each goes
            return (tf.one_hot(k, self.n),)

        (found,) = self.sums(places, (2,))
        return found


def _check_symbols(baseline: StandIn, graph: Graph) -> None:
    """Raise InvalidParameter for a baseline that an embedding has no row for."""
    import numpy as np

    each = baseline if isinstance(baseline, tuple) else (baseline,) * len(graph.inputs)
    for one, name, key in zip(each, graph.input_names, graph.inputs, strict=False):  # beyond are further arguments
        for node in graph.consumers(key):
            rows = getattr(node.operation, "input_dim", None)
            if rows is not None and not (np.min(one) >= 0 and np.max(one) < rows):
                raise InvalidParameter(
                    f"Given baseline={one!r} for {name!r}, whose embedding {node.site} has {rows} rows; expected a "
                    f"symbol from 0 to {rows - 1}."
                )


def shape_of(graph: Graph, index: int) -> tuple[int, ...]:
    """Return the shape of a sample of an input, all lengths known."""
    shape = graph.specs[graph.inputs[index]].shape[1:]
    if any(n is None for n in shape):
        raise InvalidParameter(
            f"The input {graph.input_names[index]!r} has the shape {shape}; perturbations need its lengths before the "
            "run. Build the model with fixed lengths."
        )
    return tuple(int(n) for n in shape if n is not None)


def decided(program: Program, inputs: Tensors, target: Target) -> tuple[Target, tf.Tensor]:
    """Return the target with "max" decided at the input, and the scores there."""
    fixed = target.anchor(program.outputs(inputs))
    return fixed, fixed(program.outputs(inputs))


def floating(tensors: Tensors, inputs: Tensors) -> Tensors:
    """Return maps that broadcast to the inputs in their shapes; floating, also where an input holds integers."""
    import tensorflow as tf

    return tuple(a + tf.zeros(tf.shape(x), a.dtype) for a, x in zip(tensors, inputs, strict=True))


def _mixed(x: tf.Tensor, other: tf.Tensor, keep: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    if not x.dtype.is_floating:
        return tf.where(keep > 0.5, x, other)  # noqa: PLR2004  # kept or not
    share = tf.cast(keep, x.dtype)
    return other + share * (x - other)
