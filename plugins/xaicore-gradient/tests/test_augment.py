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
    body = [layers.Conv2D(4, 3, activation="tanh"), layers.GlobalAveragePooling2D()]
    return randomise(keras.Sequential([keras.Input((None, None, 2)), *body, layers.Dense(2)]))


def test_without_copies_it_is_the_inner_one():
    model = MODELS["convolutional"]()
    x = inputs_of(model, 2)
    found = xaicore.explain("tta(flip=False)", model, x, 1)
    plain = xaicore.explain("gradient", model, x, 1)
    np.testing.assert_array_equal(found.attributions, plain.attributions)
    np.testing.assert_array_equal(found.scores, plain.scores)


@pytest.mark.parametrize("inner", ["gradient", "cam.gradcam(relu=False)"])
def test_mirrored_and_resized_copies_are_brought_back_and_averaged(inner):
    """Divided by the number of maps that are summed."""
    model, x = free(), np.random.default_rng(0).normal(size=(2, 8, 10, 2)).astype("float32")
    found = xaicore.explain(f"tta({inner}, scales=(0.5, 2.0))", model, x, 1)
    maps, scores = [], []
    for size in ((8, 10), (4, 5), (16, 20)):
        sized = tf.image.resize(x, size).numpy()
        for step in (1, -1):
            one = xaicore.explain(inner, model, sized[:, :, ::step], 1)
            back = tf.image.resize(one.attributions[:, :, ::step], (8, 10)).numpy()
            maps.append(back * size[0] * size[1] / 80)
            scores.append(one.scores)
    # Float32, sums of six maps.
    np.testing.assert_allclose(found.attributions, np.mean(maps, axis=0), atol=1e-6)
    np.testing.assert_allclose(found.scores, np.mean(scores, axis=0), atol=1e-5)


def test_what_cannot_be_resized_is_refused():
    model = MODELS["convolutional"]()
    with pytest.raises(InvalidParameter, match="takes any size"):
        xaicore.get_analyzer("tta(scales=2)").plan(model)
    with pytest.raises(InvalidParameter, match="positions"):
        xaicore.get_analyzer("tta").plan(keras.Sequential([keras.Input((3,)), layers.Dense(2)]))
