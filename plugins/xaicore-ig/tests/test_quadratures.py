"""Quadratures against exact integrals of polynomials."""

from __future__ import annotations

import numpy as np
import pytest

import xaicore
from xaicore.errors import InvalidParameter

NAMES = [row.name for row in xaicore.available("quadrature")]
# Nodes and weights of n = 4 from tables: Abramowitz and Stegun 1964, table 25.4, mapped to [0, 1].
GAUSS_4 = ([0.0694318442, 0.3300094782, 0.6699905218, 0.9305681558], [0.1739274226, 0.3260725774])


ODD = {"ig.simpson", "ig.gausskronrod"}


@pytest.mark.parametrize("n", [2, 3, 5, 10, 11, 21, 50])
@pytest.mark.parametrize("name", NAMES)
def test_weights_sum_to_one_and_the_degree_holds(name, n):
    quadrature = xaicore.get_quadrature(name)
    if name in ODD and n % 2 == 0:
        with pytest.raises(InvalidParameter, match=f"n_steps={n}.*odd"):
            quadrature(n)
        return
    nodes, weights = quadrature(n)
    assert nodes.shape == weights.shape == (n,)
    assert nodes.dtype == weights.dtype == np.float64
    assert ((nodes >= 0) & (nodes <= 1)).all()
    # n additions of numbers of size 1/n in float64.
    assert abs(weights.sum() - 1) < 1e-13
    for power in range(min(quadrature.degree(n), 40) + 1):
        assert abs(weights @ nodes**power - 1 / (power + 1)) < 1e-13


@pytest.mark.parametrize("name", NAMES)
def test_the_degree_is_not_understated(name):
    """One degree higher is not exact any more."""
    quadrature = xaicore.get_quadrature(name)
    nodes, weights = quadrature(3)
    power = quadrature.degree(3) + 1
    assert abs(weights @ nodes**power - 1 / (power + 1)) > 1e-5


@pytest.mark.parametrize(
    ("name", "nodes"),
    [
        ("ig.riemann_left", [0, 0.25, 0.5, 0.75]),
        ("ig.riemann_right", [0.25, 0.5, 0.75, 1]),
        ("ig.riemann_middle", [0.125, 0.375, 0.625, 0.875]),
        ("ig.riemann_trapezoid", [0, 1 / 3, 2 / 3, 1]),
        ("ig.gausslegendre", GAUSS_4[0]),
    ],
)
def test_nodes_of_four(name, nodes):
    # The table has ten digits.
    np.testing.assert_allclose(xaicore.get_quadrature(name)(4)[0], nodes, rtol=0, atol=1e-10)


def test_weights_of_four():
    a, b = GAUSS_4[1]
    np.testing.assert_allclose(xaicore.get_quadrature("ig.gausslegendre")(4)[1], [a, b, b, a], rtol=0, atol=1e-10)
    trapezoid = xaicore.get_quadrature("ig.riemann_trapezoid")(4)[1]
    np.testing.assert_allclose(trapezoid, [1 / 6, 1 / 3, 1 / 3, 1 / 6], rtol=0, atol=1e-15)


def test_too_few_nodes_are_refused_when_the_analyzer_is_made():
    with pytest.raises(InvalidParameter, match="n_steps=1; Trapezoid needs at least 2"):
        xaicore.get_analyzer("ig.riemann_trapezoid(n_steps=1)")
    with pytest.raises(InvalidParameter, match="n_steps=0"):
        xaicore.get_analyzer("ig(n_steps=0)")


def test_kronrod_has_the_nodes_of_gauss_among_its_own():
    for m in (1, 2, 5, 10, 15):
        nodes, _ = xaicore.get_quadrature("ig.gausskronrod")(2 * m + 1)
        np.testing.assert_allclose(nodes[1::2], xaicore.get_quadrature("ig.gausslegendre")(m)[0], rtol=0, atol=1e-14)
    # The weight of the middle node of 15, from the tables of QUADPACK (Piessens et al. 1983), halved for [0, 1].
    weights = xaicore.get_quadrature("ig.gausskronrod")(15)[1]
    assert abs(weights[7] - 0.209482141084727828012999174891714 / 2) < 1e-14


def test_clenshaw_curtis_is_nested():
    small, large = (xaicore.get_quadrature("ig.clenshaw_curtis")(n)[0] for n in (5, 9))
    np.testing.assert_allclose(large[::2], small, rtol=0, atol=1e-15)


def test_tanh_sinh_is_for_ends_that_are_not_smooth():
    """The integral of sqrt(t) is 2/3; the trapezoidal rule with as many steps is a thousand times further off."""
    errors = {}
    for name in ("ig.tanhsinh", "ig.riemann_trapezoid"):
        nodes, weights = xaicore.get_quadrature(name)(41)
        errors[name] = abs(weights @ np.sqrt(nodes) - 2 / 3)
    assert errors["ig.tanhsinh"] < 1e-10
    assert errors["ig.riemann_trapezoid"] > 1e-4
