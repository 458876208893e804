"""Score-CAM against masks made by hand."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import xaicore
from xaicore.errors import InvalidParameter
from xaicore.testing.models import MODELS, inputs_of, two_towers


def unit(maps):
    low, high = maps.min((1, 2), keepdims=True), maps.max((1, 2), keepdims=True)
    return (maps - low) / np.where(high > low, high - low, 1)


@pytest.mark.parametrize("weights", ["softmax", "increase"])
def test_channels_are_weighted_by_what_they_leave(weights):
    model = MODELS["convolutional"]()
    x = inputs_of(model, 3)
    maps = keras.Model(model.input, model.get_layer("conv1").output)(x).numpy()

    def score(values):
        return xaicore.explain("gradient", model, values.astype("float32"), 2).scores

    scores = []
    for k in range(maps.shape[-1]):
        mask = unit(tf.image.resize(maps[..., k : k + 1], (8, 8)).numpy())
        scores.append(score(0.2 + mask * (x - 0.2)))
    gains = np.stack(scores, 1) - score(np.full_like(x, 0.2))[:, None]
    softmax = np.exp(gains - gains.max(1, keepdims=True))
    share = softmax / softmax.sum(1, keepdims=True) if weights == "softmax" else gains
    expected = np.maximum(np.einsum("bk,bhwk->bhw", share, maps), 0)
    found = xaicore.explain(f"cam.scorecam(at='conv1', baseline=0.2, weights='{weights}')", model, x, 2)
    np.testing.assert_allclose(found.attributions[..., 0], expected, rtol=1e-4, atol=1e-5)  # float32


def test_of_several_inputs_the_one_that_the_site_sees_is_masked():
    model = two_towers()
    found = xaicore.explain("cam.scorecam", model, inputs_of(model, 2), 0)
    assert found.attributions.shape == (2, 6, 1)
    assert np.isfinite(found.attributions).all()


def test_a_baseline_that_does_not_fit_is_refused():
    with pytest.raises(InvalidParameter, match=r"shape \(7,\) for 'image'.*\(8, 8, 3\)"):
        xaicore.get_analyzer("cam.scorecam", baseline=np.zeros(7)).plan(MODELS["convolutional"]())


def test_symbols_cannot_be_masked():
    """Words of a text are numbers without a scale."""
    words = keras.Input((6,), dtype="int32", name="words")
    maps = keras.layers.Conv1D(4, 2, activation="relu", name="conv")(keras.layers.Embedding(10, 5)(words))
    model = keras.Model(words, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling1D()(maps)))
    with pytest.raises(InvalidParameter, match="'words', which holds int32"):
        xaicore.explain("cam.scorecam(at='conv')", model, np.ones((2, 6), "int32"), 1)
