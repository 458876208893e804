"""Path integrals against closed forms, and how they compose."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import xaicore
from xaicore.errors import InvalidParameter, UnknownLayer, UnknownSite
from xaicore.testing.models import MODELS, float64_twin, inputs_of, randomise
from xaicore.values import Array

NAMES = [f"{row.name}(n_steps=5)" for row in xaicore.available("quadrature")]
# Sums of some ten float64 products of size one.
ROUNDING = 1e-12


def linear(classes=3):
    model = randomise(keras.Sequential([keras.Input((4, 2)), layers.Flatten(), layers.Dense(classes)]))
    return float64_twin(model)


def data(batch=5, shape=(4, 2), seed=0):
    return np.random.default_rng(seed).normal(size=(batch, *shape))


@pytest.mark.parametrize("expression", NAMES)
def test_linear_models_are_exact_by_every_quadrature(expression):
    """F = x W + c: a = (x - b) W, whatever the nodes."""
    model, x, base = linear(), data(), data(1, seed=1)[0]
    kernel = model.layers[-1].kernel.numpy().reshape(4, 2, 3)
    found = xaicore.get_analyzer(expression, baseline=base).explain(model, x, 2, verbose=0)
    np.testing.assert_allclose(found.attributions, (x - base) * kernel[..., 2], rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(found.residual, 0, atol=ROUNDING)


def test_quadratures_that_need_an_odd_number_have_one():
    """By their bare names; the others take the 50 of alibi and captum."""
    model, x = linear(), data()
    for name, points in (("simpson", 51), ("gausskronrod", 51), ("gausslegendre", 50), ("clenshaw_curtis", 50)):
        found = xaicore.explain(f"ig.{name}", model, x, 1)
        many = xaicore.explain(f"ig.{name}(n_steps={points})", model, x, 1)
        np.testing.assert_array_equal(found.attributions, many.attributions)
        assert found.analyzer == f"ig.{name}"


@keras.saving.register_keras_serializable("tests")
class AtMost(layers.Layer):
    """Lets a few rows through, and fails for more."""

    def __init__(self, rows, **kwargs):
        super().__init__(**kwargs)
        self.most = rows

    def call(self, x):
        with tf.control_dependencies([tf.debugging.assert_less_equal(tf.shape(x)[0], self.most, "too many rows")]):
            return tf.identity(x)

    def compute_output_shape(self, shape):
        return shape


@pytest.mark.parametrize(
    "method",
    ["ig({})", "ig.idgi({})", "ig.guided({})", "ig(baseline=ig.uniform(n=2), {})", "ig(at='first', {})"],
)
def test_no_more_points_than_asked_for_run_at_once(method):
    x = keras.Input((4,))
    y = layers.Dense(6, activation="tanh", name="first")(x)
    model = randomise(keras.Model(x, layers.Dense(3)(AtMost(7)(y))))
    plain = keras.Model(x, model.layers[-1](y))
    values = data(20, (4,)).astype("float32")
    with pytest.raises(tf.errors.InvalidArgumentError, match="too many rows"):
        xaicore.explain(method.format("n_steps=9"), model, values, 1)
    found = xaicore.explain(method.format("n_steps=9, internal_batch_size=7"), model, values, np.arange(20) % 3)
    expected = xaicore.explain(method.format("n_steps=9"), plain, values, np.arange(20) % 3)
    np.testing.assert_allclose(found.attributions, expected.attributions, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.residual, expected.residual, rtol=0, atol=1e-6)


def test_a_bound_inside_of_another_method_and_behind_a_cut():
    model, x = linear(), data(9)
    for method in ("smoothgrad(ig(n_steps=3{}), n=4)", "ig(inner=ig(n_steps=3{}), n_steps=2, at='flatten')"):
        expected = xaicore.explain(method.format("").replace("'flatten'", repr(model.layers[0].name)), model, x, 1)
        bound = method.format(", internal_batch_size=4").replace("'flatten'", repr(model.layers[0].name))
        found = xaicore.explain(bound, model, x, 1)
        np.testing.assert_allclose(found.attributions, expected.attributions, rtol=0, atol=ROUNDING)


def test_a_cubic_along_the_path():
    """F = sum w x^3: a_i = w_i (x_i^3 - b_i^3), by two Gauss-Legendre nodes; the middle rule is off by a known part."""
    x = keras.Input((3,), dtype="float64")
    w = np.array([1.0, -2.0, 0.5])
    y = layers.Dense(1, use_bias=False, dtype="float64")(keras.ops.power(x, 3))
    model = keras.Model(x, y)
    model.layers[-1].set_weights([w[:, None]])
    values, base = data(4, (3,)), 0.25
    exact = w * (values**3 - base**3)
    found = xaicore.get_analyzer("ig.gausslegendre", n_steps=2, baseline=base).explain(model, values, verbose=0)
    np.testing.assert_allclose(found.attributions, exact, rtol=0, atol=1e-11)
    middle = xaicore.get_analyzer("ig.riemann_middle", n_steps=2, baseline=base).explain(model, values, verbose=0)
    # The midpoint rule of 3 t^2 on two steps gives 15/16 of the cubic term: h^2/24 of the second derivative is missing.
    missing = w * (values - base) ** 3 / 16
    np.testing.assert_allclose(middle.attributions, exact - missing, rtol=0, atol=1e-11)
    np.testing.assert_allclose(middle.residual, -missing.sum(-1), rtol=0, atol=1e-11)


def test_completeness_converges_on_a_network():
    """The residual is the attributions' sum minus the change of score, and falls with the number of steps."""
    model = float64_twin(MODELS["convolutional"]())
    x = np.asarray(inputs_of(model, 5), np.float64)
    logits = keras.Model(model.input, model.get_layer("dense").output)
    head = model.get_layer("head")

    def score(values):
        return (np.asarray(logits(values)) @ head.kernel.numpy() + head.bias.numpy())[:, 1]

    gaps = []
    for n in (5, 50, 500):
        found = xaicore.get_analyzer("ig", n_steps=n, baseline=0.1).explain(model, x, 1, verbose=0)
        gap = found.attributions.sum((1, 2, 3)) - (score(x) - score(np.full_like(x, 0.1)))
        np.testing.assert_allclose(found.residual, gap, rtol=0, atol=1e-10)
        gaps.append(np.abs(gap).max())
    assert gaps[0] > gaps[1] > gaps[2]


