"""Models of every make, against their own gradient by TensorFlow's tape."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import xaicore
from transformers import PatchEncoder, Patches, subclassed_transformer
from xaicore.errors import PrecisionWarning, RuleNeverMet, UnsupportedOperation
from xaicore.testing.models import randomise

RNG = np.random.default_rng(0)


def functional_transformer():
    x = keras.Input((16, 16, 3))
    encoded = PatchEncoder(16, 8)(Patches(4)(x))
    for _ in range(2):
        normal = layers.LayerNormalization(epsilon=1e-6)(encoded)
        added = layers.Add()([layers.MultiHeadAttention(2, 8, dropout=0.1)(normal, normal), encoded])
        hidden = layers.Dense(16, activation=keras.activations.gelu)(layers.LayerNormalization()(added))
        encoded = layers.Add()([layers.Dense(8)(layers.Dropout(0.1)(hidden)), added])
    return keras.Model(x, layers.Dense(4)(layers.Flatten()(layers.LayerNormalization()(encoded))))


def recurrent(*cells):
    return keras.Sequential([keras.Input((7, 4)), *cells, layers.Dense(4)])


def attention():
    x = keras.Input((6, 8))
    y = layers.Add()([x, layers.MultiHeadAttention(2, 4)(x, x)])
    return keras.Model(x, layers.Dense(4)(layers.GlobalAveragePooling1D()(layers.LayerNormalization()(y))))


def free_size():
    convolution = layers.Conv2D(4, 3, activation="relu")
    return keras.Sequential(
        [keras.Input((None, None, 3)), convolution, layers.GlobalAveragePooling2D(), layers.Dense(4)]
    )


def named_inputs():
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    joined = layers.Concatenate()([layers.Dense(3, activation="relu")(a), b])
    return keras.Model({"a": a, "b": b}, layers.Dense(4)(joined))


MODELS = {
    "lstm": (lambda: recurrent(layers.LSTM(5, return_sequences=True), layers.LSTM(3)), (7, 4)),
    "gru": (lambda: recurrent(layers.GRU(5)), (7, 4)),
    "simple": (lambda: recurrent(layers.SimpleRNN(5)), (7, 4)),
    "bidirectional": (lambda: recurrent(layers.Bidirectional(layers.LSTM(5))), (7, 4)),
    "attention": (attention, (6, 8)),
    "transformer": (functional_transformer, (16, 16, 3)),
    "subclassed transformer": (subclassed_transformer, (16, 16, 3)),
    "free size": (free_size, (9, 7, 3)),
    "named inputs": (named_inputs, {"a": (4,), "b": (3,)}),
}


def data(shape, batch=3):
    if isinstance(shape, dict):
        return {name: data(one, batch) for name, one in shape.items()}
    return RNG.normal(size=(batch, *shape)).astype(np.float32)


def by_tape(model, x, unit=1):
    """Return score and gradient of one output by TensorFlow's own tape."""

    @tf.function(autograph=False)
    def gradient(x):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            scores = model(x, training=False)[:, unit]
        return scores, tape.gradient(scores, x)

    return keras.tree.map_structure(np.asarray, gradient(keras.tree.map_structure(tf.constant, x)))


def close(found, expected):
    """Compare to float32 rounding through a few dozen operations, relative to the largest entry."""
    for a, b in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-5 * np.abs(b).max())


@pytest.mark.parametrize("name", MODELS)
def test_the_gradient_is_the_tapes(name):
    make, shape = MODELS[name]
    model, x = make(), data(shape)
    found = xaicore.get_analyzer("gradient").explain(model, x, 1, verbose=0)
    scores, gradient = by_tape(model, x)
    close(found.scores, scores)
    close(found.attributions, gradient)


