"""The names of family ``gradient``: one row, one claim of a paper."""

from __future__ import annotations

from xaicore.declaration import Declaration

_BACKWARD = "xaicore.backward:Backward"

ROWS: dict[str, Declaration] = {
    "gradient.deconvnet": Declaration(
        "rule",
        "xaicore_gradient.rules:DeconvRelu",
        summary="The gradient, but at a ReLU positive relevance passes, whatever the ReLU did forward.",
        formula="R_z = max(R_y, 0)",
        cites=("zeiler2014",),
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
    "gradient.smoothgrad": Declaration(
        "analyzer",
        "xaicore_gradient.smoothgrad:SmoothGrad",
        summary="The mean attribution of noisy copies of the input, by any analyzer.",
        formula="a = 1/n sum_k A(x + sigma e_k), e_k ~ N(0, 1), sigma = noise (max x - min x)",
        cites=("smilkov2017",),
        short="smoothgrad",
    ),
}
