"""What the outputs of a model say, whatever its head: logits of classes, or numbers, one row per sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from xaicore.errors import InvalidParameter
from xaicore_cf.errors import ClassNeeded, NotAClass

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from xaicore.engine.program import Program
    from xaicore.engine.target import ParsedTarget, Target

_VECTORS = 2  # axes of (rows, classes)
_SURE = 1e-6  # a probability of 0 or 1 is taken for this near to it: float32 tells 1 - 1e-6 from 1


def other(outputs: tf.Tensor) -> tf.Tensor:
    """Return the score of the strongest class that is not predicted, (batch,): what target="other" stands for."""
    import tensorflow as tf

    if outputs.shape.rank == 1 or outputs.shape[1:].num_elements() == 1:
        return -tf.abs(tf.reshape(outputs, [-1]))
    _require_vectors(outputs, "other")
    return tf.math.top_k(outputs, 2).values[:, 1]


def same(outputs: tf.Tensor) -> tf.Tensor:
    """Return the score of the class that is predicted, (batch,): what target="same" stands for."""
    import tensorflow as tf

    if outputs.shape.rank == 1 or outputs.shape[1:].num_elements() == 1:
        return tf.abs(tf.reshape(outputs, [-1]))
    _require_vectors(outputs, "same")
    return tf.reduce_max(outputs, axis=1)


def _require_vectors(outputs: tf.Tensor, target: str) -> None:
    if outputs.shape.rank != _VECTORS:
        raise NotAClass(
            f"Given target={target!r} for outputs of shape {tuple(outputs.shape)}; it is for outputs (batch, classes). "
            "Give index tuples, one per sample."
        )


@attrs.frozen
class Classes:
    """Reads logits (rows, classes) and the class to reach (rows,) off the outputs of a model without its head.

    A vector of logits is that: softmax over the last axis, whatever stands before it chosen by the target's index.
    A sigmoid's logit z, alone or one of many labels, is two classes with the logits (0, z), because
    sigmoid(z) = softmax(0, z)_1.  An output without a head is read as logits,
    unless it is said to be probabilities.

    labels: whether each entry of a vector is a sigmoid of its own.
    one_number: whether the output is one number per sample.
    leaving: whether the index names the class to leave, for the strongest of the others.
    numbers: whether outputs are numbers and no logits.
    chances: whether outputs are probabilities, whose logarithms are logits; labels of 0 and 1 are sure ones.
    """

    labels: bool = False
    one_number: bool = False
    leaving: bool = False
    numbers: bool = False
    chances: bool = False

    @classmethod
    def of(cls, program: Program, target: Target, *, numbers: bool, outputs_are: str | None = None) -> Classes:
        """Return the reader for a model, by its head and the target's form.

        Raises:
            InvalidParameter: outputs are said to be probabilities, and the head that makes them is left out.
        """
        from xaicore.engine.target_read import Signed
        from xaicore.inspect.head import head_node
        from xaicore.inspect.kinds import activation_of, head_kind

        node = head_node(program.whole)
        key = program.graph.outputs[0]
        shape = program.graph.specs.get(key, program.whole.specs[program.whole.outputs[0]]).shape
        if node is not None and outputs_are is not None:
            raise InvalidParameter(
                f"Given outputs_are={outputs_are!r} for a model with a softmax or sigmoid at its end, which is left "
                "out; leave outputs_are away."
            )
        one_number = isinstance(target.spec.read, Signed) or all(n == 1 for n in shape[1:])
        return cls(
            labels=node is not None and head_kind(activation_of(node.operation)) == "sigmoid",
            one_number=one_number,
            leaving=getattr(target.spec.read, "function", None) is other and not one_number,
            numbers=numbers,
            chances=outputs_are in {"probabilities", "labels"} and not numbers,
        )

    def index(self, target: Target, outputs: tf.Tensor) -> tf.Tensor:
        """Return int32 (batch, m): the target's, or for "other" and "same" what the outputs of the samples say."""
        import tensorflow as tf

        if target.index is not None:
            return target.index
        wanted = getattr(target.spec.read, "function", None)
        if self.one_number:
            positive = tf.cast(tf.reshape(outputs, [-1]) > (0.5 if self.chances else 0), tf.int32)[:, None]
            return 1 - positive if wanted is other else positive
        if self.labels:
            raise NotAClass(
                "Given a target that is the predicted class, or another one, for a model of several sigmoids; its "
                "labels are no classes of which one is predicted. Give the label to set, an integer."
            )
        _require_vectors(outputs, "other" if wanted is other else "same")
        return tf.argmax(outputs, axis=-1, output_type=tf.int32)[:, None]

    def __call__(self, outputs: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        """Return (logits (rows, classes), class (rows,)), floats of at least 32 bits.

        Args:
            outputs: (rows, *shape).
            index: int32 (rows, m), as ``index`` returns it: the class, 0 or 1 where the output is one number.
        """
        import tensorflow as tf

        if outputs.dtype in {tf.float16, tf.bfloat16}:
            outputs = tf.cast(outputs, tf.float32)
        if self.chances:
            outputs = self._log_odds(outputs)
        if self.one_number:
            z = tf.reshape(outputs, [-1])
            return (z[:, None], tf.zeros_like(index[:, 0])) if self.numbers else (_two(z), index[:, 0])
        index = tf.ensure_shape(index, [None, outputs.shape.rank - 1])
        rows = tf.range(tf.shape(index)[0])[:, None]
        if self.labels and not self.numbers:
            return _two(tf.gather_nd(outputs, tf.concat([rows, index], 1))), tf.ones_like(index[:, 0])
        if outputs.shape.rank > _VECTORS:
            outputs = tf.gather_nd(outputs, tf.concat([rows, index[:, :-1]], 1))
        return outputs, self._strongest(outputs, index[:, -1]) if self.leaving else index[:, -1]

    def _log_odds(self, outputs: tf.Tensor) -> tf.Tensor:
        """Return logits that stand for probabilities, like them."""
        import tensorflow as tf

        least = tf.constant(_SURE, outputs.dtype)
        p = tf.clip_by_value(outputs, least, 1 - least)
        return tf.math.log(p) - tf.math.log(1 - p) if self.one_number or self.labels else tf.math.log(p)

    def refuse_unsaid(self, outputs: np.ndarray) -> None:
        """Refuse outputs of a black box that may be probabilities as well as logits: both are read differently.

        Raises:
            InvalidParameter: they lie between 0 and 1, those of several classes with a sum of 1.
        """
        import numpy as np

        found = np.asarray(outputs, np.float64)
        sums = np.ones(1) if self.one_number else found.sum(axis=-1)
        if found.size and found.min() >= 0 and found.max() <= 1 and np.allclose(sums, 1, atol=1e-3):  # three digits
            raise InvalidParameter(
                "Given a black box whose outputs look like probabilities, and may be logits; say it by outputs_are="
                '"probabilities", "labels" (0 and 1), or "logits".'
            )

    def _strongest(self, logits: tf.Tensor, left: tf.Tensor) -> tf.Tensor:
        """Return the largest of the logits but the one of the class to leave, (rows,)."""
        import tensorflow as tf

        own = tf.one_hot(left, tf.shape(logits)[1], on_value=True, off_value=False, dtype=tf.bool)
        return tf.argmax(tf.where(own, tf.constant(float("-inf"), logits.dtype), logits), axis=1, output_type=tf.int32)


def _two(z: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    return tf.stack([tf.zeros_like(z), z], axis=1)


def require_class(target: object, parsed: ParsedTarget, *, numbers: bool) -> None:
    """Refuse a target that names no class, and no number of several.

    Raises:
        ClassNeeded: no target, or the largest output.
        NotAClass: a function, or a contrast of neurons.
    """
    from xaicore.engine.target_read import Signed

    if target is None or (isinstance(target, str) and target.rpartition(":")[2] == "max"):
        if numbers and isinstance(parsed.spec.read, Signed):
            return
        raise ClassNeeded(
            f"Given target={target!r}; a counterfactual needs the class to reach: an integer for all samples, or one "
            'per sample, (batch,); "other" for any but the predicted one, "same" for the predicted one. Where the '
            "output is one number per sample, 0 or 1. A number to reach, of a regression, is "
            "prediction=cf.interval(low=, high=); a condition, done=, says what will do and not where to go: "
            "it needs a class all the same."
        )
    own = getattr(parsed.spec.read, "function", None) in {other, same}
    if not (parsed.spec.needs_index or own) or (own and numbers):
        raise NotAClass(
            f"Given target={target!r:.80}; a counterfactual reaches a class: give an integer, or one per sample. A "
            "condition on the outputs is done=, with a class that draws the search there."
        )
