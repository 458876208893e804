"""The names of family ``cam``: one row, one claim of a paper."""

from __future__ import annotations

from xaicore.declaration import Declaration

ROWS: dict[str, Declaration] = {
    "cam.gradcam": Declaration(
        "analyzer",
        "xaicore_cam.gradcam:GradCam",
        summary="Where the last feature maps, weighted by their mean gradients, speak for the output.",
        formula="M = max(sum_k w_k A_k, 0), w_k = mean over positions of df/dA_k",
        cites=("selvaraju2017",),
    ),
}
