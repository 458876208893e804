"""What a model says at candidates: for the search, and for the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from xaicore_cf.copies import Seen
from xaicore_cf.samples import join, split

if TYPE_CHECKING:
    from collections.abc import Sequence

    import keras
    import numpy as np
    import tensorflow as tf

    from xaicore.engine.program import Program
    from xaicore.protocols import Tensors
    from xaicore_cf.classes import Classes
    from xaicore_cf.counterfactual import Counterfactual
    from xaicore_cf.judge import Look


def with_head(program: Program) -> Program:
    """Return the program whose outputs are the model's predictions, softmax or sigmoid included."""
    return attrs.evolve(program, graph=program.whole)


def look_at(settings: Counterfactual, program: Program, classes: Classes, like: Tensors, *, sloped: bool) -> Look:
    """Return the function (x, original, index) -> what the model says at x: one forward and one backward sweep.

    like: tensors of the shapes and dtypes of the model's inputs.  sloped: whether the backward sweep is needed.
    """

    def met(x: tf.Tensor) -> tf.Tensor | None:
        import tensorflow as tf

        from xaicore_cf.errors import NotAClass

        if settings.done is None:
            return None
        outputs = with_head(program).outputs(split(x, like))
        try:
            found = tf.convert_to_tensor(settings.done(outputs))
        except (NotImplementedError, AttributeError, TypeError, ValueError) as error:
            raise NotAClass(
                f"The predicate done= cannot be called with the model's outputs ({str(error).splitlines()[0]:.120}); "
                "expected operations of tf or keras.ops, such as tf.reduce_sum, and none of NumPy."
            ) from error
        if found.dtype != tf.bool or not found.shape.is_compatible_with([x.shape[0]]):
            raise NotAClass(
                f"The predicate done= returned {found.dtype.name} of shape {tuple(found.shape)}; expected a boolean "
                "for each sample, (batch,), of the model's outputs (batch, ...) as tensors."
            )
        return tf.ensure_shape(found, [None])

    def outputs_only(x: tf.Tensor, original: tf.Tensor, index: tf.Tensor) -> Seen:  # noqa: ARG001  # looks have one signature
        import tensorflow as tf

        logits, target = classes(program.outputs(split(x, like)), index)
        return Seen(tf.cast(logits, x.dtype), target, tf.zeros_like(x), met(x))

    def look(x: tf.Tensor, original: tf.Tensor, index: tf.Tensor) -> Seen:
        import tensorflow as tf

        def slope(outputs: tf.Tensor) -> tf.Tensor:
            """Return the gradient of the prediction cost by the outputs: what the backward sweep brings to x."""
            with tf.GradientTape() as tape:
                tape.watch(outputs)
                logits, target = classes(outputs, index)
                cost = settings.prediction(x, original=original, outputs=tf.cast(logits, x.dtype), target=target)
            return tape.gradient(cost, outputs, unconnected_gradients=tf.UnconnectedGradients.ZERO)

        pulled = program.pull(split(x, like), lambda outputs: outputs, initial=slope)
        logits, target = classes(pulled.scores, index)
        return Seen(tf.cast(logits, x.dtype), target, tf.cast(join(pulled.relevance), x.dtype), met(x))

    return look if sloped else outputs_only


_AT_ONCE = 256  # samples of data that go through the model together


def predicted(model: keras.Model, structure: object, arrays: Sequence[np.ndarray]) -> np.ndarray | None:
    """Return what a model predicts for data, (m, ...); None for several outputs.  Nothing of the model changes.

    structure: in which the model takes its inputs, holding the index of each.
    """
    import numpy as np

    from xaicore.inspect.structure import transform

    found = []
    for start in range(0, len(arrays[0]), _AT_ONCE):
        rows = [one[start : start + _AT_ONCE] for one in arrays]
        outputs = model(transform(structure, lambda k, rows=rows: rows[k]), training=False)
        if isinstance(outputs, list | tuple | dict):
            return None
        found.append(np.asarray(outputs))
    return np.concatenate(found)
