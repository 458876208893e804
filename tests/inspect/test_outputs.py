"""Outputs that a model returns by keys are named by them; layers' names go on working, places do not."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import xaicore
from xaicore.errors import UnbuiltModel, UnknownOutput
from xaicore.inspect.read import read_graph

UNBUILT = pytest.mark.filterwarnings("ignore:.build... was called on layer")  # Keras says that this may not do
X = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)


class Detector(keras.Model):
    """Returns a dict whose first key is not the first of the alphabet."""

    def __init__(self) -> None:
        super().__init__()
        self.score, self.frame = layers.Dense(3, name="score"), layers.Dense(2, name="frame")

    def call(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """x: (batch, 4)."""
        return {"cls": self.score(x), "box": self.frame(x)}


class Raw(Detector):
    """The same, in a way that symbolic tensors do not pass."""

    def call(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """x: (batch, 4)."""
        return super().call(tf.identity(x))


def functional() -> keras.Model:
    x = keras.Input((4,))
    return keras.Model(x, {"cls": layers.Dense(3, name="score")(x), "box": layers.Dense(2, name="frame")(x)})


def made(kind: str) -> keras.Model:
    if kind == "functional":
        return functional()
    model = {"symbolic": Detector, "raw": Raw}[kind]()
    model(X)
    return model


@pytest.mark.parametrize("kind", ["functional", "symbolic", "raw"])
def test_outputs_are_named_by_their_keys(kind: str) -> None:
    """Of linear models the gradient is a column of the kernel: it tells which output was explained."""
    model = made(kind)
    kernels = {"cls": model.get_layer("score").kernel, "box": model.get_layer("frame").kernel}

    assert read_graph(model).output_names == ("box", "cls")
    for key, kernel in kernels.items():
        for asked in ({"target": 1, "output": key}, {"target": f"{key}:1"}):
            found = xaicore.get_analyzer("gradient").explain(model, X, **asked, verbose=0)
            np.testing.assert_allclose(found.attributions, np.tile(np.asarray(kernel)[:, 1], (2, 1)), rtol=1e-6)
            assert found.output == key


@pytest.mark.parametrize("kind", ["functional", "symbolic"])
def test_names_of_layers_are_other_names(kind: str) -> None:
    model = made(kind)
    by_key, by_layer = (xaicore.explain("gradient", model, X, 1, output=o, verbose=0) for o in ("cls", "score"))

    np.testing.assert_array_equal(by_key.attributions, by_layer.attributions)
    assert by_layer.output == "cls"


@pytest.mark.parametrize("kind", ["functional", "symbolic", "raw"])
@pytest.mark.parametrize("output", [0, 1, np.int64(0), "nowhere"])
def test_keys_have_no_order(kind: str, output: object) -> None:
    with pytest.raises(UnknownOutput, match="'box', 'cls'"):
        xaicore.get_analyzer("gradient").bind(made(kind), output)


def test_one_output_is_the_only_one_whatever_its_key() -> None:
    x = keras.Input((4,))
    model = keras.Model(x, {"cls": layers.Dense(3)(x)})

    assert [xaicore.explain("gradient", model, X, 1, output=o, verbose=0).output for o in (None, 0)] == ["cls", "cls"]


@UNBUILT
def test_a_model_whose_layers_are_not_built_gets_no_weights_by_being_explained() -> None:
    model = Detector()
    model.build((None, 4))
    assert model.built

    with pytest.raises(UnbuiltModel, match="score"):
        xaicore.get_analyzer("gradient").plan(model, "cls")

    assert not model.weights
    model(X)
    assert xaicore.get_analyzer("gradient").plan(model, "cls").rows


@UNBUILT
def test_a_layer_that_no_call_uses_may_stay_unbuilt() -> None:
    model = Detector()
    model.idle = layers.Dense(7)
    model(X)

    assert xaicore.get_analyzer("gradient").plan(model, "cls").rows
    assert not model.idle.built
