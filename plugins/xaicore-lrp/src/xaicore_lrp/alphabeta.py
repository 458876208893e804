"""The names of family ``lrp`` that are rules of the alpha-beta kind."""

from __future__ import annotations

from xaicore.declaration import Declaration

_RULES = "xaicore_lrp.rules:"
_PARTS = "xaicore_lrp.parts:"

ALPHABETA: dict[str, Declaration] = {
    "lrp.alpha1beta0": Declaration(
        "rule",
        _RULES + "AlphaBeta",
        preset={"alpha": 1, "beta": 0},
        summary="Only what excites an output gets relevance; positive biases take part.",
        formula="R_j = sum_k z_jk+ / (sum_i z_ik+ + b_k+) R_k",
        cites=("bach2015",),
        aliases=("lrp.alpha_1_beta_0", "lrp.Alpha1Beta0"),
    ),
    "lrp.alpha1beta0_ignore_bias": Declaration(
        "rule",
        _RULES + "AlphaBeta",
        preset={"alpha": 1, "beta": 0, "bias": "ignore"},
        summary="Only what excites an output gets relevance; biases take no part.",
        formula="R_j = sum_k z_jk+ / (sum_i z_ik+) R_k",
        cites=("bach2015",),
        aliases=("lrp.alpha_1_beta_0_ib", "lrp.alpha_1_beta_0_IB", "lrp.Alpha1Beta0IgnoreBias"),
    ),
    "lrp.alpha2beta1": Declaration(
        "rule",
        _RULES + "AlphaBeta",
        preset={"alpha": 2, "beta": 1},
        summary="What excites an output gets twice its relevance, what inhibits it the same once, negative.",
        formula="R_j = sum_k (2 z_jk+ / z_k+ - z_jk- / z_k-) R_k",
        cites=("bach2015",),
        aliases=("lrp.alpha_2_beta_1", "lrp.Alpha2Beta1"),
    ),
    "lrp.alpha2beta1_ignore_bias": Declaration(
        "rule",
        _RULES + "AlphaBeta",
        preset={"alpha": 2, "beta": 1, "bias": "ignore"},
        summary="Exciting parts twice, inhibiting ones once and negative; biases take no part.",
        formula="R_j = sum_k (2 z_jk+ / sum_i z_ik+ - z_jk- / sum_i z_ik-) R_k",
        cites=("bach2015",),
        aliases=("lrp.alpha_2_beta_1_ib", "lrp.alpha_2_beta_1_IB", "lrp.Alpha2Beta1IgnoreBias"),
    ),
    "lrp.alphabeta": Declaration(
        "rule",
        _RULES + "AlphaBeta",
        summary="Exciting and inhibiting parts apart, weighted alpha and -beta with alpha - beta = 1.",
        formula="R_j = sum_k (alpha z_jk+ / z_k+ - beta z_jk- / z_k-) R_k",
        cites=("bach2015",),
        aliases=("lrp.alpha_beta", "lrp.AlphaBeta"),
    ),
    "lrp.alphabeta_ignore_bias": Declaration(
        "rule",
        _RULES + "AlphaBeta",
        preset={"bias": "ignore"},
        summary="Exciting and inhibiting parts apart; biases take no part.",
        formula="R_j = sum_k (alpha z_jk+ / sum_i z_ik+ - beta z_jk- / sum_i z_ik-) R_k",
        cites=("bach2015",),
        aliases=("lrp.AlphaBetaIgnoreBias",),
    ),
    "lrp.alphabetax": Declaration(
        "rule",
        _PARTS + "AlphaBetaX",
        summary="Four parts by the signs of input and weight, each normalised alone.",
        formula="R_j = sum_k (a_0 x+W+/z++ + a_1 x-W-/z-- - b_0 x+W-/z+- - b_1 x-W+/z-+) R_k",
        cites=("alber2019",),
    ),
    "lrp.alphabetax1000": Declaration(
        "rule",
        _PARTS + "AlphaBetaX",
        preset={"alpha": (1, 0), "beta": (0, 0)},
        summary="Of four parts, positive inputs under positive weights alone.",
        formula="R_j = sum_k x_j+ W_jk+ / z_k++ R_k",
        cites=("alber2019",),
    ),
    "lrp.alphabetax1001": Declaration(
        "rule",
        _PARTS + "AlphaBetaX",
        preset={"alpha": (1, 1), "beta": (0, 0)},
        summary="Of four parts, the two that excite, each normalised alone.",
        formula="R_j = sum_k (x_j+ W_jk+ / z_k++ + x_j- W_jk- / z_k--) R_k",
        cites=("alber2019",),
    ),
    "lrp.alphabetax1010": Declaration(
        "rule",
        _PARTS + "AlphaBetaX",
        preset={"alpha": (1, 0), "beta": (0, -1)},
        summary="Of four parts, the two of positive weights, each normalised alone.",
        formula="R_j = sum_k (x_j+ W_jk+ / z_k++ + x_j- W_jk+ / z_k-+) R_k",
        cites=("alber2019",),
    ),
    "lrp.alphabetax2m100": Declaration(
        "rule",
        _PARTS + "AlphaBetaX",
        preset={"alpha": (2, 0), "beta": (1, 0)},
        summary="Of four parts, the two of positive inputs: twice what excites, minus what inhibits.",
        formula="R_j = sum_k (2 x_j+ W_jk+ / z_k++ - x_j+ W_jk- / z_k+-) R_k",
        cites=("alber2019",),
    ),
}
