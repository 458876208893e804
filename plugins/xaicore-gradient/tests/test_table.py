"""The rows of family ``gradient`` resolve, and what they make of a network is what their formula says."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import xaicore
from xaicore.backward import Backward
from xaicore.engine.random import normal
from xaicore.errors import InvalidParameter
from xaicore.testing.models import randomise
from xaicore_gradient.plain import InputItself
from xaicore_gradient.rules import DeconvRelu, GuidedRelu
from xaicore_gradient.smoothgrad import SmoothGrad


def network():
    x = keras.Input((6, 6, 2))
    y = layers.Conv2D(4, 3, activation="softplus")(x)
    y = layers.Dense(3)(layers.Flatten()(y))
    return randomise(keras.Model(x, y))


def slopes(model, x, chosen):
    """Return the chosen outputs and their gradients by a plain tape, eagerly."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        scores = tf.gather(model(x, training=False), chosen, batch_dims=1)
    return scores.numpy(), tape.gradient(scores, x).numpy()


@pytest.mark.parametrize(
    ("name", "analyzer"),
    [
        ("gradient", Backward()),
        ("gradient.gradient", Backward()),
        ("gradient.input_times_gradient", Backward(times_input=True)),
        ("input_t_gradient", Backward(times_input=True)),
        ("gradient.guided_backprop", Backward(rules=GuidedRelu())),
        ("gradient.deconvnet", Backward(rules=DeconvRelu())),
        ("input", InputItself()),
        ("random", InputItself(noise=1.0)),
        ("smoothgrad", SmoothGrad()),
        ("smoothgrad(gradient, n=8, noise_scale='absolute')", SmoothGrad(n=8, noise_scale="absolute")),
        ("gradient.smoothgrad(input_t_gradient)", SmoothGrad(Backward(times_input=True))),
    ],
)
def test_names(name, analyzer):
    found = xaicore.get_analyzer(name)
    assert found == analyzer
    assert xaicore.get_analyzer(str(found)) == found


def test_gradient_and_input_times_gradient():
    model, x = network(), np.random.default_rng(0).normal(size=(4, 6, 6, 2)).astype(np.float32)
    scores, gradient = slopes(model, x, model(x).numpy().argmax(axis=1))
    for name, want in (("gradient", gradient), ("input_t_gradient", x * gradient)):
        found = xaicore.get_analyzer(name).explain(model, x, verbose=0)
        # float32, one pass against another
        np.testing.assert_allclose(found.attributions, want, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found.scores, scores, rtol=1e-5)


@pytest.mark.parametrize(
    ("parameters", "formula"),
    [
        ("absolute=True", np.abs),
        ("square=True", np.square),
        ("reduce='mean'", lambda g: g.mean(-1, keepdims=True)),
        ("absolute=True, reduce='max'", lambda g: np.abs(g).max(-1, keepdims=True)),
        ("square=True, reduce='mean'", lambda g: np.square(g).mean(-1, keepdims=True)),
        ("times_input=True, absolute=True", None),
    ],
)
def test_what_is_shown_of_a_gradient(parameters, formula):
    model, x = network(), np.random.default_rng(0).normal(size=(4, 6, 6, 2)).astype(np.float32)
    scores, gradient = slopes(model, x, np.full(4, 1))
    want = np.abs(x * gradient) if formula is None else formula(gradient)
    analyzer = xaicore.get_analyzer(f"gradient({parameters})")
    found = analyzer.explain(model, x, 1, verbose=0)
    # float32, one pass against another
    np.testing.assert_allclose(found.attributions, want, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-5)
    assert xaicore.get_analyzer(str(analyzer)) == analyzer


def test_what_is_shown_of_relevance_is_not_conserved():
    """The claim is dropped with the signs."""
    assert xaicore.get_analyzer("lrp.epsilon").claims == {"conservation"}
    shown = xaicore.get_analyzer("lrp.epsilon(absolute=True)")
    assert shown.claims == frozenset()
    model, x = network(), np.random.default_rng(0).normal(size=(2, 6, 6, 2)).astype(np.float32)
    model = keras.Sequential([keras.Input((6, 6, 2)), *model.layers[1:]])
    relevance = xaicore.explain("lrp.z(on_unsupported='gradient')", model, x, 1).attributions
    found = xaicore.explain("lrp.z(on_unsupported='gradient', absolute=True)", model, x, 1)
    np.testing.assert_array_equal(found.attributions, np.abs(relevance))
    assert found.residual is None


def test_vectors_have_no_channels_to_reduce():
    model = randomise(keras.Sequential([keras.Input((3,)), layers.Dense(2)]))
    with pytest.raises(InvalidParameter, match="whose last axis is the features"):
        xaicore.explain("gradient(reduce='max')", model, np.ones((2, 3)), 1)


def test_smoothgrad_of_a_network():
    """The mean of eager gradients at copies with the same noise; cut into batches of two, three samples."""
    model, x = network(), np.random.default_rng(1).normal(size=(3, 6, 6, 2)).astype(np.float32)
    chosen = model(x).numpy().argmax(axis=1)
    sigma = 0.2 * np.ptp(x, axis=(1, 2, 3), keepdims=True)
    noise = [normal(tf.range(3, dtype=tf.int64), seed=5, draw=k, shape=(6, 6, 2)).numpy() for k in range(6)]
    want = np.mean([slopes(model, x + sigma * e, chosen)[1] for e in noise], axis=0)

    analyzer = xaicore.get_analyzer("smoothgrad(n=6, noise=0.2, seed=5)")
    found = analyzer.explain(model, x, batch_size=2, verbose=0)

    # float32 means of six
    np.testing.assert_allclose(found.attributions, want, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.scores, slopes(model, x, chosen)[0], rtol=1e-5)
    assert found.residual is None


def test_smoothgrad_at_a_site_adds_noise_there():
    """Integer inputs are smoothed behind their embedding."""
    tokens = keras.Input((5,), dtype="int32")
    inner = layers.Embedding(10, 4, name="words")(tokens)
    model = randomise(keras.Model(tokens, layers.Dense(3)(layers.Flatten()(layers.Activation("tanh")(inner)))))
    x = np.arange(10, dtype=np.int32).reshape(2, 5)

    found = xaicore.get_analyzer("smoothgrad(n=4, noise=0.3, noise_scale='absolute', at='words')").explain(
        model, x, 1, verbose=0
    )

    embedded = model.get_layer("words")(x).numpy()
    kernel = model.layers[-1].kernel.numpy()[:, 1].reshape(5, 4)
    noise = [normal(tf.range(2, dtype=tf.int64), seed=0, draw=k, shape=(5, 4)).numpy() for k in range(4)]
    want = np.mean([kernel * (1 - np.tanh(embedded + 0.3 * e) ** 2) for e in noise], axis=0)
    # tanh in float32
    np.testing.assert_allclose(found.attributions, want, rtol=1e-4, atol=1e-6)
