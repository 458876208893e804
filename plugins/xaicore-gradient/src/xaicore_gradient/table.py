"""The names of family ``gradient``: one row, one claim of a paper."""

from __future__ import annotations

from xaicore.declaration import Declaration

_BACKWARD = "xaicore.backward:Backward"

ROWS: dict[str, Declaration] = {
    "gradient.baseline": Declaration(
        "analyzer",
        "xaicore_gradient.plain:TapeGradient",
        summary="The gradient by one tape over the whole model, without the engine: an oracle.",
        formula="a_i = df/dx_i",
        cites=("simonyan2013",),
    ),
    "gradient.deconvnet": Declaration(
        "rule",
        "xaicore_gradient.rules:DeconvRelu",
        summary="The gradient, but at a ReLU positive relevance passes, whatever the ReLU did forward.",
        formula="R_z = max(R_y, 0)",
        cites=("zeiler2014",),
        aliases=("deconvnet",),
    ),
    "gradient.deeplift_rescale": Declaration(
        "analyzer",
        "xaicore_gradient.rescale:DeepLift",
        summary="DeepLIFT: differences to a reference, passed back by the slopes of nonlinearities.",
        formula="a_i = m_i (x_i - x'_i), m_z = m_y (y - y') / (z - z')",
        cites=("shrikumar2017",),
    ),
    "gradient.full_gradients": Declaration(
        "analyzer",
        "xaicore_gradient.full:FullGradients",
        summary="The gradients of the input and of all biases, which together are the output, as one map.",
        formula="f(x) = sum x * df/dx + sum_l sum b_l * df/dz_l",
        cites=("srinivas2019",),
    ),
    "gradient.gradient": Declaration(
        "analyzer",
        _BACKWARD,
        summary="How much the output changes with each input.",
        formula="a_i = df/dx_i",
        cites=("simonyan2013",),
    ),
    "gradient.guided_backprop": Declaration(
        "rule",
        "xaicore_gradient.rules:GuidedRelu",
        summary="The gradient, but at a ReLU only positive relevance of active units passes.",
        formula="R_z = max(R_y, 0) [z > 0]",
        cites=("springenberg2014",),
        aliases=("guided_backprop",),
    ),
    "gradient.input": Declaration(
        "analyzer",
        "xaicore_gradient.plain:InputItself",
        summary="The input itself: what a map has to be better than.",
        formula="a = x",
        aliases=("input",),
    ),
    "gradient.input_times_gradient": Declaration(
        "analyzer",
        _BACKWARD,
        preset={"times_input": True},
        summary="The input's first-order share in the output.",
        formula="a_i = x_i df/dx_i",
        cites=("shrikumar2016",),
        short="input_t_gradient",  # the name that older systems use
    ),
    "gradient.random": Declaration(
        "analyzer",
        "xaicore_gradient.plain:InputItself",
        preset={"noise": 1.0},
        summary="The input with noise upon it: what a map has to be better than.",
        formula="a = x + sigma e, e ~ N(0, 1)",
        aliases=("random",),
    ),
    "gradient.rectgrad": Declaration(
        "rule",
        "xaicore_gradient.rules:RectRelu",
        summary="The gradient, but at a ReLU only the largest products of activation and relevance pass.",
        formula="R_z = R_y [y R_y > tau], tau a quantile of y R_y per sample and layer",
        cites=("kim2019",),
    ),
    "gradient.smoothgrad": Declaration(
        "analyzer",
        "xaicore_gradient.smoothgrad:SmoothGrad",
        summary="The mean attribution of noisy copies of the input, by any analyzer.",
        formula="a = 1/n sum_k A(x + sigma e_k), e_k ~ N(0, 1), sigma = noise (max x - min x)",
        cites=("smilkov2017",),
        short="smoothgrad",
    ),
    "gradient.squaregrad": Declaration(
        "analyzer",
        "xaicore_gradient.smoothgrad:SmoothGrad",
        preset={"moment": "square"},
        summary="The mean squared attribution of noisy copies of the input, by any analyzer.",
        formula="a = 1/n sum_k A(x + sigma e_k)^2",
        cites=("hooker2019",),
        short="squaregrad",
    ),
    "gradient.times_sign": Declaration(
        "analyzer",
        "xaicore_gradient.plain:TimesSign",
        summary="The gradient, or any analyzer, times the sign of the input.",
        formula="a_i = s_i A_i, s_i = -1 where x_i < mu, else +1",
        cites=("gumpfer2023",),
        short="times_sign",
        aliases=("gradient.times_sign_mu", "times_sign_mu"),
    ),
    "gradient.tta": Declaration(
        "analyzer",
        "xaicore_gradient.augment:Augmented",
        summary="The mean over mirrored and resized copies, each brought back to its place.",
        formula="a = 1/N sum_k T_k^-1 A(T_k x)",
        cites=("simonyan2013",),
        short="tta",
    ),
    "gradient.vargrad": Declaration(
        "analyzer",
        "xaicore_gradient.smoothgrad:SmoothGrad",
        preset={"moment": "variance"},
        summary="The variance of attributions over noisy copies of the input, by any analyzer.",
        formula="a = 1/n sum_k (A_k - mean_k A_k)^2, A_k = A(x + sigma e_k)",
        cites=("adebayo2018",),
        short="vargrad",
    ),
}
