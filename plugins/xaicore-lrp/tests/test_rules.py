"""Rules against the papers' formulas on the explicit matrix of each layer, in float64."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from matrices import LAYERS, Linear, call, filled, flat, linear_layer
from xaicore.errors import InvalidParameter
from xaicore.inspect.affine import read_affine
from xaicore.inspect.facts import alone
from xaicore.inspect.nodes import Site
from xaicore.protocols import OpCall
from xaicore_lrp.box import ZBox
from xaicore_lrp.gamma import Gamma
from xaicore_lrp.parts import AlphaBetaX, Sign, StdxEpsilon
from xaicore_lrp.rules import AlphaBeta, Epsilon
from xaicore_lrp.spread import Flat, WSquare

Oracle = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]

# Sums of at most some hundred float64 products of size one, divided by denominators of about 1e-3 and more.
ROUNDING = 1e-10
BATCH = 3


@pytest.fixture(scope="module", params=LAYERS)
def linear(request: pytest.FixtureRequest) -> Linear:
    """Return a layer and its matrix."""
    return linear_layer(request.param)


def _inputs(linear: Linear, *, nonnegative: bool) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(11)
    x = generator.normal(size=(BATCH, *linear.shape))
    relevance = generator.normal(size=(BATCH, linear.bias.size))
    return np.maximum(x, 0) if nonnegative else x, relevance


# The papers' formulas: x (batch, n), m (n, outputs), b (outputs,), r (batch, outputs) -> (batch, n).


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.where(denominator == 0, 0, numerator / np.where(denominator == 0, 1, denominator))


def epsilon_rule(epsilon: float, *, bias: bool = True) -> Oracle:
    """Bach et al. 2015, eq. 58; eq. 56 with epsilon 0."""

    def formula(x: np.ndarray, m: np.ndarray, b: np.ndarray, r: np.ndarray) -> np.ndarray:
        z = x @ m + (b if bias else 0)
        return np.einsum("nj,jk,nk->nj", x, m, _ratio(r, z + epsilon * np.where(z >= 0, 1, -1)))

    return formula


def alpha_beta_rule(alpha: float, beta: float, bias: str = "publication", stabilizer: float = 0) -> Oracle:
    """Bach et al. 2015, eq. 60, on the contributions z_jk themselves."""

    def formula(x: np.ndarray, m: np.ndarray, b: np.ndarray, r: np.ndarray) -> np.ndarray:
        contributions = x[:, :, None] * m
        plus, minus = np.maximum(contributions, 0), np.minimum(contributions, 0)
        own = {"publication": (np.maximum(b, 0), np.minimum(b, 0)), "ignore": (0, 0), "innvestigate": (b, b)}[bias]
        total = [part.sum(1) + share for part, share in zip((plus, minus), own, strict=True)]
        stable = [z + stabilizer * np.where(z >= 0, 1, -1) for z in total]
        exciting = np.einsum("njk,nk->nj", plus, _ratio(r, stable[0]))
        return alpha * exciting - beta * np.einsum("njk,nk->nj", minus, _ratio(r, stable[1]))

    return formula


def spread_rule(weight: Callable[[np.ndarray], np.ndarray], stabilizer: float = 0) -> Oracle:
    """Montavon et al. 2017, table of rules (w^2); Bach et al. 2016 (flat)."""

    def formula(x: np.ndarray, m: np.ndarray, b: np.ndarray, r: np.ndarray) -> np.ndarray:
        weights = weight(m)
        return _ratio(r, weights.sum(0) + stabilizer) @ weights.T

    return formula


def gamma_rule(gamma: float, *, bias: bool = True, stabilizer: float = 0) -> Oracle:
    """Montavon et al. 2019, sect. 10.2, with Andeol et al. 2023's sides: on the contributions z_jk themselves."""

    def formula(x: np.ndarray, m: np.ndarray, b: np.ndarray, r: np.ndarray) -> np.ndarray:
        z, own = x[:, :, None] * m, b if bias else 0 * b
        total = z.sum(1) + b
        found = np.zeros_like(x)
        for side, part in ((total > 0, np.maximum), (total < 0, np.minimum)):
            raised = z + gamma * part(z, 0)
            denominator = raised.sum(1) + own + gamma * part(own, 0)
            stable = denominator + stabilizer * np.where(denominator >= 0, 1, -1)
            found += np.einsum("njk,nk->nj", raised, _ratio(r * side, stable))
        return found

    return formula


def box_rule(low: object, high: object, stabilizer: float = 0) -> Oracle:
    """Montavon et al. 2017, eq. 13."""

    def formula(x: np.ndarray, m: np.ndarray, b: np.ndarray, r: np.ndarray) -> np.ndarray:
        shares = x[:, :, None] * m - low * np.maximum(m, 0) - high * np.minimum(m, 0)
        z = shares.sum(1)
        return np.einsum("njk,nk->nj", shares, _ratio(r, z + stabilizer * np.where(z >= 0, 1, -1)))

    return formula


