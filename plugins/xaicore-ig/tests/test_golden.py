"""Integrated gradients against what captum (float64) and alibi (float32) gave on the same weights.

Their trapezoid is left out: its weights sum to (n - 1)/n.
"""

from __future__ import annotations

import numpy as np
import pytest

import xaicore
from xaicore.testing.models import float64_twin

# captum's gradients are float64, but it rounds the weights of the quadrature to float32: half a unit of 1.2e-7.
FLOAT32_WEIGHTS = 6e-8
# float32 gradients on both sides; the recordings agree among themselves to 2e-7, sums over 50 nodes add some units.
FLOAT32 = 2e-6
NETWORKS = ["mlp", "cnn", "conv1d", "depthwise_act", "cnn_bn"]
QUADRATURES = ["riemann_left", "riemann_right", "riemann_middle", "gausslegendre"]
BASELINES = {"zero": 0, "c0p3": 0.3}


def _largest_difference(ours, theirs):
    axes = tuple(range(1, theirs.ndim))
    return np.max(np.abs(ours - theirs).max(axes) / np.abs(theirs).max(axes))


def _skip_ties(network, quadrature):
    if network == "conv1d" and quadrature == "riemann_left":
        pytest.skip("at t = 0 all positions of a constant baseline tie under max-pooling; frameworks split ties apart")


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("quadrature", QUADRATURES)
@pytest.mark.parametrize("network", NETWORKS)
def test_agrees_with_captum_in_float64(golden, golden_model, network, quadrature, baseline):
    _skip_ties(network, quadrature)
    model, x, _, target = golden_model(network)
    model, x = float64_twin(model), x.astype(np.float64)
    with np.load(golden / "results" / "captum_f64" / f"{network}.npz") as recorded:
        for n in (2, 10, 50):
            analyzer = xaicore.get_analyzer(f"ig.{quadrature}(n_steps={n}, baseline={BASELINES[baseline]})")
            found = analyzer.explain(model, x, target, verbose=0)
            name = f"ig_{quadrature}_n{n}_base_{baseline}@idx"
            assert _largest_difference(found.attributions, recorded[name]) < FLOAT32_WEIGHTS
            size = np.abs(recorded[name]).reshape(len(x), -1).sum(-1)
            assert (np.abs(found.residual - recorded[f"{name}#deltas"]) < FLOAT32_WEIGHTS * size).all()


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("quadrature", QUADRATURES)
@pytest.mark.parametrize("network", NETWORKS)
def test_agrees_with_alibi(golden, golden_model, network, quadrature, baseline):
    _skip_ties(network, quadrature)
    model, x, _, target = golden_model(network)
    analyzer = xaicore.get_analyzer(f"ig.{quadrature}(n_steps=50, baseline={BASELINES[baseline]})")
    found = analyzer.explain(model, x, target, verbose=0)
    with np.load(golden / "results" / "alibi" / f"{network}.npz") as recorded:
        theirs = recorded[f"ig_{quadrature}_n50_base_{baseline}@idx"]
    assert _largest_difference(found.attributions, theirs) < FLOAT32


@pytest.mark.parametrize("site", ["c1", "p1", "c2"])
def test_a_layer_agrees_with_alibi(golden, golden_model, site):
    """The path is straight in the layer's output."""
    model, x, _, target = golden_model("cnn")
    found = xaicore.get_analyzer(f"ig(at={site!r}, n_steps=10)").explain(model, x, target, verbose=0)
    with np.load(golden / "results" / "alibi" / "cnn.npz") as recorded:
        assert _largest_difference(found.attributions, recorded[f"layerig_{site}_out_gausslegendre_n10@idx"]) < FLOAT32
