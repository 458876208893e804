"""Layers as explicit matrices, and one operation under one rule: what oracles of rules are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs
import numpy as np
import tensorflow as tf
from keras import layers

from xaicore.inspect.affine import read_affine
from xaicore.inspect.facts import alone
from xaicore.inspect.nodes import Site
from xaicore.protocols import OpCall

if TYPE_CHECKING:
    import keras


@attrs.frozen
class Linear:
    """One layer as an explicit matrix: ``z = x matrix + bias``, inputs and outputs flattened."""

    layer: layers.Layer
    shape: tuple[int, ...]
    matrix: np.ndarray
    bias: np.ndarray


LAYERS: dict[str, tuple[Callable[..., layers.Layer], tuple[int, ...]]] = {
    "dense": (lambda **k: layers.Dense(5, **k), (7,)),
    "dense_on_sequences": (lambda **k: layers.Dense(3, **k), (4, 5)),
    "conv1d_causal_dilated": (lambda **k: layers.Conv1D(4, 3, padding="causal", dilation_rate=2, **k), (8, 3)),
    "conv2d_strided": (lambda **k: layers.Conv2D(4, 3, strides=2, padding="same", **k), (6, 5, 3)),
    "conv2d_dilated": (lambda **k: layers.Conv2D(3, (2, 3), dilation_rate=2, **k), (6, 7, 2)),
    "conv2d_grouped": (lambda **k: layers.Conv2D(4, 3, groups=2, **k), (5, 5, 4)),
    "conv3d": (lambda **k: layers.Conv3D(2, 2, padding="same", **k), (3, 4, 3, 2)),
    "conv1d_grouped": (lambda **k: layers.Conv1D(4, 2, groups=2, **k), (5, 4)),
    "conv3d_grouped": (lambda **k: layers.Conv3D(4, 2, groups=2, **k), (3, 2, 3, 4)),
    "conv1d_transposed": (lambda **k: layers.Conv1DTranspose(3, 3, strides=2, **k), (4, 2)),
    "conv3d_transposed": (lambda **k: layers.Conv3DTranspose(2, 2, strides=2, padding="same", **k), (2, 2, 2, 2)),
    "conv2d_transposed": (lambda **k: layers.Conv2DTranspose(3, 3, strides=2, padding="same", **k), (3, 4, 2)),
    "depthwise1d": (lambda **k: layers.DepthwiseConv1D(3, depth_multiplier=2, **k), (6, 3)),
    "depthwise2d": (lambda **k: layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, **k), (4, 5, 3)),
    "einsum_dense": (lambda **k: layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de", **k), (3, 4)),
    "batch_normalization": (lambda activation, **k: layers.BatchNormalization(**k), (3, 4)),
}


def filled(layer: layers.Layer, shape: tuple[int, ...], generator: np.random.Generator) -> layers.Layer:
    layer.build((None, *shape))
    draw = [generator.normal(size=w.shape) + (np.sign(w.numpy()) if w.shape == () else 0) for w in layer.weights]
    if isinstance(layer, layers.BatchNormalization):
        draw[3] = np.abs(draw[3]) + 0.1  # a variance
    layer.set_weights(draw)
    return layer


def linear_layer(kind: str) -> Linear:
    """Return a layer that ends in a ReLU where it can, and its matrix, found by feeding it unit vectors."""
    make, shape = LAYERS[kind]
    generator = np.random.default_rng(7)
    layer = filled(make(activation="relu", dtype="float64"), shape, generator)
    plain = make(activation=None, dtype="float64")
    plain.build((None, *shape))
    plain.set_weights(layer.get_weights())
    size = int(np.prod(shape))
    bias = flat(plain(np.zeros((1, *shape))))[0]
    if not isinstance(layer, layers.BatchNormalization):
        # Subtracting the bias would leave rounding where the matrix has zeros.
        plain.set_weights([layer.get_weights()[0], np.zeros_like(layer.get_weights()[1])])
        matrix = flat(plain(np.eye(size).reshape(size, *shape)))
    else:
        matrix = np.diag(np.diag(flat(plain(np.eye(size).reshape(size, *shape))) - bias))
    return Linear(layer, shape, matrix, bias)


def flat(values: tf.Tensor | np.ndarray) -> np.ndarray:
    return np.asarray(values).reshape(len(values), -1)


def call(
    rule: object, layer: keras.Operation, *inputs: np.ndarray, relevance: np.ndarray, **facts: object
) -> tuple[np.ndarray, list[np.ndarray], dict[str, np.ndarray]]:
    """Return (output, relevance of each input, sinks) of one operation under a rule."""
    known = attrs.evolve(alone(layer), **{"nonnegative": (False,) * len(inputs), **facts})
    tensors = [tf.constant(x) for x in inputs]

    def forward(*tensors: tf.Tensor) -> tf.Tensor:
        return layer(list(tensors) if len(tensors) > 1 else tensors[0])

    op = OpCall(Site("site"), layer, forward, read_affine(layer), known, sinks=True)
    output, backward = rule(op, *tensors)
    found = backward(tf.reshape(tf.constant(relevance, output.dtype), tf.shape(output)))
    return output.numpy(), [r.numpy() for r in found.inputs], {k: v.numpy() for k, v in found.sinks.items()}
