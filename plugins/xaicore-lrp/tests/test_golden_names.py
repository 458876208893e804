"""Named composites, and names that hold parameters, against what zennit, SignXAI and captum gave."""

from __future__ import annotations

import re

import numpy as np
import pytest

import xaicore
from xaicore.testing.models import float64_twin

# float64; average pooling and sums have zennit's 1e-6 beside denominators that go down to some hundredths; none here.
STABILIZED = 1e-4
# float32 on both sides; z may be near 0, where stabilisers of different kinds differ.
FLOAT32 = 1e-4

PRESETS = {
    "comp_epsilon_plus": "lrp.epsilon_plus",
    "comp_epsilon_plus_eps0.1": "lrp.epsilon_plus(epsilon=0.1)",
    "comp_epsilon_plus_flat": "lrp.epsilon_plus_flat",
    "comp_epsilon_alpha2_beta1": "lrp.epsilon_alpha2beta1",
    "comp_epsilon_alpha2_beta1_eps0.1": "lrp.epsilon_alpha2beta1(epsilon=0.1)",
    "comp_epsilon_alpha2_beta1_flat": "lrp.epsilon_alpha2beta1_flat",
    "comp_epsilon_gamma_box_-3_3": "lrp.epsilon_gamma_box(low=-3, high=3)",
    "comp_excitation_backprop": "lrp.excitation_backprop",
}
# By captum's own class, and by its rules given layer by layer.
CAPTUM = {
    "lrp_default": "lrp.epsilon(epsilon=1e-9)",
    "lrp_epsilon_1e-09": "lrp.epsilon(epsilon=1e-9)",
    "lrp_epsilon_1e-06": "lrp.epsilon(epsilon=1e-6)",
    "lrp_epsilon_0.01": "lrp.epsilon(epsilon=0.01)",
    "lrp_manual_epsilon_1e-9": "lrp.epsilon(epsilon=1e-9)",
    "lrp_manual_epsilon_1e-2": "lrp.epsilon(epsilon=0.01)",
}
NO_CAPTUM = {
    "lrp_manual_gamma": "clips weights alone, which is wrong for negative inputs",
    "lrp_manual_alpha1beta0": "clips weights alone, which is wrong for negative inputs",
    "lrp_manual_eps_dense_a1b0_conv_nobias": "clips weights alone, which is wrong for negative inputs",
}
NO_SIGNXAI = {"zblrp_": "its z^B rule leaves the re-weighting out: what it returns is rounding"}

INPUTS = {
    "lrp": "",
    "lrpsign": "input=lrp.sign",
    "lrpz": "input=lrp.z",
    "w2lrp": "input=lrp.wsquare",
    "flatlrp": "input=lrp.flat",
}
_NAME = re.compile(rf"({'|'.join(INPUTS)})_(.+?)(?:_mu_(neg_)?(\d[\d_]*))?@(single|batch)")
# Biases of alpha-beta in both denominators, as iNNvestigate has them.
_BOTH = "bias='innvestigate'"
_DENSE = "dense=lrp.epsilon(epsilon=0.1), rule=lrp.epsilon(epsilon=0.1), strict=False"
RULES = {
    "z": "rule=lrp.z",
    "alpha_1_beta_0": f"rule=lrp.alpha1beta0({_BOTH})",
    "sequential_composite_a": f"conv=lrp.alpha1beta0({_BOTH}), {_DENSE}",
    "sequential_composite_b": f"conv=lrp.alpha2beta1({_BOTH}), {_DENSE}",
}


def number(digits: str) -> float:
    return float(digits.replace("_", "."))


