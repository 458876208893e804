"""What holds for a rule by hand-made numbers, identities between rules, and parameters that are refused."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
from keras import layers

import xaicore
from matrices import call, filled
from xaicore.errors import InvalidParameter, OverflowWarning, UnsupportedOperation
from xaicore_lrp.box import ZBox
from xaicore_lrp.gamma import Gamma
from xaicore_lrp.rules import AlphaBeta, Epsilon
from xaicore_lrp.spread import Flat, WSquare

# Sums of at most some hundred float64 products of size one, divided by denominators of about 1e-3 and more.
ROUNDING = 1e-10
BATCH = 3
TINY = 2.0**-20


def test_a_negative_bias_inhibits_and_does_not_shrink_what_excites() -> None:
    """Bach et al. 2015, eq. 60 by hand: W=(1, -1), b=-1, x=(1, 1), so z+ = 1, z- = -2; R = z = -1."""
    layer = layers.Dense(1, dtype="float64")
    layer.build((None, 2))
    layer.set_weights([np.array([[1.0], [-1.0]]), np.array([-1.0])])
    x, relevance = np.ones((1, 2)), np.array([[-1.0]])
    for rule, expected in ((AlphaBeta(beta=0), [[-1, 0]]), (AlphaBeta(alpha=2, beta=1), [[-2, 0.5]])):
        _, (found,), _ = call(rule, layer, x, relevance=relevance, nonnegative=(True,))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("rule", [Epsilon(epsilon=None), Epsilon(epsilon=0.1), AlphaBeta(alpha=2), WSquare(), Flat()])
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
@pytest.mark.parametrize("rule", [Epsilon(epsilon=None), Epsilon(epsilon=0.25), Epsilon(epsilon=0.25, bias=False)])
def test_dividing_by_the_output_of_a_relu_changes_nothing(rule: Epsilon, max_value: float | None) -> None:
    """Where no relevance arrives at outputs of zero, dividing by y or by z is the same; a cut ReLU is no such y."""
    layer = layers.Dense(6, activation=layers.ReLU(max_value, dtype="float64"), dtype="float64")
    filled(layer, (4,), np.random.default_rng(5))
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


@pytest.mark.parametrize("value", [-1e-3, float("nan"), "0.1", True, 0])
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


def _dense(x: np.ndarray, rule: object, **facts: object) -> np.ndarray:
    layer = filled(layers.Dense(4, activation="relu", dtype="float64"), (6,), np.random.default_rng(5))
    relevance = np.random.default_rng(6).normal(size=(len(x), 4))
    _, (found,), _ = call(rule, layer, x, relevance=relevance, **facts)
    return found


def test_gamma_lies_between_z_and_zplus() -> None:
    """gamma(0) = z; for x >= 0, z > 0 and no bias gamma nears z+ as 1/gamma."""
    x = np.random.default_rng(8).normal(size=(5, 6))
    np.testing.assert_allclose(_dense(x, Gamma(gamma=0)), _dense(x, Epsilon(epsilon=None)), rtol=0, atol=ROUNDING)
    layer = layers.Dense(3, use_bias=False, dtype="float64")
    layer.build((None, 6))
    layer.set_weights([np.random.default_rng(9).normal(size=(6, 3)) + 0.8])
    x = np.abs(x)
    assert (x @ layer.get_weights()[0] > 0).all()
    relevance = np.ones((5, 3))
    gaps = []
    for rule in (Gamma(gamma=1e4), Gamma(gamma=1e6)):
        _, (found,), _ = call(rule, layer, x, relevance=relevance)
        _, (zplus,), _ = call(AlphaBeta(beta=0, bias="ignore"), layer, x, relevance=relevance)
        gaps.append(np.abs(found - zplus).max())
    assert gaps[0] < 1e-3
    assert gaps[1] < 2e-2 * gaps[0]


def test_gamma_leaves_the_negative_side_out_only_where_nothing_arrives() -> None:
    """Where relevance is 0 wherever the ReLU is, the shorter way gives the same."""
    x = np.random.default_rng(8).normal(size=(5, 6))
    layer = filled(layers.Dense(4, activation="relu", dtype="float64"), (6,), np.random.default_rng(5))
    relevance = np.random.default_rng(6).normal(size=(5, 4)) * (layer(x).numpy() > 0)
    (_, (long,), _), (_, (short,), _) = (
        call(Gamma(gamma=0.3), layer, x, relevance=relevance, weighted=w) for w in (False, True)
    )
    np.testing.assert_allclose(long, short, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize(
    "given", [{"low": 2, "high": 1}, {"low": [0, 2], "high": [1, 1]}, {"low": [0, 0], "high": [1] * 3}]
)
def test_an_empty_box_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(InvalidParameter):
        ZBox(**given)


def cancelling(dtype: str) -> keras.Model:
    """Return eight layers whose outputs are about one, and whose first unit is 2^-20 without its bias."""
    x = y = keras.Input((2,), dtype=dtype)
    for _ in range(8):
        layer = layers.Dense(2, dtype=dtype)
        y = layer(y)
        layer.set_weights([np.array([[1, 1], [-1, -0.5]]), np.array([1, 0.5 - TINY])])
    return keras.Model(x, y)


@pytest.mark.parametrize("rule", ["lrp.z_ignore_bias", "lrp.composite(rule=lrp.epsilon_ignore_bias(epsilon=1e-30))"])
def test_relevance_that_is_not_finite_is_warned_of(rule: str) -> None:
    """By 2^20 at each of eight layers: beyond float32, and within float64."""
    x = np.array([[1 + TINY, 1], [3, 1]])
    with pytest.warns(OverflowWarning, match=r"1 of 2 samples is not finite \(0\).*float64"):
        found = xaicore.explain(rule, cancelling("float32"), x.astype("float32"), target=0, verbose=0)
    assert not np.isfinite(found.residual[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = xaicore.explain(rule, cancelling("float64"), x, target=0, verbose=0)
    assert np.abs(found.attributions[0]).max() > np.finfo("float32").max
