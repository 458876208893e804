"""Every row of integrated gradients that captum (float64) and alibi (float32) gave on the same weights.

A row is compared with an expression of ours, or there is a reason why it is not.  Their trapezoidal rule has weights
1/n in the place of 1/(n - 1): it is compared after it has been scaled.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import keras
import numpy as np
import pytest
from keras import layers

import xaicore
from xaicore.testing.models import float64_twin

# captum's gradients are float64, but it rounds the weights of the quadrature to float32: half a unit of 1.2e-7, and
# once more where they are scaled.
FLOAT32_WEIGHTS = 1.2e-7
# float32 gradients on both sides; the recordings agree among themselves to 2e-7, sums over 50 nodes add some units.
FLOAT32 = 2e-6
NETWORKS = ["mlp", "cnn", "cnn_bn", "conv1d", "depthwise_act"]
BASELINES = {"zero": 0, "c0p3": 0.3}
# captum's names of layers: an activation is a layer of its own there, and so are the stages of a separable convolution.
SITES = {"c1_relu0": "c1", "c2_relu0": "c2", "sep": "sep/depthwise", "sep_conv2d0": "sep/pointwise"}
PATH = re.compile(r"ig_(?P<rule>riemann_\w+|gausslegendre)_n(?P<n>\d+)_base_(?P<base>\w+)@idx")
LAYER = re.compile(
    r"layer_?ig_(?P<layer>\w+?)(?:_(?P<end>in|out))?_(?P<rule>riemann_\w+|gausslegendre)_n(?P<n>\d+)@idx"
)
RANDOM = "its baseline is not among the recordings"
TIES = "at t = 0 all positions of a constant baseline tie under max-pooling; frameworks split ties apart"


class Asked(NamedTuple):
    """What stands for a row: an expression, and what theirs is divided by; or a reason why nothing does."""

    expression: str = ""
    scale: float = 1.0
    reason: str = ""


def asked(network, key):
    """Return what stands for a row of paths or layers."""
    path, layer = PATH.fullmatch(key), LAYER.fullmatch(key)
    found = path or layer
    rule, n = found["rule"], int(found["n"])
    scale = (n - 1) / n if rule == "riemann_trapezoid" else 1.0
    if layer is not None:
        site = SITES.get(layer["layer"], layer["layer"]) + (":inputs" if layer["end"] == "in" else "")
        return Asked(f"ig.{rule}(n_steps={n}, at='{site}')", scale)
    if path["base"] not in BASELINES:
        return Asked(reason=RANDOM)
    if network == "conv1d" and rule in {"riemann_left", "riemann_trapezoid"}:
        return Asked(reason=TIES)
    return Asked(f"ig.{rule}(n_steps={n}, baseline={BASELINES[path['base']]})", scale)


def two_inputs(model):
    """Return the model with its features given as the first five and the others."""
    parts = [keras.Input((5,)), keras.Input((model.input_shape[1] - 5,))]
    return keras.Model(parts, model(layers.Concatenate()(parts)))


# Rows of alibi that have a model, a target, or an explanation of their own: (model, x, target) -> explanation.
OTHERS = {
    "ig_gausslegendre_n10_intTarget0": lambda model, x, _: xaicore.explain("ig(n_steps=10)", model, x, 0),
    "ig_gausslegendre_n50_softmax@idx": lambda model, x, target: xaicore.explain(
        "ig(inner=gradient(score='probability'))",
        keras.Model(model.inputs, layers.Softmax()(model.outputs[0])),
        x,
        target,
    ),
    "ig_rank3out_gausslegendre_n10": lambda model, x, _: xaicore.explain(
        "ig(n_steps=10)",
        keras.Model(model.inputs, layers.Reshape((2, 2))(model.outputs[0])),
        x,
        [[0, 1], [1, 0], [1, 1], [0, 0]],
    ),
    "ig_scalarout_gausslegendre_n10": lambda model, x, _: xaicore.explain(
        "ig(n_steps=10)", keras.Model(model.inputs, keras.ops.sum(model.outputs[0], axis=1, keepdims=True)), x
    ),
    "ig_twoinput_gausslegendre_n10": lambda model, x, target: xaicore.get_analyzer(
        "ig(n_steps=10)", baseline=[0.1, None]
    ).explain(two_inputs(model), [x[:, :5], x[:, 5:]], target),
}


def rows(golden, peer, network):
    with np.load(golden / "results" / peer / f"{network}.npz") as recorded:
        return dict(recorded)


def paths(recorded):
    """Return the rows of a recording that are integrated gradients: their names, without further arrays."""
    return sorted(key for key in recorded if "#" not in key and re.match(r"ig_|layer_?ig_", key))


def agree(found, recorded, key, *, scale, tolerance):
    """Compare attributions sample by sample, relative to the largest entry, and deltas to the sum."""
    parts = [recorded[name] for name in (key, f"{key}#attr1") if name in recorded]
    deltas = recorded.get(f"{key}#deltas")
    for ours, theirs in zip(found.arrays, parts, strict=True):
        axes = tuple(range(1, theirs.ndim))
        assert np.max(np.abs(ours - theirs / scale).max(axes) / np.abs(ours).max(axes)) < tolerance, key
    if deltas is not None and scale == 1:
        size = sum(np.abs(a).reshape(len(a), -1).sum(1) for a in found.arrays)
        change = np.maximum(size, np.abs(found.scores))  # of float32 scores, which may be larger than their change
        assert (np.abs(found.residual - deltas) < tolerance * change).all(), key


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("peer", ["captum_f64", "alibi"])
def test_every_row_is_compared_or_has_its_reason(golden, golden_model, peer, network):
    model, x, _, target = golden_model(network)
    tolerance = FLOAT32
    if peer == "captum_f64":
        model, x, tolerance = float64_twin(model), x.astype(np.float64), FLOAT32_WEIGHTS
    recorded = rows(golden, peer, network)
    compared = 0
    for key in paths(recorded):
        if key in OTHERS:
            agree(OTHERS[key](model, x, target), recorded, key, scale=1.0, tolerance=tolerance)
            compared += 1
            continue
        row = asked(network, key)
        if not row.reason:
            found = xaicore.explain(row.expression, model, x, target)
            agree(found, recorded, key, scale=row.scale, tolerance=tolerance)
            compared += 1
    assert compared >= 18


def test_alibi_has_no_rows_of_another_kind(golden):
    for network in NETWORKS:
        recorded = rows(golden, "alibi", network)
        assert paths(recorded) == sorted(key for key in recorded if "#" not in key)
