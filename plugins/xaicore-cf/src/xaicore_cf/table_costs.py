"""The costs of family ``cf``: distances, plausibilities, outcomes."""

from __future__ import annotations

from xaicore.declaration import Declaration

COSTS: dict[str, Declaration] = {
    "cf.density": Declaration(
        "cost",
        "xaicore_cf.plausible:Density",
        summary="How rare a candidate is among data, by a Gaussian kernel density.",
        formula="-log 1/m sum_k exp(-|x - X_k|^2 / (2 h^2))",
        cites=("parzen1962",),
    ),
    "cf.diversity": Declaration(
        "cost",
        "xaicore_cf.plausible:Diversity",
        summary="How alike several candidates are, by the determinant of their similarities.",
        formula="1 - det K, K_ij = 1 / (1 + d(c_i, c_j))",
        cites=("mothilal2020",),
    ),
    "cf.dummy": Declaration(
        "cost",
        "xaicore_cf.distances:Dummy",
        summary="Nothing, with a gradient of zeros: any candidate of the class will do.",
        formula="0",
        cites=("artelt2019",),
    ),
    "cf.elastic": Declaration(
        "cost",
        "xaicore_cf.distances:ElasticNet",
        summary="The squared distance, and a share of L1 that keeps most features as they are.",
        formula="beta sum_i |x_i - x_0i| + sum_i (x_i - x_0i)^2",
        cites=("dhurandhar2018",),
    ),
    "cf.gaussian_mixture": Declaration(
        "cost",
        "xaicore_cf.plausible:GaussianMixture",
        summary="How rare a candidate is under a mixture of Gaussians.",
        formula="-log sum_k w_k N(x; mu_k, S_k)",
        cites=("artelt2020",),
    ),
    "cf.hinge": Declaration(
        "cost",
        "xaicore_cf.outcomes:Hinge",
        summary="By how much the target's logit misses its lead over the others; nothing from there on.",
        formula="max(0, margin - (z_t - max_j z_j))",
        cites=("dhurandhar2018",),
    ),
    "cf.interval": Declaration(
        "cost",
        "xaicore_cf.outcomes:Interval",
        summary="Squared distance of an output from well within an interval: for regressions.",
        formula="max(0, low + inside - y)^2 + max(0, y + inside - high)^2",
        cites=("artelt2019",),
    ),
    "cf.l1": Declaration(
        "cost",
        "xaicore_cf.norms:L1",
        summary="Distance from the input, which changes few features.",
        formula="sum_i |x_i - x_0i| / mad_i",
        cites=("wachter2017",),
    ),
    "cf.l2": Declaration(
        "cost",
        "xaicore_cf.norms:L2",
        summary="Squared Euclidean distance from the input.",
        formula="sum_i (x_i - x_0i)^2",
        cites=("wachter2017",),
    ),
    "cf.lmad": Declaration(
        "cost",
        "xaicore_cf.distances:Lmad",
        summary="L1 in units of each feature's median absolute deviation over data.",
        formula="sum_i |x_i - x_0i| / MAD_i",
        cites=("wachter2017",),
    ),
    "cf.logistic": Declaration(
        "cost",
        "xaicore_cf.outcomes:Logistic",
        summary="Negative log-likelihood of the target class against the strongest other one.",
        formula="log(1 + exp(-(z_t - max_j z_j)))",
        cites=("wachter2017",),
    ),
    "cf.mahalanobis": Declaration(
        "cost",
        "xaicore_cf.distances:Mahalanobis",
        summary="Squared distance in units of the data's covariance.",
        formula="(x - x_0)' S^-1 (x - x_0)",
        cites=("mahalanobis1936",),
    ),
    "cf.min_distance": Declaration(
        "cost",
        "xaicore_cf.plausible:MinDistance",
        summary="Squared distance from the nearest sample of data.",
        formula="min_k |x - X_k|^2",
        cites=("artelt2019",),
    ),
    "cf.nll": Declaration(
        "cost",
        "xaicore_cf.outcomes:NegativeLogLikelihood",
        summary="Negative log-likelihood of the target class, from logits.",
        formula="log sum_j exp z_j - z_t",
        cites=("artelt2019",),
    ),
    "cf.prototype": Declaration(
        "cost",
        "xaicore_cf.plausible:Prototype",
        summary="Squared distance from the mean of the nearest samples of data.",
        formula="|x - mean of the n nearest X_k|^2",
        cites=("vanlooveren2021",),
    ),
    "cf.regularized": Declaration(
        "cost",
        "xaicore_cf.algebra:Regularized",
        summary="A cost of the inputs and one of the outputs as one.",
        formula="C penalize_input + penalize_output",
        cites=("artelt2019",),
    ),
    "cf.sparsity": Declaration(
        "cost",
        "xaicore_cf.distances:Sparsity",
        summary="Nearly the number of changed features, with a gradient.",
        formula="sum_i 1 - exp(-alpha |x_i - x_0i|)",
        cites=("bradley1998",),
    ),
    "cf.squared_error": Declaration(
        "cost",
        "xaicore_cf.outcomes:SquaredError",
        summary="Squared distance of the target class's probability from a value.",
        formula="(p_t - value)^2",
        cites=("wachter2017",),
    ),
}
