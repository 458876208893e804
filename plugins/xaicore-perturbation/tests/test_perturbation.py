"""Perturbations against sums written out, and Shapley values against their definition."""

from __future__ import annotations

import functools
import itertools
import math

import keras
import numpy as np
import pytest
from keras import layers

import xaicore
from xaicore.errors import BlackBoxMistake, InvalidParameter, NotAKerasModel
from xaicore.testing.models import float64_twin, randomise

R = np.random.default_rng(0)


def dense(features=5, outputs=3):
    model = keras.Sequential([keras.Input((features,)), layers.Dense(6, activation="tanh"), layers.Dense(outputs)])
    return float64_twin(randomise(model))


def pictures():
    hidden = [layers.Conv2D(3, 3, activation="tanh"), layers.Flatten(), layers.Dense(2)]
    return float64_twin(randomise(keras.Sequential([keras.Input((7, 5, 2)), *hidden])))


def score(model, x, target):
    return np.asarray(model(x))[:, target]


X = R.normal(size=(3, 5))
P = R.normal(size=(2, 7, 5, 2))
# Differences and means of float64 scores of size one.
ROUNDING = 1e-12


@pytest.mark.parametrize("baseline", [0.0, 0.7])
def test_ablation_is_the_loss_of_each_feature(baseline):
    model = dense()
    found = xaicore.explain(f"perturbation.ablation(baseline={baseline})", model, X, 1)
    for i in range(5):
        without = X.copy()
        without[:, i] = baseline
        expected = score(model, X, 1) - score(model, without, 1)
        np.testing.assert_allclose(found.attributions[:, i], expected, atol=ROUNDING)
    np.testing.assert_allclose(found.scores, score(model, X, 1), atol=ROUNDING)


def test_groups_are_taken_away_together():
    """Numbers need not follow one another; a picture's groups broadcast over channels."""
    model = pictures()
    groups = (np.arange(35) % 4 * 10).reshape(7, 5, 1)
    found = xaicore.get_analyzer("perturbation.ablation", groups=groups).explain(model, P, 0)
    for g in np.unique(groups):
        where = np.broadcast_to(groups == g, P.shape[1:])
        expected = score(model, P, 0) - score(model, np.where(where, 0, P), 0)
        np.testing.assert_allclose(found.attributions[:, where], np.tile(expected[:, None], where.sum()), atol=ROUNDING)


@pytest.mark.parametrize(("patch", "stride"), [((2, 3), (2, 1)), (3, 2), (1, 1)])
def test_occlusion_is_the_mean_over_patches_that_cover_a_place(patch, stride):
    model = pictures()
    found = xaicore.explain(f"perturbation.occlusion(patch={patch}, stride={stride}, baseline=0.3)", model, P, 1)
    p, s = ((v, v) if isinstance(v, int) else v for v in (patch, stride))
    sides = []
    for n, length, step in zip((7, 5), p, s, strict=True):
        starts = list(range(0, n - length + 1, step))
        sides.append(starts + ([n - length] if starts[-1] + length < n else []))
    total, count = np.zeros((2, 7, 5)), np.zeros((7, 5))
    for a, b in itertools.product(*sides):
        without = P.copy()
        without[:, a : a + p[0], b : b + p[1]] = 0.3
        total[:, a : a + p[0], b : b + p[1]] += (score(model, P, 1) - score(model, without, 1))[:, None, None]
        count[a : a + p[0], b : b + p[1]] += 1
    assert found.attributions.shape == P.shape
    np.testing.assert_allclose(found.attributions, np.repeat((total / count)[..., None], 2, -1), atol=ROUNDING)


def test_what_no_patch_covers_has_nothing():
    """Not the whole score."""
    model = dense()
    found = xaicore.explain("perturbation.occlusion(patch=1, stride=2)", model, X, 1).attributions
    alone = xaicore.explain("perturbation.ablation", model, X, 1).attributions
    np.testing.assert_allclose(found[:, ::2], alone[:, ::2], atol=ROUNDING)
    np.testing.assert_array_equal(found[:, 1::2], 0)


def test_of_several_inputs_one_is_touched_at_a_time():
    a, b = keras.Input((4,)), keras.Input((6, 2))
    y = layers.Dense(3, activation="tanh")(layers.Concatenate()([a, layers.Flatten()(b)]))
    model = float64_twin(randomise(keras.Model([a, b], layers.Dense(2)(y))))
    x = [R.normal(size=(2, 4)), R.normal(size=(2, 6, 2))]
    found = xaicore.explain("perturbation.occlusion(patch=2)", model, x, 0).attributions
    without = [x[0].copy(), x[1].copy()]
    without[1][:, 2:4] = 0
    loss = np.asarray(model(x))[:, 0] - np.asarray(model(without))[:, 0]
    np.testing.assert_allclose(found[1][:, 2:4], np.broadcast_to(loss[:, None, None], (2, 2, 2)), atol=ROUNDING)


