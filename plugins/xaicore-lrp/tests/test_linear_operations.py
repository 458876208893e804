"""Products with a constant, written as operations, are dense layers: formulas on the explicit matrix, float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np
import pytest
from keras import layers, ops

import xaicore

if TYPE_CHECKING:
    from collections.abc import Callable

# Sums of some ten float64 products of size one, divided by denominators of about 1e-3 and more.
ROUNDING = 1e-10
SHAPE = (3, 4)
SAMPLES = np.random.default_rng(0).normal(size=(5, *SHAPE))


def constant(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape)


class Kernel(layers.Layer):
    """A dense layer as in Keras's own guide: a variable of its own, and a product."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.inner = layers.Identity(dtype=self.dtype)  # makes it a layer of layers, which is read into its operations
        self.kernel = self.add_weight(shape=(shape[-1], 2), initializer="random_normal", name="kernel")

    def call(self, x: object) -> object:
        return ops.matmul(self.inner(x), self.kernel)


MAPS: dict[str, Callable[[object], object]] = {
    "matmul": lambda x: ops.matmul(x, constant(4, 2)),
    "matmul_from_the_left": lambda x: ops.matmul(constant(2, 3), x),
    "matmul_of_eager_tensors": lambda x: ops.matmul(ops.convert_to_tensor(constant(2, 3)), x),
    "matmul_with_a_matrix_per_position": lambda x: ops.matmul(ops.expand_dims(x, 2), constant(3, 4, 2)),
    "einsum": lambda x: ops.einsum("bij,jk->bik", x, constant(4, 2)),
    "einsum_over_all": lambda x: ops.einsum("ijk,bij->bk", constant(3, 4, 2), x),
    "einsum_with_an_ellipsis": lambda x: ops.einsum("...j,jk->...k", x, constant(4, 2)),
    "tensordot": lambda x: ops.tensordot(x, constant(3, 4, 2), axes=2),
    "dot": lambda x: ops.dot(x, constant(4, 2)),
    "variable": lambda x: Kernel(dtype="float64")(x),  # noqa: PLW0108  # a layer for each model
}


def shared(parts: np.ndarray, start: np.ndarray, epsilon: float = 0.0) -> np.ndarray:
    """Return sum_k parts_jk R_k / (sum_j parts_jk + epsilon sign), nothing where it is 0; parts: (batch, j, k)."""
    z = parts.sum(1)
    z = z + epsilon * np.where(z >= 0, 1, -1)
    quotient = np.divide(start, z, out=np.zeros_like(z), where=z != 0)
    return np.einsum("njk,nk->nj", parts, quotient)


def contributions(x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return x[:, :, None] * matrix


def box(x: np.ndarray, matrix: np.ndarray, start: np.ndarray) -> np.ndarray:
    parts = contributions(x, matrix) + 5 * np.maximum(matrix, 0) - 4 * np.minimum(matrix, 0)
    return shared(parts, start)


FORMULAS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "lrp.z": lambda x, m, r: shared(contributions(x, m), r),
    "lrp.epsilon(epsilon=0.25)": lambda x, m, r: shared(contributions(x, m), r, 0.25),
    "lrp.alpha2beta1": lambda x, m, r: (
        2 * shared(np.maximum(contributions(x, m), 0), r) - shared(np.minimum(contributions(x, m), 0), r)
    ),
    "lrp.zplus": lambda x, m, r: shared(np.maximum(contributions(x, m), 0), r),
    "lrp.wsquare": lambda x, m, r: shared(contributions(np.ones_like(x), m**2), r),
    "lrp.flat": lambda x, m, r: shared(contributions(np.ones_like(x), (m != 0).astype(float)), r),
    "lrp.zbox(low=-5, high=4)": box,
}


def model_of(name: str, *, nonnegative: bool = False) -> keras.Model:
    """Return a model that is one such product; behind a ReLU where its input is known to be non-negative."""
    x = keras.Input(SHAPE, dtype="float64", name="x")
    y = layers.ReLU(dtype="float64", name="relu")(x) if nonnegative else x
    return keras.Model(x, layers.Flatten(dtype="float64", name="flat")(MAPS[name](y)))


