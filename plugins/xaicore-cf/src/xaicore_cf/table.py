"""The names of family ``cf``: costs, optimizers, and the searches that are made of them."""

from __future__ import annotations

from xaicore.declaration import Declaration, Kind

_COUNTERFACTUAL = "xaicore_cf.counterfactual:Counterfactual"

# What `a + b` and `number * a` of costs make.
KINDS: tuple[Kind, ...] = (
    Kind(
        "cost",
        "xaicore.protocols:CostFunction",
        sum="xaicore_cf.costs:WeightedSum",
        scaled="xaicore_cf.costs:Weighted",
    ),
)

ROWS: dict[str, Declaration] = {
    "cf.adam": Declaration(
        "optimizer",
        "xaicore_cf.optimizers:Adam",
        summary="Steps of about the learning rate for each feature, whatever the size of its gradient.",
        formula="x <- x - learning_rate m / (sqrt(v) + epsilon), m and v the corrected running means of g and g^2",
        cites=("kingma2015",),
    ),
    "cf.counterfactual": Declaration(
        "analyzer",
        _COUNTERFACTUAL,
        summary="The nearest input that the model puts into the target class.",
        formula="min_x C d(x, x_0) + l(f(x), t); of all x on the way with f(x) = t, the one of smallest d",
        cites=("wachter2017", "artelt2019"),
    ),
    "cf.l1": Declaration(
        "cost",
        "xaicore_cf.costs:L1",
        summary="Distance from the input, which changes few features.",
        formula="sum_i |x_i - x_0i| / mad_i",
        cites=("wachter2017",),
    ),
    "cf.l2": Declaration(
        "cost",
        "xaicore_cf.costs:L2",
        summary="Squared Euclidean distance from the input.",
        formula="sum_i (x_i - x_0i)^2",
        cites=("wachter2017",),
    ),
    "cf.nll": Declaration(
        "cost",
        "xaicore_cf.costs:NegativeLogLikelihood",
        summary="Negative log-likelihood of the target class, from logits.",
        formula="log sum_j exp z_j - z_t",
        cites=("artelt2019",),
    ),
    "cf.squared_error": Declaration(
        "cost",
        "xaicore_cf.costs:SquaredError",
        summary="Squared distance of the target class's probability from a value.",
        formula="(p_t - value)^2",
        cites=("wachter2017",),
    ),
    "cf.wachter": Declaration(
        "analyzer",
        _COUNTERFACTUAL,
        preset={
            "cost": "cf.l1",
            "prediction": "cf.squared_error",
            # The gradient of a squared error fades where the target is improbable; Adam then has to take its size away.
            "optimizer": "cf.adam(epsilon=1e-16)",
            "tol": 0.05,
        },
        summary="The nearest input to which the model gives the target class with a given probability.",
        formula="min_x max_lambda lambda (f(x) - y)^2 + sum_i |x_i - x_0i| / MAD_i",
        cites=("wachter2017",),
    ),
    "cf.adamw": Declaration(
        "optimizer",
        "xaicore_cf.descents:AdamW",
        summary="Adam whose steps also shrink the features that may change.",
        formula="x <- x - learning_rate (m / (sqrt(v) + epsilon) + weight_decay x)",
        cites=("loshchilov2019",),
    ),
    "cf.density": Declaration(
        "cost",
        "xaicore_cf.distances:Density",
        summary="How rare a candidate is among data, by a Gaussian kernel density.",
        formula="-log 1/m sum_k exp(-|x - X_k|^2 / (2 h^2))",
        cites=("parzen1962",),
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
    "cf.hinge": Declaration(
        "cost",
        "xaicore_cf.distances:Hinge",
        summary="By how much the target's logit misses its lead over the others; nothing from there on.",
        formula="max(0, margin - (z_t - max_j z_j))",
        cites=("dhurandhar2018",),
    ),
    "cf.lmad": Declaration(
        "cost",
        "xaicore_cf.distances:Lmad",
        summary="L1 in units of each feature's median absolute deviation over data.",
        formula="sum_i |x_i - x_0i| / MAD_i",
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
        "xaicore_cf.distances:MinDistance",
        summary="Squared distance from the nearest sample of data.",
        formula="min_k |x - X_k|^2",
        cites=("artelt2019",),
    ),
    "cf.nadam": Declaration(
        "optimizer",
        "xaicore_cf.descents:Nadam",
        summary="Adam that looks a step ahead.",
        formula="x <- x - learning_rate (beta_1 m' + (1 - beta_1) g') / (sqrt(v) + epsilon)",
        cites=("dozat2016",),
    ),
    "cf.prototype": Declaration(
        "cost",
        "xaicore_cf.distances:Prototype",
        summary="Squared distance from the mean of the nearest samples of data.",
        formula="|x - mean of the n nearest X_k|^2",
        cites=("vanlooveren2021",),
    ),
    "cf.regularized": Declaration(
        "cost",
        "xaicore_cf.distances:Regularized",
        summary="A cost of the inputs and one of the outputs as one.",
        formula="C penalize_input + penalize_output",
        cites=("artelt2019",),
    ),
    "cf.rmsprop": Declaration(
        "optimizer",
        "xaicore_cf.descents:RmsProp",
        summary="Steps of about the learning rate, by a running mean of squared gradients.",
        formula="x <- x - learning_rate g / (sqrt(v) + epsilon)",
        cites=("tieleman2012",),
    ),
    "cf.sgd": Declaration(
        "optimizer",
        "xaicore_cf.descents:Sgd",
        summary="Steps along the gradient, with or without momentum.",
        formula="x <- x - learning_rate b, b the running sum of g",
        cites=("polyak1964", "sutskever2013"),
    ),
}
