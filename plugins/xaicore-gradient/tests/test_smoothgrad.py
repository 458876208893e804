"""SmoothGrad against the mean of an explicit gradient in float64, around an analyzer and a program made for the test.

The program is f_c(x) = sum_i A_ci x_i^3 over all inputs, whose gradient 3 A_ci x_i^2 is no constant of the noise.
"""

from __future__ import annotations

import attrs
import keras
import numpy as np
import pytest
import tensorflow as tf

import xaicore
from xaicore.analyzer import AnalyzerBase, Filtered
from xaicore.engine.random import normal
from xaicore.engine.target import OutputSpec, Target, parse
from xaicore.errors import IntegerInput, InvalidParameter, ToleranceWarning
from xaicore.filters import Channels
from xaicore.inspect.nodes import Graph, Spec
from xaicore.protocols import Attribution
from xaicore.testing.models import float64_twin, randomise
from xaicore_gradient.smoothgrad import SmoothGrad

SHAPES = ((4, 3), (5,))
CLASSES = 6
RNG = np.random.default_rng(0)
WEIGHTS = tuple(RNG.normal(size=(CLASSES, *shape)) for shape in SHAPES)


class Cubic:
    """The program.  Integer inputs are read, and have no gradient."""

    context = ()
    at_most = None
    graph = Graph(
        nodes=(),
        inputs=(0, 1),
        input_names=("a", "b"),
        outputs=(0,),
        output_names=("y",),
        specs={key: Spec((None, *shape), "float32") for key, shape in enumerate(SHAPES)},
        structure=None,
    )

    def given(self, context):
        assert context == ()
        return self

    def outputs(self, inputs):
        return tf.add_n(
            [
                tf.reshape(x**3, (-1, w[0].size)) @ tf.constant(w.reshape(CLASSES, -1).T, x.dtype)
                for w, x in zip(WEIGHTS, self.read(inputs), strict=True)
            ]
        )

    def read(self, inputs):
        return [x if x.dtype.is_floating else tf.cast(x, inputs[0].dtype) for x in inputs]


@attrs.frozen(str=False)
class Slope(AnalyzerBase):
    """The gradient written out, with a residual and a count of traces; a stand-in for any inner analyzer."""

    traces: list = attrs.field(factory=list, eq=False)

    def attribute(self, program):
        def step(inputs, target, ids):
            self.traces.append(1)
            with tf.GradientTape() as tape:
                read = program.read(inputs)
                tape.watch(read)
                scores = target(program.outputs(read))
            return Attribution(tuple(tape.gradient(scores, read)), scores, {"residual": scores})

        return step


def run(analyzer, inputs, ids, target=None, dtype=np.float64):
    """Run the compiled step, axes of unknown batch."""
    parsed = parse(target, (OutputSpec("y", (None, CLASSES), "value"),), output=None, batch=len(ids))
    tensors = tuple(tf.constant(x if np.issubdtype(x.dtype, np.integer) else x.astype(dtype)) for x in inputs)
    signature = [tf.TensorSpec((None, *x.shape[1:]), x.dtype) for x in tensors]
    signature += [tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None,), tf.int64)]
    step = analyzer.attribute(Cubic())

    @tf.function(autograph=False, input_signature=signature)
    def function(*args):
        *inputs, index, ids = args
        return step(tuple(inputs), Target(parsed.spec, index if parsed.spec.needs_index else None), ids)

    found = function(*tensors, tf.constant(parsed.index[:, 0]), tf.constant(ids))
    return tf.nest.map_structure(lambda t: t.numpy(), found)


def data(batch=3):
    return tuple(RNG.normal(size=(batch, *shape)) for shape in SHAPES), np.arange(10, 10 + batch)


def classes_and_scores(inputs):
    """Return the outputs of the clean input and the largest of each sample."""
    y = sum((x**3).reshape(len(x), -1) @ w.reshape(CLASSES, -1).T for w, x in zip(WEIGHTS, inputs, strict=True))
    return y.argmax(axis=1), y


@pytest.mark.parametrize("scale", ["relative", "absolute"])
@pytest.mark.parametrize("target", [None, 2])
def test_the_mean_over_noisy_copies(scale, target):
    """The paper's formula; a noise that would change the largest class leaves "max" where it was."""
    inputs, ids = data()
    chosen, y = classes_and_scores(inputs)
    chosen = chosen if target is None else np.full(len(ids), target)
    found = run(SmoothGrad(Slope(), n=7, noise=0.8, noise_scale=scale, seed=3), inputs, ids, target)
    for stream, (a, x, w) in enumerate(zip(found.attributions, inputs, WEIGHTS, strict=True)):
        rows = tuple(range(1, x.ndim))
        sigma = 0.8 if scale == "absolute" else 0.8 * np.ptp(x, axis=rows, keepdims=True)
        total = 0
        for k in range(7):
            e = normal(tf.constant(ids), seed=3, draw=k, stream=stream, shape=x.shape[1:], dtype=tf.float64).numpy()
            total = total + 3 * w[chosen] * (x + sigma * e) ** 2
        # float64, and terms that differ by two orders of magnitude
        np.testing.assert_allclose(a, total / 7, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.scores, y[range(len(ids)), chosen], rtol=1e-12)


