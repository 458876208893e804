"""Names of older systems, and laws of parameters that are checked where a rule is made."""

from __future__ import annotations

import pytest

import xaicore
from xaicore.errors import InvalidParameter, UnknownName

# iNNvestigate's and SignXAI's names of methods that are here too -> our name.
NAMES = {
    "deep_taylor": "lrp.deep_taylor",
    "deep_taylor.bounded": "lrp.deep_taylor_bounded",
    "deconvnet": "gradient.deconvnet",
    "gradient": "gradient.gradient",
    "guided_backprop": "gradient.guided_backprop",
    "input_t_gradient": "gradient.input_times_gradient",
    "lrp.alpha_1_beta_0": "lrp.alpha1beta0",
    "lrp.alpha_1_beta_0_IB": "lrp.alpha1beta0_ignore_bias",
    "lrp.alpha_2_beta_1": "lrp.alpha2beta1",
    "lrp.alpha_2_beta_1_IB": "lrp.alpha2beta1_ignore_bias",
    "lrp.alpha_beta(alpha=2)": "lrp.alphabeta(alpha=2)",
    "lrp.epsilon_IB": "lrp.epsilon_ignore_bias",
    "lrp.rule_until_index": "lrp.rule_until_index",
    "lrp.sequential_composite_a": "lrp.sequential_composite_a",
    "lrp.sequential_preset_a": "lrp.sequential_composite_a",
    "lrp.sequential_preset_b_flat": "lrp.sequential_composite_b_flat",
    "lrp.sequential_preset_b_flat_until_idx": "lrp.rule_until_index",
    "lrp.stdxepsilon": "lrp.stdx_epsilon",
    "lrp.w_square": "lrp.wsquare",
    "lrp.z_IB": "lrp.z_ignore_bias",
    "lrp.z_plus": "lrp.zplus",
    "lrp.z_plus_fast": "lrp.zplus_fast",
    "pattern.attribution": "lrp.pattern_attribution",
    "pattern.net": "lrp.pattern_net",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_an_older_system_is_ours(name: str) -> None:
    assert xaicore.get_analyzer(name) == xaicore.get_analyzer(NAMES[name])


@pytest.mark.parametrize("name", ["input", "random", "gradient.baseline", "integrated_gradients", "smoothgrad"])
def test_other_names_of_older_systems_are_known(name: str) -> None:
    xaicore.get_analyzer(name)


@pytest.mark.parametrize(
    "name", ["Z", "Flat", "WSquare", "Bounded", "Alpha1Beta0IgnoreBias", "SIGN", "EpsilonIgnoreBias"]
)
def test_a_rule_in_its_older_spelling_is_named_behind_its_family(name: str) -> None:
    rule = xaicore.get_rule(f"lrp.{name}")
    assert xaicore.get_analyzer("lrp.lrp", rule=f"lrp.{name}").rule == rule


def test_capitals_are_taken_only_where_an_alias_has_them() -> None:
    with pytest.raises(UnknownName):
        xaicore.get_analyzer("lrp.Z_ib")


@pytest.mark.parametrize(
    "text", ["lrp.epsilon(epsilon=0)", "lrp.epsilon(epsilon=-1)", "lrp.epsilon_ignore_bias(epsilon=0)"]
)
def test_epsilon_is_positive(text: str) -> None:
    """Without it the rule is another one, which has a name: lrp.z."""
    with pytest.raises(InvalidParameter, match="epsilon"):
        xaicore.get_rule(text)


def test_the_default_of_gamma_is_a_half() -> None:
    assert xaicore.get_rule("lrp.gamma") == xaicore.get_rule("lrp.gamma(gamma=0.5)")
