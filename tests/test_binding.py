"""What an analyzer is bound to: found again by equality, forgotten in the order of its use, compiled or not."""

from __future__ import annotations

import attrs
import keras
import numpy as np
import pytest
from keras import layers

import host
import xaicore
import xaicore.table
from xaicore.binding import _BOUND, _MOST_BOUND
from xaicore.registry import Registry

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.3, -0.7]], np.float32)


def curved() -> keras.Model:
    return keras.Sequential([layers.Input((3,)), layers.Dense(4, "tanh"), layers.Dense(2)])


@pytest.mark.parametrize(
    "expression",
    [
        "ig(baseline={})",
        "ig(baseline=ig.uniform(low={}, high=3))",
        "lrp.zbox(low={}, high=2)",
        "lrp.epsilon(initial={})",
        "perturbation.ablation(baseline={})",
        "gradient.deeplift_rescale(baseline={})",
    ],
)
def test_parameters_of_one_hash_are_two_analyzers(expression: str) -> None:
    """In CPython hash(-1) == hash(-2)."""
    one, two = (xaicore.get_analyzer(expression.format(value)) for value in (-1.0, -2.0))
    assert hash(-1.0) == hash(-2.0)
    model = curved()
    first = one.explain(model, X, target=1, verbose=0)

    second = two.explain(model, X, target=1, verbose=0)

    assert second.analyzer == str(two)
    fresh = two.explain(_copy(model), X, target=1, verbose=0)
    np.testing.assert_array_equal(second.attributions, fresh.attributions)
    assert not np.allclose(first.attributions, second.attributions)


def _copy(model: keras.Model) -> keras.Model:
    copy = curved()
    copy.set_weights(model.get_weights())
    return copy


def test_what_was_bound_long_ago_is_forgotten() -> None:
    model = curved()
    analyzer = xaicore.get_analyzer("gradient")
    kept = analyzer.bind(model)

    for i in range(_MOST_BOUND + 5):
        xaicore.get_analyzer("ig", n_steps=i + 1).bind(model)
        assert analyzer.bind(model) is kept  # in use

    assert len(_BOUND[model]) == _MOST_BOUND


@pytest.mark.parametrize("expression", ["host.sorted", "host.sorted | abs"])
def test_an_analyzer_of_the_host_is_not_compiled(expression: str) -> None:
    """It gets tensors that hold numbers, batch after batch, and may return arrays."""
    registry = Registry.from_modules({"filter": xaicore.table, "host": host})
    analyzer = registry.get(expression, "analyzer")
    model = curved()

    explanation = analyzer.explain(model, X, target=1, batch_size=1, verbose=0)

    np.testing.assert_array_equal(explanation.attributions, [[1, 0, 2], [2, 1, 0]])
    np.testing.assert_allclose(explanation.scores, np.asarray(model(X))[:, 1], rtol=1e-6)  # float32
    np.testing.assert_array_equal(explanation.extras["first"], [0, 1])
    assert analyzer.bind(model).traces == 0
    assert {(row["action"], row["visited"]) for row in explanation.coverage} == {("none", "yes")}


def test_an_analyzer_of_the_host_inside_another() -> None:
    """Noise of 0 on the host: what is around it runs there too."""
    smooth = xaicore.get_analyzer("smoothgrad(n=3, noise=0)")
    around = attrs.evolve(smooth, inner=host.Sorted())

    explanation = around.explain(curved(), X, target="all", verbose=0)

    expected = np.stack([[[1, 0, 2]] * 2, [[2, 1, 0]] * 2])
    np.testing.assert_allclose(explanation.attributions, expected, rtol=1e-6)  # a mean of three in float32