def shapley(value, d):
    """Return the Shapley values of a set function, by their definition."""
    found = np.zeros(d)
    for i in range(d):
        others = [j for j in range(d) if j != i]
        for size in range(d):
            weight = math.factorial(size) * math.factorial(d - size - 1) / math.factorial(d)
            for s in itertools.combinations(others, size):
                found[i] += weight * (value({*s, i}) - value(set(s)))
    return found


def test_kernel_shap_of_all_coalitions_is_the_shapley_value():
    model = dense()

    def value(x):
        return lambda members: score(model, np.where([i in members for i in range(5)], x, 0.2)[None], 2)[0]

    found = xaicore.explain("perturbation.kernel_shap(baseline=0.2)", model, X, 2)
    expected = np.stack([shapley(value(x), 5) for x in X])
    np.testing.assert_allclose(found.attributions, expected, atol=1e-10)  # a system of six equations
    np.testing.assert_allclose(found.residual, 0, atol=1e-12)


def test_kernel_shap_of_some_coalitions_is_near_and_complete():
    """An additive function is met exactly, whatever coalitions are drawn; another converges."""
    linear = float64_twin(randomise(keras.Sequential([keras.Input((20,)), layers.Dense(1)])))
    x = R.normal(size=(2, 20))
    found = xaicore.explain("perturbation.kernel_shap(n=60)", linear, x)
    np.testing.assert_allclose(found.attributions, x * linear.layers[-1].kernel.numpy()[:, 0], atol=1e-9)
    model, wide = dense(12, 1), R.normal(size=(2, 12))
    exact = xaicore.explain("perturbation.kernel_shap(n=4094)", model, wide).attributions
    drawn = [xaicore.explain(f"perturbation.kernel_shap(n={n})", model, wide).attributions for n in (50, 3000)]
    errors = [np.abs(d - exact).max() for d in drawn]
    assert errors[1] < errors[0] / 2  # the error falls like the root of n: by a factor of 7 or so


def test_a_group_shares_its_value():
    model = dense()
    groups = np.array([0, 0, 1, 1, 1])
    found = xaicore.get_analyzer("perturbation.kernel_shap", groups=groups).explain(model, X, 0).attributions
    assert np.all(found[:, 0] == found[:, 1])
    change = score(model, X, 0) - score(model, np.zeros_like(X), 0)
    np.testing.assert_allclose(found.sum(1), change, atol=1e-10)


def test_rise_of_a_linear_function_is_known():
    """F = w x with masks of independent bits: the mean is w_i x_i + p sum over j != i of w_j x_j."""
    model = float64_twin(randomise(keras.Sequential([keras.Input((6,)), layers.Dense(1, use_bias=False)])))
    w, x, p, n = model.layers[-1].kernel.numpy()[:, 0], R.normal(size=(2, 6)), 0.3, 20000
    found = xaicore.explain(f"perturbation.rise(n={n}, p={p})", model, x).attributions
    parts = x * w
    expected = parts + p * (parts.sum(1, keepdims=True) - parts)
    # One mask has a spread of about |parts| / p; five standard deviations of the mean of n.
    spread = np.abs(parts).sum(1, keepdims=True) / p / np.sqrt(n)
    assert (np.abs(found - expected) < 5 * spread).all()


def test_masks_of_pictures_are_smooth_even_and_those_of_their_sample():
    import tensorflow as tf

    rise = xaicore.get_analyzer("perturbation.rise(p=0.4, grid=3)")
    ids = tf.repeat(tf.constant([5, 8], tf.int64), 2000)
    k = tf.tile(tf.range(2000), [2])
    masks = rise._mask(k, ids, 0, (12, 9, 2), smooth=True).numpy()
    assert masks.shape == (4000, 12, 9, 1)
    assert masks.min() >= 0
    assert masks.max() <= 1 + 1e-6
    # A bit has a standard deviation of 0.49; that of a mean of 4000 masks is below 0.008 at every place.
    assert np.abs(masks.mean(0) - 0.4).max() < 5 * 0.008
    # Linear between grid points 4 and 3 positions apart: no step is larger than a quarter or a third.
    assert np.abs(np.diff(masks, axis=1)).max() <= 3 / 12 + 1e-5
    assert np.abs(np.diff(masks, axis=2)).max() <= 3 / 9 + 1e-5
    alone = rise._mask(tf.constant([7]), tf.constant([8], tf.int64), 0, (12, 9, 2), smooth=True).numpy()
    np.testing.assert_array_equal(alone[0], masks[2007])


