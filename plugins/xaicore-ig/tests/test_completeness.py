"""Completeness on smooth networks, for every kind of input and for inner sites: what users read a result by."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops

import xaicore
from xaicore.testing.models import randomise

BATCH = 6
RANDOM = np.random.default_rng(0)


def normal(*shape):
    return RANDOM.normal(size=(BATCH, *shape)).astype(np.float32)


def vector():
    x = keras.Input((10,))
    return keras.Model(x, layers.Dense(3)(layers.Dense(16, activation="tanh", name="hidden")(x))), normal(10), "hidden"


def image():
    x = keras.Input((8, 8, 3))
    y = layers.Conv2D(8, 3, activation="gelu", name="conv")(x)
    return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling2D()(y))), normal(8, 8, 3), "conv"


def volume():
    x = keras.Input((4, 4, 4, 2))
    y = layers.Conv3D(4, 2, activation="softplus", name="conv")(x)
    return keras.Model(x, layers.Dense(3)(layers.Flatten()(y))), normal(4, 4, 4, 2), "conv"


def series():
    x = keras.Input((None, 4))
    y = layers.LSTM(6, return_sequences=True, name="lstm")(x)
    return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling1D()(y))), normal(7, 4), "lstm"


def words():
    x = keras.Input((5,), dtype="int32")
    y = layers.Embedding(20, 6, name="embedding")(x)
    y = layers.Dense(8, activation="tanh")(layers.Flatten()(y))
    return keras.Model(x, layers.Dense(3)(y)), RANDOM.integers(0, 20, (BATCH, 5)), "embedding"


def two_inputs():
    a, b = keras.Input((4,), name="a"), keras.Input((6, 6, 1), name="b")
    y = layers.Flatten()(layers.Conv2D(4, 3, activation="tanh", name="conv")(b))
    y = layers.Concatenate()([layers.Dense(6, activation="tanh")(a), y])
    return keras.Model([a, b], layers.Dense(3)(y)), [normal(4), normal(6, 6, 1)], "conv"


def named_inputs():
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    y = layers.Dense(8, activation="gelu", name="join")(layers.Concatenate()([a, b]))
    return keras.Model({"a": a, "b": b}, layers.Dense(3)(y)), {"a": normal(4), "b": normal(3)}, "join"


def nested():
    inner_x = keras.Input((8, 8, 1))
    inner = keras.Model(inner_x, layers.Conv2D(4, 3, activation="tanh", name="conv")(inner_x), name="backbone")
    x = keras.Input((8, 8, 1))
    return keras.Model(x, layers.Dense(3)(layers.Flatten()(inner(x)))), normal(8, 8, 1), "backbone/conv"


def attention():
    x = keras.Input((6, 8))
    y = layers.Add()([x, layers.MultiHeadAttention(2, 4, name="attention")(x, x)])
    y = layers.Dense(8, activation="gelu", name="dense")(layers.LayerNormalization()(y))
    return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling1D()(y))), normal(6, 8), "dense"


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.last = layers.Dense(8, activation="tanh", name="first"), layers.Dense(3, name="last")

    def call(self, x):
        return self.last(ops.concatenate([self.first(x), x], axis=1))


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 5), np.float32))
    return model, normal(5), "first"


KINDS = (vector, image, volume, series, words, two_inputs, named_inputs, nested, attention, subclassed)


def closed(explanation):
    """Return the residual relative to the sum of |attributions|, (batch,)."""
    total = sum(np.abs(a).reshape(BATCH, -1).sum(1) for a in explanation.arrays)
    return np.abs(explanation.residual) / total


@pytest.mark.parametrize("make", [kind for kind in KINDS if kind is not words], ids=lambda make: make.__name__)
@pytest.mark.parametrize("baseline", ["0", "0.3", "ig.mean", "ig.uniform(seed=1)"])
def test_inputs_are_complete(make, baseline):
    """1e-5: float32 sums of fifty steps and some hundred features; the rule itself is at 1e-12 on such functions."""
    model, x, _ = make()
    randomise(model)
    explanation = xaicore.get_analyzer(f"ig(n_steps=50, baseline={baseline})").explain(model, x, 1, verbose=0)
    assert (closed(explanation) <= 1e-5).all()


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_sites_are_complete(make):
    model, x, site = make()
    randomise(model)
    explanation = xaicore.get_analyzer(f"ig(n_steps=50, at='{site}')").explain(model, x, 1, verbose=0)
    assert (closed(explanation) <= 1e-5).all()
