"""Grad-CAM against closed forms, and which layer it takes."""

from __future__ import annotations

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import xaicore
from xaicore.engine.resize import resize
from xaicore.errors import InvalidParameter, UnknownSite
from xaicore.testing.models import MODELS, inputs_of, randomise


def pooled(size=(9, 7), channels=3, head="linear"):
    """Return a network with a global mean and a dense head, whose class activation map is known in closed form."""
    x = keras.Input((*size, channels))
    maps = layers.Conv2D(5, 3, activation="relu", name="maps")(x)
    y = layers.Dense(4, activation=head, name="head")(layers.GlobalAveragePooling2D()(maps))
    return randomise(keras.Model(x, y))


def data(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_a_global_mean_and_a_dense_head():
    """w_k = W_kc / (h w): Zhou et al. 2016's map, divided by the number of positions."""
    model, x = pooled(), data(4, 9, 7, 3)
    found = xaicore.get_analyzer("cam(upsample=False, relu=False)").explain(model, x, 2, verbose=0)
    maps = np.asarray(keras.Model(model.input, model.get_layer("maps").output)(x))
    expected = maps @ model.get_layer("head").kernel.numpy()[:, 2:3] / (7 * 5)
    np.testing.assert_allclose(found.attributions, expected, rtol=0, atol=1e-6)  # sums of 5 products in float32
    positive = xaicore.get_analyzer("cam(upsample=False)").explain(model, x, 2, verbose=0)
    np.testing.assert_allclose(positive.attributions, np.maximum(expected, 0), rtol=0, atol=1e-6)


def test_the_logit_is_explained_and_the_probability_on_request():
    linear, softmax, x = pooled(), pooled(head="softmax"), data(2, 9, 7, 3)
    a = xaicore.get_analyzer("cam").explain(linear, x, 1, verbose=0)
    b = xaicore.get_analyzer("cam").explain(softmax, x, 1, verbose=0)
    c = xaicore.get_analyzer("cam(score='probability')").explain(softmax, x, 1, verbose=0)
    np.testing.assert_array_equal(a.attributions, b.attributions)
    np.testing.assert_allclose(c.scores, np.asarray(softmax(x))[:, 1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("sizes", [((5, 3), (11, 8)), ((4, 4), (4, 4)), ((7, 6), (3, 2)), ((1, 3), (5, 9))])
def test_resize_is_tensorflows_bilinear_one(sizes):
    given, wanted = sizes
    maps = tf.constant(data(2, *given))
    expected = tf.image.resize(maps[..., None], wanted, "bilinear")[..., 0]
    found = resize(maps, tf.constant(wanted), tf.TensorShape(wanted))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)  # four products in float32


def test_resize_in_one_and_three_dimensions_is_separable():
    line, volume = data(2, 5), data(2, 3, 4, 2)
    columns = np.stack([np.interp((np.arange(9) + 0.5) * 5 / 9 - 0.5, np.arange(5), row) for row in line])
    found = resize(tf.constant(line), tf.constant([9]), tf.TensorShape([9]))
    np.testing.assert_allclose(found, columns, rtol=0, atol=1e-6)
    bigger = resize(tf.constant(volume), tf.constant([6, 8, 4]), tf.TensorShape([6, 8, 4]))
    assert bigger.shape == (2, 6, 8, 4)
    expected = np.apply_along_axis(
        lambda v: np.interp((np.arange(8) + 0.5) * 4 / 8 - 0.5, np.arange(4), v), 2, resize_other(volume)
    )
    np.testing.assert_allclose(bigger, expected, rtol=0, atol=1e-6)


def resize_other(volume):
    """Return the volume interpolated along its first and last positions."""
    first = np.apply_along_axis(lambda v: np.interp((np.arange(6) + 0.5) / 2 - 0.5, np.arange(3), v), 1, volume)
    return np.apply_along_axis(lambda v: np.interp((np.arange(4) + 0.5) / 2 - 0.5, np.arange(2), v), 3, first)


@pytest.mark.parametrize(("name", "expected"), [("convolutional", r"add"), ("two_towers", r"tower/conv1d\w*\[1\]")])
def test_the_layer_is_the_last_with_positions_and_it_is_reported(name, expected):
    """Pooling after it is passed over, a shared layer counts at its last call."""
    model = MODELS[name]()
    found = xaicore.get_analyzer("cam").explain(model, inputs_of(model, 2), 1, verbose=0)
    assert found.coverage[0]["action"] == "explained"
    assert re.fullmatch(expected, found.coverage[0]["site"])


def channels_first():
    """Return a network whose data has its channels on axis 1 throughout; it cannot be run on a CPU."""
    first = {"data_format": "channels_first"}
    x = keras.Input((3, 9, 7))
    y = layers.ReLU(name="relu")(layers.BatchNormalization(axis=1)(layers.Conv2D(4, 3, name="conv", **first)(x)))
    return keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling2D(**first)(y)))


