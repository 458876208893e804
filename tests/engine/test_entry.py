"""What an operation is given, explained as it enters this operation: branches around it see the real values."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import xaicore
from xaicore.errors import UnknownSite
from xaicore.testing.models import randomise

BATCH = 5
X = np.random.default_rng(0).normal(size=(BATCH, 4))


def residual():
    """Y = head(h + tanh(h W + b)), h = x V + c: the branch around `inner` takes the same tensor."""
    x = keras.Input((4,), dtype="float64")
    h = layers.Dense(6, name="outer", dtype="float64")(x)
    y = layers.Add(name="add", dtype="float64")([h, layers.Dense(6, "tanh", name="inner", dtype="float64")(h)])
    return randomise(keras.Model(x, layers.Dense(3, name="head", dtype="float64")(y)))


def parts(model):
    return {layer.name: [w.numpy() for w in layer.weights] for layer in model.layers if layer.weights}


def test_the_gradient_goes_through_the_operation_alone():
    """By hand: head's column 1, times 1 - tanh^2, through W; at the tensor itself the branch adds the column."""
    model = residual()
    (V, c), (W, b), (U, _) = (parts(model)[name] for name in ("outer", "inner", "head"))
    h = X @ V + c
    through = (U[:, 1] * (1 - np.tanh(h @ W + b) ** 2)) @ W.T
    at_inputs = xaicore.get_analyzer("gradient(at='inner:inputs')").explain(model, X, 1, verbose=0)
    at_tensor = xaicore.get_analyzer("gradient(at='outer')").explain(model, X, 1, verbose=0)
    np.testing.assert_allclose(at_inputs.attributions, through, atol=1e-12)
    np.testing.assert_allclose(at_tensor.attributions, through + U[:, 1], atol=1e-12)


def test_integrated_gradients_is_complete_with_the_branch_at_its_value():
    """Sum of attributions = f(h) - f(where only `inner` sees c, which is what it is given for an input of zeros)."""
    model = residual()
    (V, c), (W, b), (U, d) = (parts(model)[name] for name in ("outer", "inner", "head"))
    h = X @ V + c
    found = xaicore.get_analyzer("ig(n_steps=30, at='inner:inputs')").explain(model, X, 1, verbose=0)
    difference = (np.tanh(h @ W + b) - np.tanh(c @ W + b)) @ U[:, 1]
    np.testing.assert_allclose(found.attributions.sum(1), difference, atol=1e-9)
    np.testing.assert_allclose(found.residual, 0, atol=1e-9)
    np.testing.assert_allclose(found.scores, ((h + np.tanh(h @ W + b)) @ U + d)[:, 1], atol=1e-12)


def test_several_inputs_are_explained_one_by_one():
    model = residual()
    (V, c), (W, b), (U, _) = (parts(model)[name] for name in ("outer", "inner", "head"))
    found = xaicore.get_analyzer("gradient.input_times_gradient(at='add:inputs')").explain(model, X, 1, verbose=0)
    h = X @ V + c
    np.testing.assert_allclose(found.attributions[0], h * U[:, 1], atol=1e-12)
    np.testing.assert_allclose(found.attributions[1], np.tanh(h @ W + b) * U[:, 1], atol=1e-12)


def test_without_a_branch_it_is_the_tensor_before():
    x = keras.Input((6, 6, 2))
    y = layers.Conv2D(3, 3, activation="relu", name="first")(x)
    y = layers.Conv2D(4, 3, activation="relu", name="second")(y)
    model = randomise(keras.Model(x, layers.Dense(3)(layers.Flatten()(y))))
    values = np.random.default_rng(1).normal(size=(BATCH, 6, 6, 2)).astype(np.float32)
    for expression in ("gradient", "lrp.epsilon", "ig"):
        before, entered = (
            xaicore.get_analyzer(expression, at=site).explain(model, values, 1, verbose=0).attributions
            for site in ("first", "second:inputs")
        )
        np.testing.assert_array_equal(before, entered)


def test_plans_name_it():
    rows = xaicore.get_analyzer("gradient(at='inner:inputs')").plan(residual()).rows
    assert rows[0].site == "inner:inputs"
    assert rows[0].action == "explained"


def test_an_operation_that_is_not_there():
    with pytest.raises(UnknownSite, match="no site 'inn'"):
        xaicore.get_analyzer("gradient(at='inn:inputs')").explain(residual(), X, 1, verbose=0)