# ------------------------------------------------------------------------------------------------------- black boxes


def test_a_function_on_arrays_is_explained_as_the_model_is():
    model = dense()
    box = xaicore.black_box(lambda x: np.asarray(model(x)), (5,), (3,), dtype="float64")
    for expression in ("perturbation.ablation", "perturbation.kernel_shap", "perturbation.rise(n=50)"):
        one, other = xaicore.explain(expression, box, X, 1), xaicore.explain(expression, model, X, 1)
        np.testing.assert_allclose(one.attributions, other.attributions, atol=ROUNDING)
    best = xaicore.explain("perturbation.ablation", box, X)  # the largest output, by default
    np.testing.assert_allclose(best.scores, np.asarray(model(X)).max(1), atol=ROUNDING)


@pytest.mark.parametrize("how", [lambda f: f, functools.partial, lambda f: Wrapped(f).call])
@pytest.mark.parametrize("expression", ["perturbation.occlusion(patch=1)", "perturbation.kernel_shap"])
def test_a_function_is_explained_as_it_is(expression, how):
    """Shapes are those of the data and of what it returns for one sample."""
    model = dense()
    one = xaicore.explain(expression, how(lambda x: np.asarray(model(x))), X, 1)
    np.testing.assert_allclose(one.attributions, xaicore.explain(expression, model, X, 1).attributions, atol=ROUNDING)
    assert one.attributions.dtype == np.float64


class Wrapped:
    """An object with a method that predicts."""

    def __init__(self, function):
        self.function = function

    def call(self, x):
        return self.function(x)


def test_an_analyzer_tells_how_a_function_becomes_a_model():
    with pytest.raises(NotAKerasModel, match="black_box"):
        xaicore.get_analyzer("perturbation.ablation").explain(lambda x: x, X)


def test_a_function_of_several_arrays():
    x = [np.ones((2, 2)), np.ones((2, 3), np.float32)]
    found = xaicore.explain("perturbation.ablation", lambda a, b: a.sum(1) * b.sum(1), x).attributions
    np.testing.assert_allclose(found[0], np.full((2, 2), 3))
    np.testing.assert_allclose(found[1], np.full((2, 3), 2))


@pytest.mark.parametrize(
    ("function", "x", "message"),
    [
        (lambda x: x, iter([X]), "Wrap the function first"),
        (lambda x: x, {"x": X}, "Wrap the function first"),
        (lambda x: x.sum(), X, r"shape \(\) for one sample"),
        (lambda x: x, np.array(["a"]), "expected numbers"),
    ],
)
def test_a_function_whose_shapes_are_not_known(function, x, message):
    with pytest.raises(BlackBoxMistake, match=message):
        xaicore.explain("perturbation.ablation", function, x)


def test_several_inputs_of_a_function():
    box = xaicore.black_box(lambda a, b: a.sum(1) * b.sum(1), [(2,), (3,)], ())
    found = xaicore.explain("perturbation.ablation", box, [np.ones((1, 2)), np.ones((1, 3))])
    np.testing.assert_allclose(found.attributions[0], [[3, 3]])
    np.testing.assert_allclose(found.attributions[1], [[2, 2, 2]])


def test_symbols_are_replaced_not_scaled():
    symbols = keras.Input((4,), dtype="int32")
    model = keras.Model(symbols, layers.Dense(1)(layers.Flatten()(layers.Embedding(9, 3)(symbols))))
    x = np.array([[3, 1, 4, 1]])
    found = xaicore.explain("perturbation.ablation(baseline=8)", model, x)
    without = x.copy()
    without[0, 2] = 8
    expected = np.asarray(model(x)) - np.asarray(model(without))
    np.testing.assert_allclose(found.attributions[0, 2], expected[0, 0], atol=1e-6)  # float32
    assert xaicore.explain("perturbation.kernel_shap", model, x).attributions.shape == (1, 4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: xaicore.black_box(3, (5,), (1,)), "int as the function"),
        (lambda: xaicore.black_box(np.sum, [5], (1,)), "the shape 5"),
        (lambda: xaicore.black_box(np.sum, (5,), (0,)), r"the shape \(0,\)"),
    ],
)
def test_what_is_no_function_on_arrays(make, message):
    with pytest.raises(BlackBoxMistake, match=message):
        make()


def test_a_function_that_returns_another_shape_is_refused():
    box = xaicore.black_box(lambda x: x[:, :2], (5,), (3,))
    with pytest.raises(
        BlackBoxMistake, match=r"float32 of shape \(\d+, 2\) for \d+ samples; expected numbers of shape \(\d+, 3\)"
    ):
        xaicore.explain("perturbation.ablation", box, X, 0)