def matrix_of(model: keras.Model) -> np.ndarray:
    """Return the explicit matrix, row by row what the model makes of one unit."""
    units = np.eye(np.prod(SHAPE)).reshape(-1, *SHAPE)
    return model(units).numpy().reshape(len(units), -1)


@pytest.mark.parametrize("nonnegative", [False, True], ids=["signed", "nonnegative"])
@pytest.mark.parametrize("name", MAPS)
def test_rule_is_the_formula_on_the_explicit_matrix(name: str, *, nonnegative: bool) -> None:
    model = model_of(name, nonnegative=nonnegative)
    matrix = matrix_of(model)
    x = np.maximum(SAMPLES, 0) if nonnegative else SAMPLES
    start = np.random.default_rng(2).normal(size=matrix.shape[1])
    for rule, formula in FORMULAS.items():
        given = {"rule": {"dense": xaicore.get_rule(rule)}, "initial": {"flat": start}}
        analyzer = xaicore.get_analyzer("lrp.composite", **given, layers=["relu"] if nonnegative else [])
        found = analyzer.explain(model, SAMPLES, target=0, verbose=0)
        expected = formula(x.reshape(len(x), -1), matrix, start)
        relevance = (found.layers["relu"] if nonnegative else found.attributions).reshape(len(x), -1)
        np.testing.assert_allclose(relevance, expected, rtol=0, atol=ROUNDING * np.abs(expected).max(), err_msg=rule)


def test_composites_take_it_for_a_dense_layer() -> None:
    """The first of them, counted by until(index), under the rule of dense layers; its plan says which acts."""
    x = keras.Input(SHAPE, dtype="float64", name="x")
    y = ops.relu(ops.matmul(x, constant(4, 5)))
    y = layers.Dense(2, dtype="float64", name="head")(layers.Flatten(dtype="float64")(y))
    model = keras.Model(x, y)
    plan = xaicore.get_analyzer("lrp.composite(input=lrp.flat, dense=lrp.zplus)").plan(model)
    assert [(row.operation, row.rule) for row in plan.rows if row.rule and "pass" not in row.rule] == [
        ("Matmul", "lrp.flat"),
        ("Dense", "lrp.zplus"),
    ]
    found = xaicore.explain("lrp.rule_until_index(until_index=0)", model, SAMPLES, target=1, verbose=0)
    acting = {row["operation"]: row["rule"] for row in found.coverage if row["action"] == "rule"}
    assert acting["Matmul"] != acting["Dense"]


def test_what_sums_over_samples_or_has_two_constants_is_no_dense_layer() -> None:
    """Two constants beside a tensor: the z rule of ``lrp.bilinear``, and the plan says so."""
    x = keras.Input(SHAPE, dtype="float64", name="x")
    y = ops.einsum("bij,jk,kl->bil", x, constant(4, 2), constant(2, 3))
    model = keras.Model(x, layers.Dense(2, dtype="float64")(layers.Flatten(dtype="float64")(y)))
    (row,) = [row for row in xaicore.get_analyzer("lrp.z").plan(model).rows if row.operation == "Einsum"]
    assert row.rule == "lrp.bilinear"


def test_the_values_of_a_variable_are_those_that_it_has() -> None:
    model = model_of("variable")
    analyzer = xaicore.get_analyzer("lrp.zplus")
    before = analyzer.explain(model, SAMPLES, target=1, verbose=0).attributions
    (kernel,) = model.weights
    kernel.assign(-kernel.value)
    after = analyzer.explain(model, SAMPLES, target=1, verbose=0)
    assert not np.allclose(before, after.attributions)
    np.testing.assert_allclose(after.scores, model(SAMPLES)[:, 1], rtol=1e-12)


def test_what_a_product_costs() -> None:
    """As the dense layer of the same kernel."""
    x = keras.Input(SHAPE, dtype="float64", name="x")
    head = layers.Dense(2, dtype="float64", name="head")
    models = [
        keras.Model(x, head(layers.Flatten(dtype="float64")(y)))
        for y in (ops.matmul(x, constant(4, 5)), layers.Dense(5, use_bias=False, dtype="float64", name="dense")(x))
    ]
    costs = [[row.passes for row in xaicore.get_analyzer("lrp.zplus").plan(model).rows] for model in models]
    assert costs[0] == costs[1]
