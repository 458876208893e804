"""Relevance against what zennit and iNNvestigate gave on the same weights (skipped where the recordings are not there).

zennit ran in float64 and stabilises every denominator with 1e-6: with the same stabiliser we agree to rounding.
iNNvestigate ran in float32 and replaces exact zeros only.  Its batch normalization is wrong: such models are left out.
"""

from __future__ import annotations

import numpy as np
import pytest

import xaicore
from xaicore.backward import Backward
from xaicore.testing.models import float64_twin
from xaicore_lrp.box import ZBox
from xaicore_lrp.composite import Composite
from xaicore_lrp.gamma import Gamma
from xaicore_lrp.rules import AlphaBeta, Epsilon
from xaicore_lrp.spread import Flat, WSquare
from xaicore_lrp.structure import Pass, Proportional

# Sums of some hundred float64 products, through up to ten operations, relative to the sample's largest entry.
ROUNDING = 1e-11
# float32 on both sides; z may be near 0, where stabilisers of different kinds differ (the recordings' own tolerance).
FLOAT32 = 1e-4

STABILIZER = 1e-6
EPSILON = Epsilon(epsilon=STABILIZER)
FLAT, WSQUARE = Flat(stabilizer=STABILIZER), WSquare(stabilizer=STABILIZER)
BOX = ZBox(low=-3, high=3, stabilizer=STABILIZER)
ALPHA1, ALPHA2 = AlphaBeta(alpha=1, stabilizer=STABILIZER), AlphaBeta(alpha=2, stabilizer=STABILIZER)


def around(method):
    """Return the rules of activations and pooling; zennit gives pooling the epsilon of this one row too."""
    stabilizer = 1e-7 if method == "epsilon_1e-7" else STABILIZER
    return (("activation", Pass()), ("average_pooling", Proportional(stabilizer=stabilizer)))


ZENNIT = {
    "epsilon_1e-6": (("affine", EPSILON),),
    "epsilon_1e-7": (("affine", Epsilon(epsilon=1e-7)),),
    "epsilon_1e-2": (("affine", Epsilon(epsilon=1e-2)),),
    "epsilon_0.25": (("affine", Epsilon(epsilon=0.25)),),
    "epsilon_1e-2_nobias": (("affine", Epsilon(epsilon=1e-2, bias="ignore")),),
    "zplus": (("affine", ALPHA1),),  # zennit's z+ keeps the bias, as alpha1beta0 does
    "zplus_nobias": (("affine", AlphaBeta(alpha=1, bias="ignore", stabilizer=STABILIZER)),),
    "alpha1beta0": (("affine", ALPHA1),),
    "alpha1beta0_nobias": (("affine", AlphaBeta(alpha=1, bias="ignore", stabilizer=STABILIZER)),),
    "alpha2beta1": (("affine", ALPHA2),),
    "alpha2beta1_nobias": (("affine", AlphaBeta(alpha=2, bias="ignore", stabilizer=STABILIZER)),),
    "alpha3beta2": (("affine", AlphaBeta(alpha=3, stabilizer=STABILIZER)),),
    "alpha3beta2_nobias": (("affine", AlphaBeta(alpha=3, bias="ignore", stabilizer=STABILIZER)),),
    "flat": (("affine", FLAT),),
    "wsquare_nobias": (("affine", WSQUARE),),
    "epsilon_1e-6_first_flat": (("first", FLAT), ("affine", EPSILON)),
    "epsilon_1e-6_first_wsquare_nobias": (("first", WSQUARE), ("affine", EPSILON)),
    "gamma_0.25": (("affine", Gamma(gamma=0.25, stabilizer=STABILIZER)),),
    "gamma_1": (("affine", Gamma(gamma=1, stabilizer=STABILIZER)),),
    "gamma_0.25_nobias": (("affine", Gamma(gamma=0.25, bias="ignore", stabilizer=STABILIZER)),),
    "gamma_1_nobias": (("affine", Gamma(gamma=1, bias="ignore", stabilizer=STABILIZER)),),
    "epsilon_1e-6_first_zbox_-3_3": (("first", BOX), ("affine", EPSILON)),
    "epsilon_1e-6_first_zbox_-3_3_nobias": (("first", BOX), ("affine", EPSILON)),
    "comp_epsilon_alpha2_beta1_eps0.1": (("conv", ALPHA2), ("dense", Epsilon(epsilon=0.1))),
    "comp_epsilon_gamma_box_-3_3": (
        ("first and conv", BOX),
        ("conv", Gamma(gamma=0.25, stabilizer=STABILIZER)),
        ("dense", EPSILON),
    ),
    "comp_excitation_backprop": (("affine", ALPHA1),),
    "comp_epsilon_plus": (("conv", ALPHA1), ("dense", EPSILON)),
    "comp_epsilon_plus_eps0.1": (("conv", ALPHA1), ("dense", Epsilon(epsilon=0.1))),
    "comp_epsilon_plus_flat": (("first", FLAT), ("conv", ALPHA1), ("dense", EPSILON)),
    "comp_epsilon_alpha2_beta1": (("conv", ALPHA2), ("dense", EPSILON)),
    "comp_epsilon_alpha2_beta1_flat": (("first", FLAT), ("conv", ALPHA2), ("dense", EPSILON)),
}
# What each way of zennit to treat batch normalization is in our terms.
NORMS = {"_bnpass": ("norm", Pass()), "_bnepsilon": ("norm", EPSILON)}
# Recorded by zennit and not compared, by what is in the name.
NO_ZENNIT = {
    "stab1e-12": "the row without it, with a smaller stabilizer",
    "gradient": "a row of the gradient family",
    "comp_guided_backprop": "a row of the gradient family",
    "comp_deconvnet": "a row of the gradient family",
}
# Where the w^2 rule is recorded with biases: no paper has any in it.
NO_ZENNIT_EXACTLY = {"wsquare", "epsilon_1e-6_first_wsquare"}

