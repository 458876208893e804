"""The names of family ``lrp``: one row, one claim of a paper."""

from __future__ import annotations

from xaicore.declaration import Declaration

_RULES = "xaicore_lrp.rules:"
_SPREAD = "xaicore_lrp.spread:"

ROWS: dict[str, Declaration] = {
    "lrp.alpha1beta0": Declaration(
        "rule",
        _RULES + "AlphaBeta",
        preset={"alpha": 1, "beta": 0},
        summary="Only what excites an output gets relevance; positive biases take part.",
        formula="R_j = sum_k z_jk+ / (sum_i z_ik+ + b_k+) R_k",
        cites=("bach2015",),
        aliases=("lrp.alpha_1_beta_0",),
    ),
    "lrp.alpha2beta1": Declaration(
        "rule",
        _RULES + "AlphaBeta",
        preset={"alpha": 2, "beta": 1},
        summary="What excites an output gets twice its relevance, what inhibits it the same once, negative.",
        formula="R_j = sum_k (2 z_jk+ / z_k+ - z_jk- / z_k-) R_k",
        cites=("bach2015",),
        aliases=("lrp.alpha_2_beta_1",),
    ),
    "lrp.alphabeta": Declaration(
        "rule",
        _RULES + "AlphaBeta",
        summary="Exciting and inhibiting parts apart, weighted alpha and -beta with alpha - beta = 1.",
        formula="R_j = sum_k (alpha z_jk+ / z_k+ - beta z_jk- / z_k-) R_k",
        cites=("bach2015",),
        aliases=("lrp.alpha_beta",),
    ),
    "lrp.composite": Declaration(
        "analyzer",
        "xaicore_lrp.composite:Composite",
        summary="One rule for the first layer, one for convolutions, one for dense layers, one for the rest.",
        cites=("lapuschkin2017", "kohlbrenner2020"),
    ),
    "lrp.epsilon": Declaration(
        "rule",
        _RULES + "Epsilon",
        summary="In proportion to the contributions; epsilon takes relevance where they cancel.",
        formula="R_j = x_j sum_k W_jk R_k / (z_k + epsilon*sign(z_k))",
        cites=("bach2015",),
    ),
    "lrp.flat": Declaration(
        "rule",
        _SPREAD + "Flat",
        summary="Relevance spread evenly over all inputs of an output.",
        formula="R_j = sum_k R_k / n_k",
        cites=("bach2016", "lapuschkin2017"),
    ),
    "lrp.pass": Declaration(
        "rule",
        "xaicore_lrp.structure:Pass",
        summary="Relevance goes through unchanged: activations.",
        formula="R_j = R_k",
        cites=("bach2015",),
    ),
    "lrp.proportional": Declaration(
        "rule",
        "xaicore_lrp.structure:Proportional",
        summary="In proportion to the contributions to a sum or an average.",
        formula="R_ij = x_ij sum_k J_ijk R_k / y_k",
        cites=("bach2015",),
    ),
    "lrp.wsquare": Declaration(
        "rule",
        _SPREAD + "WSquare",
        summary="In proportion to the squared weights, whatever the input.",
        formula="R_j = sum_k W_jk^2 / (sum_i W_ik^2) R_k",
        cites=("montavon2017",),
        aliases=("lrp.w_square",),
    ),
    "lrp.z": Declaration(
        "rule",
        _RULES + "Epsilon",
        preset={"epsilon": 0},
        summary="In proportion to the contributions; an output of exactly zero passes nothing on.",
        formula="R_j = x_j sum_k W_jk R_k / z_k",
        cites=("bach2015",),
    ),
    "lrp.zplus": Declaration(
        "rule",
        _RULES + "AlphaBeta",
        preset={"alpha": 1, "beta": 0, "bias": "ignore"},
        summary="Only what excites an output gets relevance, and all of it: biases take no part.",
        formula="R_j = sum_k z_jk+ / (sum_i z_ik+) R_k",
        cites=("montavon2017",),
        aliases=("lrp.z_plus",),
    ),
}
