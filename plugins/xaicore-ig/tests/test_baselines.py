"""Where paths start: each baseline against numpy, and the mean over several."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import xaicore
from xaicore.errors import InvalidArgument, InvalidParameter
from xaicore.testing.models import float64_twin, randomise
from xaicore_ig.baselines import Reference, as_baseline
from xaicore_ig.blur import blurred

X = np.random.default_rng(0).normal(size=(3, 9, 7, 2))
IDS = np.array([4, 5, 9])


def smooth(shape=(9, 7, 2)):
    hidden = [layers.Flatten(), layers.Dense(6, activation="tanh"), layers.Dense(3)]
    return float64_twin(randomise(keras.Sequential([keras.Input(shape), *hidden])))


def drawn(expression, draw=0, x=X):
    baseline = xaicore.get(expression, "baseline")
    rows = tf.fill([len(x)], draw)
    (found,) = baseline((tf.constant(x),), tf.constant(IDS[: len(x)], tf.int64), rows)
    return found.numpy()


def gaussian(x, sigma, reach):
    """Filter the axes of positions with a sampled Gaussian, edges repeated, by explicit sums."""
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-(offsets**2) / (2 * sigma**2))
    weights /= weights.sum()
    for axis in range(1, x.ndim - 1):
        length = x.shape[axis]
        places = [np.clip(np.arange(length) + o, 0, length - 1) for o in offsets]
        x = sum(w * np.take(x, p, axis=axis) for w, p in zip(weights, places, strict=True))
    return x


def test_blur_is_a_gaussian_filter():
    # Sums of some eighty products of size one, by differences of running sums, in float64.
    np.testing.assert_allclose(drawn("ig.blur(sigma=2)"), gaussian(X, 2.0, 8), atol=1e-12)
    np.testing.assert_allclose(drawn("ig.blur(sigma=2)", x=X[:, :, 0]), gaussian(X[:, :, 0], 2.0, 8), atol=1e-12)


def test_the_change_of_a_filter_with_its_width():
    """By central differences: h^2 times a third derivative of size one, and rounding over h."""
    h = 1e-4
    for sigma in (0.7, 2.0):
        _, slope = blurred(tf.constant(X), tf.fill([3], tf.constant(sigma, tf.float64)), 3.0)
        expected = (gaussian(X, sigma + h, 12) - gaussian(X, sigma - h, 12)) / (2 * h)
        np.testing.assert_allclose(slope, expected, atol=1e-7)


def test_a_filter_without_width_changes_nothing():
    same, _ = blurred(tf.constant(X), tf.zeros([3], tf.float64), 3.0)
    np.testing.assert_allclose(same, X, atol=1e-14)


def test_mean_is_that_of_each_channel():
    np.testing.assert_allclose(drawn("ig.mean"), np.broadcast_to(X.mean((1, 2), keepdims=True), X.shape), atol=1e-14)
    vectors = X[:, :, 0, 0]
    np.testing.assert_allclose(drawn("ig.mean", x=vectors), np.broadcast_to(vectors.mean(1)[:, None], vectors.shape))


def test_uniform_numbers_are_those_of_the_sample_and_the_draw():
    one, other = drawn("ig.uniform(low=-1, high=3, n=2)"), drawn("ig.uniform(low=-1, high=3, n=2)", draw=1)
    assert one.min() > -1
    assert one.max() < 3
    # 378 numbers from U(-1, 3): their mean has a standard deviation of 4 / sqrt(12 * 378) = 0.06.
    assert abs(one.mean() - 1) < 4 * 0.06
    assert not np.any(one == other)
    alone = xaicore.get("ig.uniform(low=-1, high=3, n=2)", "baseline")
    (row,) = alone((tf.constant(X[2:]),), tf.constant(IDS[2:], tf.int64), tf.constant([0]))
    np.testing.assert_array_equal(row[0], one[2])


def test_several_baselines_are_averaged():
    """The mean of the explanations, and of the scores at the starts."""
    model = smooth()
    zero, one, mean = (xaicore.explain(f"ig(baseline={b})", model, X, 1) for b in ("0", "0.5", "ig.mean"))
    found = xaicore.explain("ig(baseline=ig.several(baselines=(0, 0.5, ig.mean)))", model, X, 1)
    expected = (zero.attributions + one.attributions + mean.attributions) / 3
    np.testing.assert_allclose(found.attributions, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.residual, (zero.residual + one.residual + mean.residual) / 3, rtol=0, atol=1e-12)


def test_a_reference_is_met_row_by_row_or_drawn():
    model = smooth()
    rows = np.random.default_rng(2).normal(size=(4, 9, 7, 2))
    each = [xaicore.get_analyzer("ig", baseline=row).explain(model, X, 1).attributions for row in rows]
    found = xaicore.get_analyzer("ig", baseline=Reference(rows)).explain(model, X, 1)
    np.testing.assert_allclose(found.attributions, np.mean(each, axis=0), rtol=0, atol=1e-12)
    some = Reference(rows, n=50)
    (b,) = some((tf.zeros([50, 9, 7, 2]),), tf.zeros([50], tf.int64), tf.range(50))
    met = {int(np.abs(rows.astype("float32") - row).reshape(4, -1).max(1).argmin()) for row in b.numpy()}
    assert met == {0, 1, 2, 3}  # 50 draws leave one of four out with a chance of 4 * 0.75^50 = 2e-6


def test_baselines_are_part_of_the_name():
    for text in (
        "ig(baseline=ig.blur(sigma=3.0))",
        "ig(baseline=ig.several(baselines=(0.0, ig.blur)))",
        "ig(baseline=(0.0, 1.0))",
        "ig(baseline=ig.uniform(n=3))",
    ):
        analyzer = xaicore.get_analyzer(text)
        assert xaicore.get_analyzer(str(analyzer)) == analyzer
    assert xaicore.get_analyzer("ig(baseline=ig.zeros)") != xaicore.get_analyzer("ig")  # a part, and a number
    assert as_baseline(0.0) == xaicore.get("ig.zeros", "baseline")
    with_array = xaicore.get_analyzer("ig", baseline=Reference(X))
    assert "array(" in str(with_array)


def test_a_list_has_a_baseline_for_each_input():
    """None is zero, an array broadcasts, as alibi takes them."""
    a, b = keras.Input((4,)), keras.Input((3,))
    model = float64_twin(randomise(keras.Model([a, b], layers.Dense(2)(layers.Concatenate()([a, b])))))
    x = [np.ones((2, 4)), np.ones((2, 3))]
    found = xaicore.get_analyzer("ig", baseline=[None, np.array([1.0, 0.0, 0.5])]).explain(model, x, 0)
    kernel = model.layers[-1].kernel.numpy()[:, 0]
    np.testing.assert_allclose(found.attributions[0], np.broadcast_to(kernel[:4], (2, 4)), atol=1e-12)
    np.testing.assert_allclose(found.attributions[1], np.broadcast_to(kernel[4:] * [0, 1, 0.5], (2, 3)), atol=1e-12)


def test_a_list_of_numbers_has_one_for_each_input():
    """Also where an input has as many features as there are inputs; NumPy's numbers are numbers."""
    a, b = keras.Input((2,)), keras.Input((2,))
    model = float64_twin(randomise(keras.Model([a, b], layers.Dense(2)(layers.Concatenate()([a, b])))))
    x = [np.ones((3, 2)), np.ones((3, 2))]
    kernel = model.layers[-1].kernel.numpy()[:, 0]
    for given in ([0.0, 0.25], (0.0, 0.25), [np.float32(0), np.float64(0.25)], [None, np.float32(0.25)]):
        found = xaicore.get_analyzer("ig", baseline=given).explain(model, x, 0)
        np.testing.assert_allclose(found.attributions[0], np.broadcast_to(kernel[:2], (3, 2)), atol=1e-12)
        np.testing.assert_allclose(found.attributions[1], np.broadcast_to(0.75 * kernel[2:], (3, 2)), atol=1e-12)
    same = xaicore.get_analyzer("ig", baseline=np.float32(0.25)).explain(model, x, 0)
    np.testing.assert_allclose(same.attributions[0], np.broadcast_to(0.75 * kernel[:2], (3, 2)), atol=1e-12)


