"""Targets: one scalar per sample out of a model's output.

``parse`` (numpy) brings every form that a user may write into one; ``Target`` (tensors) is that form in a trace.
"""

from __future__ import annotations

import attrs
import tensorflow as tf

from xaicore.engine.target_arrays import OutputSpec
from xaicore.engine.target_forms import ParsedTarget, TargetSpec, describe, named_output, one_target, parse
from xaicore.engine.target_read import Custom, Gather, Largest

__all__ = ["OutputSpec", "ParsedTarget", "Target", "TargetSpec", "describe", "named_output", "one_target", "parse"]


@attrs.frozen(eq=False)
class Target:
    """A target inside a trace.

    spec: its static part.  index: int32 (batch, m), entries of ``ParsedTarget.index`` for one of
    the k targets; None where ``spec.needs_index`` is false.
    """

    spec: TargetSpec
    index: tf.Tensor | None = None

    def anchor(self, outputs: tf.Tensor) -> Target:
        """Return the target fixed to what these outputs say: "max" to the largest, a function of indices to its own.

        Any other target is fixed already.  Methods that perturb the input anchor once, on the outputs of the input as
        it is.
        """
        if not isinstance(self.spec.read, Largest | Custom):
            return self
        places = self.spec.read.places(outputs)
        return self if places is None else Target(attrs.evolve(self.spec, read=Gather()), places)

    def __call__(self, outputs: tf.Tensor) -> tf.Tensor:
        """Return the scores (batch,); half precision in float32, because scores are read and summed."""
        half = outputs.dtype in {tf.float16, tf.bfloat16}
        wide = tf.cast(outputs, tf.float32) if half else outputs
        fixed = self.anchor(wide) if isinstance(self.spec.read, Custom) else self
        scores = fixed.spec.read(wide, fixed.index)
        # A gather by an index of free length does not know its rank.
        return scores if scores.shape.rank == 1 else tf.ensure_shape(scores, [None])
