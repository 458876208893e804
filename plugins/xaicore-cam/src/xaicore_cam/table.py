"""The names of family ``cam``: one row, one claim of a paper."""

from __future__ import annotations

from xaicore.declaration import Declaration, Kind

_MAP = "xaicore_cam.gradcam:GradCam"
_WEIGHTS = "xaicore_cam.weights:"

# Weights named where an analyzer is expected are the map that they make.
KINDS: tuple[Kind, ...] = (Kind("weights", _WEIGHTS + "Weights", lift={"analyzer": (_MAP, "weights")}),)

ROWS: dict[str, Declaration] = {
    "cam.cam": Declaration(
        "weights",
        _WEIGHTS + "HeadWeights",
        summary="Feature maps weighted by the head's own weights, for global average pooling and a dense layer.",
        formula="M = max(sum_k W_kc A_k, 0)",
        cites=("zhou2016",),
    ),
    "cam.eigencam": Declaration(
        "weights",
        _WEIGHTS + "FirstComponent",
        summary="The feature maps' first principal component, whatever the output.",
        formula="M = max(A v, 0), v the first right singular vector of A",
        cites=("muhammad2020",),
    ),
    "cam.gradcam": Declaration(
        "weights",
        _WEIGHTS + "MeanGradient",
        summary="Where the last feature maps, weighted by their mean gradients, speak for the output.",
        formula="M = max(sum_k w_k A_k, 0), w_k = mean over positions of df/dA_k",
        cites=("selvaraju2017",),
    ),
    "cam.gradcampp": Declaration(
        "weights",
        _WEIGHTS + "PlusPlus",
        summary="Feature maps weighted by their positive gradients, each position by how much of it there is.",
        formula="w_k = sum a_k max(g_k, 0), a_k = g_k^2 / (2 g_k^2 + g_k^3 sum A_k), g = df/dA",
        cites=("chattopadhay2018",),
    ),
    "cam.guided_gradcam": Declaration(
        "analyzer",
        "xaicore_cam.guided:GuidedCam",
        preset={"inner": "gradient.guided_backprop"},
        summary="Grad-CAM times guided backpropagation: sharp, and where the class is.",
        formula="a = M * B",
        cites=("selvaraju2017", "springenberg2014"),
    ),
    "cam.hirescam": Declaration(
        "weights",
        _WEIGHTS + "Elementwise",
        summary="Feature maps times their gradients, position by position.",
        formula="M = max(sum_k g_k A_k, 0), g = df/dA",
        cites=("draelos2020",),
    ),
    "cam.layercam": Declaration(
        "weights",
        _WEIGHTS + "Elementwise",
        preset={"positive": True},
        summary="Feature maps times their positive gradients, position by position.",
        formula="M = max(sum_k max(g_k, 0) A_k, 0), g = df/dA",
        cites=("jiang2021",),
    ),
    "cam.scorecam": Declaration(
        "analyzer",
        "xaicore_cam.score:ScoreCam",
        summary="Feature maps as masks, weighted by the score of what they leave; no gradient.",
        formula="M = max(sum_k softmax_k(f(x * m_k) - f(b)) A_k, 0)",
        cites=("wang2020",),
    ),
    "cam.xgradcam": Declaration(
        "weights",
        _WEIGHTS + "ByActivation",
        summary="Feature maps weighted by their gradients, averaged where the maps are active.",
        formula="w_k = sum g_k A_k / sum A_k, g = df/dA",
        cites=("fu2020",),
    ),
}
