"""Grad-CAM against what captum (float64) and keras-explainable (float32) gave on the same weights."""

from __future__ import annotations

import numpy as np
import pytest

import xaicore
from xaicore.testing.models import float64_twin

# Means and sums of some hundred float64 products, relative to the largest entry.
ROUNDING = 1e-11
# The same in float32, whose unit is 1.2e-7.
FLOAT32 = 5e-6


def _largest_difference(ours, theirs):
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


@pytest.mark.parametrize("site", ["c1", "c2"])
@pytest.mark.parametrize("relu", [True, False])
def test_agrees_with_captum_in_float64(golden, golden_model, site, relu):
    model, x, _, target = golden_model("cnn")
    analyzer = xaicore.get_analyzer("cam.gradcam", at=site, relu=relu, upsample=False)
    found = analyzer.explain(float64_twin(model), x.astype(np.float64), target, verbose=0)
    with np.load(golden / "results" / "captum_f64" / "cnn.npz") as recorded:
        theirs = recorded[f"layer_gradcam_{site}_relu0{'_relu' if relu else ''}@idx"]
    assert _largest_difference(found.attributions, theirs) < ROUNDING


@pytest.mark.parametrize("site", ["c1", "c2"])
def test_agrees_with_keras_explainable(golden, golden_model, site):
    model, x, _, target = golden_model("cnn")
    found = xaicore.get_analyzer("cam", at=site, relu=False, upsample=False).explain(model, x, target, verbose=0)
    with np.load(golden / "results" / "keras_explainable" / "cnn.npz") as recorded:
        assert _largest_difference(found.attributions, recorded[f"gradcam_{site}"]) < FLOAT32
