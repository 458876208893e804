"""The full-gradient decomposition: it is the output, and its terms are biases times gradients."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import xaicore
from xaicore.errors import InvalidParameter, UnsupportedOperation
from xaicore.testing.models import MODELS, float64_twin, inputs_of, randomise

R = np.random.default_rng(0)


def plain():
    """Return two convolutions with ReLUs of their own and one dense layer, whose terms are written out below."""
    x = keras.Input((6, 6, 2))
    z1 = layers.Conv2D(3, 3, padding="same", name="c1")(x)
    z2 = layers.Conv2D(4, 3, strides=2, name="c2")(layers.ReLU()(z1))
    return float64_twin(randomise(keras.Model(x, layers.Dense(2, name="d")(layers.Flatten()(layers.ReLU()(z2))))))


def norms():
    """Return batch normalization with and without scale and centre, fused activations, pooling, a residual."""
    x = keras.Input((6, 6, 2))
    y = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    y = layers.BatchNormalization(scale=False, epsilon=0.1)(y)
    z = layers.BatchNormalization(center=False)(layers.Conv2D(4, 3, padding="same")(y))
    y = layers.ReLU()(layers.Add()([y, z]))
    y = layers.AveragePooling2D(2)(layers.MaxPooling2D(2, strides=1)(y))
    return randomise(keras.Model(x, layers.Dense(3, activation="softmax")(layers.Flatten()(y))))


def bent():
    """Return layer normalization, GELU, a gate, rescaling and a constant that is added."""
    x = keras.Input((6, 2))
    y = layers.Conv1D(4, 3, activation="gelu")(layers.Rescaling(2.0, offset=0.3)(x))
    y = layers.LayerNormalization(epsilon=0.1)(y)
    y = layers.Multiply()([y, layers.Dense(4, activation="sigmoid")(layers.GlobalAveragePooling1D(keepdims=True)(y))])
    return randomise(keras.Model(x, layers.Dense(2)(layers.Flatten()(y + 1.5))))


@pytest.mark.parametrize("make", [plain, norms, bent, MODELS["convolutional"]])
def test_all_terms_sum_to_the_output(make):
    model = float64_twin(make())
    x = np.asarray(inputs_of(model, 3), np.float64)
    found = xaicore.explain("gradient.full_gradients", model, x, 1)
    # Float64: sums of some thousand terms of size one.
    np.testing.assert_allclose(found.residual, 0, atol=1e-10)
    narrow = make()
    found = xaicore.explain("gradient.full_gradients", narrow, x.astype("float32"), 1)
    size = np.abs(found.scores) + 1
    assert (np.abs(found.residual) < 1e-5 * size).all()


def test_the_map_holds_biases_times_gradients():
    model, x = plain(), R.normal(size=(2, 6, 6, 2))
    stages = keras.Model(model.input, [model.get_layer(n).output for n in ("c1", "c2")])
    with tf.GradientTape() as tape:
        given = tf.constant(x)
        tape.watch(given)
        z1 = model.get_layer("c1")(given)
        tape.watch(z1)
        z2 = model.get_layer("c2")(tf.nn.relu(z1))
        tape.watch(z2)
        f = model.get_layer("d")(tf.reshape(tf.nn.relu(z2), (2, -1)))[:, 1]
    g, g1, g2 = tape.gradient(f, [given, z1, z2])
    b1, b2 = (model.get_layer(n).bias.numpy() for n in ("c1", "c2"))
    np.testing.assert_allclose(stages(x)[0], z1)
    found = xaicore.explain("gradient.full_gradients(psi='none')", model, x, 1)
    second = xaicore.explain("gradient.full_gradients(psi='none', input_term=False)", model, x, 1)
    np.testing.assert_allclose(found.attributions - second.attributions, (x * g).numpy().sum(-1, keepdims=True))
    resized = tf.image.resize((b2 * g2).numpy().sum(-1, keepdims=True), (6, 6)).numpy()
    # `tf.image.resize` computes in float32.
    expected = (b1 * g1).numpy().sum(-1, keepdims=True) + resized
    np.testing.assert_allclose(second.attributions, expected, atol=1e-6)
    np.testing.assert_allclose(found.elsewhere, np.full(2, model.get_layer("d").bias.numpy()[1]), atol=1e-12)


def test_the_map_of_sizes_is_not_negative_and_of_each_target():
    model = norms()
    x = inputs_of(model, 2)
    found = xaicore.explain("gradient.full_gradients", model, x, np.array([[0, 2], [1, 2]]))
    assert found.attributions.shape == (2, 2, 6, 6, 1)
    assert found.attributions.min() >= 0
    one = xaicore.explain("gradient.full_gradients", model, x, 2)
    np.testing.assert_allclose(found.attributions[:, 1], one.attributions, rtol=1e-5)


def test_vectors_have_no_map():
    with pytest.raises(InvalidParameter, match="full-gradients are a map"):
        xaicore.get_analyzer("gradient.full_gradients").plan(keras.Sequential([keras.Input((4,)), layers.Dense(2)]))


@pytest.mark.parametrize("loop", [layers.LSTM(4), layers.Bidirectional(layers.GRU(3)), layers.SimpleRNN(3)])
def test_what_runs_in_a_loop_cannot_be_looked_into(loop):
    """It has no derivative forward, so that its implicit bias is not known."""
    model = keras.Sequential([keras.Input((6, 3)), layers.Conv1D(4, 3, activation="relu"), loop, layers.Dense(2)])
    with pytest.raises(UnsupportedOperation, match=loop.name):
        xaicore.get_analyzer("gradient.full_gradients").plan(model)
