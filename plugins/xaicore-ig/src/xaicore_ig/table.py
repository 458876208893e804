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
    "ig.clenshaw_curtis": Declaration(
        "quadrature",
        "xaicore_ig.nested:ClenshawCurtis",
        summary="Clenshaw-Curtis: the nodes of n steps are among those of 2n - 1.",
        formula="t_k = (1 - cos(pi k / (n - 1))) / 2",
        cites=("clenshaw1960",),
    ),
    "ig.gausskronrod": Declaration(
        "quadrature",
        "xaicore_ig.nested:GaussKronrod",
        summary="Gauss-Kronrod: 2m + 1 nodes, m of them those of Gauss-Legendre.",
        formula="the nodes of Gauss-Legendre and m + 1 between and beside them",
        cites=("laurie1997",),
    ),
    "ig.gausslegendre": Declaration(
        "quadrature",
        "xaicore_ig.quadratures:GaussLegendre",
        summary="Gauss-Legendre: n nodes integrate polynomials up to degree 2n - 1 exactly.",
        formula="t_k = (1 + xi_k) / 2, w_k = omega_k / 2, xi_k the zeros of P_n",
        cites=("abramowitz1964",),
    ),
    "ig.gausslobatto": Declaration(
        "quadrature",
        "xaicore_ig.nested:GaussLobatto",
        summary="Gauss-Lobatto: both ends are nodes; polynomials up to degree 2n - 3 are exact.",
        formula="w_k = 1 / (n (n - 1) P_(n-1)(xi_k)^2)",
        cites=("abramowitz1964",),
    ),
    "ig.integrated_gradients": Declaration(
        "analyzer",
        _INTEGRAL,
        summary="The gradient's integral along the straight line from a baseline to the input.",
        formula="a_i = (x_i - b_i) integral_0^1 df/dx_i (b + t (x - b)) dt",
        cites=("sundararajan2017",),
        aliases=("integrated_gradients",),
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
    "ig.simpson": Declaration(
        "quadrature",
        "xaicore_ig.nested:Simpson",
        summary="Simpson's rule, for an odd number of steps.",
        formula="weights 1, 4, 2, 4, ..., 4, 1 times 1 / (3 (n - 1))",
        cites=("abramowitz1964",),
    ),
    "ig.tanhsinh": Declaration(
        "quadrature",
        "xaicore_ig.nested:TanhSinh",
        summary="The trapezoidal rule after a change of variable that flattens both ends.",
        formula="t = (1 + tanh(pi/2 sinh s)) / 2, s in equal steps",
        cites=("takahasi1974",),
    ),
}
