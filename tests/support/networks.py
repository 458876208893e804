"""Networks written twice, as users write them and flat, so that one is the oracle of the other."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from xaicore.testing.models import randomise


def small_cnn() -> keras.Model:
    """Convolutions, pooling, a ReLU layer of its own and a fused softmax head."""
    x = keras.Input((8, 8, 2), name="image")
    y = layers.Conv2D(6, 3, activation="relu", name="conv1")(x)
    y = layers.MaxPooling2D(name="pool")(y)
    y = layers.Conv2D(4, 2, name="conv2")(y)
    y = layers.ReLU(name="relu")(y)
    y = layers.Flatten(name="flatten")(y)
    return randomise(keras.Model(x, layers.Dense(5, activation="softmax", name="head")(y), name="small_cnn"))


def nested_and_flat() -> tuple[keras.Model, keras.Model]:
    """Return one network twice: a nested backbone called for two inputs, with a residual add inside, and flat.

    Both hold the same layer objects, so the same weights.
    """
    conv = layers.Conv2D(6, 3, padding="same", activation="relu", name="conv")
    branch = layers.Conv2D(6, 3, padding="same", activation="relu", name="branch")
    norm = layers.BatchNormalization(name="norm")
    average = layers.GlobalAveragePooling2D(name="average")
    shared = layers.Dense(7, activation="relu", name="shared")
    head = layers.Dense(3, name="head")

    def backbone(x: keras.KerasTensor, add: layers.Layer) -> keras.KerasTensor:
        y = conv(x)
        return shared(average(norm(add([y, branch(y)]))))

    x = keras.Input((6, 6, 2), name="x")
    inner = keras.Model(x, backbone(x, layers.Add(name="add")), name="backbone")
    a, b = keras.Input((6, 6, 2), name="a"), keras.Input((6, 6, 2), name="b")
    nested = keras.Model([a, b], head(layers.Concatenate(name="join")([inner(a), inner(b)])), name="nested")
    c, d = keras.Input((6, 6, 2), name="a"), keras.Input((6, 6, 2), name="b")
    joined = [backbone(c, layers.Add(name="add_a")), backbone(d, layers.Add(name="add_b"))]
    flat = keras.Model([c, d], head(layers.Concatenate(name="join")(joined)), name="flat")
    randomise(nested)
    return nested, flat


class Symbolic(keras.Model):
    """A subclassed model that symbolic tensors can pass: ``+`` on tensors, a model inside, a layer called twice."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.enter = layers.Dense(6, activation="relu", name="enter")
        self.inside = keras.Sequential([layers.Dense(6, activation="relu", name="twice")], name="inside")
        self.leave = layers.Dense(3, name="leave")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """x: (batch, 5) -> (batch, 3)."""
        h = self.enter(x)
        h = h + self.inside(h)
        return self.leave(self.inside(h))


class Raw(Symbolic):
    """The same network with TensorFlow functions, which refuse symbolic tensors."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """x: (batch, 5) -> (batch, 3)."""
        h = self.enter(x)
        h = tf.add(h, self.inside(h))
        return self.leave(tf.concat([self.inside(h)], axis=-1))


def subclassed_and_flat(kind: type[Symbolic]) -> tuple[keras.Model, keras.Model]:
    """Return a subclassed model and the same layers as a Functional model."""
    model = kind(name=kind.__name__.lower())
    model(np.zeros((1, 5), np.float32))
    randomise(model)
    x = keras.Input((5,), name="x")
    twice = model.inside.layers[-1]
    h = model.enter(x)
    h = layers.Add(name="sum")([h, twice(h)])
    return model, keras.Model(x, model.leave(twice(h)), name="flat")
