"""Vector-Jacobian products of pieces of a model.

No ``tf.custom_gradient`` anywhere: TensorFlow keeps its closures in a registry of the process for ever.
Here a piece's forward is recorded by a tape of its own, and the sweep of ``program`` strings the pieces together.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

Pullback = Callable[..., "tuple[tf.Tensor | None, ...]"]


def vjp(function: Callable[..., object], *inputs: tf.Tensor) -> tuple[object, Pullback]:
    """Return ``function(*inputs)`` and the function cotangents -> one gradient per input.

    A cotangent is shaped like its output; None stands for zero.
    A gradient is shaped like its input; None for an input without gradient.
    What the pullback does not need of the forward is pruned when the trace is compiled.
    """
    watched = [x for x in inputs if x.dtype.is_floating]
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(watched)
        outputs = function(*inputs)
    flat = [y for y in keras.tree.flatten(outputs) if isinstance(y, tf.Tensor)]

    def pullback(*cotangents: tf.Tensor | None) -> tuple[tf.Tensor | None, ...]:
        pairs = [(y, c) for y, c in zip(flat, cotangents, strict=True) if c is not None and y.dtype.is_floating]
        targets, given = [y for y, _ in pairs], [tf.cast(c, y.dtype) for y, c in pairs]
        found = iter(tape.gradient(targets, watched, output_gradients=given))
        return tuple(_dense(next(found)) if x.dtype.is_floating else None for x in inputs)

    return outputs, pullback


def _dense(gradient: tf.Tensor | tf.IndexedSlices | None) -> tf.Tensor | None:
    return None if gradient is None else tf.convert_to_tensor(gradient)