@pytest.mark.parametrize("name", MODELS)
def test_integrated_gradients_are_a_sum_of_the_tapes(name):
    """Two nodes of the midpoint rule from a baseline of zeros."""
    make, shape = MODELS[name]
    model, x = make(), data(shape)
    found = xaicore.get_analyzer("ig.riemann_middle(n_steps=2)").explain(model, x, 1, verbose=0)
    points = [keras.tree.map_structure(lambda v, t=t: (t * v).astype(np.float32), x) for t in (0.25, 0.75)]
    gradients = [by_tape(model, point)[1] for point in points]
    expected = keras.tree.map_structure(lambda v, a, b: v * (a + b) / 2, x, *gradients)
    close(found.attributions, expected)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("expression", ["gradient", "ig(n_steps=4)", "lrp.epsilon(epsilon=0.01)", "lrp.alpha2beta1"])
def test_mixed_precision_is_explained_in_float32_with_a_warning(policy, expression):
    """The same weights under a policy of float32 give the same numbers."""
    half, full = of_policy(policy), of_policy("float32")
    full.set_weights(half.get_weights())
    x = data((8, 8, 3))
    analyzer = xaicore.get_analyzer(expression)
    with pytest.warns(PrecisionWarning, match="computes in half precision at 3 operations"):
        found = analyzer.explain(half, x, 1, verbose=0)
    expected = analyzer.explain(full, x, 1, verbose=0)
    np.testing.assert_array_equal(found.attributions, expected.attributions)
    np.testing.assert_array_equal(found.scores, expected.scores)
    assert half.layers[1].compute_dtype == policy.removeprefix("mixed_")  # the user's model is what it was


def of_policy(policy):
    x = keras.Input((8, 8, 3))
    y = layers.Conv2D(4, 3, activation="relu", dtype=policy)(x)
    y = layers.Flatten(dtype=policy)(layers.BatchNormalization(dtype=policy)(y))
    return randomise(keras.Model(x, layers.Dense(4, dtype="float32")(y)))


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have a `quantize` method")
def test_an_int8_model_has_its_gradient_and_no_silent_rule():
    """Quantised layers never meet a rule: it is said, not passed over."""
    model = keras.Sequential([keras.Input((6,)), layers.Dense(5, activation="relu"), layers.Dense(4)])
    model.quantize("int8")
    x = data((6,))
    found = xaicore.get_analyzer("gradient").explain(model, x, 1, verbose=0)
    close(found.attributions, by_tape(model, x)[1])
    with pytest.raises(UnsupportedOperation, match="No rule for 2 operation"):
        xaicore.get_analyzer("lrp.epsilon").explain(model, x, 1, verbose=0)
    with pytest.raises(RuleNeverMet, match="The result would be the plain gradient"):
        xaicore.get_analyzer("lrp.epsilon(on_unsupported='gradient')").explain(model, x, 1, verbose=0)


def test_a_legacy_h5_file(tmp_path):
    model = randomise(keras.Sequential([keras.Input((6,)), layers.Dense(5, activation="relu"), layers.Dense(4)]))
    model.save(tmp_path / "model.h5")
    again = keras.models.load_model(tmp_path / "model.h5", compile=False)
    x, analyzer = data((6,)), xaicore.get_analyzer("lrp.epsilon")
    first, second = (analyzer.explain(m, x, 1, verbose=0).attributions for m in (model, again))
    np.testing.assert_array_equal(first, second)


def test_text_through_an_embedding_with_a_mask():
    table = layers.Embedding(20, 4, mask_zero=True, name="embedding")
    model = keras.Sequential([keras.Input((7,), dtype="int32"), table, layers.LSTM(5), layers.Dense(2)])
    tokens = RNG.integers(1, 20, (3, 7))
    tokens[:, 5:] = 0
    found = xaicore.get_analyzer("gradient(at='embedding')").explain(model, tokens, 1, verbose=0)
    assert np.abs(found.attributions[:, :5]).min() > 0
    assert (found.attributions[:, 5:] == 0).all()  # masked steps are skipped
