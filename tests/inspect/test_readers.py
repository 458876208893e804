"""A plugin teaches the core to read a layer of its own, and every affine rule works on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

import xaicore
from xaicore.inspect import affine
from xaicore.inspect.affine import AffineForm

if TYPE_CHECKING:
    import pytest


class Scaled(keras.layers.Layer):
    """A dense layer that no table knows: ``y = 2 x W``."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.weight = self.add_weight(shape=(shape[-1], 3), name="weight")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return 2 * tf.matmul(x, self.weight)


def read(layer: Scaled) -> AffineForm:
    return AffineForm(
        tf.convert_to_tensor(layer.weight), None, lambda x, w, b: 2 * tf.matmul(x, w) + (0 if b is None else b)
    )


def test_a_layer_with_a_reader_gets_the_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(affine.registry, "layer_readers", lambda: {f"{Scaled.__module__}:Scaled": read})
    x = keras.Input((4,))
    layer = Scaled(name="own")
    model = keras.Model(x, layer(x))
    data = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)

    explanation = xaicore.get_analyzer("lrp.z").explain(model, data, target=1, verbose=0)

    assert [row.rule for row in xaicore.get_analyzer("lrp.z").plan(model).rows] == ["lrp.z"]
    # One linear layer without a bias: the z rule gives each input its own term of the sum.
    np.testing.assert_allclose(explanation.attributions, 2 * data * np.asarray(layer.weight)[:, 1], rtol=1e-5)