@pytest.mark.parametrize("method", ["ig(n_steps=20)", "ig.adaptive", "ig.expected_gradients(n_steps=7)", "ig.idgi"])
def test_an_array_like_the_data_has_a_baseline_for_each_sample(method):
    """As one by one, whatever the batches are."""
    model, starts = smooth(), np.random.default_rng(2).normal(size=X.shape)
    each = [
        xaicore.get_analyzer(method, baseline=start).explain(model, x[None], 1).attributions
        for x, start in zip(X, starts, strict=True)
    ]
    if method.startswith("ig.expected"):  # random numbers hang on the sample's number
        each = [
            xaicore.get_analyzer(method, baseline=start).explain(model, X, 1).attributions[k : k + 1]
            for k, start in enumerate(starts)
        ]
    analyzer = xaicore.get_analyzer(method, baseline=starts)
    for size in (1, 2, 3):
        found = analyzer.explain(model, X, 1, batch_size=size)
        np.testing.assert_allclose(found.attributions, np.concatenate(each), rtol=0, atol=1e-12)


def test_there_are_as_many_baselines_as_samples():
    analyzer = xaicore.get_analyzer("smoothgrad(n=2)", inner=xaicore.get_analyzer("ig", baseline=X))
    with pytest.raises(InvalidArgument, match="baselines for 3 samples and 2 samples"):
        analyzer.explain(smooth(), X[:2], 1)
    with pytest.raises(InvalidArgument, match="baselines for 3 samples and at least 4 samples"):
        analyzer.explain(smooth(), iter([X[:2], X[:2]]), 1)
    both = xaicore.get_analyzer("ig", baseline=X, inner=xaicore.get_analyzer("ig", baseline=X[:2]))
    with pytest.raises(InvalidParameter, match="2 and 3 samples"):
        both.explain(smooth(), X, 1)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("ig.uniform(low=1, high=0)", "low <= high"),
        ("ig.several(baselines=())", "no baselines"),
        ("ig.blur(sigma=0)", "sigma=0"),
    ],
)
def test_values_that_make_no_baseline(expression, message):
    with pytest.raises(InvalidParameter, match=message):
        xaicore.get(expression, "baseline")


def test_baselines_that_do_not_fit_a_model():
    vectors = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    with pytest.raises(InvalidParameter, match="positions"):
        xaicore.get_analyzer("ig(baseline=ig.blur)").plan(vectors)
    with pytest.raises(InvalidParameter, match="positions"):
        xaicore.get_analyzer("ig.blur_path").plan(vectors)
    with pytest.raises(InvalidParameter, match=r"\(m, \*\(4,\)\)"):
        xaicore.get_analyzer("ig", baseline=Reference(np.zeros((3, 2, 2)))).plan(vectors)
    with pytest.raises(InvalidParameter, match="as many rows"):
        Reference((np.zeros((3, 2)), np.zeros((2, 2))))
