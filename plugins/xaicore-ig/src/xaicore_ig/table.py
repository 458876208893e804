"""The names of family ``ig``: one row, one rule of integration."""

from __future__ import annotations

from xaicore.declaration import Declaration, Kind

_INTEGRAL = "xaicore_ig.integral:PathIntegral"
_RIEMANN = "xaicore_ig.quadratures:Riemann"

# A quadrature or a path named where an analyzer is expected is the path integral.
KINDS: tuple[Kind, ...] = (
    Kind("quadrature", "xaicore.protocols:Quadrature", lift={"analyzer": (_INTEGRAL, "quadrature")}),
    Kind("baseline", "xaicore_ig.baselines:Baseline"),
    Kind("path", "xaicore_ig.paths:Path", lift={"analyzer": (_INTEGRAL, "path")}),
)

ROWS: dict[str, Declaration] = {
    "ig.adaptive": Declaration(
        "analyzer",
        "xaicore_ig.adaptive:Adaptive",
        summary="Integrated gradients to a stated error, with as many points as a sample needs.",
        formula="n = 9, 17, 33, ... until the last changes |a_n - a_(n/2)|_1 let expect an error <= tolerance |a_n|_1",
        cites=("sundararajan2017", "davis1984"),
    ),
    "ig.blur": Declaration(
        "baseline",
        "xaicore_ig.baselines:Blurred",
        summary="The sample under a Gaussian filter over its positions.",
        formula="b = g_sigma * x",
        cites=("fong2017",),
    ),
    "ig.blur_path": Declaration(
        "path",
        "xaicore_ig.paths:Blurring",
        summary="From the blurred input to the input itself, growing sharper.",
        formula="gamma(t) = g_sigma(t) * x, sigma(t) = (1 - t)^2 sigma",
        cites=("xu2020",),
    ),
    "ig.clenshaw_curtis": Declaration(
        "quadrature",
        "xaicore_ig.nested:ClenshawCurtis",
        summary="Clenshaw-Curtis: the nodes of n steps are among those of 2n - 1.",
        formula="t_k = (1 - cos(pi k / (n - 1))) / 2",
        cites=("clenshaw1960",),
    ),
    "ig.expected_gradients": Declaration(
        "analyzer",
        "xaicore_ig.expected:ExpectedGradients",
        summary="Integrated gradients averaged over baselines, one random point on the line for each.",
        formula="a_i = 1/n sum_k (x_i - b_ki) df/dx_i (b_k + t_k (x - b_k)), t_k ~ U(0, 1)",
        cites=("erion2021",),
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
    "ig.guided": Declaration(
        "path",
        "xaicore_ig.paths:Guided",
        summary="A path that moves the features with the smallest gradient first, near the straight line.",
        formula="in each step, |x - gamma|_1 shrinks by 1/n through features of small |df/dx_i|",
        cites=("kapishnikov2021",),
    ),
    "ig.idgi": Declaration(
        "path",
        "xaicore_ig.paths:Important",
        summary="Changes of the output along the straight line, shared out by the squared gradient.",
        formula="a = sum_k (f(x_(k+1)) - f(x_k)) g_k^2 / |g_k|^2",
        cites=("yang2023",),
    ),
    "ig.integrated_gradients": Declaration(
        "analyzer",
        _INTEGRAL,
        summary="The gradient's integral along the straight line from a baseline to the input.",
        formula="a_i = (x_i - b_i) integral_0^1 df/dx_i (b + t (x - b)) dt",
        cites=("sundararajan2017",),
        aliases=("integrated_gradients",),
    ),
    "ig.mean": Declaration(
        "baseline",
        "xaicore_ig.baselines:Mean",
        summary="The sample's mean over positions, channel by channel.",
        formula="b_c = mean over positions of x_c",
        cites=("sturmfels2020",),
    ),
    "ig.reference": Declaration(
        "baseline",
        "xaicore_ig.baselines:Reference",
        summary="Samples of a data set, all or some drawn at random; attributions are averaged.",
        formula="a = mean over b of a(x, b)",
        cites=("erion2021",),
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
    "ig.several": Declaration(
        "baseline",
        "xaicore_ig.baselines:Several",
        summary="Several baselines; attributions are averaged.",
        formula="a = mean over b of a(x, b)",
        cites=("sturmfels2020",),
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
    "ig.uniform": Declaration(
        "baseline",
        "xaicore_ig.baselines:Uniform",
        summary="Evenly spread random numbers, several draws; attributions are averaged.",
        formula="b ~ U(low, high)",
        cites=("sturmfels2020",),
    ),
    "ig.zeros": Declaration(
        "baseline",
        "xaicore_ig.constant:Constant",
        preset={"value": 0.0},
        summary="Zero everywhere: black, silence, the mean of standardised features.",
        formula="b = 0",
        cites=("sundararajan2017",),
    ),
}
