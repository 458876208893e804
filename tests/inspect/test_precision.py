"""Models of half precision are explained in float32, whatever their layers are made of."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import xaicore
from xaicore.errors import PrecisionWarning
from xaicore.testing.models import randomise


def sequence(*parts: layers.Layer) -> keras.Model:
    """Return a model of sequences with parts in the middle."""
    return keras.Sequential([keras.Input((6, 8)), *parts, layers.Dense(2, dtype="float32")])


def attention(*, masked: bool) -> keras.Model:
    """Return a model with attention; with a mask it runs whole."""
    x = keras.Input((6, 8))
    h = layers.Masking()(x) if masked else x
    y = layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(2, 4)(h, h))
    return keras.Model(x, layers.Dense(2, dtype="float32")(y))


class Raw(keras.Model):
    """Runs whole, and looks at the type of its input."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = layers.Dense(4, activation="relu", name="a"), layers.Dense(2, name="b")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        if x.dtype != self.compute_dtype:
            raise TypeError(f"{x.dtype} for {self.compute_dtype}")
        return self.b(tf.concat([self.a(x), x], -1))[:, 0]


class Casting(layers.Layer):
    """Casts by an operation."""

    def __init__(self, **more: object) -> None:
        super().__init__(**more)
        self.inside = layers.Dense(8, name="inside")

    def call(self, x: object) -> object:
        return self.inside(keras.ops.cast(x, self.compute_dtype) * 2.0)


def raw() -> keras.Model:
    """Return a subclassed model that has been called."""
    model = Raw()
    model(np.zeros((1, 6, 8), np.float32))
    return model


MODELS: dict[str, Callable[[], keras.Model]] = {
    "lstm": lambda: sequence(layers.LSTM(4)),
    "gru": lambda: sequence(layers.GRU(4)),
    "bidirectional": lambda: sequence(layers.Bidirectional(layers.LSTM(4))),
    "time distributed": lambda: sequence(layers.TimeDistributed(layers.Dense(3)), layers.Flatten()),
    "attention": lambda: attention(masked=False),
    "masked attention": lambda: attention(masked=True),
    "casting": lambda: sequence(Casting(), layers.Flatten()),
    "raw": raw,
}


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", MODELS)
def test_every_layer_computes_in_float32(name: str, policy: str) -> None:
    """To the bit what the same weights give under a policy of float32; half precision would differ by 1e-3."""
    full = MODELS[name]()
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        half = randomise(MODELS[name]())
    finally:
        keras.config.set_dtype_policy(before)
    full.set_weights(half.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 6, 8)).astype(np.float32)
    analyzer = xaicore.get_analyzer("gradient")

    with pytest.warns(PrecisionWarning, match="computes in half precision"):
        found = analyzer.explain(half, x, 1, verbose=0)

    expected = analyzer.explain(full, x, 1, verbose=0)
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.attributions, expected.attributions)
    assert half.layers[-1].compute_dtype in {"float32", policy.removeprefix("mixed_")}
    assert {layer.compute_dtype for layer in half.layers} != {"float32"}  # the user's model is what it was