INNVESTIGATE = {
    "lrp.z": "lrp.z",
    "lrp.epsilon": "lrp.epsilon",
    "lrp.epsilon_1e-2": "lrp.epsilon(epsilon=0.01)",
    "lrp.epsilon_0.25": "lrp.epsilon(epsilon=0.25)",
    "lrp.epsilon_nobias": "lrp.epsilon(bias=False)",
    "lrp.epsilon_1e-2_nobias": "lrp.epsilon(epsilon=0.01, bias=False)",
    "lrp.epsilon_inputflat": "lrp.composite(rule=lrp.epsilon, input=lrp.flat)",
    "lrp.epsilon_inputwsquare": "lrp.composite(rule=lrp.epsilon, input=lrp.wsquare)",
    "lrp.w_square": "lrp.w_square",
    "lrp.flat": "lrp.flat",
    "lrp.z_plus": "lrp.z_plus",
    "lrp.alpha_1_beta_0_IB": "lrp.alpha_1_beta_0(bias=False)",
    "lrp.alpha_2_beta_1_IB": "lrp.alpha_2_beta_1(bias=False)",
    "lrp.alpha_1_beta_0": "lrp.alpha_1_beta_0(bias='innvestigate')",
    "lrp.alpha_2_beta_1": "lrp.alpha_2_beta_1(bias='innvestigate')",
    "lrp.z_plus_fast": "lrp.z_plus_fast",
    "lrp.z_inputbox_-3_3": "lrp.lrp(rule=lrp.z, input_layer_rule=(-3, 3))",
    "lrp.epsilon_inputbox_-3_3": "lrp.lrp(rule=lrp.epsilon, input_layer_rule=(-3, 3))",
    "lrp.sequential_preset_b": "lrp.sequential_preset_b(conv=lrp.alpha2beta1(bias='innvestigate'))",
    "lrp.sequential_preset_a": "lrp.sequential_preset_a(conv=lrp.alpha1beta0(bias='innvestigate'))",
    "lrp.sequential_preset_a_flat": "lrp.sequential_preset_a_flat(conv=lrp.alpha1beta0(bias='innvestigate'))",
    "lrp.sequential_preset_b_flat": "lrp.sequential_preset_b_flat(conv=lrp.alpha2beta1(bias='innvestigate'))",
    "lrp.alpha_beta_3_2": "lrp.alpha_beta(alpha=3, beta=2, bias='innvestigate')",
    "lrp.alpha_beta_1_0": "lrp.alpha_beta(alpha=1, beta=0, bias='innvestigate')",
    "lrp.sequential_preset_a_eps1e-7": (
        "lrp.sequential_preset_a(conv=lrp.alpha1beta0(bias='innvestigate'), dense=lrp.epsilon(epsilon=1e-7))"
    ),
    "lrp.sequential_preset_b_eps1e-7": (
        "lrp.sequential_preset_b(conv=lrp.alpha2beta1(bias='innvestigate'), dense=lrp.epsilon(epsilon=1e-7))"
    ),
    "lrp_Bounded_default": "lrp.bounded(low=-1, high=1)",
    "lrp_Z": "lrp.lrp(rule=lrp.z)",
    "lrp_ZPlus_str": "lrp.lrp(rule=lrp.z_plus)",
}
NO_INNVESTIGATE = {
    "_nochecks": "recorded on depthwise kernels, where alpha-beta is off by 43 %: zennit's rows are compared",
    "gradient": "a row of the gradient family",
    "deconvnet": "a row of the gradient family",
    "guided_backprop": "a row of the gradient family",
    "baseline_lrp_z": "input times gradient, a row of the gradient family",
    "integrated_gradients": "equal weights on a grid that leaves one end out; the family of path integrals has its own",
    "deep_taylor": "starts from max(logit, 0), and its w^2 rule for the first layer never acts",
    "until_idx": "counts pooling layers too: the index means another layer here",
}
# Bit-equal to iNNvestigate on these networks, so only what it has alone is of interest.
SIGNXAI = {
    "analyzer.lrp.alpha_1_beta_0_IB": "lrp.alpha_1_beta_0_ib",
    "analyzer.lrp.alpha_2_beta_1_IB": "lrp.alpha_2_beta_1_ib",
    "analyzer.lrp.z": "lrp.z",
    "analyzer.lrp.epsilon": "lrp.epsilon",
    "analyzer.lrp.flat": "lrp.flat",
    "analyzer.lrp.w_square": "lrp.w_square",
    "analyzer.lrp.z_plus": "lrp.z_plus",
    "analyzer.lrp.z_plus_fast": "lrp.z_plus_fast",
    "lrpsign_z": "lrp.lrp(rule=lrp.z, input=lrp.sign)",
}
NO_SIGNXAI = {
    "gradient": "a row of the gradient family",
    "deconvnet": "a row of the gradient family",
    "guided": "a row of the gradient family",
    "grad_cam": "a row of the CAM family",
    "analyzer.lrp.z_IB": "starts from the logit without its bias",
    "analyzer.lrp.epsilon_IB": "starts from the logit without its bias",
    "lrp.gamma": "another formula than the published one",
    "stdxepsilon": "the deviation of the whole batch, where ours is the sample's",
    "analyzer.lrp": "a bias in both denominators, as iNNvestigate has it: that row is compared",
    "lrp_": "a name of its own for an analyzer with parameters",
    "lrpsign_": "a name of its own for an analyzer with parameters",
    "lrpz_": "a name of its own for an analyzer with parameters",
}