def test_max_is_decided_on_the_input_and_read_at_both_ends():
    model, x = linear(), data()
    best = np.asarray(model(x)).argmax(-1)
    by_default = xaicore.get_analyzer("ig").explain(model, x, verbose=0)
    by_index = xaicore.get_analyzer("ig").explain(model, x, best, verbose=0)
    np.testing.assert_array_equal(by_default.attributions, by_index.attributions)


def test_a_baseline_for_each_input():
    model = float64_twin(MODELS["two_towers"]())
    x = [np.asarray(v, np.float64) for v in inputs_of(model, 3)]
    base = [np.full_like(v, number) for v, number in zip(x, (0.1, 0.2, 0.3), strict=True)]
    found = xaicore.get_analyzer("ig", baseline=(0.1, 0.2, 0.3), n_steps=7).explain(model, x, 1, verbose=0)
    tower_in_logits = keras.Model(model.inputs, model.get_layer("head").input)
    kernel, bias = (w.numpy() for w in model.get_layer("head").weights)
    change = [(np.asarray(tower_in_logits(v)) @ kernel + bias)[:, 1] for v in (x, base)]
    total = sum(a.sum(tuple(range(1, a.ndim))) for a in found.attributions)
    np.testing.assert_allclose(found.residual, total - (change[0] - change[1]), rtol=0, atol=ROUNDING)


def test_the_inner_analyzer_gets_every_point():
    """Two levels of the same integral: ig(inner=ig) of a linear model is (x - b)(x_k - b) W summed, a closed form."""
    model, x = linear(), data()
    kernel = model.layers[-1].kernel.numpy().reshape(4, 2, 3)[..., 0]
    found = xaicore.get_analyzer("ig(inner=ig(n_steps=3), n_steps=4)").explain(model, x, 0, verbose=0)
    # integral_0^1 t x W dt * x = x^2 W / 2
    np.testing.assert_allclose(found.attributions, x**2 * kernel / 2, rtol=0, atol=ROUNDING)
    assert found.residual is None


def test_integers_through_their_embedding():
    tokens = keras.Input((6,), dtype="int32")
    embedded = layers.Embedding(10, 4, name="embed")(tokens)
    y = layers.Dense(2)(layers.Flatten()(embedded))
    model = randomise(keras.Model(tokens, y))
    x = np.random.default_rng(0).integers(0, 10, (3, 6))
    found = xaicore.get_analyzer("ig(at='embed', baseline=0)").explain(model, x, 1, verbose=0)
    table = model.get_layer("embed").embeddings.numpy()
    kernel = model.layers[-1].kernel.numpy()[:, 1].reshape(6, 4)
    np.testing.assert_allclose(found.attributions, (table[x] - table[0]) * kernel, rtol=0, atol=1e-5)


