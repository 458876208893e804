"""The optimizers of family ``cf``: rules of descent, and methods of the host."""

from __future__ import annotations

from xaicore.declaration import Declaration

OPTIMIZERS: dict[str, Declaration] = {
    "cf.adam": Declaration(
        "optimizer",
        "xaicore_cf.optimizers:Adam",
        summary="Steps of about the learning rate for each feature, whatever the size of its gradient.",
        formula="x <- x - learning_rate m / (sqrt(v) + epsilon), m and v the corrected running means of g and g^2",
        cites=("kingma2015",),
    ),
    "cf.adamw": Declaration(
        "optimizer",
        "xaicore_cf.descents:AdamW",
        summary="Adam whose steps also shrink the features that may change.",
        formula="x <- x - learning_rate (m / (sqrt(v) + epsilon) + weight_decay x)",
        cites=("loshchilov2019",),
    ),
    "cf.bfgs": Declaration(
        "optimizer",
        "xaicore_cf.host:Scipy",
        preset={"method": "bfgs"},
        summary="Quasi-Newton steps with a dense inverse Hessian, on the host.",
        formula="x <- x - a H g, a by a line search, H <- (I - r s y') H (I - r y s') + r s s'",
        cites=("nocedal2006",),
    ),
    "cf.cg": Declaration(
        "optimizer",
        "xaicore_cf.host:Scipy",
        preset={"method": "cg"},
        summary="Conjugate gradients, on the host.",
        formula="p <- -g + max(0, g'(g - g_0) / |g_0|^2) p",
        cites=("nocedal2006",),
    ),
    "cf.evolution": Declaration(
        "optimizer",
        "xaicore_cf.evolution:Evolution",
        summary="Differential evolution on the host: outputs only, populations of all samples at once.",
        formula="v = a + F (best - a) + F (b - c), crossed with x at rate CR",
        cites=("storn1997", "deb2000"),
    ),
    "cf.keras": Declaration(
        "optimizer",
        "xaicore_cf.keras_descent:KerasDescent",
        summary="The step of an optimizer of Keras, by name or instance, each sample for itself.",
        formula="as the optimizer defines it",
        cites=("chollet2015",),
    ),
    "cf.lbfgs": Declaration(
        "optimizer",
        "xaicore_cf.host:Scipy",
        preset={"method": "l-bfgs-b"},
        summary="Quasi-Newton steps from the last few gradients, on the host.",
        formula="x <- x - a H g, H from the last ten steps",
        cites=("nocedal2006",),
    ),
    "cf.nadam": Declaration(
        "optimizer",
        "xaicore_cf.descents:Nadam",
        summary="Adam that looks a step ahead.",
        formula="x <- x - learning_rate (beta_1 m' + (1 - beta_1) g') / (sqrt(v) + epsilon)",
        cites=("dozat2016",),
    ),
    "cf.nelder_mead": Declaration(
        "optimizer",
        "xaicore_cf.host:Scipy",
        preset={"method": "nelder-mead"},
        summary="A simplex that is reflected, stretched and shrunk, on the host: outputs only.",
        formula="the worst corner <- its reflection at the mean of the others",
        cites=("nelder1965",),
    ),
    "cf.powell": Declaration(
        "optimizer",
        "xaicore_cf.host:Scipy",
        preset={"method": "powell"},
        summary="Line searches along conjugate directions, on the host: outputs only.",
        formula="x <- min over a of f(x + a u_i), i = 1, 2, ...; u_n <- x - x_0",
        cites=("powell1964",),
    ),
    "cf.proximal": Declaration(
        "optimizer",
        "xaicore_cf.proximal:Proximal",
        summary="Accelerated proximal descent (FISTA): what L1 keeps stays exactly as it is.",
        formula="d <- S(u - rate g(u), rate C), u <- d + k / (k + 3) (d - d_0)",
        cites=("beck2009", "chambolle2015", "malitsky2020", "odonoghue2015"),
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
