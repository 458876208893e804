"""Rules that act nowhere, and parameters that contradict each other: each its own error, never another map."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import xaicore
from xaicore.errors import (
    ConflictingParameters,
    LayerIndex,
    RuleCount,
    RuleNeverMet,
    RuleTaken,
    SiteNeverMet,
    UnsupportedOperation,
)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Return a network that starts with a normalization, so that no kernel layer is the first."""
    x = keras.Input((6,))
    y = layers.Dense(5, activation="relu", name="hidden")(layers.BatchNormalization(name="norm")(x))
    return keras.Model(x, layers.Dense(3, name="head")(y))


@pytest.mark.parametrize("name", ["lrp.sign", "lrp.gate", "lrp.sample_norm", "lrp.proportional", "lrp.bilinear"])
def test_a_rule_alone_has_to_act(name: str, model: keras.Model) -> None:
    """Its surroundings would be the z rule: another method under its name."""
    with pytest.raises(RuleNeverMet):
        xaicore.get_analyzer(name).plan(model)


@pytest.mark.parametrize(
    "name", ["lrp.epsilon", "lrp.composite", "lrp.epsilon_plus", "lrp.z(on_unsupported='gradient')"]
)
def test_a_model_without_affine_operations_is_refused(name: str) -> None:
    x = keras.Input((6,))
    with pytest.raises(RuleNeverMet, match="affine"):
        xaicore.get_analyzer(name).plan(keras.Model(x, layers.ReLU()(x)))


def test_no_rule_is_brought_in_for_layers_that_the_user_named_none_for(model: keras.Model) -> None:
    with pytest.raises(UnsupportedOperation, match="hidden"):
        xaicore.get_analyzer("lrp.composite", rule={"head": "lrp.z", "norm": "lrp.pass"}).plan(model)


@pytest.mark.parametrize(
    ("fields", "error", "told"),
    [
        ({"rule": {"hiden": "lrp.z", "affine": "lrp.z"}}, SiteNeverMet, "hiden"),
        ({"rule": {"conv": "lrp.z", "affine": "lrp.z"}}, RuleNeverMet, "conv"),
        ({"rule": [("affine", "lrp.z"), ("dense", "lrp.flat")]}, RuleTaken, "affine"),
        ({"rule": {"hidden": "lrp.sign", "affine": "lrp.z"}}, RuleNeverMet, "can act on none"),
        ({"rule": ["lrp.z"]}, RuleCount, "2 kernel layers"),
        ({"until_index": 2, "until_rule": "lrp.flat"}, LayerIndex, "until_index=2"),
    ],
)
def test_a_rule_that_acts_nowhere_is_an_error_of_its_own(
    fields: dict[str, object], error: type[Exception], told: str, model: keras.Model
) -> None:
    with pytest.raises(error, match=told) as raised:
        xaicore.get_analyzer("lrp.composite", **fields).plan(model)
    assert raised.type is error


@pytest.mark.parametrize("more", [{"conv": "lrp.z"}, {"dense": "lrp.z"}, {"until_index": 0, "until_rule": "lrp.flat"}])
def test_a_list_and_rules_for_the_same_layers_conflict(more: dict[str, object]) -> None:
    with pytest.raises(ConflictingParameters, match=next(iter(more))):
        xaicore.get_analyzer("lrp.composite", rule=["lrp.z", "lrp.z"], **more)


def test_the_plan_of_a_preset_notes_its_rules_that_act_nowhere(model: keras.Model) -> None:
    plan = xaicore.get_analyzer("lrp.epsilon_plus_flat").plan(model)
    assert [note for note in plan.notes if "'first'" in note]
    assert str(plan).endswith(plan.notes[-1])
    assert not xaicore.get_analyzer("lrp.composite(dense=lrp.z)").plan(model).notes


def test_the_only_convolution_may_be_the_first_layer() -> None:
    """The input rule goes before that of convolutions, which is no mistake of who gave both."""
    one = keras.Sequential([layers.Input((4, 4, 1)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2)])
    plan = xaicore.get_analyzer("lrp.composite(input=lrp.flat, conv=lrp.zplus, rule=lrp.z)").plan(one)
    assert [row.rule for row in plan.rows if row.rule] == ["lrp.flat", "lrp.z"]
    assert [note for note in plan.notes if "'conv'" in note]
    none = keras.Sequential([layers.Input((4,)), layers.Dense(2)])
    with pytest.raises(RuleNeverMet, match="'conv'"):
        xaicore.get_analyzer("lrp.composite(conv=lrp.zplus)").plan(none)


@pytest.mark.parametrize("operations", [lambda x: x / 127.5 - 1.0, lambda x: (x - np.ones((4, 4, 1), "f")) * 2.0])
def test_preprocessing_written_as_operations_comes_before_the_first_layer(operations: object) -> None:
    """As the layer Rescaling does: relevance passes unchanged, and the input rule acts."""
    x = keras.Input((4, 4, 2))
    y = layers.Conv2D(3, 2, name="conv")(operations(x))  # type: ignore[operator]
    model = keras.Model(x, layers.Dense(2)(layers.Flatten()(y)))
    plan = xaicore.get_analyzer("lrp.composite(input=lrp.flat, rule=lrp.z)").plan(model)
    rules = {row.site: row.rule for row in plan.rows}
    assert rules["conv"] == "lrp.flat"
    assert [row.rule for row in plan.rows[:2]] == ["lrp.pass", "lrp.pass"]


def test_the_layer_behind_an_embedding_is_the_first() -> None:
    x = keras.Input((4,), dtype="int32")
    y = layers.Conv1D(3, 2, name="conv")(layers.Embedding(7, 5, name="embedding")(x))
    model = keras.Model(x, layers.Dense(2)(layers.Flatten()(y)))
    plan = xaicore.get_analyzer("lrp.composite(input=lrp.flat, rule=lrp.z, at='embedding')").plan(model)
    assert {row.site: row.rule for row in plan.rows}["conv"] == "lrp.flat"


def test_a_lambda_is_refused_for_what_it_is() -> None:
    x = keras.Input((4,))
    model = keras.Model(x, layers.Dense(2)(layers.Lambda(lambda t: t * t, name="own")(x)))
    with pytest.raises(UnsupportedOperation, match="a Lambda holds"):
        xaicore.get_analyzer("lrp.z").plan(model)
