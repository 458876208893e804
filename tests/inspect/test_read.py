"""Models that cannot be read are refused by an error that says what to do."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import xaicore
from xaicore.engine.program import Program
from xaicore.errors import IntegerInput, LegacyKerasModel, NotAKerasModel, UnbuiltModel
from xaicore.inspect.read import read_graph


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(NotAKerasModel, match="Given dict"):
        xaicore.get_analyzer("gradient").explain({}, np.zeros((1, 2)), target=0)


def test_a_model_of_keras_2_is_told_how_to_come_over() -> None:
    """Told by the module that its class is from, so that tf_keras need not be installed."""
    legacy = type("Functional", (), {"__module__": "tf_keras.src.engine.functional"})()

    with pytest.raises(LegacyKerasModel, match=r"model\.h5"):
        xaicore.get_analyzer("gradient").explain(legacy, np.zeros((1, 2)), target=0)


def test_a_model_that_was_never_called_is_refused() -> None:
    with pytest.raises(UnbuiltModel, match=r"model\(x\[:1\]\)"):
        xaicore.get_analyzer("gradient").explain(keras.Sequential([layers.Dense(2)]), np.zeros((1, 2)), target=0)


def test_attention_becomes_its_projections() -> None:
    x = keras.Input((4, 6))
    graph = read_graph(keras.Model(x, layers.MultiHeadAttention(2, 3, name="attention")(x, x)))

    names = [str(site) for site in graph.sites]

    assert [n for n in names if "dot_product" not in n] == [
        f"attention/{part}" for part in ("query", "key", "value", "attention_output")
    ]


def test_a_separable_convolution_is_two_stages_that_compute_it() -> None:
    x = keras.Input((7, 7, 3))
    layer = layers.SeparableConv2D(5, 3, strides=2, padding="same", depth_multiplier=2, activation="relu", name="both")
    model = keras.Model(x, layer(x))
    data = np.random.default_rng(0).normal(size=(2, 7, 7, 3)).astype(np.float32)

    graph = read_graph(model)
    value = tf.constant(data)
    for node in graph.nodes:
        value = node.operation(value)

    assert [str(s) for s in graph.sites] == ["both/depthwise", "both/pointwise"]
    # The same two convolutions, in one kernel and in two.
    np.testing.assert_allclose(value, model(data), rtol=1e-5, atol=1e-6)


def test_a_loop_of_the_backend_stays_one_operation() -> None:
    x = keras.Input((4, 3))
    graph = read_graph(keras.Model(x, layers.LSTM(5, name="lstm")(x)))

    assert [str(s) for s in graph.sites] == ["lstm"]


def test_a_model_that_takes_a_dictionary_is_explained_as_one() -> None:
    inputs = {"a": keras.Input((3,), name="a"), "b": keras.Input((2,), name="b")}
    outputs = layers.Dense(2)(layers.Concatenate()([inputs["b"], inputs["a"]]))
    model = keras.Model(inputs, outputs)
    x = {"a": np.ones((4, 3), np.float32), "b": np.ones((4, 2), np.float32)}

    explanation = xaicore.get_analyzer("gradient").explain(model, x, target=0, verbose=0)

    kernel = np.asarray(model.layers[-1].kernel)[:, 0]
    np.testing.assert_allclose(explanation.attributions["b"], np.tile(kernel[:2], (4, 1)), rtol=1e-6)
    np.testing.assert_allclose(explanation.attributions["a"], np.tile(kernel[2:], (4, 1)), rtol=1e-6)


class Masked(keras.Model):
    """A subclassed model with a mask on the way to attention."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = layers.Embedding(9, 6, mask_zero=True, name="embedding")
        self.attention = layers.MultiHeadAttention(2, 3, name="attention")
        self.mean = layers.GlobalAveragePooling1D(name="mean")

    def call(self, tokens: tf.Tensor) -> tf.Tensor:
        h = self.embedding(tokens)
        return self.mean(self.attention(h, h))


def functional_with_mask() -> keras.Model:
    tokens = keras.Input((5,), dtype="int32")
    h = layers.Embedding(9, 6, mask_zero=True, name="embedding")(tokens)
    h = layers.MultiHeadAttention(2, 3, name="attention")(h, h)
    return keras.Model(tokens, layers.GlobalAveragePooling1D(name="mean")(h))


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask:UserWarning")  # Keras, of its own layers
@pytest.mark.parametrize("make", [functional_with_mask, Masked])
def test_masks_reach_attention_as_they_do_in_the_model(make: Callable[[], keras.Model]) -> None:
    """Without the mask the padded positions would be attended to, and nobody would see it."""
    model = make()
    tokens = np.array([[1, 2, 3, 0, 0], [4, 5, 6, 7, 8]], np.int32)
    expected = np.asarray(model(tokens))
    graph = read_graph(model)

    outputs = tf.function(lambda t: Program(graph, graph).outputs((t,)), autograph=False)(tf.constant(tokens))

    # The same operations, eager and compiled.
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask:UserWarning")  # Keras, of its own layers
def test_zeros_are_never_given_for_an_input_that_has_no_gradient() -> None:
    """A subclassed model does not say that its input is integers; the zeros would look like an explanation."""
    model = Masked()
    tokens = np.array([[1, 2, 3, 4, 5]], np.int32)
    model(tokens)

    with pytest.raises(IntegerInput, match="at="):
        xaicore.get_analyzer("gradient").explain(model, tokens, target=0, verbose=0)
    explanation = xaicore.get_analyzer("gradient", at="embedding").explain(model, tokens, target=0, verbose=0)

    assert explanation.attributions.shape == (1, 5, 6)
    assert np.abs(explanation.attributions).max() > 0