def test_what_a_function_raises_is_told():
    """It runs inside of a compiled step, whose own errors are pages long."""
    box = xaicore.black_box(lambda x: {}[len(x)], (5,), (3,))
    with pytest.raises(BlackBoxMistake, match=r"The function raised KeyError: \d+, for \d+ samples"):
        xaicore.explain("perturbation.ablation", box, X, 0)


def test_a_gradient_of_a_black_box_is_refused():
    box = xaicore.black_box(lambda x: x[:, :2], (5,), (2,))
    with pytest.raises(xaicore.errors.IntegerInput, match="outside of TensorFlow"):
        xaicore.explain("gradient", box, X, 0)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"groups": np.zeros((2, 2), int)}, r"groups of shape \(2, 2\)"),
        ({"groups": np.array([0.5, 1])}, "integers"),
        ({"groups": np.array([-1, 0])}, "at least 0"),
    ],
)
def test_groups_that_do_not_fit(parameters, message):
    with pytest.raises(InvalidParameter, match=message):
        xaicore.get_analyzer("perturbation.ablation", **parameters).plan(dense())


def two_inputs():
    a, b = keras.Input((4,), name="a"), keras.Input((6, 2), name="b")
    y = layers.Dense(3, activation="tanh")(layers.Concatenate()([a, layers.Flatten()(b)]))
    return float64_twin(randomise(keras.Model([a, b], layers.Dense(2)(y))))


def test_every_input_may_have_a_baseline_of_its_own():
    model = two_inputs()
    x = [R.normal(size=(2, 4)), R.normal(size=(2, 6, 2))]
    other = np.array([0.1, -0.2])
    found = xaicore.get_analyzer("perturbation.ablation", baseline=(0.7, other)).explain(model, x, 0).attributions
    for k, value in ((0, 0.7), (1, other[1])):
        without = [x[0].copy(), x[1].copy()]
        without[k].reshape(2, -1)[:, 3] = value
        loss = score(model, x, 0) - score(model, without, 0)
        np.testing.assert_allclose(found[k].reshape(2, -1)[:, 3], loss, atol=ROUNDING)


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        (np.zeros(5), r"shape \(5,\) for 'a'.*one sample, \(4,\)"),
        ((0.0, np.zeros((1, 6, 2))), r"shape \(1, 6, 2\) for 'b'"),
        (
            (0.0, 1.0, 2.0),
            "3 values of baseline as a tuple; expected one for all inputs or a tuple of 2, one each: a, b",
        ),
    ],
)
@pytest.mark.parametrize("name", ["ablation", "occlusion", "rise", "kernel_shap(n=40)"])
def test_baselines_that_do_not_fit(name, baseline, message):
    with pytest.raises(InvalidParameter, match=message):
        xaicore.get_analyzer(f"perturbation.{name}", baseline=baseline).plan(two_inputs())


def test_symbols_have_no_fractions_and_a_row():
    symbols = keras.Input((4,), dtype="int32")
    model = keras.Model(symbols, layers.Dense(1)(layers.Flatten()(layers.Embedding(9, 3)(symbols))))
    with pytest.raises(InvalidParameter, match="whole numbers"):
        xaicore.get_analyzer("perturbation.ablation(baseline=0.5)").plan(model)
    for symbol in (9, -1):
        with pytest.raises(InvalidParameter, match="a symbol from 0 to 8"):
            xaicore.get_analyzer("perturbation.ablation", baseline=symbol).plan(model)


@pytest.mark.parametrize("groups", [None, np.zeros((1,), int)])
def test_one_feature_or_group_has_the_whole_gain(groups):
    model = dense(1) if groups is None else dense()
    x = X[:, :1] if groups is None else X
    found = xaicore.get_analyzer("perturbation.kernel_shap", groups=groups).explain(model, x, 1)
    gain = score(model, x, 1) - score(model, np.zeros_like(x), 1)
    np.testing.assert_allclose(found.attributions.sum(1), gain, atol=ROUNDING)


def test_patches_and_coalitions_that_do_not_fit():
    with pytest.raises(InvalidParameter, match="positions"):
        xaicore.get_analyzer("perturbation.occlusion(patch=9)").plan(pictures())
    with pytest.raises(InvalidParameter, match="one length for all axes, or 2"):
        xaicore.get_analyzer("perturbation.occlusion(patch=(1, 2, 3))").plan(pictures())
    with pytest.raises(InvalidParameter, match="at least as many"):
        xaicore.get_analyzer("perturbation.kernel_shap(n=20)").plan(pictures())
    free = keras.Sequential([keras.Input((None, 3)), layers.GlobalAveragePooling1D(), layers.Dense(1)])
    with pytest.raises(InvalidParameter, match="lengths before the run"):
        xaicore.get_analyzer("perturbation.rise").plan(free)