@pytest.mark.parametrize("moment", ["square", "variance"])
def test_other_moments_over_the_same_copies(moment):
    """NumPy's mean of squares and its variance, on the copies that the mean is taken over."""
    inputs, ids = data()
    found = run(SmoothGrad(Slope(), n=7, noise=0.8, noise_scale="absolute", seed=3, moment=moment), inputs, ids, 2)
    for stream, (a, x, w) in enumerate(zip(found.attributions, inputs, WEIGHTS, strict=True)):
        copies = []
        for k in range(7):
            e = normal(tf.constant(ids), seed=3, draw=k, stream=stream, shape=x.shape[1:], dtype=tf.float64).numpy()
            copies.append(3 * w[2] * (x + 0.8 * e) ** 2)
        want = np.mean(np.square(copies), axis=0) if moment == "square" else np.var(copies, axis=0)
        np.testing.assert_allclose(a, want, rtol=1e-11, atol=1e-12)


def test_the_variance_without_noise_is_zero():
    inputs, ids = data()
    for a in run(SmoothGrad(Slope(), n=3, noise=0, moment="variance"), inputs, ids, 1).attributions:
        np.testing.assert_array_equal(a, 0)


def test_it_converges_to_the_expectation():
    """E[3 w (x + sigma e)^2] = 3 w (x^2 + sigma^2), by the law of large numbers."""
    inputs, ids = data()
    found = run(SmoothGrad(Slope(), n=4000, noise=0.5, noise_scale="absolute"), inputs, ids, 1)
    for a, x, w in zip(found.attributions, inputs, WEIGHTS, strict=True):
        error = 3 * np.abs(w[1]) * np.sqrt((4 * x**2 * 0.25 + 2 * 0.5**4) / 4000)
        assert (np.abs(a - 3 * w[1] * (x**2 + 0.25)) < 5 * error).all()  # five standard errors