def _largest_difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the largest difference over samples, relative to the sample's largest entry."""
    axes = tuple(range(1, theirs.ndim))
    return float(np.max(np.abs(ours - theirs).max(axes) / np.abs(theirs).max(axes)))


@pytest.mark.parametrize("method", ZENNIT)
@pytest.mark.parametrize("network", ["mlp", "cnn", "conv1d", "depthwise_act", "cnn_bn"])
def test_agrees_with_zennit_in_float64(golden, golden_model, network, method):
    """Every rule and every rule map on every network, to rounding."""
    if network == "conv1d" and method in {"flat", "wsquare_nobias"}:
        pytest.skip("ties in global max-pooling: TensorFlow splits relevance between them, torch picks one")
    model, x, _, target = golden_model(network)
    model, x = float64_twin(model), x.astype(np.float64)
    with np.load(golden / "results" / "zennit_f64" / f"{network}.npz") as recorded:
        suffixes = [suffix for suffix in ("", *NORMS) if f"{method}{suffix}@idx" in recorded.files]
        assert suffixes
        for suffix in suffixes:
            norm = [NORMS[suffix]] if suffix else []
            if method == "comp_excitation_backprop":
                norm = [("norm", None)]  # no entry in its map: the gradient
            rules = (*norm, *ZENNIT[method], *around(method))
            analyzer = Backward(rules=rules, initial="score", on_unsupported="raise")
            found = analyzer.explain(model, x, target, verbose=0)
            assert _largest_difference(found.attributions, recorded[f"{method}{suffix}@idx"]) < ROUNDING