def test_a_branch_around_the_site_stays_at_the_input():
    """Y = w.(s(x) * t(x)): with t held at x, the integral over s is (s(x) - s(b)) t(x) w, exactly."""
    x = keras.Input((4,))
    s, t = layers.Dense(4, name="s")(x), layers.Dense(4, name="t", activation="tanh")(x)
    model = randomise(keras.Model(x, layers.Dense(2)(layers.Multiply()([s, t]))))
    values = data(3, (4,)).astype(np.float32)
    found = xaicore.get_analyzer("ig(at='s', n_steps=4)").explain(model, values, 0, verbose=0)
    layer = model.get_layer("t")
    side = np.tanh(values @ layer.kernel.numpy() + layer.bias.numpy())
    expected = values @ model.get_layer("s").kernel.numpy() * side * model.layers[-1].kernel.numpy()[:, 0]
    np.testing.assert_allclose(found.attributions, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        (np.zeros((5, 2)), "shape \\(5, 2\\).*broadcasts to one sample, \\(4, 2\\), or .*, \\(samples, 4, 2\\)"),
        (np.zeros((5, 4, 3)), "shape \\(5, 4, 3\\)"),
        ((0.0, 1.0), "2 baselines; expected one for all inputs or a tuple of 1"),
        ([["a"]], "Given baseline=.*; expected a number or an array"),
        (float("nan"), "Given baseline=nan"),
        (np.full((4, 2), np.nan), "shape \\(4, 2\\) with NaN"),
        ([0.0, 1.0], "2 baselines; expected one for all inputs or a tuple of 1.*np.array"),
    ],
)
def test_baselines_that_do_not_fit(baseline, message):
    with pytest.raises(InvalidParameter, match=message):
        xaicore.get_analyzer("ig", baseline=baseline).explain(linear(), data(), 0, verbose=0)


def backbone():
    inner = keras.Sequential([keras.Input((4, 2)), layers.Dense(3, name="conv", activation="tanh")], name="backbone")
    x = keras.Input((4, 2))
    shared = layers.Dense(3, name="shared", activation="tanh")
    y = shared(shared(layers.Activation("tanh", name="conv")(inner(x))))
    return randomise(keras.Model(x, layers.Dense(2)(layers.Flatten()(y)))), inner


def test_a_layer_object_is_found_as_itself_wherever_it_is():
    """A layer of a nested model is stored as its path, also where another one has its name."""
    model, inner = backbone()
    x = data().astype("float32")
    for layer, path in ((inner.layers[0], "backbone/conv"), (inner, "backbone/conv"), (model.layers[2], "conv")):
        analyzer = xaicore.get_analyzer("smoothgrad(n=2)", inner=xaicore.get_analyzer("ig(n_steps=4)", at=layer))
        found = analyzer.explain(model, x, 1)
        expected = xaicore.explain(f"smoothgrad(ig(n_steps=4, at='{path}'), n=2)", model, x, 1)
        assert found.analyzer == expected.analyzer
        assert f"at={path!r}" in found.analyzer
        np.testing.assert_array_equal(found.attributions, expected.attributions)


def test_layer_objects_that_are_no_site_of_the_model():
    model, _ = backbone()
    _, other = backbone()
    x = data().astype("float32")
    with pytest.raises(UnknownLayer, match=r"no operation of this model is this object.*backbone/conv"):
        xaicore.explain("ig", model, x, 1, at=other.layers[0])
    with pytest.raises(UnknownLayer, match=r"calls it 2 times.*'shared', 'shared\[1\]'"):
        xaicore.explain("ig", model, x, 1, at=model.get_layer("shared"))


def test_a_baseline_of_an_array_is_part_of_the_name():
    analyzer = xaicore.get_analyzer("ig", baseline=np.zeros((4, 2)))
    assert analyzer.baseline == Array(np.zeros((4, 2)))
    assert 'baseline=array("sha256:' in str(analyzer)


def test_an_unknown_site():
    with pytest.raises(UnknownSite):
        xaicore.get_analyzer("ig(at='nowhere')").explain(linear(), data(), 0, verbose=0)
