"""Our results against those that another library gave on the same weights."""

from __future__ import annotations

import numpy as np
import pytest

import xaicore

GRADIENT = 1e-5  # float32 against float64
LRP = 1e-4  # as above, and the other library stabilises every denominator


def largest_difference(ours, theirs):
    """Return the largest difference over samples, relative to the sample's largest entry."""
    axes = tuple(range(1, theirs.ndim))
    return float(np.max(np.abs(ours - theirs).max(axes) / np.abs(theirs).max(axes)))


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_a_rebuilt_model_gives_the_recorded_logits(golden_model, name):
    model, x, logits, _ = golden_model(name)

    # 1.2e-6 is what the recording frameworks differ by; twice that for the CPU at hand.
    assert np.abs(model(x) - logits).max() <= 2.4e-6 * np.abs(logits).max()


@pytest.mark.parametrize("network", ["mlp", "cnn"])
@pytest.mark.parametrize(
    ("name", "key", "tolerance"),
    [
        ("gradient", "gradient", GRADIENT),
        ("lrp.epsilon(epsilon=1e-6)", "epsilon_1e-6", LRP),
        ("lrp.alpha2beta1", "alpha2beta1_stab1e-12", LRP),
    ],
)
def test_agrees_with_the_recording(golden_model, recorded, network, name, key, tolerance):
    model, x, _, target = golden_model(network)

    explanation = xaicore.get_analyzer(name).explain(model, x, target)

    assert largest_difference(explanation.attributions, recorded(f"zennit_{network}")[key]) <= tolerance
