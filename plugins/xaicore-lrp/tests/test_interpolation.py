"""Relevance through interpolation, constants beside tensors, matrix products and gates: formulas of NumPy, float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np
import pytest
from keras import layers, ops

import xaicore
from xaicore.testing.models import float64_twin, inputs_of, randomise

if TYPE_CHECKING:
    from collections.abc import Callable

# float64, sums of at most some hundred terms of which some nearly cancel.
ROUNDING = 1e-8


# TensorFlow interpolates in float32, whatever it is given.
SINGLE = 1e-4


def close(found: np.ndarray, expected: np.ndarray, tolerance: float = ROUNDING) -> None:
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


def epsilon(x: np.ndarray, matrix: np.ndarray, bias: np.ndarray, relevance: np.ndarray, amount: float) -> np.ndarray:
    z = x @ matrix + bias
    return x * ((relevance / (z + amount * np.where(z >= 0, 1, -1))) @ matrix.T)


def plus(x: np.ndarray, matrix: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    """The z+ rule for inputs of both signs."""
    high, low, up, down = np.maximum(x, 0), np.minimum(x, 0), np.maximum(matrix, 0), np.minimum(matrix, 0)
    z = high @ up + low @ down
    quotient = np.divide(relevance, z, out=np.zeros_like(z), where=z != 0)
    return high * (quotient @ up.T) + low * (quotient @ down.T)


def resized(x: object) -> object:
    return ops.image.resize(x, (6, 6), interpolation="bicubic")


@pytest.mark.parametrize(
    "resize",
    [
        layers.UpSampling2D(2, interpolation="bilinear"),
        layers.UpSampling2D(2, interpolation="bicubic"),
        layers.Resizing(5, 7),
        resized,
    ],
)
@pytest.mark.parametrize("rule", ["lrp.epsilon(epsilon=0.01)", "lrp.zplus"])
def test_interpolation_passes_relevance_in_proportion(resize: Callable[..., object], rule: str) -> None:
    """Behind a ReLU: what is interpolated is not zero where the ReLU is, and bicubic weights make negative numbers."""
    x = keras.Input((3, 3, 2))
    first = layers.Dense(3, activation="relu", name="first")(x)
    last = layers.Dense(4, activation="relu", name="last")(layers.Flatten()(resize(first)))
    model = float64_twin(randomise(keras.Model(x, layers.Dense(2, name="head")(last))))
    data = inputs_of(model, 2)
    found = xaicore.get_analyzer(f"lrp.composite(rule={rule})", initial="one").explain(model, data, target=1, verbose=0)

    size = 27
    units = keras.Model(model.get_layer("first").output, model.get_layer("last").input)
    spread = np.asarray(units(np.eye(size).reshape(size, 3, 3, 3))).reshape(size, -1)
    (w1, b1), (w2, b2), (w3, b3) = (model.get_layer(n).get_weights() for n in ("first", "last", "head"))
    pixels = data.reshape(18, 2)
    hidden = np.maximum(pixels @ w1 + b1, 0).reshape(2, size)
    above = hidden @ spread
    after = np.maximum(above @ w2 + b2, 0)
    one = np.broadcast_to(np.eye(2)[1], (2, 2))

    def step(value: np.ndarray, matrix: np.ndarray, bias: np.ndarray, relevance: np.ndarray) -> np.ndarray:
        return plus(value, matrix, relevance) if "plus" in rule else epsilon(value, matrix, bias, relevance, 0.01)

    inner = step(above, w2, b2, step(after, w3, b3, one))
    quotient = np.divide(inner, above, out=np.zeros_like(above), where=above != 0)
    at_first = hidden * (quotient @ spread.T)
    close(found.attributions.reshape(18, 2), step(pixels, w1, b1, at_first.reshape(18, 3)), SINGLE)


@pytest.mark.parametrize(
    "join",
    [
        lambda y: ops.minimum(y, -0.5),
        lambda y: ops.concatenate([y, np.full((2, 3, 1), -1.0, "float32")], axis=-1),
        lambda y: layers.Flatten()(ops.stack([y, y - 1.0], axis=-1)),
    ],
)
def test_a_constant_may_be_negative(join: Callable[..., object]) -> None:
    """Beside a tensor that is never negative: z+ has to look at both signs of the next layer's input."""
    x = keras.Input((3, 5))
    y = join(layers.Dense(4, activation="relu")(x))
    model = float64_twin(randomise(keras.Model(x, layers.Dense(2, name="head")(layers.Flatten(name="flat")(y)))))
    data = inputs_of(model, 2)
    given = {"rule": "lrp.zplus", "initial": "one", "layers": ["flat"]}
    found = xaicore.get_analyzer("lrp.composite", **given).explain(model, data, target=1, verbose=0)
    below = np.asarray(keras.Model(model.input, model.get_layer("flat").output)(data))
    one = np.broadcast_to(np.eye(2)[1], (2, 2))
    close(found.layers["flat"], plus(below, model.get_layer("head").get_weights()[0], one))


