"""DeepLIFT's rescale rule against slopes written out, and its sums."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import xaicore
from xaicore.errors import InvalidParameter, UnsupportedOperation
from xaicore.testing.models import MODELS, float64_twin, inputs_of, randomise

R = np.random.default_rng(0)


def test_two_layers_by_hand():
    model = keras.Sequential([keras.Input((5,)), layers.Dense(6, activation="relu"), layers.Dense(1)])
    model = float64_twin(randomise(model))
    (w, b), (v, _) = (layer.get_weights() for layer in model.layers)
    x, r = R.normal(size=(3, 5)), 0.4
    z, z0 = x @ w + b, np.full((3, 5), r) @ w + b
    slope = (np.maximum(z, 0) - np.maximum(z0, 0)) / (z - z0)
    expected = (slope * v[:, 0]) @ w.T * (x - r)
    found = xaicore.explain(f"gradient.deeplift_rescale(baseline={r})", model, x)
    np.testing.assert_allclose(found.attributions, expected, atol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh", "sigmoid", "softplus"])
def test_attributions_sum_to_the_change_of_the_score(activation):
    """Convolutions with padding and strides, batch normalization, both kinds of pooling, a residual."""
    x = keras.Input((8, 8, 2))
    y = layers.Conv2D(4, 3, padding="same", activation=activation)(x)
    z = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(y))
    y = layers.Activation(activation)(layers.Add()([y, z]))
    y = layers.AveragePooling2D(2)(layers.MaxPooling2D(3, strides=1)(y))
    model = float64_twin(randomise(keras.Model(x, layers.Dense(3, activation="softmax")(layers.Flatten()(y)))))
    data = R.normal(size=(3, 8, 8, 2))
    found = xaicore.explain("gradient.deeplift_rescale(baseline=0.1)", model, data, 1)
    before = xaicore.explain("gradient", model, np.full_like(data, 0.1), 1).scores
    np.testing.assert_allclose(found.attributions.sum((1, 2, 3)), found.scores - before, atol=1e-10)
    np.testing.assert_allclose(found.residual, 0, atol=1e-10)


def test_a_bias_free_relu_network_and_a_reference_of_zero_give_gradient_times_input():
    """All differences are values themselves there, and slopes the gradient."""
    hidden = [layers.Conv2D(4, 3, activation="relu", use_bias=False), layers.Flatten()]
    model = randomise(keras.Sequential([keras.Input((6, 6, 2)), *hidden, layers.Dense(2, use_bias=False)]))
    model = float64_twin(model)
    x = R.normal(size=(3, 6, 6, 2))
    found = xaicore.explain("gradient.deeplift_rescale", model, x, 1).attributions
    product = xaicore.explain("gradient.input_times_gradient", model, x, 1).attributions
    np.testing.assert_allclose(found, product, atol=1e-12)


def test_at_a_site_the_reference_is_given_there():
    model = float64_twin(MODELS["convolutional"]())
    x = np.asarray(inputs_of(model, 2), np.float64)
    found = xaicore.explain("gradient.deeplift_rescale(at='conv1')", model, x, 1)
    np.testing.assert_allclose(found.residual, 0, atol=1e-10)
    assert found.attributions.shape == (2, 8, 8, 6)


def test_what_has_no_slope_of_its_own_is_refused():
    x = keras.Input((4, 3))
    model = keras.Model(x, layers.Dense(1)(layers.Flatten()(layers.LayerNormalization(name="norm")(x))))
    with pytest.raises(UnsupportedOperation, match="norm"):
        xaicore.get_analyzer("gradient.deeplift_rescale").plan(model)


def two_inputs():
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    hidden = layers.Dense(4, activation="tanh", name="hidden")(layers.Concatenate()([a, b]))
    return float64_twin(randomise(keras.Model([a, b], layers.Dense(2)(hidden))))


def test_every_input_may_have_a_reference_of_its_own():
    """What is equal to its reference has no part in the change."""
    model = two_inputs()
    x = [R.normal(size=(1, 3)), R.normal(size=(1, 2))]
    found = xaicore.get_analyzer("gradient.deeplift_rescale", baseline=(0.5, x[1][0])).explain(model, x, 1)
    change = found.scores - xaicore.explain("gradient", model, [np.full((1, 3), 0.5), x[1]], 1).scores
    np.testing.assert_allclose(found.attributions[0].sum(1), change, atol=1e-12)
    np.testing.assert_array_equal(found.attributions[1], 0)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"baseline": np.zeros(4)}, r"shape \(4,\) for 'a'"),
        ({"baseline": (0.0, 1.0, 2.0)}, "a tuple of 2, one each: a, b"),
        ({"baseline": np.zeros(5), "at": "hidden"}, r"shape \(5,\) for 'hidden'.*\(4,\)"),
    ],
)
def test_references_that_do_not_fit(how, message):
    with pytest.raises(InvalidParameter, match=message):
        xaicore.get_analyzer("gradient.deeplift_rescale", **how).plan(two_inputs())
