"""The algebra of explanations, over expressions that nobody wrote: who reads these laws knows the library.

Every number is float64, 2.2e-16, on a network whose sums have a few terms; divisions by small pre-activations in
relevance rules may enlarge rounding some thousandfold, and 1e-9 of the largest entry leaves room for that.
"""

from __future__ import annotations

import functools

import attrs
import keras
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers

import xaicore
from xaicore.explanation import Explanation, concat, split
from xaicore.testing.models import randomise

ROUNDING = 1e-9
BATCH = 8
X = np.random.default_rng(0).normal(size=(BATCH, 6))

number = st.sampled_from(["0.25", "1e-3", "1", "2.5"])
few = st.integers(1, 3)
seed = st.integers(0, 3)
one_pass = st.one_of(
    st.sampled_from(
        [
            "gradient",
            "gradient.guided_backprop",
            "gradient(times_input=True)",
            "gradient.deconvnet",
            "gradient.baseline",
        ]
    ),
    st.sampled_from(["lrp.z", "lrp.zplus", "lrp.alpha2beta1", "lrp.flat", "lrp.wsquare"]),
    st.builds("lrp.epsilon(epsilon={})".format, number),
    st.builds("lrp.gamma(gamma={})".format, number),
    st.builds(
        "lrp.composite(rule=lrp.epsilon(epsilon={}), dense={})".format, number, st.sampled_from(["lrp.z", "lrp.flat"])
    ),
)
several = st.recursive(
    one_pass,
    lambda inner: st.one_of(
        st.builds("smoothgrad({}, n={}, noise={}, seed={})".format, inner, few, number, seed),
        st.builds("ig(inner={}, n_steps={}, baseline={})".format, inner, few, number),
        st.builds("gradient.times_sign({}, mu={})".format, inner, number),
    ),
    max_leaves=3,
)
filters = st.lists(st.sampled_from(["abs", "normalize", "square", "filter.positive", "filter.gamma"]), max_size=2)
expressions = st.builds(lambda first, after: " | ".join([first, *after]), several, filters)

# A trace takes a second, so that there are few examples of what runs; each takes as long as it takes.
runs = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@functools.cache
def model() -> keras.Model:
    x = keras.Input((6,), name="x", dtype="float64")
    y = layers.Dense(5, activation="relu", dtype="float64", name="hidden")(x)
    return randomise(keras.Model(x, layers.Dense(3, activation="softmax", dtype="float64", name="head")(y)))


@functools.lru_cache(maxsize=32)
def explained(analyzer: object, batch_size: int = BATCH) -> Explanation:
    return analyzer.explain(model(), X, target=1, batch_size=batch_size, verbose=0)


def near(a: Explanation, b: Explanation) -> None:
    size = max(1.0, float(np.abs(b.attributions).max()))
    np.testing.assert_allclose(a.attributions, b.attributions, rtol=0, atol=ROUNDING * size)
    np.testing.assert_allclose(a.scores, b.scores, rtol=0, atol=ROUNDING)


@settings(deadline=None)
@given(expressions)
def test_the_text_of_an_analyzer_is_the_analyzer(expression: str) -> None:
    """``get(str(a)) == a``, and the text is the same however often it is read."""
    analyzer = xaicore.get_analyzer(expression)

    again = xaicore.get_analyzer(str(analyzer))

    assert again == analyzer
    assert hash(again) == hash(analyzer)
    assert str(again) == str(analyzer)


@runs
@given(several, few, seed)
def test_without_noise_the_mean_of_copies_is_the_inner_one(inner: str, n: int, key: int) -> None:
    """``smoothgrad(a, noise=0) == a``."""
    smooth = xaicore.get_analyzer(f"smoothgrad({inner}, n={n}, noise=0, seed={key})")

    near(explained(smooth), explained(xaicore.get_analyzer(inner)))


@runs
@given(expressions)
def test_eight_are_eight_times_one(expression: str) -> None:
    analyzer = xaicore.get_analyzer(expression)

    near(explained(analyzer, 1), explained(analyzer))


@runs
@given(one_pass.filter(lambda text: text != "gradient.baseline"))
def test_a_cut_at_the_input_is_the_whole(expression: str) -> None:
    """``a(at="x") == a`` where x is the input."""
    analyzer = xaicore.get_analyzer(expression)

    near(explained(attrs.evolve(analyzer, at="x")), explained(analyzer))


@runs
@given(expressions, st.integers(1, BATCH))
def test_parts_put_together_are_the_whole(expression: str, parts: int) -> None:
    """``concat(split(e)) == e``, to the bit."""
    explanation = explained(xaicore.get_analyzer(expression))

    assert concat(split(explanation, parts)) == explanation
    assert concat(explanation.split(parts)) == explanation