def test_a_matrix_product_of_two_signals_shares() -> None:
    """R_A = A * (R / y) B^T / 2 for y = A B."""
    x = keras.Input((3, 4))
    a, b = layers.Dense(5, name="a")(x), layers.Dense(5, name="b")(x)
    y = layers.Reshape((9,))(ops.matmul(a, ops.transpose(b, (0, 2, 1))))
    model = float64_twin(randomise(keras.Model(x, layers.Dense(2, name="head")(y))))
    data = inputs_of(model, 2)
    given = {"rule": "lrp.z", "initial": "one", "layers": ["a", "b"], "account": True}
    found = xaicore.get_analyzer("lrp.composite", **given).explain(model, data, target=1, verbose=0)
    (wa, ba), (wb, bb), (w, c) = (model.get_layer(n).get_weights() for n in ("a", "b", "head"))
    left, right = data @ wa + ba, data @ wb + bb
    y = left @ right.transpose(0, 2, 1)
    quotient = y.reshape(2, 9) * w[:, 1] / (y.reshape(2, 9) @ w + c)[:, [1]] / y.reshape(2, 9)
    quotient = quotient.reshape(2, 3, 3)
    close(found.layers["a"], left * (quotient @ right) / 2)
    close(found.layers["b"], right * (quotient.transpose(0, 2, 1) @ left) / 2)


def test_the_weights_of_attention_are_gates_and_constants_get_nothing() -> None:
    x = keras.Input((3, 4))
    values, scores = layers.Dense(5, name="values")(x), layers.Dense(3, activation="softmax", name="scores")(x)
    mixed = ops.matmul(ops.matmul(scores, values), np.arange(10.0).reshape(5, 2).astype("float32") - 4)
    model = float64_twin(randomise(keras.Model(x, layers.Dense(2)(layers.Flatten(name="flat")(mixed)))))
    given = {"rule": "lrp.z", "layers": ["values", "scores", "flat"]}
    found = xaicore.get_analyzer("lrp.composite", **given).explain(model, inputs_of(model, 2), target=1, verbose=0)
    assert not found.layers["scores"].any()
    close(found.layers["values"].sum((1, 2)), found.layers["flat"].sum(1))


def gated(signal: str, gate: str, shape: tuple[int | None, ...]) -> keras.Model:
    x = keras.Input(shape)
    y = layers.Conv2D(4, 3, activation=signal, name="signal")(x)
    weights = layers.GlobalAveragePooling2D(keepdims=True)(y)
    weights = layers.Dense(4, activation=gate, name="gate")(weights)
    y = layers.Multiply(name="scaled")([weights, y])
    return randomise(keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling2D()(y))))


@pytest.mark.parametrize("signal", ["relu6", "sigmoid", "tanh"])
@pytest.mark.parametrize("gate", ["sigmoid", "tanh"])
@pytest.mark.parametrize("shape", [(6, 6, 3), (None, None, 3)])
def test_what_is_broadcast_is_the_gate(signal: str, gate: str, shape: tuple[int | None, ...]) -> None:
    """Whatever activation the signal comes from, and whether or not sizes are known."""
    model = gated(signal, gate, shape)
    data = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype("float32")
    given = {"rule": "lrp.z", "layers": ["signal", "gate", "scaled"]}
    found = xaicore.get_analyzer("lrp.composite", **given).explain(model, data, target=1, verbose=0)
    np.testing.assert_array_equal(found.layers["signal"], found.layers["scaled"])
    assert not found.layers["gate"].any()


def test_attention_over_positions_by_a_softmax() -> None:
    x = keras.Input((5, 5, 3))
    y = layers.Conv2D(4, 3, name="signal")(x)
    weights = layers.Softmax(axis=(1, 2))(layers.Conv2D(1, 3)(x))
    model = randomise(
        keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.Multiply(name="scaled")([y, weights]))))
    )
    given = {"rule": "lrp.z", "layers": ["signal", "scaled"]}
    found = xaicore.get_analyzer("lrp.composite", **given).explain(model, inputs_of(model, 2), target=1, verbose=0)
    np.testing.assert_array_equal(found.layers["signal"], found.layers["scaled"])


def test_a_gated_linear_unit_passes_to_its_first_half() -> None:
    x = keras.Input((4,))
    model = randomise(keras.Model(x, layers.Dense(2)(ops.glu(layers.Dense(6, name="both")(x)))))
    given = {"rule": "lrp.z", "layers": ["both"]}
    found = xaicore.get_analyzer("lrp.composite", **given).explain(model, inputs_of(model, 2), target=1, verbose=0)
    assert found.layers["both"][:, :3].any()
    assert not found.layers["both"][:, 3:].any()


@pytest.mark.parametrize(
    "activation",
    [
        *(ops.relu, ops.exp, ops.square, ops.abs, ops.stop_gradient, ops.sparse_plus, ops.sparsemax, ops.softmax),
        *(lambda y: ops.maximum(y, 0.1), lambda y: ops.minimum(0.1, y), lambda y: ops.clip(y, -1, 1)),
        *(lambda y: keras.activations.relu(y, 0.1, 2.0, 0.3), lambda y: ops.power(y, 3)),
        *(layers.ReLU(threshold=0.5), layers.Softmax(), layers.RandomContrast(0.5)),
    ],
)
def test_activations_of_every_form_pass_relevance(activation: Callable[..., object]) -> None:
    x = keras.Input((3, 3, 4))
    y = layers.Identity(name="after")(activation(layers.Dense(5, name="before")(x)))
    model = randomise(keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling2D()(y))))
    given = {"rule": "lrp.flat", "layers": ["before", "after"]}
    found = xaicore.get_analyzer("lrp.composite", **given).explain(model, inputs_of(model, 2), target=1, verbose=0)
    np.testing.assert_array_equal(found.layers["before"], found.layers["after"])
    assert found.layers["before"].any()
