"""Batch normalization folded into its neighbours: the same function, and the same relevance where it is a gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np
import pytest
from keras import layers

import xaicore
from xaicore.errors import FoldingDiffers, NothingToFold
from xaicore.inspect.folding import fold_batch_normalization
from xaicore.inspect.read import read_graph
from xaicore.testing.models import convolutional, float64_twin, inputs_of, randomise

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE = (6, 7, 3)


# name -> layers in a row, and how many normalizations are left.
def einsum(equation: str, bias_axes: str | None = None) -> layers.EinsumDense:
    """Return an EinsumDense whose letters stand for sizes, the first of its output for the samples."""
    sizes = {"b": 3, "c": 4, "d": 2, "e": 3}
    output = equation.split("->")[1]
    shape = tuple(sizes[letter] for letter in output.removeprefix("...").removeprefix("a"))
    return layers.EinsumDense(equation, shape, bias_axes=bias_axes)


ROWS: dict[str, tuple[Callable[[], list[layers.Layer]], tuple[int, ...], int]] = {
    "dense_before": (lambda: [layers.Dense(5), layers.BatchNormalization()], (4,), 0),
    "dense_without_bias": (lambda: [layers.Dense(5, use_bias=False), layers.BatchNormalization(scale=False)], (4,), 0),
    "dense_after": (lambda: [layers.BatchNormalization(center=False), layers.Dense(5, activation="relu")], (4,), 0),
    "conv_before": (lambda: [layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization()], IMAGE, 0),
    "conv_grouped": (lambda: [layers.Conv2D(6, 3, groups=3), layers.BatchNormalization()], IMAGE, 0),
    "conv_after": (lambda: [layers.BatchNormalization(), layers.Conv2D(4, 3, strides=2)], IMAGE, 0),
    "conv_after_padded": (lambda: [layers.BatchNormalization(), layers.Conv2D(4, 3, padding="same")], IMAGE, 1),
    "depthwise_before": (
        lambda: [layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), layers.BatchNormalization()],
        IMAGE,
        0,
    ),
    "depthwise_after": (
        lambda: [layers.BatchNormalization(), layers.DepthwiseConv2D(3, depth_multiplier=2)],
        IMAGE,
        0,
    ),
    "transposed_before": (lambda: [layers.Conv2DTranspose(4, 3, strides=2), layers.BatchNormalization()], IMAGE, 0),
    "transposed_after": (lambda: [layers.BatchNormalization(), layers.Conv2DTranspose(4, 3)], IMAGE, 1),
    "transposed_1d_before": (lambda: [layers.Conv1DTranspose(4, 3), layers.BatchNormalization()], (8, 3), 0),
    "transposed_of_one_place_after": (lambda: [layers.BatchNormalization(), layers.Conv2DTranspose(4, 1)], IMAGE, 0),
    "transposed_with_holes_after": (
        lambda: [layers.BatchNormalization(), layers.Conv2DTranspose(4, 1, strides=2)],
        IMAGE,
        1,
    ),
    "conv_of_one_place_after_padded": (
        lambda: [layers.BatchNormalization(), layers.Conv2D(4, 1, strides=2, padding="same")],
        IMAGE,
        0,
    ),
    "einsum_before": (lambda: [einsum("abc,cde->abde", "de"), layers.BatchNormalization()], (3, 4), 0),
    "einsum_before_on_an_inner_axis": (
        lambda: [einsum("abc,cde->abde", "e"), layers.BatchNormalization(axis=2)],
        (3, 4),
        0,
    ),
    "einsum_before_without_bias": (lambda: [einsum("abc,cde->abde"), layers.BatchNormalization(axis=-2)], (3, 4), 0),
    "einsum_before_on_an_axis_of_the_input": (
        lambda: [einsum("abc,cde->abde", "e"), layers.BatchNormalization(axis=1)],
        (3, 4),
        1,
    ),
    "einsum_with_an_ellipsis_before": (lambda: [einsum("...c,cd->...d"), layers.BatchNormalization()], (3, 4), 0),
    "einsum_after": (lambda: [layers.BatchNormalization(), einsum("abc,cde->abde", "de")], (3, 4), 0),
    "einsum_after_without_bias": (lambda: [layers.BatchNormalization(axis=1), einsum("abc,bcd->ad")], (3, 4), 0),
    "einsum_after_on_an_axis_that_stays": (
        lambda: [layers.BatchNormalization(axis=1), einsum("abc,bcd->abd")],
        (3, 4),
        0,
    ),
    "einsum_after_on_an_axis_of_the_input": (
        lambda: [layers.BatchNormalization(axis=1), einsum("abc,cd->abd")],
        (3, 4),
        1,
    ),
    "einsum_after_that_sums_places": (lambda: [layers.BatchNormalization(), einsum("abc,cd->ad", "d")], (3, 4), 1),
    "einsum_with_an_ellipsis_after": (
        lambda: [layers.BatchNormalization(), einsum("...c,cd->...d", "d")],
        (3, 4),
        0,
    ),
    "separable_before": (lambda: [layers.SeparableConv2D(4, 3), layers.BatchNormalization()], IMAGE, 0),
    "both": (
        lambda: [layers.Conv1D(4, 3), layers.BatchNormalization(), layers.BatchNormalization(), layers.Conv1D(2, 2)],
        (8, 3),
        0,
    ),
    "activation_between": (lambda: [layers.Dense(5, activation="relu"), layers.BatchNormalization()], (4,), 1),
    "another_axis": (lambda: [layers.Dense(5), layers.BatchNormalization(axis=1)], (3, 4), 1),
}


def in_a_row(name: str) -> keras.Model:
    """Return a model of float64 that ends in a dense layer."""
    make, shape, _ = ROWS[name]
    x = keras.Input(shape)
    y = x
    for layer in make():
        y = layer(y)
    y = layers.Dense(3, name="end")(layers.Flatten()(layers.ReLU()(y)))
    return float64_twin(randomise(keras.Model(x, y)))


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row[2]])
def test_what_cannot_be_folded_is_refused(name: str) -> None:
    with pytest.raises(NothingToFold):
        xaicore.get_analyzer("lrp.composite(rule=lrp.z, fold=True)").plan(in_a_row(name))


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if not row[2]])
def test_the_folded_model_is_the_model(name: str) -> None:
    model = in_a_row(name)
    x = inputs_of(model, 4)
    z, folded = (xaicore.explain(f"lrp.composite(rule=lrp.z{o})", model, x, target=1) for o in ("", ", fold=True"))

    left = [row for row in folded.coverage if row["operation"] == "BatchNormalization" and row["action"] == "rule"]
    assert not left
    assert all(row["visited"] == "yes" for row in folded.coverage)
    # Float64 sums of at most some hundred products of size one.
    np.testing.assert_allclose(folded.scores, z.scores, rtol=1e-10)
    # With its bias in the denominator the z rule is input times gradient, which folding does not change.
    np.testing.assert_allclose(folded.attributions, z.attributions, rtol=1e-8, atol=1e-9)
    assert folded.folding_error.max() < 1e-10


def test_weights_are_those_of_the_model_as_it_is() -> None:
    model = in_a_row("conv_before")
    x = inputs_of(model, 2)
    analyzer = xaicore.get_analyzer("lrp.composite(rule=lrp.z, fold=True)")
    before = analyzer.explain(model, x, target=1).scores
    norm = next(layer for layer in model.layers if isinstance(layer, layers.BatchNormalization))
    norm.gamma.assign(2 * norm.gamma)
    after = analyzer.explain(model, x, target=1)
    np.testing.assert_allclose(after.scores, model(x)[:, 1], rtol=1e-10)
    assert np.abs(after.scores - before).max() > 1e-3


def test_what_is_read_twice_is_not_folded_away() -> None:
    x = keras.Input(IMAGE)
    conv = layers.Conv2D(3, 3, padding="same", name="conv")(x)
    y = layers.Add()([conv, layers.BatchNormalization(name="norm")(conv)])
    model = randomise(keras.Model(x, layers.Dense(2)(layers.Flatten()(y))))
    assert [str(n.site) for n in fold_batch_normalization(read_graph(model)).nodes][:2] == ["conv", "norm"]


def test_a_cut_between_the_two_leaves_nothing_to_fold() -> None:
    """What is explained begins behind the layer that would take the normalization."""
    with pytest.raises(NothingToFold):
        xaicore.get_analyzer("lrp.composite(rule=lrp.z, fold=True, at='conv2')").plan(convolutional())


def test_every_rule_conserves_on_the_folded_model() -> None:
    model = float64_twin(convolutional())
    x = inputs_of(model, 3)
    for rule in ("lrp.epsilon(epsilon=0.1)", "lrp.alpha2beta1", "lrp.zplus", "lrp.flat", "lrp.gamma"):
        found = xaicore.explain(f"lrp.composite(rule={rule}, fold=True, account=True)", model, x, target=1)
        lost = sum(value for row in found.ledger.values() for name, value in row.items() if name not in _FLOWS)
        total = found.attributions.sum((1, 2, 3)) + lost
        np.testing.assert_allclose(total, found.scores, rtol=1e-9, atol=1e-9)


_FLOWS = {"arrived", "passed", "missing"}


def test_a_difference_is_an_error_that_says_so() -> None:
    """Float32 has seven digits: of numbers of 1e6 that cancel, times 1e3, each way to round leaves another rest."""
    x = keras.Input((2,))
    first, norm = layers.Dense(2), layers.BatchNormalization(epsilon=1e-12)
    model = randomise(keras.Model(x, layers.Dense(2)(norm(first(x)))))
    data = 1e6 * np.random.default_rng(0).random((4, 2)).astype(np.float32)
    norm.moving_mean.assign(first(data)[0])
    norm.moving_variance.assign([1e-6, 1e-6])
    with pytest.raises(FoldingDiffers, match="fold_tolerance"):
        xaicore.explain("lrp.composite(fold=True, fold_tolerance=1e-8)", model, data, target=1)


@pytest.mark.parametrize("name", ["lrp.composite(fold=True)", "lrp.epsilon_plus(fold=True)"])
def test_folding_that_can_fold_nothing_is_refused(name: str) -> None:
    """A normalization behind an activation and before nothing; a model without one is as folded as can be."""
    x = keras.Input((4,))
    y = layers.Dense(3, activation="relu")(x)
    with pytest.raises(NothingToFold, match="Leave fold out"):
        xaicore.get_analyzer(name).plan(keras.Model(x, layers.BatchNormalization(name="norm")(y)))
    assert xaicore.get_analyzer(name).plan(keras.Model(x, y)).rows
