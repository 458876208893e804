"""The names of family ``lrp`` that are rule maps: composites of papers and of older systems."""

from __future__ import annotations

from xaicore.declaration import Declaration

_COMPOSITE = "xaicore_lrp.composite:Composite"
# zennit's stabiliser, in every denominator of its rules but epsilon's.
_ZPLUS = "lrp.alpha1beta0(stabilizer=1e-6)"
_ALPHA2 = "lrp.alpha2beta1(stabilizer=1e-6)"
_FLAT = "lrp.flat(stabilizer=1e-6)"

# Sequential composites: Lapuschkin et al. 2017, with iNNvestigate's rule for batch normalization.
_A: dict[str, object] = {
    "conv": "lrp.alpha1beta0",
    "dense": "lrp.epsilon(epsilon=0.1)",
    "rule": "lrp.epsilon(epsilon=0.1)",
    "strict": False,
}
_B = {**_A, "conv": "lrp.alpha2beta1"}
_BN = {"bn": "lrp.alphabetax2m100"}
_SUM = "z+ on convolutions, epsilon on dense layers"


def _zennit(**fields: object) -> dict[str, object]:
    """Return the fields of one of zennit's composites: batch normalization passes relevance unless it was folded."""
    return {"dense": "lrp.epsilon(epsilon=1e-6)", "bn": "lrp.pass", "strict": False, **fields}


PRESETS: dict[str, Declaration] = {
    "lrp.composite": Declaration(
        "analyzer",
        _COMPOSITE,
        summary="One rule for the first layer, one for convolutions, one for dense layers, one for the rest.",
        cites=("lapuschkin2017", "kohlbrenner2020"),
        aliases=("lrp.lrp",),
    ),
    "lrp.deep_taylor": Declaration(
        "analyzer",
        _COMPOSITE,
        preset={"rule": "lrp.zplus", "input": "lrp.wsquare", "strict": False},
        summary="Deep Taylor decomposition for inputs without bounds: w^2 on the first layer, z+ on the others.",
        cites=("montavon2017",),
        aliases=("deep_taylor",),
    ),
    "lrp.deep_taylor_bounded": Declaration(
        "analyzer",
        _COMPOSITE,
        preset={"rule": "lrp.zplus", "input": "lrp.zbox", "strict": False},
        summary="Deep Taylor decomposition for inputs in a box: z^B on the first layer, z+ on the others.",
        cites=("montavon2017",),
        aliases=("deep_taylor.bounded",),
    ),
    "lrp.epsilon_alpha2beta1": Declaration(
        "analyzer",
        _COMPOSITE,
        preset=_zennit(conv=_ALPHA2),
        summary="alpha2beta1 on convolutions, epsilon on dense layers, as zennit's EpsilonAlpha2Beta1.",
        cites=("anders2021",),
    ),
    "lrp.epsilon_alpha2beta1_flat": Declaration(
        "analyzer",
        _COMPOSITE,
        preset=_zennit(conv=_ALPHA2, input=_FLAT),
        summary="alpha2beta1 on convolutions, epsilon on dense layers, flat on the first, as zennit's of that name.",
        cites=("anders2021",),
    ),
    "lrp.epsilon_gamma_box": Declaration(
        "analyzer",
        _COMPOSITE,
        preset=_zennit(
            conv="lrp.gamma(gamma=0.25, stabilizer=1e-6)",
            input="lrp.zbox(low=-3, high=3, stabilizer=1e-6)",
            input_where="conv",
        ),
        summary="gamma on convolutions, epsilon on dense layers, z^B on a first convolution: zennit's EpsilonGammaBox.",
        cites=("anders2021", "montavon2019"),
    ),
    "lrp.epsilon_plus": Declaration(
        "analyzer",
        _COMPOSITE,
        preset=_zennit(conv=_ZPLUS),
        summary=f"{_SUM}, as zennit's EpsilonPlus.",
        cites=("anders2021", "lapuschkin2017"),
    ),
    "lrp.epsilon_plus_flat": Declaration(
        "analyzer",
        _COMPOSITE,
        preset=_zennit(conv=_ZPLUS, input=_FLAT),
        summary=f"{_SUM}, flat on the first, as zennit's EpsilonPlusFlat.",
        cites=("anders2021", "lapuschkin2017"),
    ),
    "lrp.excitation_backprop": Declaration(
        "analyzer",
        _COMPOSITE,
        # zennit's map names neither normalization nor activations: they get their gradient.
        preset={"rule": (("norm", None), ("activation", None), ("affine", _ZPLUS)), "strict": False},
        summary="z+ on every layer with a kernel, the gradient of the others: zennit's ExcitationBackprop.",
        cites=("zhang2018", "anders2021"),
    ),
    "lrp.rule_until_index": Declaration(
        "analyzer",
        _COMPOSITE,
        preset={**_B, **_BN, "input": "lrp.flat", "until_index": 0, "until_rule": "lrp.flat"},
        summary="The sequential composite B with flat on the first layers, up to an index.",
        cites=("lapuschkin2017",),
        aliases=("lrp.sequential_preset_b_flat_until_idx",),
    ),
    "lrp.sequential_composite_a": Declaration(
        "analyzer",
        _COMPOSITE,
        preset={**_A, **_BN},
        summary="alpha1beta0 on convolutions, epsilon on dense layers.",
        cites=("lapuschkin2017",),
        aliases=("lrp.sequential_preset_a",),
    ),
    "lrp.sequential_composite_a_flat": Declaration(
        "analyzer",
        _COMPOSITE,
        preset={**_A, **_BN, "input": "lrp.flat"},
        summary="alpha1beta0 on convolutions, epsilon on dense layers, flat on the first.",
        cites=("lapuschkin2017",),
        aliases=("lrp.sequential_preset_a_flat",),
    ),
    "lrp.sequential_composite_b": Declaration(
        "analyzer",
        _COMPOSITE,
        preset={**_B, **_BN},
        summary="alpha2beta1 on convolutions, epsilon on dense layers.",
        cites=("lapuschkin2017",),
        aliases=("lrp.sequential_preset_b",),
    ),
    "lrp.sequential_composite_b_flat": Declaration(
        "analyzer",
        _COMPOSITE,
        preset={**_B, **_BN, "input": "lrp.flat"},
        summary="alpha2beta1 on convolutions, epsilon on dense layers, flat on the first.",
        cites=("lapuschkin2017",),
        aliases=("lrp.sequential_preset_b_flat",),
    ),
}
