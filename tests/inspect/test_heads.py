"""Softmax at the end of what has to run whole: left out where a layer makes it, told where it cannot be."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import xaicore
from xaicore.errors import HeadWarning
from xaicore.inspect import graph
from xaicore.testing.models import randomise

X = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)


class Whole(keras.Model):
    """Runs whole, since it calls TensorFlow; ends in a layer with a softmax."""

    def __init__(self, activation: object = "softmax", **more: object) -> None:
        super().__init__(**more)
        self.hidden = layers.Dense(4, activation="relu", name="hidden")
        self.head = layers.Dense(3, activation=activation, name="head")
        self.last = layers.Softmax(name="last")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """x: (batch, 5) -> (batch, 3)."""
        return tf.reshape(self.head(tf.identity(self.hidden(x))), (-1, 3))

    def logits(self, x: np.ndarray) -> np.ndarray:
        """Return what comes before the softmax, in NumPy."""
        h = np.maximum(x @ self.hidden.kernel.numpy() + self.hidden.bias.numpy(), 0)
        return h @ self.head.kernel.numpy() + self.head.bias.numpy()


class ByLayer(Whole):
    """The softmax is a layer of its own."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return self.last(self.head(tf.identity(self.hidden(x))))


class ByFunction(Whole):
    """The softmax is TensorFlow's, in no layer."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(self.head(self.hidden(x)))


class Twice(Whole):
    """The layer with the softmax is called before too."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return self.head(tf.identity(self.hidden(x)) + tf.reduce_sum(self.head(self.hidden(x)), -1, keepdims=True))


class Compiled(Whole):
    """The call is a function of TensorFlow, whose inside is not seen."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.function(tf.nn.softmax)(self.head(self.hidden(x)))


def built(cls: type[Whole], activation: object = "softmax") -> Whole:
    """Return a model that has been called."""
    model = cls(activation)
    model(X)
    return randomise(model)


@pytest.mark.parametrize("cls", [Whole, ByLayer])
@pytest.mark.parametrize("expression", ["gradient", "lrp.epsilon", "ig(n_steps=4)"])
def test_the_logit_is_explained(cls: type[Whole], expression: str) -> None:
    model = built(cls, "softmax" if cls is Whole else None)
    before = model(X).numpy()
    found = xaicore.get_analyzer(expression).explain(model, X, 1, verbose=0)
    # Float32 sums of at most five products of size one.
    np.testing.assert_allclose(found.scores, model.logits(X)[:, 1], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(model(X), before)
    probability = xaicore.get_analyzer("gradient(score='probability')").explain(model, X, 1, verbose=0)
    np.testing.assert_allclose(probability.scores, before[:, 1], rtol=1e-5)


@pytest.mark.parametrize("cls", [ByFunction, Twice, Compiled])
def test_a_head_that_cannot_be_left_out_is_told(cls: type[Whole]) -> None:
    model = built(cls, "softmax" if cls is Twice else None)
    with pytest.warns(HeadWarning, match="softmax"):
        found = xaicore.get_analyzer("gradient").explain(model, X, 1, verbose=0)
    np.testing.assert_allclose(found.scores, model(X).numpy()[:, 1], rtol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        xaicore.get_analyzer("gradient(score='probability')").explain(model, X, 1, verbose=0)


def test_a_function_in_a_layer_of_its_own_is_seen_too() -> None:
    x = keras.Input((5,))
    model = keras.Model(x, layers.Lambda(tf.nn.softmax, name="function")(layers.Dense(3)(x)))
    with pytest.warns(HeadWarning, match="function"):
        xaicore.get_analyzer("gradient").explain(model, X, 1, verbose=0)


def test_a_linear_end_needs_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = xaicore.get_analyzer("gradient").explain(model := built(Whole, None), X, 1, verbose=0)
    np.testing.assert_allclose(found.scores, model(X).numpy()[:, 1], rtol=1e-5)


def test_a_part_that_runs_whole_loses_its_softmax_in_a_new_model_too() -> None:
    x = keras.Input((5,), name="x")
    whole = built(Whole)
    model = keras.Model(x, whole(x))
    logits = graph.model_without_softmax(model)
    np.testing.assert_allclose(logits(X), whole.logits(X), rtol=1e-5, atol=1e-5)
