"""The names of family ``ig``: one row, one rule of integration."""

from __future__ import annotations

from xaicore.declaration import Declaration, Kind

_INTEGRAL = "xaicore_ig.integral:PathIntegral"
_RIEMANN = "xaicore_ig.quadratures:Riemann"

# A quadrature named where an analyzer is expected is the path integral that it approximates.
KINDS: tuple[Kind, ...] = (
    Kind("quadrature", "xaicore.protocols:Quadrature", lift={"analyzer": (_INTEGRAL, "quadrature")}),
)

ROWS: dict[str, Declaration] = {
    "ig.gausslegendre": Declaration(
        "quadrature",
        "xaicore_ig.quadratures:GaussLegendre",
        summary="Gauss-Legendre: n nodes integrate polynomials up to degree 2n - 1 exactly.",
        formula="t_k = (1 + xi_k) / 2, w_k = omega_k / 2, xi_k the zeros of P_n",
        cites=("abramowitz1964",),
    ),
    "ig.integrated_gradients": Declaration(
        "analyzer",
        _INTEGRAL,
        summary="The gradient's integral along the straight line from a baseline to the input.",
        formula="a_i = (x_i - b_i) integral_0^1 df/dx_i (b + t (x - b)) dt",
        cites=("sundararajan2017",),
    ),
    "ig.riemann_left": Declaration(
        "quadrature",
        _RIEMANN,
        preset={"offset": 0.0},
        summary="The left Riemann sum.",
        formula="t_k = k / n, w_k = 1 / n",
        cites=("abramowitz1964",),
    ),
    "ig.riemann_middle": Declaration(
        "quadrature",
        _RIEMANN,
        preset={"offset": 0.5},
        summary="The midpoint rule.",
        formula="t_k = (k + 1/2) / n, w_k = 1 / n",
        cites=("abramowitz1964",),
    ),
    "ig.riemann_right": Declaration(
        "quadrature",
        _RIEMANN,
        preset={"offset": 1.0},
        summary="The right Riemann sum, the one of the paper on integrated gradients.",
        formula="t_k = (k + 1) / n, w_k = 1 / n",
        cites=("sundararajan2017",),
    ),
    "ig.riemann_trapezoid": Declaration(
        "quadrature",
        "xaicore_ig.quadratures:Trapezoid",
        summary="The trapezoidal rule, its weights summing to 1.",
        formula="t_k = k / (n - 1), w_k = 1 / (n - 1), half of it at both ends",
        cites=("abramowitz1964",),
    ),
}