def test_without_noise_it_is_the_inner_analyzer():
    """Equal bits, and all that the inner one returns."""
    inputs, ids = data()
    inner, outer = run(Slope(), inputs, ids), run(SmoothGrad(Slope(), noise=0), inputs, ids)
    for a, b in zip(tf.nest.flatten(inner), tf.nest.flatten(outer), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_do_not_depend_on_their_batch(dtype):
    """The noise of a sample is its own: alone, and at another place."""
    inputs, ids = data(batch=5)
    analyzer = SmoothGrad(Slope(), n=4, noise=0.5)
    whole = run(analyzer, inputs, ids, 1, dtype)
    for rows in ([3], [4, 0]):
        part = run(analyzer, tuple(x[rows] for x in inputs), ids[rows], 1, dtype)
        for a, b in zip(part.attributions, whole.attributions, strict=True):
            # the program's contractions may add in another order
            np.testing.assert_allclose(a, b[rows], rtol=10 * np.finfo(dtype).eps)


def test_seeds_differ_and_repeat():
    inputs, ids = data()
    maps = [run(SmoothGrad(Slope(), n=2, seed=s), inputs, ids, 1).attributions[0] for s in (0, 0, 1)]
    np.testing.assert_array_equal(maps[0], maps[1])
    assert np.abs(maps[0] - maps[2]).max() > 1e-3


@pytest.mark.parametrize("n", [3, 100])
def test_the_inner_step_is_traced_once_whatever_n_is(n):
    """In the program's own dtype, which is what attributions are expected in; in another they are found by a try."""
    inputs, ids = data()
    for dtype, traces in ((np.float32, 1), (np.float64, 2)):
        inner = Slope()
        run(SmoothGrad(inner, n=n), inputs, ids, dtype=dtype)
        assert len(inner.traces) == traces


def test_what_speaks_of_noisy_copies_is_left_out():
    inputs, ids = data()
    analyzer = SmoothGrad(Slope(), n=2)
    assert run(analyzer, inputs, ids).extras == {}
    assert analyzer.claims == frozenset()


def test_inner_results_may_have_any_shape():
    """A filter inside, which sums over channels before the mean is taken, gives what it gives outside."""
    x = RNG.normal(size=(3, 4, 3)), RNG.normal(size=(3, 5))

    @attrs.frozen(str=False)
    class FirstOnly(AnalyzerBase):
        def attribute(self, program):
            step = Slope().attribute(program)

            def first(*args):
                found = step(*args)
                return found._replace(attributions=found.attributions[:1])

            return first

    inside = run(SmoothGrad(Filtered(FirstOnly(), (Channels("sum"),)), n=5), x, np.arange(3))
    outside = run(Filtered(SmoothGrad(FirstOnly(), n=5), (Channels("sum"),)), x, np.arange(3))
    assert inside.attributions[0].shape == (3, 4, 1)
    np.testing.assert_allclose(inside.attributions[0], outside.attributions[0], rtol=1e-12)


def test_integer_inputs_get_no_noise():
    """Beside a float input an integer one stays as it is; alone it cannot be smoothed."""
    x, labels = RNG.normal(size=(3, 4, 3)), RNG.integers(0, 3, size=(3, 5))
    found = run(SmoothGrad(Slope(), n=3, noise=2.0), (x, labels), np.arange(3), 2)
    np.testing.assert_allclose(found.attributions[1], 3 * WEIGHTS[1][2] * labels.astype(float) ** 2, rtol=1e-12)
    with pytest.raises(IntegerInput, match="at="):
        run(SmoothGrad(Slope(), n=3), (np.ones((3, 4, 3), int), labels), np.arange(3))


@pytest.mark.parametrize("wrong", [{"n": 0}, {"n": 1.5}, {"noise": -0.1}, {"noise_scale": "range"}, {"seed": -1}])
def test_wrong_parameters(wrong):
    with pytest.raises(InvalidParameter):
        SmoothGrad(Slope(), **wrong)


def test_it_is_a_value():
    assert SmoothGrad() == SmoothGrad(n=32, noise=0.1, noise_scale="relative", seed=0)
    assert hash(SmoothGrad(n=3)) == hash(SmoothGrad(n=3))
    assert SmoothGrad(n=3) != SmoothGrad(n=4)


def quadratic():
    """Return f(x) = |x W|^2, whose gradient is linear, so that its mean over noise is the gradient itself."""
    x = keras.Input((6,))
    y = keras.layers.Dense(5, use_bias=False)(x)
    model = randomise(keras.Model(x, keras.ops.sum(y * y, axis=-1, keepdims=True)))
    return float64_twin(model)


def test_antithetic_copies_cancel_what_is_odd():
    model, x = quadratic(), np.random.default_rng(0).normal(size=(3, 6))
    plain = xaicore.explain("gradient", model, x).attributions
    noisy = xaicore.explain("smoothgrad(n=4, noise=0.5)", model, x).attributions
    paired = xaicore.explain("smoothgrad(n=4, noise=0.5, antithetic=True)", model, x).attributions
    np.testing.assert_allclose(paired, plain, atol=1e-12)
    assert np.abs(noisy - plain).max() > 1e-2


def test_the_standard_error_is_how_far_the_mean_is_off():
    model, x = quadratic(), np.random.default_rng(0).normal(size=(200, 6))
    exact = xaicore.explain("gradient", model, x).attributions
    found = xaicore.explain("smoothgrad(n=32, noise=0.3, error=True)", model, x)
    np.testing.assert_allclose(
        found.attributions, xaicore.explain("smoothgrad(n=32, noise=0.3)", model, x).attributions, atol=1e-12
    )
    off = np.abs(found.attributions - exact).sum(1) / np.abs(found.attributions).sum(1)
    # The mean size of a normal number is 0.80 of its standard deviation; 200 samples of six entries give it to 5 %.
    assert 0.7 < (off / found.error).mean() < 0.9


def test_samples_stop_at_the_tolerance_one_by_one():
    model, x = quadratic(), np.random.default_rng(0).normal(size=(12, 6))
    analyzer = xaicore.get_analyzer("smoothgrad(n=256, noise=0.3, tolerance=0.05)")
    with pytest.warns(ToleranceWarning, match="above the tolerance 0.05 after 256 copies"):
        found = analyzer.explain(model, x)
    assert set(found.copies % 16) == {0}
    assert len(set(found.copies)) > 1
    assert ((found.error <= 0.05) | (found.copies == 256)).all()
    with pytest.warns(ToleranceWarning):
        alone = analyzer.explain(model, x, batch_size=1)
    np.testing.assert_array_equal(alone.copies, found.copies)
    np.testing.assert_allclose(alone.attributions, found.attributions, atol=1e-12)
    for i in (0, 5):
        fixed = xaicore.explain(f"smoothgrad(n={found.copies[i]}, noise=0.3)", model, x).attributions
        np.testing.assert_allclose(found.attributions[i], fixed[i], atol=1e-12)


@pytest.mark.parametrize(
    "parameters", ["moment='variance', error=True", "n=3, antithetic=True", "antithetic=True, tolerance=0.1"]
)
def test_options_that_contradict_each_other(parameters):
    with pytest.raises(InvalidParameter):
        xaicore.get_analyzer(f"smoothgrad({parameters})")