def meaning(key: str) -> str | None:
    """Return what a recorded name of SignXAI is in our terms, None where it is another method's."""
    found = _NAME.fullmatch(key)
    if found is None:
        return None
    before, rule, negative, mu, run = found.groups()
    first = INPUTS[before] if mu is None else f"input=lrp.sign_mu(mu={'-' if negative else ''}{number(mu)})"
    epsilon = re.fullmatch(r"epsilon_(\d[\d_]*?)(_std_x)?", rule)
    if epsilon is None:
        text = RULES[rule]
    elif epsilon[2]:
        # One by one the batch is the sample; in a batch its deviation is of all samples.
        scope = "sample" if run == "single" else "batch"
        text = f"rule=lrp.stdx_epsilon(stdfactor={number(epsilon[1])}, scope='{scope}')"
    else:
        text = f"rule=lrp.epsilon(epsilon={number(epsilon[1])})"
    return f"lrp.composite({', '.join(filter(None, (text, first)))})"


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the largest difference over samples, relative to the sample's largest entry."""
    axes = tuple(range(1, theirs.ndim))
    return float(np.max(np.abs(ours - theirs).max(axes) / np.abs(theirs).max(axes)))


@pytest.mark.parametrize("method", PRESETS)
@pytest.mark.parametrize("network", ["mlp", "cnn", "conv1d", "depthwise_act", "cnn_bn"])
def test_named_composites_are_zennits(golden, golden_model, network, method):
    """By the name that a user writes, batch normalization passed as zennit does by default, and folded."""
    model, x, _, target = golden_model(network)
    model, x = float64_twin(model), x.astype(np.float64)
    with np.load(golden / "results" / "zennit_f64" / f"{network}.npz") as recorded:
        folds = {"_bnpass@idx": False, "_bnmerge@idx": True} if network == "cnn_bn" else {"@idx": False}
        for suffix, fold in folds.items():
            analyzer = xaicore.get_analyzer(PRESETS[method], fold=fold)
            found = analyzer.explain(model, x, target, verbose=0)
            assert difference(found.attributions, recorded[method + suffix]) < STABILIZED, suffix


@pytest.mark.parametrize("network", ["mlp", "cnn"])
def test_names_that_hold_parameters_mean_what_signxai_computes(golden, golden_model, network):
    """Every name, those of samples run one by one and those of a batch."""
    model, x, _, target = golden_model(network)
    with np.load(golden / "results" / "signxai" / f"{network}.npz") as recorded:
        texts = {key: meaning(key) for key in recorded.files}
        assert sum(text is not None for text in texts.values()) > 60
        for key, text in texts.items():
            if text is not None:
                found = xaicore.get_analyzer(text).explain(model, x, target, verbose=0)
                assert difference(found.attributions, recorded[key]) < FLOAT32, key


@pytest.mark.parametrize("method", CAPTUM)
def test_agrees_with_captum_where_it_is_right(golden, golden_model, method):
    compared = 0
    for network in ("mlp", "cnn", "conv1d", "depthwise_act"):
        with np.load(golden / "results" / "captum_f64" / f"{network}.npz") as recorded:
            if f"{method}@idx" not in recorded.files:
                continue
            theirs = recorded[f"{method}@idx"]
        model, x, _, target = golden_model(network)
        analyzer = xaicore.get_analyzer(CAPTUM[method])
        found = analyzer.explain(float64_twin(model), x.astype(np.float64), target, verbose=0)
        assert difference(found.attributions, theirs) < STABILIZED, network
        compared += 1
    assert compared


def test_every_recorded_row_is_compared_or_has_a_reason_why_not(golden):
    def keys(peer: str) -> set[str]:
        found: set[str] = set()
        for path in (golden / "results" / peer).glob("*.npz"):
            with np.load(path) as recorded:
                found |= {key.split("#")[0] for key in recorded.files}
        return found

    captum = {key.split("@")[0] for key in keys("captum_f64") if "lrp" in key}
    assert {k for k in captum - set(CAPTUM) if not k.startswith(tuple(NO_CAPTUM))} == set()
    of_zennit = {re.sub(r"_bn(pass|merge|epsilon)$", "", k.split("@")[0]) for k in keys("zennit_f64")}
    gradients = {"comp_guided_backprop", "comp_deconvnet"}
    assert {k for k in of_zennit if k.startswith("comp_")} - set(PRESETS) - gradients == set()
    of_signxai = {k for k in keys("signxai") if re.match(r"(\w*lrp\w*?)_", k)}
    assert {k for k in of_signxai if meaning(k) is None and not k.startswith(tuple(NO_SIGNXAI))} == set()
