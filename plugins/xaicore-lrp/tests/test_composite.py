"""Names of the family, and composites, on whole models."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import xaicore
from xaicore.errors import InvalidParameter
from xaicore_lrp.composite import Composite
from xaicore_lrp.rules import AlphaBeta, Epsilon
from xaicore_lrp.spread import Flat

# float64: sums of some hundred terms of size one.
ROUNDING = 1e-9


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Return convolutions, a residual add, pooling and dropout, without bias, in float64."""
    keras.utils.set_random_seed(1)
    d = {"dtype": "float64"}
    x = keras.Input((6, 6, 2), dtype="float64")
    y = layers.Rescaling(0.5, name="scale", **d)(x)
    y = layers.Conv2D(4, 3, padding="same", activation="relu", use_bias=False, name="conv1", **d)(y)
    z = layers.Conv2D(4, 3, padding="same", use_bias=False, name="conv2", **d)(y)
    y = layers.Add(name="add", **d)([y, layers.ReLU(name="relu", **d)(z)])
    y = layers.Dropout(0.5, name="drop", **d)(layers.AveragePooling2D(2, name="pool", **d)(y))
    y = layers.Flatten(name="flat", **d)(y)
    y = layers.Dense(5, activation="relu", use_bias=False, name="dense1", **d)(y)
    return keras.Model(x, layers.Dense(3, use_bias=False, name="dense2", **d)(y))


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    """Return four samples."""
    return np.random.default_rng(0).normal(size=(4, 6, 6, 2))


# Those that keep nothing back but at exact zeros.  Where nothing inhibits an output, alpha2beta1 passes 2 R on and has
# nothing to take R from: its sinks tell of that.
KEEP = (
    "composite",
    "deep_taylor",
    "deep_taylor_bounded",
    "epsilon",
    "flat",
    "gamma",
    "pass",
    "proportional",
    "wsquare",
)
KEEP += ("alpha1beta0", "alpha1beta0_ignore_bias", "z", "z_ignore_bias", "zbox", "zplus")


@pytest.mark.parametrize("name", [f"lrp.{name}" for name in KEEP])
def test_relevance_is_conserved_without_biases(name: str, model: keras.Model, x: np.ndarray) -> None:
    """Rules that drop nothing at zeros: the attributions sum to the score, and the residual says so."""
    analyzer = xaicore.get_analyzer(name)
    found = analyzer.explain(model, x, target=1, verbose=0)
    assert "conservation" in analyzer.claims
    total = found.attributions.sum(axis=(1, 2, 3))
    # The stabiliser of the epsilon rules (1e-7, 1e-6) keeps its part of relevance back.
    tolerance = 1e-3 if name in {"lrp.epsilon", "lrp.composite"} else ROUNDING
    np.testing.assert_allclose(total, found.scores, rtol=0, atol=tolerance * np.abs(found.scores).max())
    np.testing.assert_allclose(found.residual, total - found.scores, rtol=0, atol=1e-12)


def test_a_composite_gives_every_layer_its_rule(model: keras.Model) -> None:
    """The first layer goes before its kind; what no field names gets ``rule``."""
    composite = xaicore.get_analyzer("lrp.composite(input=lrp.flat, conv=lrp.alpha2beta1, dense=lrp.z)")
    planned = {row.site: row.rule for row in composite.plan(model).rows if row.action == "rule"}
    assert planned == {
        "scale": "lrp.pass",
        "conv1": "lrp.flat",
        "conv2": "lrp.alpha2beta1",
        "relu": "lrp.pass",
        "add": "lrp.proportional",
        "pool": "lrp.proportional",
        "dense1": "lrp.z",
        "dense2": "lrp.z",
    }


def test_a_composite_of_one_rule_is_that_rule(model: keras.Model, x: np.ndarray) -> None:
    """None for a field means ``rule``."""
    one = xaicore.get_analyzer("lrp.epsilon(epsilon=0.25)").explain(model, x, target=1, verbose=0)
    other = xaicore.get_analyzer("lrp.composite(rule=lrp.epsilon(epsilon=0.25))").explain(model, x, target=1, verbose=0)
    np.testing.assert_array_equal(one.attributions, other.attributions)


def test_names_are_equal_where_they_mean_the_same() -> None:
    """Presets, aliases and spelled-out parameters; the canonical text is the preset's."""
    get = xaicore.get_rule
    assert get("lrp.alpha2beta1") == get("lrp.alphabeta(alpha=2, beta=1)") == get("lrp.alpha_2_beta_1")
    assert get("lrp.alphabeta(beta=1)") == AlphaBeta(alpha=2)
    assert get("lrp.zplus") == get("lrp.alpha1beta0(bias=False)") == get("lrp.z_plus")
    assert get("lrp.z") == Epsilon(epsilon=None)
    assert xaicore.get_analyzer("lrp") == Composite()
    for text in ("lrp.alpha2beta1", "lrp.zplus", "lrp.z", "lrp.epsilon(epsilon=0.25)", "lrp.alphabeta(alpha=3.0)"):
        again = xaicore.get_analyzer(text)
        assert xaicore.get_analyzer(str(again)) == again
    assert str(xaicore.get_analyzer("lrp.alphabeta(alpha=2)")) == "lrp.alpha2beta1"
    composite = Composite(input=Flat(), conv=AlphaBeta(alpha=2))
    assert xaicore.get_analyzer(str(composite)) == composite


def test_alpha_beta_without_parameters_says_what_it_needs() -> None:
    """The published rule has no default."""
    with pytest.raises(InvalidParameter, match="at least one"):
        xaicore.get_analyzer("lrp.alphabeta")


@pytest.mark.parametrize(
    "rule",
    [
        ["lrp.flat", "lrp.gamma(gamma=0.75)", "lrp.z", "lrp.z"],
        [("conv", "lrp.gamma(gamma=0.75)"), (keras.layers.Dense, "lrp.z")],
        {"conv": "lrp.gamma(gamma=0.75)", keras.layers.Dense: "lrp.z"},
    ],
)
def test_rules_inside_containers_are_named_by_text(rule):
    """A list of names, pairs, and a mapping make what the same expression makes."""
    made = xaicore.get_analyzer("lrp.composite", rule=rule)
    assert xaicore.get_analyzer(str(made)) == made
    assert "gamma=0.75" in str(made)
    one = xaicore.get_rule("lrp.gamma(gamma=0.75)")
    assert one in made.rule or one in [pair[1] for pair in made.rule]


def test_an_unknown_rule_inside_a_mapping_is_named():
    with pytest.raises(xaicore.errors.XaicoreError, match=r"lrp\.gama"):
        xaicore.get_analyzer("lrp.composite", rule={"conv": "lrp.gama"})


def test_what_a_rule_refuses_is_said_without_what_keras_adds() -> None:
    """Bounds of another shape are met where the layer is called, inside of Keras."""
    x = keras.Input((6,))
    model = keras.Model(x, layers.Dense(3, name="only")(x))
    analyzer = xaicore.get_analyzer("lrp.composite", input=(np.zeros(4), np.ones(4)), rule="lrp.z")
    with pytest.raises(InvalidParameter) as raised:
        analyzer.explain(model, np.ones((2, 6), np.float32), target=1, verbose=0)
    assert str(raised.value).startswith("Given a bound of shape (4,)")
    assert "Exception encountered" not in str(raised.value)
