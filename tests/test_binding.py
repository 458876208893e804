"""What an analyzer is bound to: found again by equality, forgotten in the order of its use, compiled or not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import host
import xaicore
import xaicore.table
from xaicore.binding import _BOUND, _MOST_BOUND
from xaicore.errors import InputNotFinite, InvalidArgument, NoGraph
from xaicore.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

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


class Scaled(keras.Model):
    """Takes an argument beside its input."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, x: tf.Tensor, training: bool = False, scale: float = 1.0) -> tf.Tensor:  # as Keras passes it
        """x: (batch, 3)."""
        return self.dense(x) * scale * (100.0 if training else 1.0)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"foo": 1}, "foo; `call` of Scaled takes x, training, scale"),
        ({"training": True}, "training=True; a model is explained as it predicts"),
        (3, "forward_kwargs=3; expected a dict"),
        ([("scale", 2.0)], "expected a dict"),
        ({1: 2}, "expected a dict"),
    ],
)
def test_arguments_that_a_model_does_not_take_are_refused(given: object, told: str) -> None:
    model = Scaled()
    model(X)
    with pytest.raises(InvalidArgument, match=re.escape(told)):
        xaicore.get_analyzer("gradient").explain(model, X, target=1, forward_kwargs=given, verbose=0)


@pytest.mark.parametrize("given", [{"foo": 1}, {"training": True}, 3])
def test_a_model_that_is_a_graph_takes_no_further_arguments(given: object) -> None:
    with pytest.raises(InvalidArgument, match="forward_kwargs"):
        xaicore.get_analyzer("gradient").explain(curved(), X, target=1, forward_kwargs=given, verbose=0)


class Two(keras.Model):
    """Takes two tensors one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        """a, b: (batch, 3)."""
        return self.dense(a) + 2 * self.dense(b)


def test_a_model_of_two_arguments_is_told_what_to_do() -> None:
    model = Two()
    model(X, X)
    with pytest.raises(NoGraph, match=r"needs b beside 'a'.*one tuple, list or dict"):
        xaicore.get_analyzer("gradient").plan(model)


def test_an_integer_outside_of_an_embedding_is_an_error_of_ours() -> None:
    model = keras.Sequential([
        layers.Input((3,), dtype="int32"), layers.Embedding(10, 4, name="emb"), layers.Flatten(), layers.Dense(2),
    ])  # fmt: skip
    analyzer = xaicore.get_analyzer("gradient", at="emb")
    with pytest.raises(InvalidArgument, match=r"indices\[1, ?2\] = 10 is not in \[0, 10\)"):
        analyzer.explain(model, np.array([[0, 1, 2], [3, 4, 10]]), target=1, verbose=0)


@pytest.mark.parametrize("make", [tf.data.Dataset.from_tensor_slices, list], ids=["dataset", "generator"])
def test_a_sample_that_is_not_finite_is_counted_from_the_first_of_all(make: Callable[[np.ndarray], object]) -> None:
    x = np.ones((8, 3), np.float32)
    x[5, 2] = np.nan
    data = make(x).batch(2) if make is not list else iter([x[i : i + 2] for i in range(0, 8, 2)])
    with pytest.raises(InputNotFinite, match=r"x\[5, 2\]"):
        xaicore.get_analyzer("gradient").explain(curved(), data, target=1, verbose=0)
