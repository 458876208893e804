"""A plugin teaches the core to read a layer of its own, and every affine rule works on it."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import xaicore
from xaicore import registry
from xaicore.errors import InvalidDeclaration, UnsupportedOperation
from xaicore.inspect.affine import AffineForm


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
    monkeypatch.setattr(registry, "layer_readers", lambda: {f"{Scaled.__module__}:Scaled": read})
    x = keras.Input((4,))
    layer = Scaled(name="own")
    model = keras.Model(x, layer(x))
    data = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)

    explanation = xaicore.get_analyzer("lrp.z").explain(model, data, target=1, verbose=0)

    assert [row.rule for row in xaicore.get_analyzer("lrp.z").plan(model).rows] == ["lrp.z"]
    # One linear layer without a bias: the z rule gives each input its own term of the sum.
    np.testing.assert_allclose(explanation.attributions, 2 * data * np.asarray(layer.weight)[:, 1], rtol=1e-5)


def test_a_reader_that_gives_no_affine_form_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "layer_readers", lambda: {f"{Scaled.__module__}:Scaled": lambda _: None})
    x = keras.Input((4,))
    with pytest.raises(InvalidDeclaration, match="reader of Scaled returned None"):
        xaicore.get_analyzer("lrp.z").explain(keras.Model(x, Scaled()(x)), np.ones((2, 4)), target=1, verbose=0)


class Squash(keras.layers.Layer):
    """An activation that no table knows: ``y = x |x|``."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return x * tf.abs(x)


def squashed() -> keras.Model:
    x = keras.Input((4,))
    return keras.Model(x, keras.layers.Dense(3)(Squash(name="squash")(keras.layers.Dense(5)(x))))


def test_a_layer_gets_the_rules_of_the_kind_that_a_plugin_gives_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """An activation hands on the relevance that it gets, as the plan says and the numbers show."""
    model, data = squashed(), np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    with pytest.raises(UnsupportedOperation, match="squash"):
        xaicore.get_analyzer("lrp.z").plan(squashed())
    monkeypatch.setattr(registry, "layer_readers", lambda: {f"{Squash.__module__}:Squash": "activation"})

    explanation = xaicore.get_analyzer("lrp.z", account=True).explain(model, data, target=1, verbose=0)

    row = next(row for row in explanation.coverage if row["site"] == "squash")
    assert (row["action"], row["rule"]) == ("rule", "lrp.pass")
    ledger = explanation.ledger["squash"]
    np.testing.assert_allclose(ledger["passed"], ledger["arrived"], rtol=1e-5)  # float32


@pytest.mark.parametrize("kind", ["dense", "nonsense"])
def test_a_kind_has_to_be_one_without_weights_to_read(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(registry, "layer_readers", lambda: {f"{Squash.__module__}:Squash": kind})
    with pytest.raises(InvalidDeclaration, match=rf"kind '{kind}' to Squash; expected one of activation, "):
        xaicore.get_analyzer("lrp.z").plan(squashed())
