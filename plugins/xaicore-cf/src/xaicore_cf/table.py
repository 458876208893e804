"""The names of family ``cf``: costs, optimizers, and the searches that are made of them."""

from __future__ import annotations

from xaicore.declaration import Declaration, Kind
from xaicore_cf.table_costs import COSTS
from xaicore_cf.table_optimizers import OPTIMIZERS

_COUNTERFACTUAL = "xaicore_cf.counterfactual:Counterfactual"

# What `a + b` and `number * a` of costs make.
KINDS: tuple[Kind, ...] = (
    Kind(
        "cost",
        "xaicore.protocols:CostFunction",
        sum="xaicore_cf.algebra:WeightedSum",
        scaled="xaicore_cf.algebra:Weighted",
    ),
    Kind("schedule", "xaicore_cf.schedules:Schedule"),
)

_SEARCHES: dict[str, Declaration] = {
    "cf.cem_pn": Declaration(
        "analyzer",
        _COUNTERFACTUAL,
        preset={
            "cost": "cf.elastic",
            "prediction": "cf.hinge(margin=0.01)",
            "optimizer": "cf.proximal(learning_rate=0.01, adaptive=False)",
            "C": 0.1,
            "schedule": "cf.bisection",
            "margin": 0.01,
            "max_iter": 10000,
            "pertinent": "negative",
        },
        summary="Pertinent negatives: elastic net, hinge, FISTA; c bisected in 10 rounds; accepted 0.01 ahead.",
        formula="min_d c max(0, z_t0 - max_j z_j + kappa) + beta |d|_1 + |d|^2, d away from the baseline",
        cites=("dhurandhar2018",),
    ),
    "cf.cem_pp": Declaration(
        "analyzer",
        _COUNTERFACTUAL,
        preset={
            "cost": "cf.elastic",
            "prediction": "cf.hinge(margin=0.01)",
            "optimizer": "cf.proximal(learning_rate=0.01, adaptive=False)",
            "C": 0.1,
            "schedule": "cf.bisection",
            "margin": 0.01,
            "max_iter": 10000,
            "pertinent": "positive",
        },
        summary="Pertinent positives: elastic net, hinge, FISTA; c bisected in 10 rounds; accepted 0.01 ahead.",
        formula="min_d c max(0, max_j z_j(d) - z_t0(d) + kappa) + beta |d|_1 + |d|^2, d between baseline and x",
        cites=("dhurandhar2018",),
    ),
    "cf.ceml": Declaration(
        "analyzer",
        _COUNTERFACTUAL,
        preset={"cost": "cf.l1", "prediction": "cf.nll", "optimizer": "cf.bfgs(refine=False)", "C": 1.0},
        summary="The search of CEML: BFGS from x, accepted where the class is predicted; C falls tenfold until it is.",
        formula="min_x C sum_i |x_i - x_0i| - log p_t",
        cites=("artelt2019",),
    ),
    "cf.counterfactual": Declaration(
        "analyzer",
        _COUNTERFACTUAL,
        summary="The nearest input that the model puts into the target class.",
        formula="min_x C d(x, x_0) + l(f(x), t); of all x on the way with f(x) = t, the one of smallest d",
        cites=("wachter2017", "artelt2019"),
    ),
    "cf.dice": Declaration(
        "analyzer",
        _COUNTERFACTUAL,
        preset={
            "cost": "0.5*cf.lmad(mean=True)",
            "prediction": "cf.hinge",
            "optimizer": "cf.adam(learning_rate=0.05)",
            "C": 1.0,
            "n": 4,
            "diversity": "cf.diversity",
            "restore": True,
        },
        summary="Four, near and far from each other: hinge, half of MAD L1, determinant; small changes taken back.",
        formula="min 1/n sum_k hinge(c_k) + l_1 / n sum_k d(c_k, x) - l_2 det K",
        cites=("mothilal2020",),
    ),
    "cf.prototype_guided": Declaration(
        "analyzer",
        _COUNTERFACTUAL,
        preset={
            "cost": "cf.elastic + cf.prototype",
            "prediction": "cf.hinge(margin=0.01)",
            "optimizer": "cf.proximal(learning_rate=0.01, adaptive=False)",
            "C": 0.1,
            "schedule": "cf.bisection",
            "margin": 0.01,
            "max_iter": 10000,
        },
        summary="Near data of the class, from fit(model, data): elastic net, rounds and acceptance as cf.cem_pn.",
        formula="min_d c max(0, margin - lead) + beta |d|_1 + |d|^2 + theta |x + d - proto_t|^2",
        cites=("vanlooveren2021",),
    ),
    "cf.wachter": Declaration(
        "analyzer",
        _COUNTERFACTUAL,
        preset={
            "cost": "cf.lmad",
            "prediction": "cf.squared_error",
            # The gradient of a squared error fades where the target is improbable; Adam then has to take its size away.
            "optimizer": "cf.adam(epsilon=1e-16)",
            "tol": 0.05,
            "C": 1.0,
            "schedule": "cf.growing",
            "max_iter": 6000,
        },
        summary="MAD-weighted L1, squared error; lambda grows tenfold, then is halved; accepted within 0.05.",
        formula="min_x max_lambda lambda (f(x) - y)^2 + sum_i |x_i - x_0i| / MAD_i",
        cites=("wachter2017",),
    ),
}

_SCHEDULES: dict[str, Declaration] = {
    "cf.bisection": Declaration(
        "schedule",
        "xaicore_cf.schedules:Rounds",
        preset={"looks": 5},
        summary="Ten rounds from the sample: the loss counts ten times more on failure, the middle on success.",
        formula="c <- 10 c while nothing is valid, then (low + high) / 2; steps shrink as (1 - k / 1000)^0.5",
        cites=("carlini2017", "dhurandhar2018"),
    ),
    "cf.growing": Declaration(
        "schedule",
        "xaicore_cf.schedules:Rounds",
        preset={
            "rounds": 40,
            "steps": 150,
            "back": False,
            "decay": 1.0,
            "by_cost": False,
            "near": 0.01,
            "any_met": False,
        },
        summary="The loss counts ten times more until the target is reached, then halved intervals; goes on from each.",
        formula="lambda <- 10 lambda until valid, then (low + high) / 2; steps shrink as 1 - k / 150",
        cites=("wachter2017",),
    ),
}

ROWS: dict[str, Declaration] = {**_SEARCHES, **_SCHEDULES, **COSTS, **OPTIMIZERS}
