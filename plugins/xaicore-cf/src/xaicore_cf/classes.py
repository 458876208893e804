"""What the outputs of a model say about classes, whatever its head: logits, one row per sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from xaicore_cf.errors import ClassNeeded, NotAClass

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.engine.program import Program
    from xaicore.engine.target import ParsedTarget


@attrs.frozen
class Classes:
    """Reads logits (rows, classes) and the class to reach (rows,) off the outputs of a model without its head.

    A vector of logits is that: softmax over the last axis, whatever stands before it chosen by the target's index.
    A sigmoid's logit z, alone or one of many labels, is two classes with the logits (0, z), because
    sigmoid(z) = softmax(0, z)_1.  An output without a head is read as logits.

    labels: whether each entry of a vector is a sigmoid of its own.
    """

    labels: bool

    @classmethod
    def of(cls, program: Program) -> Classes:
        """Return the reader for a model, by its head."""
        from xaicore.inspect.head import head_node
        from xaicore.inspect.kinds import activation_of, head_kind

        node = head_node(program.whole)
        return cls(node is not None and head_kind(activation_of(node.operation)) == "sigmoid")

    def __call__(self, outputs: tf.Tensor, index: tf.Tensor, *, one_number: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """Return (logits (rows, classes), class (rows,)), floats of at least 32 bits.

        Args:
            outputs: (rows, *shape).
            index: int32 (rows, m), as ``ParsedTarget.index`` has it: the class, 0 or 1 where the output is one number.
            one_number: Whether the output is one number per sample.
        """
        import tensorflow as tf

        if outputs.dtype in {tf.float16, tf.bfloat16}:
            outputs = tf.cast(outputs, tf.float32)
        if one_number:
            return _two(tf.reshape(outputs, [-1])), index[:, 0]
        index = tf.ensure_shape(index, [None, outputs.shape.rank - 1])
        rows = tf.range(tf.shape(index)[0])[:, None]
        if self.labels:
            return _two(tf.gather_nd(outputs, tf.concat([rows, index], 1))), tf.ones_like(index[:, 0])
        if outputs.shape.rank > 2:  # noqa: PLR2004  # more than (rows, classes)
            outputs = tf.gather_nd(outputs, tf.concat([rows, index[:, :-1]], 1))
        return outputs, index[:, -1]


def _two(z: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    return tf.stack([tf.zeros_like(z), z], axis=1)


def lead(logits: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return by how much the target's logit leads the largest of the others, (rows,): the log of their odds."""
    import tensorflow as tf

    own = tf.one_hot(target, tf.shape(logits)[1], on_value=True, off_value=False, dtype=tf.bool)
    others = tf.where(own, tf.constant(float("-inf"), logits.dtype), logits)
    return tf.gather(logits, target, batch_dims=1) - tf.reduce_max(others, axis=1)


def require_class(target: object, parsed: ParsedTarget) -> None:
    """Refuse a target that names no class.

    Raises:
        ClassNeeded: no target, or the largest output.
        NotAClass: a function, or a contrast of neurons.
    """
    if target is None or (isinstance(target, str) and target.rpartition(":")[2] == "max"):
        raise ClassNeeded(
            f"Given target={target!r}; a counterfactual needs the class to reach: an integer for all samples, or one "
            "per sample, (batch,). Where the output is one number per sample, 0 or 1."
        )
    if not parsed.spec.needs_index:
        raise NotAClass(
            f"Given target={target!r:.80}; a counterfactual reaches a class: give an integer, or one per sample."
        )
