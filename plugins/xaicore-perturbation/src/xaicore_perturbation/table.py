"""The names of family ``perturbation``: one row, one way to take parts of the input away."""

from __future__ import annotations

from xaicore.declaration import Declaration

ROWS: dict[str, Declaration] = {
    "perturbation.ablation": Declaration(
        "analyzer",
        "xaicore_perturbation.ablation:Ablation",
        summary="What the output loses when a feature, or a group of features, is replaced.",
        formula="a_i = f(x) - f(x with the group of i replaced)",
        cites=("zeiler2014",),
    ),
    "perturbation.kernel_shap": Declaration(
        "analyzer",
        "xaicore_perturbation.shapley:KernelShap",
        summary="Shapley values of features or groups, by weighted regression on coalitions.",
        formula="phi = argmin sum_z k(z) (f(z) - f(0) - phi . z)^2, sum of phi = f(1) - f(0)",
        cites=("lundberg2017",),
    ),
    "perturbation.occlusion": Declaration(
        "analyzer",
        "xaicore_perturbation.occlusion:Occlusion",
        summary="What the output loses when a patch is replaced, averaged over the patches that cover a place.",
        formula="a_i = mean over patches p with i in p of f(x) - f(x without p)",
        cites=("zeiler2014",),
    ),
    "perturbation.rise": Declaration(
        "analyzer",
        "xaicore_perturbation.rise:Rise",
        summary="Random smooth masks, averaged by the score of what they leave.",
        formula="a = 1/(n p) sum_k f(x * m_k) m_k",
        cites=("petsiuk2018",),
    ),
}
