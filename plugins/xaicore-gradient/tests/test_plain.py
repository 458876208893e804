"""Analyzers without rules against a tape and NumPy, and against recorded results of older systems."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import xaicore
from xaicore.errors import IntegerInput, InvalidParameter
from xaicore.testing.models import convolutional, float64_twin, inputs_of, randomise, two_towers


def test_the_oracle_and_the_engine_agree():
    """One tape over the model, and the walk over its graph, in float64."""
    for make in (convolutional, two_towers):
        model = float64_twin(make())
        x = inputs_of(model, 3)
        engine, oracle = (xaicore.explain(name, model, x, target=1) for name in ("gradient", "gradient.baseline"))
        np.testing.assert_allclose(engine.scores, oracle.scores, rtol=1e-12)
        for a, b in zip(engine.arrays, oracle.arrays, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_the_sign_of_the_input_times_anything():
    model = float64_twin(convolutional())
    x = inputs_of(model, 2)
    x[0, 0] = 0
    plain = xaicore.explain("gradient", model, x, target=1).attributions
    np.testing.assert_array_equal(
        xaicore.explain("times_sign", model, x, target=1).attributions, np.where(x < 0, -plain, plain)
    )
    shifted = xaicore.get_analyzer("gradient.times_sign_mu", mu=0.5).explain(model, x, target=1)
    np.testing.assert_array_equal(shifted.attributions, np.where(x < 0.5, -plain, plain))
    mu = np.linspace(-1, 1, 3)
    by_channel = xaicore.get_analyzer("times_sign", mu=mu).explain(model, x, target=1)
    np.testing.assert_array_equal(by_channel.attributions, np.where(x < mu, -plain, plain))
    relevance = xaicore.explain("lrp.z", model, x, target=1).attributions
    around = xaicore.explain("times_sign(lrp.z)", model, x, target=1)
    np.testing.assert_array_equal(around.attributions, np.where(x < 0, -relevance, relevance))
    assert around.residual is None
    with pytest.raises(InvalidParameter, match="mu='half'"):
        xaicore.get_analyzer("times_sign", mu="half")


def test_a_map_lies_over_all_channels_of_the_input():
    model = convolutional()
    x = inputs_of(model, 2)
    plain = xaicore.explain("cam.gradcam(relu=False)", model, x, target=1).attributions
    found = xaicore.explain("times_sign(cam.gradcam(relu=False))", model, x, target=1).attributions
    np.testing.assert_array_equal(found, np.where(x < 0, -plain, plain))


@pytest.mark.parametrize(
    ("how", "make", "message"),
    [
        ("times_sign(gradient(at='conv1'))", convolutional, "explains 'conv1'; expected attributions of the inputs"),
        ("times_sign(smoothgrad(gradient(at='conv1')) | abs)", convolutional, "explains 'conv1'"),
        ("times_sign(cam.gradcam(upsample=False, at='max'))", convolutional, r"returns \(4, 4, 1\) for samples of"),
        ("times_sign(cam.gradcam)", two_towers, r"returns \(6, 1\) for samples of \(6, 2\), \(6, 2\), \(4,\)"),
    ],
)
def test_attributions_of_another_shape_have_no_sign_of_the_input(how, make, message):
    model = make()
    with pytest.raises(InvalidParameter, match=message):
        xaicore.explain(how, model, inputs_of(model, 2), target=1)


def test_a_mu_of_another_shape_is_refused():
    with pytest.raises(InvalidParameter, match=r"a mu of shape \(5,\) for 'image'"):
        xaicore.get_analyzer("times_sign", mu=np.zeros(5)).plan(convolutional())


def test_what_a_map_has_to_be_better_than():
    model = convolutional()
    x = inputs_of(model, 200)
    np.testing.assert_array_equal(xaicore.explain("gradient.input", model, x, target=1).attributions, x)
    first, again = (xaicore.explain("gradient.random", model, x, target=1).attributions for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = xaicore.explain("gradient.random(seed=1)", model, x, target=1).attributions
    noise = np.stack([first - x, other - x])
    # 38400 numbers of variance 1: mean and variance to five standard errors.
    assert np.abs(noise.mean((1, 2, 3, 4))).max() < 5 / np.sqrt(noise[0].size)
    assert np.abs(noise.var((1, 2, 3, 4)) - 1).max() < 5 * np.sqrt(2 / noise[0].size)
    assert np.abs(np.corrcoef(noise.reshape(2, -1))[0, 1]) < 5 / np.sqrt(noise[0].size)
    words = keras.Input((3,), dtype="int32")
    embedded = keras.Model(words, layers.Dense(2)(layers.Flatten()(layers.Embedding(5, 2)(words))))
    with pytest.raises(IntegerInput):
        xaicore.explain("gradient.input", embedded, np.zeros((1, 3), np.int32), target=1)


@pytest.mark.parametrize("quantile", [0.0, 0.5, 0.9])
def test_rectgrad_by_hand(quantile):
    """Two dense layers in NumPy: what passes is where activation times relevance is above its quantile."""
    x_in = keras.Input((6,), name="x")
    y = layers.ReLU(name="r")(layers.Dense(12, name="a")(x_in))
    y = layers.Dense(9, activation="relu", name="b")(y)
    model = float64_twin(randomise(keras.Model(x_in, layers.Dense(3, name="c")(y))))
    x = inputs_of(model, 4)
    found = xaicore.explain(f"gradient.rectgrad(quantile={quantile})", model, x, target=1)

    (a, a0), (b, b0), (c, c0) = (model.get_layer(name).get_weights() for name in "abc")
    h1 = np.maximum(x @ a + a0, 0)
    h2 = np.maximum(h1 @ b + b0, 0)
    relevance = (h2 @ c + c0)[:, 1:2] * c[:, 1]
    for activation, weights in ((h2, b), (h1, a)):
        product = activation * relevance
        limit = np.quantile(product, quantile, axis=1, keepdims=True)
        relevance = np.where((product > limit) & (activation > 0), relevance, 0) @ weights.T
    np.testing.assert_allclose(found.attributions, relevance, rtol=1e-10, atol=1e-13)


SIGNXAI = {
    "gradient": "gradient",
    "input_t_gradient": "input_t_gradient",
    "gradient_x_sign": "times_sign",
    "gradient_x_sign_mu_0": "times_sign(mu=0)",
    "gradient_x_sign_mu_0_5": "times_sign(mu=0.5)",
    "gradient_x_sign_mu_neg_0_5": "times_sign(mu=-0.5)",
}


@pytest.mark.parametrize("method", SIGNXAI)
@pytest.mark.parametrize("network", ["mlp", "cnn", "conv1d"])
def test_agrees_with_signxai(golden, golden_model, network, method):
    """Float32 on both sides: 1e-5 of the sample's largest entry is what the recordings promise for gradients."""
    model, x, _, target = golden_model(network)
    found = xaicore.get_analyzer(SIGNXAI[method]).explain(model, x, target, verbose=0).attributions
    with np.load(golden / "results" / "signxai" / f"{network}.npz") as recorded:
        key = next((k for k in (f"{method}@batch", f"{method}@single") if k in recorded.files), None)
        if key is None:
            pytest.skip(f"there is no {method} on {network}")
        theirs = recorded[key]
    axes = tuple(range(1, theirs.ndim))
    assert (np.abs(found - theirs).max(axes) / np.abs(theirs).max(axes)).max() < 1e-5
