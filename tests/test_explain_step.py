"""Explanations inside of functions of the user: every target, as arrays and as tensors."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import xaicore
from functions import input_gradients
from xaicore.errors import InputShape, InputStructure, TargetLength, TargetOutOfRange, TargetType


def test_a_step_inside_a_function_of_the_user(model, x):
    @tf.function
    def mine(x, y):
        scores, maps = xaicore.explain_step("lrp.epsilon", model, x, y)
        return tf.reduce_sum(scores), maps

    _, maps = mine(tf.constant(x), tf.constant(np.arange(10) % 4))
    expected = xaicore.explain("lrp.epsilon", model, x, np.arange(10) % 4)
    np.testing.assert_allclose(maps, expected.attributions, atol=1e-6)
    scores, _ = xaicore.explain_step("gradient", model, tf.constant(x), 2)
    np.testing.assert_allclose(scores, xaicore.explain("gradient", model, x, 2).scores, atol=1e-6)


@pytest.mark.parametrize("y", [None, "max", 2, "2", "all", np.tile([[3, 1]], (10, 1)), np.arange(10) % 4])
def test_a_step_takes_every_target(model, x, y):
    """As arrays, as tensors, and inside of a function that does not know the size of the batch."""
    expected = xaicore.explain("gradient", model, x, y)
    given = tf.constant(y) if isinstance(y, np.ndarray) else y
    inside = tf.function(
        lambda x: xaicore.explain_step("gradient", model, x, given),
        autograph=False,
        input_signature=[tf.TensorSpec((None, 8, 8, 3))],
    )
    for scores, maps in (
        xaicore.explain_step("gradient", model, x, y),
        xaicore.explain_step("gradient", model, [tf.constant(x)], given),
        inside(tf.constant(x)),
    ):
        np.testing.assert_allclose(scores, expected.scores, atol=1e-6)
        np.testing.assert_allclose(maps, expected.attributions, atol=1e-6)


def test_a_step_takes_tensors_that_are_known_later(model, x):
    step = tf.function(lambda x, y: xaicore.explain_step("gradient", model, x, y), autograph=False)
    for y in (np.int32(2), np.arange(10) % 4, np.tile([[3, 1]], (10, 1))):
        expected = xaicore.explain("gradient", model, x, y)
        scores, maps = step(tf.constant(x), tf.constant(y))
        np.testing.assert_allclose(scores, expected.scores, atol=1e-6)
        np.testing.assert_allclose(maps, expected.attributions, atol=1e-6)
    with pytest.raises(TargetType, match="float32"):
        step(tf.constant(x), tf.constant(1.0))
    _, maps = xaicore.explain_step(input_gradients, model, x, 2)
    np.testing.assert_allclose(maps, xaicore.explain(input_gradients, model, x, 2).attributions, atol=1e-7)


@pytest.mark.parametrize(
    ("x_of", "y", "error"),
    [
        (lambda x: x, 7, TargetOutOfRange),
        (lambda x: x, tf.constant(7), TargetOutOfRange),
        (lambda x: x, [1, 2], TargetLength),
        (lambda x: x[..., 0], 1, InputShape),
        (lambda x: [x, x], 1, InputStructure),
    ],
)
def test_mistakes_in_a_step(model, x, x_of, y, error):
    with pytest.raises(error):
        xaicore.explain_step("gradient", model, x_of(x), y)


def test_a_step_takes_one_batch(model, x):
    with pytest.raises(InputStructure, match=r"Given generator.*takes datasets and generators"):
        xaicore.explain_step("gradient", model, (row for row in x), 1)
