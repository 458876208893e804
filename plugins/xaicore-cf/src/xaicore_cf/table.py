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
}
