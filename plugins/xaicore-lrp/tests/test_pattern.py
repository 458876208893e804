"""Patterns against NumPy's statistics and against the example of the paper that they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import xaicore
from xaicore.errors import InvalidParameter, NotFitted, UnsupportedOperation
from xaicore.testing.models import convolutional, float64_twin, inputs_of, randomise

if TYPE_CHECKING:
    import pathlib


def network() -> keras.Model:
    """A ReLU as argument, one as a layer of its own behind a normalization, and linear logits."""
    x = keras.Input((6,), name="x")
    y = layers.Dense(5, activation="relu", name="fused")(x)
    y = layers.BatchNormalization()(layers.Dense(4, name="apart")(y))
    return float64_twin(randomise(keras.Model(x, layers.Dense(3, activation="softmax", name="head")(layers.ReLU()(y)))))


def expected(x: np.ndarray, weights: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the estimator of Kindermans et al. 2018, eq. 9, neuron by neuron."""
    y = x @ weights
    found = np.zeros_like(weights)
    for k in range(weights.shape[1]):
        rows = mask[:, k]
        covariance = (x[rows] * y[rows, k][:, None]).mean(0) - x[rows].mean(0) * y[:, k].mean()
        found[:, k] = covariance / (weights[:, k] @ covariance)
    return found


@pytest.mark.parametrize("kind", ["relu", "linear"])
def test_patterns_are_the_statistics_of_all_batches(kind: str) -> None:
    model = network()
    x = np.random.default_rng(0).normal(size=(200, 6))
    analyzer = xaicore.get_analyzer("lrp.pattern_net", pattern_type=kind).fit(model, x, batch_size=64)
    found = {site: np.asarray(pattern) for site, pattern in analyzer.patterns}

    hidden = model.get_layer("fused")(x).numpy()
    apart = keras.Model(model.inputs[0], model.layers[-2].output)
    everywhere = kind == "linear"
    after = {"fused": (x, hidden > 0), "apart": (hidden, apart(x).numpy() > 0)}
    for site, (given, mask) in after.items():
        weights = model.get_layer(site).kernel.numpy()
        target = expected(given, weights, np.ones_like(mask) if everywhere else mask)
        np.testing.assert_allclose(found[site], target, rtol=1e-9, atol=1e-12)
    # Logits have no activation: the head is a softmax, and all rows count.
    weights = model.get_layer("head").kernel.numpy()
    last = apart(x).numpy()
    np.testing.assert_allclose(found["head"], expected(last, weights, np.ones((200, 3), bool)), rtol=1e-9, atol=1e-12)


def test_convolutions_are_learnt_patch_by_patch() -> None:
    x = keras.Input((6, 6, 2), name="x")
    y = layers.Conv2D(3, 2, strides=2, activation="relu", name="conv")(x)
    model = float64_twin(randomise(keras.Model(x, layers.Dense(2)(layers.Flatten()(y)))))
    data = inputs_of(model, 50)
    (site, pattern), _ = xaicore.get_analyzer("lrp.pattern_net").fit(model, data).patterns
    blocks = data.reshape(50, 3, 2, 3, 2, 2).transpose(0, 1, 3, 2, 4, 5).reshape(-1, 8)
    weights = model.get_layer("conv").kernel.numpy()
    active = model.get_layer("conv")(data).numpy().reshape(-1, 3) > 0
    assert site == "conv"
    np.testing.assert_allclose(
        np.asarray(pattern).reshape(8, 3), expected(blocks, weights.reshape(8, 3), active), rtol=1e-8, atol=1e-11
    )


def test_the_signal_is_found_beside_a_distractor() -> None:
    """Haufe et al. 2014: x = a s + d e, with weights orthogonal to the distractor d; the pattern is the signal's a."""
    random = np.random.default_rng(0)
    signal, distractor = np.array([1.0, 0.0]), np.array([1.0, 1.0])
    x = random.normal(size=(20000, 1)) * signal + random.normal(size=(20000, 1)) * distractor
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, use_bias=False, name="linear")])
    model.get_layer("linear").kernel.assign([[1.0], [-1.0]])  # w . d = 0, w . a = 1
    analyzer = xaicore.get_analyzer("lrp.pattern_net", pattern_type="linear").fit(model, x.astype(np.float32))
    # 20000 samples estimate a correlation to 1 / sqrt(20000) = 0.007; three of them.
    np.testing.assert_allclose(np.asarray(analyzer.patterns[0][1])[:, 0], signal, atol=0.022)


def test_what_goes_back_goes_through_patterns_and_real_activations() -> None:
    """By hand in NumPy: PatternNet with A, PatternAttribution with A * W, from the logit's value on."""
    x_in = keras.Input((6,), name="x")
    y = layers.Dense(5, activation="relu", name="a")(x_in)
    model = float64_twin(randomise(keras.Model(x_in, layers.Dense(3, name="b")(y))))
    x = inputs_of(model, 4)
    for name, attribution in (("lrp.pattern_net", False), ("lrp.pattern_attribution", True)):
        analyzer = xaicore.get_analyzer(name).fit(model, inputs_of(model, 64, seed=5))
        found = analyzer.explain(model, x, target=1)
        a, b = (np.asarray(pattern) for _, pattern in analyzer.patterns)
        if attribution:
            a, b = a * model.get_layer("a").kernel.numpy(), b * model.get_layer("b").kernel.numpy()
        active = model.get_layer("a")(x).numpy() > 0
        back = (model(x).numpy()[:, 1:2] * b[:, 1][None] * active) @ a.T
        np.testing.assert_allclose(found.attributions, back, rtol=1e-10, atol=1e-13)


