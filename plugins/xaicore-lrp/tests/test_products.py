"""Relevance through products, and through normalization by a sample's own statistics, in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np
import pytest
from keras import layers

import xaicore
from matrices import flat
from xaicore.testing.models import float64_twin, inputs_of, randomise

if TYPE_CHECKING:
    from collections.abc import Callable

_FLOWS = {"arrived", "passed", "missing"}
# What a site keeps, passes on and loses adds up to rounding: float64, sums of at most some hundred numbers.
ROUNDING = 1e-10


def squeeze_and_excite() -> keras.Model:
    """A block whose channels are weighted by what a small network makes of their means."""
    x = keras.Input((5, 5, 3), name="image")
    y = layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
    gate = layers.Dense(4, activation="sigmoid", name="gate")(layers.Dense(2, activation="relu")(gate))
    y = layers.Multiply(name="scaled")([gate, y])
    return randomise(keras.Model(x, layers.Dense(3)(layers.Flatten()(y))))


def gated_by_operations() -> keras.Model:
    """Hard swish as MobileNetV3 has it, in keras.ops: x * relu6(x + 3) / 6."""
    x = keras.Input((6,), name="x")
    y = layers.Dense(5, name="dense")(x)
    y = y * (layers.ReLU(6.0)(y + 3.0) * (1.0 / 6.0))
    return randomise(keras.Model(x, layers.Dense(3)(y)))


def product_of_two_signals() -> keras.Model:
    """No factor is a gate: each gets half."""
    x = keras.Input((6,), name="x")
    y = layers.Dense(5, name="a")(x) * layers.Dense(5, name="b")(x)
    return randomise(keras.Model(x, layers.Dense(3)(y / 2.0)))


def normalized() -> keras.Model:
    """Layer and group normalization of several forms."""
    x = keras.Input((4, 5, 6), name="x")
    y = layers.LayerNormalization(axis=[2, 3], name="two_axes")(layers.Dense(6)(x))
    y = layers.GroupNormalization(3, name="groups")(layers.Dense(6)(y))
    y = layers.LayerNormalization(center=False, scale=False, name="bare")(layers.Dense(6)(y))
    y = layers.RMSNormalization(name="root_mean_square")(layers.Dense(6)(y))
    return randomise(keras.Model(x, layers.Dense(3)(layers.Flatten()(y))))


MODELS = [squeeze_and_excite, gated_by_operations, product_of_two_signals, normalized]


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("rule", ["lrp.z", "lrp.epsilon(epsilon=0.25)", "lrp.alpha2beta1", "lrp.flat"])
def test_nothing_is_lost_without_a_name(make: Callable[[], keras.Model], rule: str) -> None:
    model = float64_twin(make())
    found = xaicore.explain(f"lrp.composite(rule={rule}, account=True)", model, inputs_of(model, 3), target=1)
    assert all(row["action"] == "rule" or row["why"] == "only routes" for row in found.coverage)
    largest = max(np.abs(row["arrived"]).max() for row in found.ledger.values())
    for site, row in found.ledger.items():
        assert np.abs(row["missing"]).max() <= ROUNDING * largest, site


def test_the_signal_gets_all_and_the_gate_nothing() -> None:
    model = float64_twin(squeeze_and_excite())
    x = inputs_of(model, 2)
    found = xaicore.explain("lrp.composite(rule=lrp.z, account=True, layers=['scaled', 'conv'])", model, x, target=1)
    np.testing.assert_array_equal(found.layers["conv"], found.layers["scaled"])
    assert "gate" not in found.ledger


def test_a_bounded_factor_of_full_size_is_a_gate() -> None:
    model = float64_twin(gated_by_operations())
    found = xaicore.explain("lrp.composite(rule=lrp.z, layers='all')", model, inputs_of(model, 2), target=1)
    products = [row["site"] for row in found.coverage if row["operation"] == "Multiply"]
    assert len(products) == 2  # one by a constant, in the gate; one with the gate
    np.testing.assert_array_equal(found.layers["dense"], found.layers[products[1]])
    np.testing.assert_array_equal(found.layers[products[0]], 0)


def test_two_signals_share() -> None:
    model = float64_twin(product_of_two_signals())
    found = xaicore.explain("lrp.composite(rule=lrp.z, layers='all')", model, inputs_of(model, 2), target=1)
    np.testing.assert_allclose(found.layers["a"], found.layers["b"], rtol=1e-12)
    arrived = next(v for k, v in found.layers.items() if "divide" in k)
    np.testing.assert_allclose(found.layers["a"] + found.layers["b"], arrived, rtol=1e-12)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.LayerNormalization(dtype="float64"), (5, 4)),
        (layers.LayerNormalization(axis=[1, 2], dtype="float64"), (3, 2)),
        (layers.LayerNormalization(axis=1, center=False, dtype="float64"), (5, 4)),
        (layers.GroupNormalization(2, scale=False, dtype="float64"), (3, 6)),
        (layers.GroupNormalization(3, axis=1, dtype="float64"), (6, 3)),
    ],
)
def test_normalization_is_the_z_rule_of_its_matrix_with_a_fixed_deviation(
    layer: layers.Layer, shape: tuple[int, ...]
) -> None:
    """The matrix of NumPy: y = (x - mean) gamma / s + beta, row by row, s from this x."""
    x_in = keras.Input(shape, dtype="float64")
    model = randomise(keras.Model(x_in, layer(x_in)))
    x = inputs_of(model, 1)
    relevance = np.random.default_rng(4).normal(size=shape)

    fields = {"rule": {"sample_norm": "lrp.sample_norm"}, "initial": relevance}
    found = xaicore.get_analyzer("lrp.composite", **fields).explain(model, x, target=[(0, 0)])

    size = int(np.prod(shape))
    same = np.zeros((size, size))  # which numbers share a mean
    places = np.indices(shape).reshape(len(shape), -1)
    group = _groups(layer, shape, places)
    same[group[:, None] == group[None, :]] = 1
    same /= same.sum(1, keepdims=True)
    value = flat(x)[0]
    centred = value - same @ value
    deviation = np.sqrt(same @ centred**2 + layer.epsilon)
    axes = layer.axis if isinstance(layer.axis, list) else [layer.axis]
    along = np.ravel_multi_index(
        tuple(places[[a % (len(shape) + 1) - 1 for a in axes]]), [shape[a % (len(shape) + 1) - 1] for a in axes]
    )
    gamma = layer.gamma.numpy().reshape(-1)[along] if layer.scale else np.ones(size)
    beta = layer.beta.numpy().reshape(-1)[along] if layer.center else np.zeros(size)
    matrix = (gamma / deviation)[:, None] * (np.eye(size) - same)
    y = matrix @ value + beta
    np.testing.assert_allclose(y, flat(model(x))[0], rtol=1e-9)
    expected = value * (matrix.T @ (relevance.reshape(-1) / y))
    np.testing.assert_allclose(flat(found.attributions)[0], expected, rtol=1e-8, atol=1e-10)


def _groups(layer: layers.Layer, shape: tuple[int, ...], places: np.ndarray) -> np.ndarray:
    """Return for each number which of the sets of numbers with one mean it is in."""
    axes = [a % (len(shape) + 1) - 1 for a in (layer.axis if isinstance(layer.axis, list) else [layer.axis])]
    if isinstance(layer, layers.GroupNormalization):
        return places[axes[0]] // (shape[axes[0]] // layer.groups)
    rest = [i for i in range(len(shape)) if i not in axes]
    return np.ravel_multi_index(tuple(places[rest]), [shape[i] for i in rest]) if rest else np.zeros(places.shape[1])
