"""Gradients, class activation maps and perturbations against every row that other libraries gave on the same weights.

A row is compared with an expression of ours, or there is a reason why it is not; skipped where the recordings are not
there.  Rules and paths have tables of their own, in their plugins.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf

import xaicore
from xaicore.testing.models import float64_twin

# Sums of some hundred float64 products, through up to ten operations, relative to the sample's largest entry.
FLOAT64 = 1e-11
# captum keeps the weights of its quadrature in float32.
WEIGHTS = 1e-7
# What the recordings promise of float32 against float64 for gradients.
FLOAT32 = 1e-5
NETWORKS = ("mlp", "cnn", "cnn_bn", "conv1d", "depthwise_act")
SITES = {
    "c1_relu0": "c1",
    "c2_relu0": "c2",
    "sep_conv2d0": "sep/pointwise",  # captum's network has the two stages as layers
}


class Row(NamedTuple):
    """A recorded row.  explain: expression -> our explanation of the same model, data and target."""

    network: str
    explain: Callable[[str], Any]
    theirs: np.ndarray


def plain(expression):
    """Return the row that an expression gives, names of layers filled in."""
    return lambda row, **names: row.explain(expression.format(**names)).attributions


def of_pictures(picture, other):
    """Return the row of an expression for pictures, and of another for series and vectors."""
    return lambda row: row.explain(picture if row.theirs.ndim == 4 else other).attributions


def weighted_guided(row, layer):
    """Return guided Grad-CAM as captum has it: torch's nearest neighbours are those before, not those around."""
    cam = row.explain(f"cam.gradcam(at='{layer}', upsample=False)").attributions
    rows, columns = ((np.arange(n) * m) // n for n, m in zip(row.theirs.shape[1:3], cam.shape[1:3], strict=True))
    return cam[:, rows][:, :, columns] * row.explain("gradient.guided_backprop").attributions


def exponential(row, layer):
    """Return Grad-CAM++ with the factor exp(f) that ours leaves out: it scales a map and no more."""
    found = row.explain(f"cam.gradcampp(at='{layer}', relu=False, upsample=False)")
    return found.attributions * np.exp(found.scores)[:, None, None, None]


def summed_occlusion(row):
    """Return occlusion as Xplique has it: the sum over patches that cover a place, where ours is their mean."""
    found = row.explain("perturbation.occlusion(patch=3, stride=1)").attributions
    cover = np.ones(1)
    for length in found.shape[1 : found.ndim - (found.ndim > 2)]:
        side = sum(np.eye(length)[start : start + 3].sum(0) for start in range(length - 2))
        cover = cover[..., None] * side
    return found * cover[0] if found.ndim == 2 else found.mean(-1, keepdims=True) * cover[0][..., None]


def bicubic(row):
    """Return Grad-CAM as Xplique has it: of the last convolution, upsampled bicubically where ours is linear."""
    site = "sep/pointwise" if row.network == "depthwise_act" else "c2"
    cam = row.explain(f"cam.gradcam(at='{site}', upsample=False)").attributions
    return tf.image.resize(cam, row.theirs.shape[1:3], "bicubic").numpy()


SCORECAM = "cam.scorecam(at='{layer}', weights='score', normalize='before', summed='masks', relu=False)"
RESIZED = " | positive_normalize | filter.resize(size={size})"
COMPARED = {
    "captum_f64": {
        "gradient": plain("gradient"),
        "saliency_abs": plain("gradient(absolute=True)"),
        "input_x_gradient": plain("input_t_gradient"),
        "guided_backprop": plain("gradient.guided_backprop"),
        "deconvolution": plain("gradient.deconvnet"),
        "deeplift_base_zero": plain("gradient.deeplift_rescale"),
        "feature_ablation_zero": plain("perturbation.ablation"),
        "occlusion_3(x3)?_s1_base0": plain("perturbation.occlusion(patch=3, stride=1)"),
        "occlusion_4x4_s2_base0p5": plain("perturbation.occlusion(patch=4, stride=2, baseline=0.5)"),
        "layer_gradcam_(?P<layer>.+)_relu": plain("cam.gradcam(at='{layer}', upsample=False)"),
        "layer_gradcam_(?P<layer>.+)": plain("cam.gradcam(at='{layer}', upsample=False, relu=False)"),
        "layer_gradxact_(?P<layer>.+)": plain("input_t_gradient(at='{layer}')"),
        "layer_ig_(?P<layer>.+)_gausslegendre_n10": plain("ig(at='{layer}', n_steps=10)"),
        "guided_gradcam_(?P<layer>.+)": weighted_guided,
    },
    "xplique": {
        "Saliency_noreduce": plain("gradient(absolute=True)"),
        "Saliency": of_pictures("gradient(absolute=True, reduce='max')", "gradient(absolute=True)"),
        "GradientInput": of_pictures("input_t_gradient(reduce='mean')", "input_t_gradient"),
        "GuidedBackprop": of_pictures("gradient.guided_backprop(reduce='mean')", "gradient.guided_backprop"),
        "DeconvNet": of_pictures("gradient.deconvnet(reduce='mean')", "gradient.deconvnet"),
        "IntegratedGradients_noreduce": plain("ig.riemann_trapezoid(n_steps=50)"),
        "IntegratedGradients": of_pictures(
            "ig.riemann_trapezoid(n_steps=50) | mean_channels", "ig.riemann_trapezoid(n_steps=50)"
        ),
        "Occlusion": summed_occlusion,
        "GradCAM": bicubic,
    },
    "keras_explainable": {
        "gradients_raw": plain("gradient(reduce='mean')"),
        "gradients_abs": plain("gradient(absolute=True, reduce='mean')"),
        "shortcut_gradients": plain("gradient(absolute=True, reduce='mean') | normalize(unit=True)"),
        "cam": plain("cam.cam(relu=False, upsample=False)"),
        "gradcam_(?P<layer>.+)": plain("cam.gradcam(at='{layer}', relu=False, upsample=False)"),
        "gradcampp_(?P<layer>.+)": exponential,
        "scorecam_(?P<layer>.+)": plain(SCORECAM),
        "shortcut_(?P<name>gradcam|gradcampp)_(?P<layer>.+)": plain(
            "cam.{name}(at='{layer}', relu=False, upsample=False)" + RESIZED
        ),
        "shortcut_scorecam_(?P<layer>.+)": plain(SCORECAM + " | positive_normalize"),
    },
    "innvestigate": {
        "gradient": plain("gradient"),
        "gradient[.]baseline": plain("gradient.baseline"),
        "gradient_abs": plain("gradient(absolute=True)"),
        "gradient_square": plain("gradient(square=True)"),
        "input_t_gradient": plain("input_t_gradient"),
        "baseline_lrp_z": plain("input_t_gradient"),
        "deconvnet": plain("gradient.deconvnet(initial='score')"),
        "guided_backprop": plain("gradient.guided_backprop(initial='score')"),
    },
}
# Pattern -> why no row of it is compared.
NOT_COMPARED = {
    "captum_f64": {
        "ig_.*": "a row of the family of paths, compared there",
        "lrp_.*": "rules for positive inputs, and a stabilizer of 1e-9: zennit's rows of them are compared",
        "layer_conductance_.*": "the path of the input seen at a layer; no member of ours",
        "deeplift_(nomul_)?base_rand": "compared below: baselines were not recorded and have to be recovered",
        "deeplift_nomul_base_zero": "multipliers, of which the attributions are compared",
    },
    "xplique": {"GradCAMPP": "means over positions where the publication's equation 19 has sums, twice"},
    "keras_explainable": {
        "full_gradients": "gradients behind the activations and no constants of what is not affine: not complete"
    },
    "innvestigate": {
        "lrp.*": "a row of the family of rules, compared there",
        "deep_taylor.*": "starts from max(logit, 0), and its w^2 rule for the first layer never acts",
        "integrated_gradients.*": "equal weights on a grid that counts both ends in full",
    },
}
TIES = "all entries of a max-pooling tie at a baseline or activation of zero: TensorFlow splits them, torch takes one"
EXCEPTIONS = {
    ("captum_f64", "conv1d", "deconvolution"): TIES,
    **{("captum_f64", network, "deeplift_base_zero"): TIES for network in ("cnn", "conv1d", "depthwise_act")},
    ("xplique", "conv1d", "Occlusion"): "a series is taken for a picture: patches lie over channels too",
    ("innvestigate", "depthwise_act", "baseline_lrp_z"): "zeros for a sample, where its input_t_gradient has none",
}


def read(golden, peer, network):
    """Return the rows of a peer on a network, none where it has none."""
    path = golden / "results" / peer / f"{network}.npz"
    if not path.exists():
        return {}
    with np.load(path) as recorded:
        return {key: recorded[key] for key in recorded.files if "#" not in key}


def difference(ours, theirs):
    """Return the largest difference over samples, relative to the sample's largest entry."""
    axes = tuple(range(1, theirs.ndim))
    size = np.maximum(np.abs(theirs).max(axes), np.finfo(np.float32).tiny)  # a map without positive parts is zero
    return float(np.max(np.abs(ours - theirs).max(axes) / size))


def matched(table, name):
    """Return the first entry whose pattern is the whole of a name, and the named parts of it."""
    for pattern, entry in table.items():
        found = re.fullmatch(pattern, name)
        if found is not None:
            return entry, found.groupdict()
    return None, {}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("peer", COMPARED)
def test_rows_agree(golden, golden_model, peer, network):
    rows = read(golden, peer, network)
    if not rows:
        pytest.skip(f"{peer} has nothing on {network}")
    model, x, _, target = golden_model(network)
    wide = peer == "captum_f64"  # in float64, but for occlusion, which it returns in float32
    model, x = (float64_twin(model), x.astype(np.float64)) if wide else (model, x)
    different, compared = {}, 0
    for key, theirs in rows.items():
        name, _, chosen = key.partition("@")
        entry, names = matched(COMPARED[peer], name)
        if entry is None or (peer, network, name) in EXCEPTIONS:
            continue
        if "layer" in names:
            other = "sep/pointwise" if peer == "keras_explainable" else "sep/depthwise"
            names["layer"] = SITES.get(names["layer"], other if names["layer"] == "sep" else names["layer"])
        if "name" in names:
            names["size"] = x.shape[1:3]
        of = None if chosen == "max" else target
        row = Row(network, lambda expression, of=of: xaicore.explain(expression, model, x, of, verbose=0), theirs)
        ours = entry(row, **names)
        assert ours.shape == theirs.shape, key
        off = difference(ours, theirs)
        compared += 1
        limit = WEIGHTS if name.startswith("layer_ig") else FLOAT64 if theirs.dtype == np.float64 else FLOAT32
        if not off < limit:
            different[key] = off
    assert different == {}
    assert compared


@pytest.mark.parametrize("peer", COMPARED)
def test_every_row_is_compared_or_has_a_reason_why_not(golden, peer):
    names = {key.partition("@")[0] for network in NETWORKS for key in read(golden, peer, network)}
    assert {n for n in names if matched(COMPARED[peer] | NOT_COMPARED[peer], n)[0] is None} == set()
    for pattern in COMPARED[peer] | NOT_COMPARED[peer]:  # none that nothing needs
        assert any(re.fullmatch(pattern, name) for name in names), pattern


@pytest.mark.parametrize(("peer", "network", "name"), EXCEPTIONS)
def test_an_exception_is_one(golden, golden_model, peer, network, name):
    """The row differs, and would be compared otherwise."""
    theirs = read(golden, peer, network)[f"{name}@idx"]
    model, x, _, target = golden_model(network)
    row = Row(network, lambda expression: xaicore.explain(expression, model, x, target, verbose=0), theirs)
    ours = matched(COMPARED[peer], name)[0](row)
    assert ours.shape != theirs.shape or difference(ours, theirs) > 1e-2


@pytest.mark.parametrize("network", NETWORKS)
def test_deeplift_agrees_with_captum_or_captum_is_not_complete(golden, golden_model, network):
    """From random baselines, one for each sample: what was multiplied with is the quotient of two of captum's rows.

    With max-pooling captum's sums miss the change of the score, as its own deltas tell; ours do not.
    """
    rows = read(golden, "captum_f64", network)
    with np.load(golden / "results" / "captum_f64" / f"{network}.npz") as recorded:
        deltas = recorded["deeplift_base_rand@idx#deltas"]
    model, x, _, target = golden_model(network)
    model, x = float64_twin(model), x.astype(np.float64)
    compared = 0
    for i in range(len(x)):
        products, multipliers = (rows[f"deeplift_{name}base_rand@idx"][i] for name in ("", "nomul_"))
        if not multipliers.all():
            continue  # where a multiplier is zero nothing tells the baseline
        one = xaicore.get_analyzer("gradient.deeplift_rescale", baseline=x[i] - products / multipliers)
        found = one.explain(model, x[i : i + 1], target[i : i + 1], verbose=0)
        assert abs(found.residual[0]) < FLOAT64 * np.abs(products).sum()
        if network in {"mlp", "cnn_bn"}:
            assert difference(found.attributions, products[None]) < FLOAT64
        else:
            assert abs(deltas[i]) > 1e-3 * np.abs(products).sum()
        compared += 1
    assert compared