def four_parts_rule(a: tuple[float, float], b: tuple[float, float]) -> Oracle:
    """Each of four parts with a denominator of its own."""

    def formula(x: np.ndarray, m: np.ndarray, bias: np.ndarray, r: np.ndarray) -> np.ndarray:
        up, down = (lambda v: np.maximum(v, 0)), (lambda v: np.minimum(v, 0))
        found = np.zeros_like(x)
        for factor, of_x, of_w in ((a[0], up, up), (a[1], down, down), (-b[0], up, down), (-b[1], down, up)):
            z = of_x(x)[:, :, None] * of_w(m)
            found += factor * np.einsum("njk,nk->nj", z, _ratio(r, z.sum(1) + of_w(bias)))
        return found

    return formula


def deviation_rule(factor: float, *, whole: bool = False) -> Oracle:
    """The epsilon rule, epsilon a multiple of the input's deviation, per sample or over the batch."""

    def formula(x: np.ndarray, m: np.ndarray, b: np.ndarray, r: np.ndarray) -> np.ndarray:
        z = x @ m + b
        epsilon = factor * (x.std() if whole else x.std(1, keepdims=True))
        return np.einsum("nj,jk,nk->nj", x, m, _ratio(r, z + epsilon * np.where(z >= 0, 1, -1)))

    return formula


def sign_rule(mu: float) -> Oracle:
    """Gumpfer et al. 2023."""

    def formula(x: np.ndarray, m: np.ndarray, b: np.ndarray, r: np.ndarray) -> np.ndarray:
        return np.einsum("nj,jk,nk->nj", np.where(x < mu, -1, 1), m, _ratio(r, x @ m + b))

    return formula


CASES = {
    "gamma": (Gamma(gamma=0.25), gamma_rule(0.25)),
    "gamma_without_bias": (Gamma(gamma=1, bias=False), gamma_rule(1, bias=False)),
    "gamma_stabilized": (Gamma(gamma=0.5, stabilizer=0.1), gamma_rule(0.5, stabilizer=0.1)),
    "zbox": (ZBox(low=-5, high=4), box_rule(-5, 4)),
    "zbox_stabilized": (ZBox(low=-5, high=4, stabilizer=0.1), box_rule(-5, 4, 0.1)),
    "alphabetax": (AlphaBetaX(alpha=(0.7, 0.4), beta=(0.2, -0.1)), four_parts_rule((0.7, 0.4), (0.2, -0.1))),
    "alphabetax2m100": (AlphaBetaX(alpha=(2, 0), beta=(1, 0)), four_parts_rule((2, 0), (1, 0))),
    "stdx_epsilon": (StdxEpsilon(stdfactor=0.3), deviation_rule(0.3)),
    "stdx_epsilon_of_the_batch": (StdxEpsilon(scope="batch"), deviation_rule(0.25, whole=True)),
    "sign": (Sign(), sign_rule(0)),
    "sign_mu": (Sign(mu=0.5), sign_rule(0.5)),
    "z": (Epsilon(epsilon=None), epsilon_rule(0)),
    "z_stabilized": (Epsilon(epsilon=None, stabilizer=0.01), epsilon_rule(0.01)),
    "epsilon": (Epsilon(epsilon=0.25), epsilon_rule(0.25)),
    "epsilon_without_bias": (Epsilon(epsilon=0.25, bias=False), epsilon_rule(0.25, bias=False)),
    "epsilon_innvestigate": (Epsilon(epsilon=0.25, bias="innvestigate"), epsilon_rule(0.25)),
    "alpha2beta1": (AlphaBeta(alpha=2, beta=1), alpha_beta_rule(2, 1)),
    "alpha2beta1_stabilized": (AlphaBeta(alpha=2, stabilizer=0.1), alpha_beta_rule(2, 1, stabilizer=0.1)),
    "alpha2beta1_without_bias": (AlphaBeta(alpha=2, bias=False), alpha_beta_rule(2, 1, "ignore")),
    "alpha2beta1_innvestigate": (AlphaBeta(alpha=2, bias="innvestigate"), alpha_beta_rule(2, 1, "innvestigate")),
    "alpha1beta0": (AlphaBeta(beta=0), alpha_beta_rule(1, 0)),
    "alpha1beta0_innvestigate": (AlphaBeta(beta=0, bias="innvestigate"), alpha_beta_rule(1, 0, "innvestigate")),
    "zplus": (AlphaBeta(beta=0, bias="ignore"), alpha_beta_rule(1, 0, "ignore")),
    "wsquare": (WSquare(), spread_rule(np.square)),
    "wsquare_stabilized": (WSquare(stabilizer=0.1), spread_rule(np.square, 0.1)),
    "flat": (Flat(), spread_rule(lambda m: (m != 0).astype(float))),
}


