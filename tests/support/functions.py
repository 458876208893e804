"""Functions that serve as methods, as users write them."""

from __future__ import annotations

import tensorflow as tf


def input_gradients(model, inputs, indices, power=1):
    """Explain as keras-explainable's methods do."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        scores = tf.gather(model(inputs, training=False), indices, axis=1, batch_dims=1)
    return scores, tf.reduce_mean(tape.gradient(scores, inputs) ** power, -1)[..., None]
