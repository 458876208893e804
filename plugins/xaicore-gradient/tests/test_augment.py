"""Test-time augmentation against copies made by hand."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import xaicore
from xaicore.errors import InvalidParameter
from xaicore.testing.models import MODELS, inputs_of, randomise


def free():
    """Return a model that takes any size."""
    body = [layers.Conv2D(4, 3, activation="tanh", name="conv"), layers.GlobalAveragePooling2D(name="pool")]
    return randomise(keras.Sequential([keras.Input((None, None, 2)), *body, layers.Dense(2)]))


def test_without_copies_it_is_the_inner_one():
    model = MODELS["convolutional"]()
    x = inputs_of(model, 2)
    found = xaicore.explain("tta(flip=False)", model, x, 1)
    plain = xaicore.explain("gradient", model, x, 1)
    np.testing.assert_array_equal(found.attributions, plain.attributions)
    np.testing.assert_array_equal(found.scores, plain.scores)


def copies_by_hand(inner, model, x, *, shares):
    """Return the mean over mirrored and resized copies, and that of their scores.  shares: the sum of a map stays."""
    maps, scores = [], []
    for size in ((8, 10), (4, 5), (16, 20)):
        sized = tf.image.resize(x, size).numpy()
        for step in (1, -1):
            one = xaicore.explain(inner, model, sized[:, :, ::step], 1)
            back = tf.image.resize(one.attributions[:, :, ::step], (8, 10)).numpy()
            maps.append(back * (size[0] * size[1] / 80 if shares else 1))
            scores.append(one.scores)
    return np.mean(maps, axis=0), np.mean(scores, axis=0)


@pytest.mark.parametrize(
    ("inner", "shares"),
    [
        ("gradient", True),
        ("gradient | sum_channels", True),
        ("gradient | absmax | normalize", False),
        ("gradient | sign", False),
        ("cam.gradcam(relu=False)", False),
        ("cam.gradcam(relu=False) | positive", False),
        ("smoothgrad(cam.gradcam(relu=False), n=2, noise=0)", False),
    ],
)
def test_mirrored_and_resized_copies_are_brought_back_and_averaged(inner, shares):
    """Divided by the number of maps that are summed; a class activation map counts the same at every size."""
    model, x = free(), np.random.default_rng(0).normal(size=(2, 8, 10, 2)).astype("float32")
    found = xaicore.explain(f"tta({inner}, scales=(0.5, 2.0))", model, x, 1)
    attributions, scores = copies_by_hand(inner, model, x, shares=shares)
    # Float32, sums of six maps.
    np.testing.assert_allclose(found.attributions, attributions, atol=1e-6)
    np.testing.assert_allclose(found.scores, scores, atol=1e-5)


def test_at_a_site_the_copies_are_brought_to_the_sites_size():
    """Of a layer with fewer positions than the input."""
    model, x = free(), np.random.default_rng(0).normal(size=(3, 8, 10, 2)).astype("float32")
    inner = "gradient(at='conv')"
    found = xaicore.explain(f"tta({inner}, scales=(0.5,))", model, x, 1).attributions
    maps = []
    for size in ((8, 10), (4, 5)):
        sized = tf.image.resize(x, size).numpy()
        for step in (1, -1):
            one = xaicore.explain(inner, model, sized[:, :, ::step], 1).attributions[:, :, ::step]
            maps.append(tf.image.resize(one, (6, 8)).numpy() * one.shape[1] * one.shape[2] / 48)
    np.testing.assert_allclose(found, np.mean(maps, axis=0), atol=1e-6)  # float32, sums of four maps


def test_units_have_no_place_to_be_mirrored_at():
    """The last axis but one of (batch, units) is the batch: samples would be mixed."""
    for inner in ("gradient(at='pool')", "smoothgrad(gradient(at='pool')) | abs"):
        with pytest.raises(InvalidParameter, match=r"'pool' of shape \(None, 4\); expected the positions of an input"):
            xaicore.get_analyzer(f"tta({inner})").plan(free())


def test_what_cannot_be_resized_is_refused():
    model = MODELS["convolutional"]()
    with pytest.raises(InvalidParameter, match="takes any size"):
        xaicore.get_analyzer("tta(scales=2)").plan(model)
    with pytest.raises(InvalidParameter, match="positions"):
        xaicore.get_analyzer("tta").plan(keras.Sequential([keras.Input((3,)), layers.Dense(2)]))