def permuted():
    """Return a network that moves the channels of its input to the end first."""
    x = keras.Input((3, 9, 7))
    y = layers.Conv2D(4, 3, activation="relu", name="conv")(layers.Permute((2, 3, 1))(x))
    return keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling2D()(y)))


@pytest.mark.parametrize("make", [channels_first, permuted])
def test_axes_that_are_not_the_inputs_positions_are_not_taken_for_them(make):
    """They are as many: a map would be drawn over channels and rows."""
    with pytest.raises(InvalidParameter, match="channels last"):
        xaicore.get_analyzer("cam").plan(make())


def test_a_site_with_channels_first_is_refused_and_a_moved_one_has_no_size():
    with pytest.raises(InvalidParameter, match="channels last"):
        xaicore.get_analyzer("cam(at='relu')").plan(channels_first())
    model, x = randomise(permuted()), data(2, 3, 9, 7)
    with pytest.raises(InvalidParameter, match="upsample=False"):
        xaicore.explain("cam(at='conv')", model, x, 1)
    assert xaicore.explain("cam(at='conv', upsample=False)", model, x, 1).attributions.shape == (2, 7, 5, 1)


def test_tokens_and_heads_are_no_picture():
    """Attention returns (tokens, heads, channels), as many axes as a picture."""
    x = keras.Input((8, 8, 3))
    patches = layers.Conv2D(6, 2, strides=2, name="patches")(x)
    tokens = layers.Reshape((16, 6))(patches)
    tokens = layers.Add(name="add")([tokens, layers.MultiHeadAttention(2, 3)(tokens, tokens)])
    model = randomise(keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling1D()(tokens))))
    found = xaicore.explain("cam", model, data(2, 8, 8, 3), 1)
    assert found.coverage[0]["site"] == "patches"

    words = keras.Input((12,), dtype="int32")
    y = layers.Embedding(9, 6)(words)
    y = layers.Add(name="joined")([y, layers.MultiHeadAttention(2, 3)(y, y)])
    text = randomise(keras.Model(words, layers.Dense(2)(layers.GlobalAveragePooling1D()(y))))
    found = xaicore.explain("cam", text, np.zeros((2, 12), np.int32), 1)
    assert found.coverage[0]["site"] == "joined"
    assert found.attributions.shape == (2, 12, 1)


def test_volumes_signals_and_text():
    volume = keras.Sequential([keras.Input((6, 6, 6, 1)), layers.Conv3D(3, 3), layers.Flatten(), layers.Dense(2)])
    signal = keras.Sequential([keras.Input((20, 2)), layers.Conv1D(3, 5), layers.Flatten(), layers.Dense(2)])
    text = keras.Sequential(
        [
            keras.Input((12,), dtype="int32"),
            layers.Embedding(9, 4),
            layers.Conv1D(3, 3),
            layers.GlobalMaxPooling1D(),
            layers.Dense(2),
        ]
    )
    cam = xaicore.get_analyzer("cam")
    assert cam.explain(volume, data(2, 6, 6, 6, 1), 0, verbose=0).attributions.shape == (2, 6, 6, 6, 1)
    assert cam.explain(signal, data(2, 20, 2), 0, verbose=0).attributions.shape == (2, 20, 1)
    tokens = np.random.default_rng(0).integers(0, 9, (2, 12))
    assert cam.explain(text, tokens, 0, verbose=0).attributions.shape == (2, 12, 1)


def test_smoothgrad_of_a_map_is_the_mean_of_maps():
    model, x = pooled(), data(3, 9, 7, 3)
    none = xaicore.get_analyzer("smoothgrad(cam, n=4, noise=0)").explain(model, x, 1, verbose=0)
    some = xaicore.get_analyzer("smoothgrad(cam, n=4, noise=0.2)").explain(model, x, 1, verbose=0)
    plain = xaicore.get_analyzer("cam").explain(model, x, 1, verbose=0)
    np.testing.assert_array_equal(none.attributions, plain.attributions)
    assert some.attributions.shape == plain.attributions.shape == (3, 9, 7, 1)
    assert not np.allclose(some.attributions, plain.attributions)


def test_mistakes_are_named():
    dense = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    with pytest.raises(InvalidParameter, match="No layer returns feature maps with the positions of an input"):
        xaicore.get_analyzer("cam").explain(dense, data(2, 4), 0, verbose=0)
    model = pooled()
    with pytest.raises(InvalidParameter, match="at='head', whose output has the shape"):
        xaicore.get_analyzer("cam(at='head')").explain(model, data(2, 9, 7, 3), 0, verbose=0)
    with pytest.raises(UnknownSite, match="Nearest sites"):
        xaicore.get_analyzer("cam(at='mapz')").explain(model, data(2, 9, 7, 3), 0, verbose=0)
