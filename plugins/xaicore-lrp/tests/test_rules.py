"""Rules against the papers' formulas on the explicit matrix of each layer, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from xaicore.errors import InvalidParameter, UnsupportedOperation
from xaicore.inspect.affine import read_affine
from xaicore.inspect.facts import alone
from xaicore.inspect.graph import Site
from xaicore.protocols import OpCall
from xaicore_lrp.rules import AlphaBeta, Epsilon
from xaicore_lrp.spread import Flat, WSquare

if TYPE_CHECKING:
    import keras

Oracle = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]

# Sums of at most some hundred float64 products of size one, divided by denominators of about 1e-3 and more.
ROUNDING = 1e-10
BATCH = 3


@attrs.frozen
class Linear:
    """One layer as an explicit matrix: ``z = x matrix + bias``, inputs and outputs flattened."""

    layer: layers.Layer
    shape: tuple[int, ...]
    matrix: np.ndarray
    bias: np.ndarray


LAYERS: dict[str, tuple[Callable[..., layers.Layer], tuple[int, ...]]] = {
    "dense": (lambda **k: layers.Dense(5, **k), (7,)),
    "dense_on_sequences": (lambda **k: layers.Dense(3, **k), (4, 5)),
    "conv1d_causal_dilated": (lambda **k: layers.Conv1D(4, 3, padding="causal", dilation_rate=2, **k), (8, 3)),
    "conv2d_strided": (lambda **k: layers.Conv2D(4, 3, strides=2, padding="same", **k), (6, 5, 3)),
    "conv2d_dilated": (lambda **k: layers.Conv2D(3, (2, 3), dilation_rate=2, **k), (6, 7, 2)),
    "conv2d_grouped": (lambda **k: layers.Conv2D(4, 3, groups=2, **k), (5, 5, 4)),
    "conv3d": (lambda **k: layers.Conv3D(2, 2, padding="same", **k), (3, 4, 3, 2)),
    "conv2d_transposed": (lambda **k: layers.Conv2DTranspose(3, 3, strides=2, padding="same", **k), (3, 4, 2)),
    "depthwise1d": (lambda **k: layers.DepthwiseConv1D(3, depth_multiplier=2, **k), (6, 3)),
    "depthwise2d": (lambda **k: layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, **k), (4, 5, 3)),
    "einsum_dense": (lambda **k: layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de", **k), (3, 4)),
    "batch_normalization": (lambda activation, **k: layers.BatchNormalization(**k), (3, 4)),
}


def _filled(layer: layers.Layer, shape: tuple[int, ...], generator: np.random.Generator) -> layers.Layer:
    layer.build((None, *shape))
    draw = [generator.normal(size=w.shape) + (np.sign(w.numpy()) if w.shape == () else 0) for w in layer.weights]
    if isinstance(layer, layers.BatchNormalization):
        draw[3] = np.abs(draw[3]) + 0.1  # a variance
    layer.set_weights(draw)
    return layer


@pytest.fixture(scope="module", params=LAYERS)
def linear(request: pytest.FixtureRequest) -> Linear:
    """Return a layer that ends in a ReLU where it can, and its matrix, found by feeding it unit vectors."""
    make, shape = LAYERS[request.param]
    generator = np.random.default_rng(7)
    layer = _filled(make(activation="relu", dtype="float64"), shape, generator)
    plain = make(activation=None, dtype="float64")
    plain.build((None, *shape))
    plain.set_weights(layer.get_weights())
    size = int(np.prod(shape))
    bias = _flat(plain(np.zeros((1, *shape))))[0]
    if not isinstance(layer, layers.BatchNormalization):
        # Subtracting the bias would leave rounding where the matrix has zeros.
        plain.set_weights([layer.get_weights()[0], np.zeros_like(layer.get_weights()[1])])
        matrix = _flat(plain(np.eye(size).reshape(size, *shape)))
    else:
        matrix = np.diag(np.diag(_flat(plain(np.eye(size).reshape(size, *shape))) - bias))
    return Linear(layer, shape, matrix, bias)


def _flat(values: tf.Tensor | np.ndarray) -> np.ndarray:
    return np.asarray(values).reshape(len(values), -1)


def _inputs(linear: Linear, *, nonnegative: bool) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(11)
    x = generator.normal(size=(BATCH, *linear.shape))
    relevance = generator.normal(size=(BATCH, linear.bias.size))
    return np.maximum(x, 0) if nonnegative else x, relevance


def call(
    rule: object, layer: keras.Operation, *inputs: np.ndarray, relevance: np.ndarray, **facts: object
) -> tuple[np.ndarray, list[np.ndarray], dict[str, np.ndarray]]:
    """Return (output, relevance of each input, sinks) of one operation under a rule."""
    known = attrs.evolve(alone(layer), **{"nonnegative": (False,) * len(inputs), **facts})
    tensors = [tf.constant(x) for x in inputs]

    def forward(*tensors: tf.Tensor) -> tf.Tensor:
        return layer(list(tensors) if len(tensors) > 1 else tensors[0])

    op = OpCall(Site("site"), layer, forward, read_affine(layer), known, sinks=True)
    output, backward = rule(op, *tensors)
    found = backward(tf.reshape(tf.constant(relevance, output.dtype), tf.shape(output)))
    return output.numpy(), [r.numpy() for r in found.inputs], {k: v.numpy() for k, v in found.sinks.items()}


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


CASES = {
    "z": (Epsilon(epsilon=0), epsilon_rule(0)),
    "z_stabilized": (Epsilon(epsilon=0, stabilizer=0.01), epsilon_rule(0.01)),
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
    expected = formula(_flat(x), linear.matrix, linear.bias, relevance)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(_flat(found), expected, rtol=0, atol=ROUNDING * scale)
    assert found.shape == x.shape
    total = found.reshape(BATCH, -1).sum(1) + sinks["bias"] + sinks["stabilizer"]
    np.testing.assert_allclose(total, relevance.sum(1), rtol=0, atol=ROUNDING * scale * found[0].size)


def test_rules_run_in_a_graph_with_a_free_batch_axis() -> None:
    """One trace serves every batch size, and gives what the formula gives."""
    layer = _filled(layers.Conv2D(2, 2, dtype="float64", activation="relu"), (4, 4, 1), np.random.default_rng(3))
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


def test_a_negative_bias_inhibits_and_does_not_shrink_what_excites() -> None:
    """Bach et al. 2015, eq. 60 by hand: W=(1, -1), b=-1, x=(1, 1), so z+ = 1, z- = -2; R = z = -1."""
    layer = layers.Dense(1, dtype="float64")
    layer.build((None, 2))
    layer.set_weights([np.array([[1.0], [-1.0]]), np.array([-1.0])])
    x, relevance = np.ones((1, 2)), np.array([[-1.0]])
    for rule, expected in ((AlphaBeta(beta=0), [[-1, 0]]), (AlphaBeta(alpha=2, beta=1), [[-2, 0.5]])):
        _, (found,), _ = call(rule, layer, x, relevance=relevance, nonnegative=(True,))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("rule", [Epsilon(epsilon=0), Epsilon(epsilon=0.1), AlphaBeta(alpha=2), WSquare(), Flat()])
def test_an_exact_zero_passes_nothing_on_and_is_accounted_for(rule: object) -> None:
    """No NaN where a denominator is zero, and the sinks hold what got lost."""
    layer = layers.Dense(2, use_bias=False, dtype="float64")
    layer.build((None, 3))
    layer.set_weights([np.array([[0.0, 1.0], [0.0, 2.0], [0.0, -3.0]])])
    x, relevance = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]), np.array([[1.0, 2.0]] * 3)
    _, (found,), sinks = call(rule, layer, x, relevance=relevance)
    assert np.isfinite(found).all()
    # Sums of three numbers of size one.
    np.testing.assert_allclose(found.sum(1) + sinks["bias"] + sinks["stabilizer"], relevance.sum(1), atol=1e-14)
    np.testing.assert_array_equal(sinks["bias"], 0)


def test_a_zero_preactivation_counts_as_positive() -> None:
    """sign(0) = +1: at z = 0 the epsilon rule divides by +epsilon."""
    layer = layers.Dense(1, use_bias=False, dtype="float64")
    layer.build((None, 2))
    layer.set_weights([np.array([[1.0], [-1.0]])])
    _, (found,), _ = call(Epsilon(epsilon=0.5), layer, np.ones((1, 2)), relevance=np.ones((1, 1)))
    np.testing.assert_array_equal(found, [[2, -2]])


@pytest.mark.parametrize("max_value", [None, 1.0], ids=["relu", "cut_relu"])
@pytest.mark.parametrize("rule", [Epsilon(epsilon=0), Epsilon(epsilon=0.25), Epsilon(epsilon=0.25, bias=False)])
def test_dividing_by_the_output_of_a_relu_changes_nothing(rule: Epsilon, max_value: float | None) -> None:
    """Where no relevance arrives at outputs of zero, dividing by y or by z is the same; a cut ReLU is no such y."""
    layer = layers.Dense(6, activation=layers.ReLU(max_value, dtype="float64"), dtype="float64")
    _filled(layer, (4,), np.random.default_rng(5))
    x = np.random.default_rng(6).normal(size=(BATCH, 4))
    y = layer(x).numpy()
    relevance = y * np.random.default_rng(8).normal(size=y.shape)
    plain = call(rule, layer, x, relevance=relevance)
    short = call(rule, layer, x, relevance=relevance, weighted=True)
    np.testing.assert_allclose(short[1][0], plain[1][0], rtol=ROUNDING, atol=ROUNDING)
    for name in plain[2]:
        np.testing.assert_allclose(short[2][name], plain[2][name], rtol=ROUNDING, atol=ROUNDING)


def test_small_inhibition_survives_beside_large_excitation_in_float32() -> None:
    """z- is computed by itself: as z - z+ it would be lost to rounding where it is 1e-6 of z+."""
    kernel = np.array([[1.0, 0.5], [-1e-6, -2e-6]])
    relevance = np.array([[1.0, 3.0]])
    layers_by_dtype = {dtype: layers.Dense(2, use_bias=False, dtype=dtype) for dtype in ("float32", "float64")}
    found = {}
    for dtype, layer in layers_by_dtype.items():
        layer.build((None, 2))
        layer.set_weights([kernel])
        x = np.ones((1, 2), dtype)
        found[dtype] = call(AlphaBeta(alpha=2), layer, x, relevance=relevance, nonnegative=(True,))[1][0]
    # A few float32 roundings of 6e-8 each.
    np.testing.assert_allclose(found["float32"], found["float64"], rtol=1e-6)


@pytest.mark.parametrize("value", [-1e-3, float("nan"), "0.1", True, None])
def test_epsilon_refuses_what_is_no_amount(value: object) -> None:
    """Negative, not a number, text, a flag: refused when built."""
    with pytest.raises(InvalidParameter, match="epsilon"):
        Epsilon(epsilon=value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given", [{}, {"alpha": 0.5}, {"beta": -1}, {"alpha": 2, "beta": 2}, {"beta": 1, "bias": "no"}]
)
def test_alpha_beta_refuses_what_breaks_its_law(given: dict[str, object]) -> None:
    """Expected: alpha >= 1, beta >= 0, alpha - beta = 1, a known treatment of the bias."""
    with pytest.raises(InvalidParameter, match=r"alpha|beta|bias"):
        AlphaBeta(**given)  # type: ignore[arg-type]


def test_epsilon_refuses_two_stabilizers() -> None:
    """Epsilon and stabilizer do the same: one of them has to be zero."""
    with pytest.raises(InvalidParameter, match="stabilizer"):
        Epsilon(epsilon=0.1, stabilizer=0.1)


def test_parameters_are_normalised_when_built() -> None:
    """What means the same is equal."""
    assert AlphaBeta(alpha=2) == AlphaBeta(beta=1) == AlphaBeta(alpha=2, beta=1)
    assert AlphaBeta(alpha=1, bias=False) == AlphaBeta(alpha=1, bias="ignore")
    assert Epsilon(bias=True) == Epsilon(bias="innvestigate") == Epsilon()
    assert hash(AlphaBeta(alpha=2)) == hash(AlphaBeta(beta=1))


@pytest.mark.parametrize("rule", [Epsilon(), AlphaBeta(alpha=2), WSquare(), Flat()])
def test_a_rule_for_affine_operations_says_so_elsewhere(rule: object) -> None:
    """The error names the rule, the operation and its site."""
    with pytest.raises(UnsupportedOperation, match=rf"{type(rule).__name__}.*MaxPooling1D.*site"):
        call(rule, layers.MaxPooling1D(), np.ones((1, 4, 2)), relevance=np.ones((1, 2, 2)))