def test_each_call_of_a_layer_has_its_own_pattern() -> None:
    """By hand in NumPy: one layer called for two inputs, each call under what it learnt from its own input."""
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    shared = layers.Dense(3, activation="relu", name="dense")  # which is the name of a kind, too
    model = keras.Model([a, b], layers.Dense(2, name="last")(layers.Concatenate()([shared(a), shared(b)])))
    model = float64_twin(randomise(model))
    x, data = inputs_of(model, 3), inputs_of(model, 64, seed=5)
    analyzer = xaicore.get_analyzer("lrp.pattern_net").fit(model, data)
    found = analyzer.explain(model, x, target=1).attributions
    shared, patterns = model.get_layer("dense"), {site: np.asarray(one) for site, one in analyzer.patterns}
    relevance = model(x).numpy()[:, 1:2] * patterns["last"][:, 1]
    for i, (site, part) in enumerate({"dense": slice(0, 3), "dense[1]": slice(3, 6)}.items()):
        mask = shared(data[i]).numpy() > 0
        target = expected(data[i], shared.kernel.numpy(), mask)
        # What is learnt adds up a bias and takes it away again: some digits of float64.
        np.testing.assert_allclose(patterns[site], target, rtol=1e-9, atol=1e-12)
        back = (relevance[:, part] * (shared(x[i]).numpy() > 0)) @ target.T
        np.testing.assert_allclose(found[i], back, rtol=1e-9, atol=1e-12)


def test_a_fitted_analyzer_is_saved_with_its_patterns(tmp_path: pathlib.Path) -> None:
    model = convolutional()
    analyzer = xaicore.get_analyzer("lrp.pattern_attribution").fit(model, inputs_of(model, 16))
    x = inputs_of(model, 2)
    analyzer.save(tmp_path / "fitted.npz")
    again = xaicore.load(tmp_path / "fitted.npz")
    assert again == analyzer
    np.testing.assert_array_equal(
        again.explain(model, x, target=1).attributions, analyzer.explain(model, x, target=1).attributions
    )


def test_what_is_not_fitted_or_does_not_fit_is_refused() -> None:
    model = convolutional()
    x = inputs_of(model, 2)
    with pytest.raises(NotFitted, match="fit"):
        xaicore.explain("lrp.pattern_net", model, x, target=1)
    analyzer = xaicore.get_analyzer("lrp.pattern_net", patterns={"conv1": np.ones((2, 2))})
    with pytest.raises(InvalidParameter, match="conv1"):
        analyzer.explain(model, x, target=1)
    y = keras.Input((4, 4, 2))
    depthwise = keras.Model(y, layers.Dense(1)(layers.Flatten()(layers.DepthwiseConv2D(2, name="deep")(y))))
    with pytest.raises(UnsupportedOperation, match="deep"):
        xaicore.get_analyzer("lrp.pattern_net").fit(depthwise, inputs_of(depthwise, 2))
    with pytest.raises(InvalidParameter, match="mapping from sites"):
        xaicore.get_analyzer("lrp.pattern_net", patterns=3)


def test_inputs_far_from_zero_are_learnt_from_in_full_precision() -> None:
    """In float32 with a mean of a thousand deviations the squares cancel to nothing; moments are summed in float64."""
    x = np.random.default_rng(2).normal(loc=1000, size=(512, 6)).astype("float32")
    model = randomise(keras.Sequential([keras.Input((6,)), layers.Dense(3, name="head")]))
    analyzer = xaicore.get_analyzer("lrp.pattern_net", pattern_type="linear").fit(model, x, batch_size=64)
    weights = model.get_layer("head").kernel.numpy().astype(np.float64)
    target = expected(x.astype(np.float64), weights, np.ones((512, 3), bool))
    # The layer's own output is float32: 6e-8 of some thousand, for a deviation of one.
    np.testing.assert_allclose(np.asarray(dict(analyzer.patterns)["head"]), target, rtol=5e-3, atol=5e-3)


def test_a_dataset_for_training_is_taken_without_its_labels() -> None:
    x = np.random.default_rng(3).normal(size=(40, 6)).astype("float32")
    model = randomise(keras.Sequential([keras.Input((6,)), layers.Dense(3)]))
    data = tf.data.Dataset.from_tensor_slices((x, np.zeros(40))).batch(16)
    pattern = xaicore.get_analyzer("lrp.pattern_net")
    one, other = pattern.fit(model, data), pattern.fit(model, x)
    for (_, a), (_, b) in zip(one.patterns, other.patterns, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5)  # float32, summed in other batches