@pytest.mark.parametrize("method", ZENNIT)
def test_agrees_with_zennit_where_batch_normalization_is_folded(golden, golden_model, method):
    """Its canonizer and ours, under every rule map."""
    model, x, _, target = golden_model("cnn_bn")
    analyzer = Composite(rule=(*ZENNIT[method], *around(method)), fold=True, strict=False)
    found = analyzer.explain(float64_twin(model), x.astype(np.float64), target, verbose=0)
    with np.load(golden / "results" / "zennit_f64" / "cnn_bn.npz") as recorded:
        assert _largest_difference(found.attributions, recorded[f"{method}_bnmerge@idx"]) < ROUNDING


@pytest.mark.parametrize("method", SIGNXAI)
@pytest.mark.parametrize("network", ["mlp", "cnn"])
def test_agrees_with_signxai(golden, golden_model, network, method):
    """What it has beside iNNvestigate's analyzers."""
    model, x, _, target = golden_model(network)
    found = xaicore.get_analyzer(SIGNXAI[method]).explain(model, x, target, verbose=0)
    with np.load(golden / "results" / "signxai" / f"{network}.npz") as recorded:
        assert _largest_difference(found.attributions, recorded[f"{method}@batch"]) < FLOAT32


@pytest.mark.parametrize(
    ("peer", "compared", "others", "exactly"),
    [
        ("zennit_f64", ZENNIT, NO_ZENNIT, NO_ZENNIT_EXACTLY),
        ("innvestigate", INNVESTIGATE, NO_INNVESTIGATE, set()),
        ("signxai", SIGNXAI, NO_SIGNXAI, set()),
    ],
)
def test_every_recorded_row_is_compared_or_has_a_reason_why_not(golden, peer, compared, others, exactly):
    names = set()
    for path in (golden / "results" / peer).glob("*.npz"):
        with np.load(path) as recorded:
            names |= {key.split("@")[0].split("#")[0] for key in recorded.files}
    plain = {name.removesuffix("_bnpass").removesuffix("_bnepsilon").removesuffix("_bnmerge") for name in names}
    unknown = {n for n in plain - set(compared) - exactly if not any(part in n for part in others)}
    assert unknown == set()
    # No reason that nothing needs.
    assert {part for part in others if not any(part in name for name in plain)} == set()


@pytest.mark.parametrize("method", INNVESTIGATE)
@pytest.mark.parametrize("network", ["mlp", "cnn", "conv1d"])
def test_agrees_with_innvestigate_where_it_is_right(golden, golden_model, network, method):
    """Its names, with its way to treat the bias of alpha-beta asked for."""
    model, x, _, target = golden_model(network)
    found = xaicore.get_analyzer(INNVESTIGATE[method]).explain(model, x, target, verbose=0)
    with np.load(golden / "results" / "innvestigate" / f"{network}.npz") as recorded:
        assert _largest_difference(found.attributions, recorded[f"{method}@idx"]) < FLOAT32