@pytest.mark.parametrize("nonnegative", [False, True], ids=["signed", "nonnegative"])
@pytest.mark.parametrize("case", CASES)
def test_rule_is_the_formula_on_the_explicit_matrix(linear: Linear, case: str, *, nonnegative: bool) -> None:
    """Output, relevance and conservation of every rule on every affine layer."""
    rule, formula = CASES[case]
    x, relevance = _inputs(linear, nonnegative=nonnegative)
    output, (found,), sinks = call(rule, linear.layer, x, relevance=relevance, nonnegative=(nonnegative,))

    np.testing.assert_allclose(output, linear.layer(x).numpy(), rtol=ROUNDING, atol=ROUNDING)
    expected = formula(flat(x), linear.matrix, linear.bias, relevance)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(flat(found), expected, rtol=0, atol=ROUNDING * scale)
    assert found.shape == x.shape
    if "conservation" not in rule.setting.claims:
        return
    total = found.reshape(BATCH, -1).sum(1) + sinks["bias"] + sinks["stabilizer"]
    np.testing.assert_allclose(total, relevance.sum(1), rtol=0, atol=ROUNDING * scale * found[0].size)


def test_rules_run_in_a_graph_with_a_free_batch_axis() -> None:
    """One trace serves every batch size, and gives what the formula gives."""
    layer = filled(layers.Conv2D(2, 2, dtype="float64", activation="relu"), (4, 4, 1), np.random.default_rng(3))
    rule, traces = AlphaBeta(alpha=2), []

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, 4, 4, 1), tf.float64)])
    def run(x: tf.Tensor) -> tf.Tensor:
        traces.append(1)
        op = OpCall(Site("conv"), layer, layer, read_affine(layer), attrs.evolve(alone(layer)), sinks=False)
        output, backward = rule(op, x)
        found = backward(tf.ones_like(output))
        assert found.sinks == {}
        return found.inputs[0]

    for batch in (1, 3):
        x = np.random.default_rng(batch).normal(size=(batch, 4, 4, 1))
        expected = call(rule, layer, x, relevance=np.ones((batch, 3, 3, 2)))[1][0]
        np.testing.assert_allclose(run(x), expected, rtol=0, atol=ROUNDING)
    assert len(traces) == 1


def _dense(x: np.ndarray, rule: object, **facts: object) -> np.ndarray:
    layer = filled(layers.Dense(4, activation="relu", dtype="float64"), (6,), np.random.default_rng(5))
    relevance = np.random.default_rng(6).normal(size=(len(x), 4))
    _, (found,), _ = call(rule, layer, x, relevance=relevance, **facts)
    return found


def test_a_box_of_arrays_is_the_formula_with_them() -> None:
    low, high = -np.arange(1.0, 7.0), np.arange(2.0, 8.0)
    x = np.random.default_rng(8).uniform(low, high, size=(5, 6))
    layer = filled(layers.Dense(4, dtype="float64"), (6,), np.random.default_rng(5))
    relevance = np.random.default_rng(6).normal(size=(5, 4))
    _, (found,), _ = call(ZBox(low=low, high=high), layer, x, relevance=relevance)
    matrix, bias = layer.get_weights()
    np.testing.assert_allclose(found, box_rule(low[:, None], high[:, None])(x, matrix, bias, relevance), atol=ROUNDING)
    assert found.sum() == pytest.approx(relevance.sum())
    with pytest.raises(InvalidParameter, match="expected one that broadcasts to a sample"):
        call(ZBox(low=np.zeros(5), high=np.ones(5)), layer, x, relevance=relevance)


def test_zplus_fast_takes_the_input_as_it_is() -> None:
    """X W+ with x not cut: the same as z+ where x >= 0, and the formula as written elsewhere."""
    x = np.random.default_rng(8).normal(size=(5, 6))
    fast = AlphaBeta(alpha=1, bias="ignore", assume_nonnegative=True)
    np.testing.assert_allclose(
        _dense(np.abs(x), fast), _dense(np.abs(x), AlphaBeta(alpha=1, bias="ignore")), rtol=0, atol=ROUNDING
    )
    layer = filled(layers.Dense(4, activation="relu", dtype="float64"), (6,), np.random.default_rng(5))
    relevance, plus = np.random.default_rng(6).normal(size=(5, 4)), np.maximum(layer.get_weights()[0], 0)
    expected = x * (_ratio(relevance, x @ plus) @ plus.T)
    np.testing.assert_allclose(_dense(x, fast), expected, rtol=0, atol=ROUNDING * np.abs(expected).max())
