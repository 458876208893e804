"""Conditions: their grammar, their algebra, and what they meet in a graph."""

from __future__ import annotations

import functools

import keras
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

import xaicore
from xaicore.backward import Backward
from xaicore.errors import InvalidCondition, RuleNeverMet
from xaicore.inspect.conditions import All, At, Before, Is, Not, OfClass, Some, Until, matches, parse
from xaicore.inspect.facts import facts_of
from xaicore.inspect.read import read_graph

ODD = ["or", "not", "before", "dense", "a b", "f(x)", 'say "so"', "it's", "back\\slash", "class(Dense)", "line\nbreak"]
WORDS = st.one_of(
    st.sampled_from(["conv", "dense", "first", "last", "any", "pool", "contains_kernel"]).map(Is),
    st.sampled_from(["block*/conv1", "tower/shared[1]", "x", *ODD]).map(At),
    st.text(min_size=1, max_size=5).filter(str.strip).map(At),
    st.sampled_from(["Conv2D", "Layer"]).map(OfClass),
    st.integers(0, 9).map(Until),
)


def _several(children):
    return st.lists(children, min_size=2, max_size=3).map(tuple)


CONDITIONS = st.recursive(
    WORDS,
    lambda inner: st.one_of(
        inner.map(Not),
        inner.map(Before),
        _several(inner).map(All),
        _several(inner).map(Some),
    ),
    max_leaves=8,
)


def network():
    x = keras.Input((8, 8, 3))
    y = layers.ZeroPadding2D(name="pad")(x)
    y = layers.Conv2D(4, 3, name="conv1", activation="relu")(y)
    y = layers.BatchNormalization(name="norm")(y)
    y = layers.MaxPooling2D(name="pool")(y)
    y = layers.DepthwiseConv2D(2, name="conv2")(y)
    y = layers.Flatten(name="flat")(y)
    y = layers.Dense(5, name="hidden", activation="relu")(y)
    y = layers.Dense(3, name="head")(y)
    return keras.Model(x, layers.Softmax(name="probability")(layers.Reshape((3,), name="same")(y)))


@functools.cache
def known():
    return dict(facts_of(read_graph(network(), {})))


def met(condition, model=None):
    graph = read_graph(model or network(), {})
    return [str(node.site) for node in graph.nodes if matches(condition, node.site, facts_of(graph)[node.site])]


@pytest.mark.parametrize(
    ("condition", "sites"),
    [
        ("first", ["conv1"]),
        ("contains_kernel", ["conv1", "conv2", "hidden", "head"]),
        ("norm or dense", ["norm", "hidden", "head"]),
        ("pool", ["pool"]),
        ("class(Conv2D)", ["conv1"]),
        ("class('BaseDepthwiseConv')", ["conv2"]),
        ("until(0)", ["pad", "conv1", "norm", "pool"]),
        ("until(1) and contains_kernel", ["conv1", "conv2"]),
        ("contains_kernel and not until(1)", ["hidden", "head"]),
        ("before(softmax)", ["head", "same"]),
        ("before(activation)", ["conv1", "hidden"]),
        ("before(hidden)", ["conv2", "flat"]),
        ("before(dense) and dense", ["hidden"]),
        ("before('softmax')", ["head", "same"]),
        ("before(dense or softmax) and dense", ["hidden", "head"]),
        ("before(not conv) and conv", ["conv1", "conv2"]),
        ("before(class(Dense) and not site(head))", ["conv2", "flat"]),
        ('site("conv1")', ["conv1"]),
        ("conv and (first or before(dense))", ["conv1", "conv2"]),
        ("not (conv or dense or norm)", ["pad", "pool", "flat", "same", "probability"]),
        ("conv?", ["conv1", "conv2"]),
        ("any and not any", []),
    ],
)
def test_what_a_condition_meets(condition, sites):
    assert met(condition) == sites


def test_a_softmax_inside_of_the_layer_counts_too():
    fused = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="a"), layers.Dense(2, "softmax", name="b")])
    assert met("before(softmax)", fused) == ["b"]


def test_before_softmax_is_met_where_the_logit_is_explained():
    """The head is stripped from what is explained, and still a fact about the model."""
    rules = (("before(softmax) and dense", xaicore.get_rule("lrp.z")), ("affine", xaicore.get_rule("lrp.epsilon")))
    plan = Backward(rules=rules).plan(network())
    assert {row.site: row.rule for row in plan.rows if row.action == "rule"}["head"] == "lrp.z"


@given(CONDITIONS)
def test_text_comes_back_as_an_equal_value(condition):
    assert parse(str(condition)) == condition


@given(CONDITIONS, CONDITIONS)
def test_operators_are_the_words(a, b):
    for one in known().items():
        assert (a & b)(*one) == (a(*one) and b(*one))
        assert (a | b)(*one) == (a(*one) or b(*one))
        assert (~a)(*one) == (not a(*one))


@pytest.mark.parametrize(
    "text",
    [
        *("", "  ", "and", "conv and", "(conv", "conv)", "conv dense", "until(x)", "until(-1)", "class()", "not", "()"),
        *("before", "before()", "before softmax", "class(a b)", 'site("', "site()", "(" * 5000),
    ],
)
def test_garbage_is_refused(text):
    with pytest.raises(InvalidCondition, match="Expected words joined by"):
        parse(text)


@given(st.text(max_size=30))
def test_any_text_parses_or_raises_our_error(text):
    try:
        condition = parse(text)
    except InvalidCondition:
        return
    assert parse(str(condition)) == condition


def test_a_rule_map_refuses_garbage_when_it_is_made_and_takes_values():
    rule = xaicore.get_rule("lrp.z")
    with pytest.raises(InvalidCondition):
        Backward(rules=(("conv and", rule),))
    by_value, by_text = Backward(rules=((Is("conv") | Is("first"), rule),)), Backward(rules=(("conv or first", rule),))
    assert by_value == by_text


def test_an_index_beyond_the_layers_and_a_pattern_that_meets_nothing():
    rule = xaicore.get_rule("lrp.z")
    with pytest.raises(RuleNeverMet, match="nowhere"):
        Backward(rules=(("nowhere*", rule), ("any", None))).plan(network())


def test_a_layer_with_the_name_of_a_kind_is_named_by_site() -> None:
    x = keras.Input((3,))
    y = layers.Dense(2, name="other_layer")(layers.Dense(3, name="dense")(x))
    facts = facts_of(read_graph(keras.Model(x, y)))

    assert [str(s) for s, f in facts.items() if matches("dense", s, f)] == ["dense", "other_layer"]
    assert [str(s) for s, f in facts.items() if matches("site(dense)", s, f)] == ["dense"]
    assert str(parse("site(dense)")) == "site(dense)"
    assert str(parse("site(other_layer)")) == "other_layer"


def test_values_take_what_they_mean_and_refuse_the_rest() -> None:
    assert Before("softmax") == Before(Is("softmax"))
    assert OfClass(layers.Dense) == OfClass("Dense")
    assert Not("conv or dense") == Not(Some((Is("conv"), Is("dense"))))
    assert All((All((Is("conv"), Is("first"))), Is("last"))) == All((Is("conv"), Is("first"), Is("last")))
    for make in (
        lambda: Is("convv"),
        lambda: At(""),
        lambda: OfClass("A'B"),
        lambda: OfClass(3),
        lambda: Until(-1),
        lambda: Until("2"),
        lambda: Not(3),
        lambda: All((Is("conv"),)),
        lambda: Some(()),
    ):
        with pytest.raises(InvalidCondition, match=r"Given .* expected"):
            make()


def test_a_value_is_met_as_its_text_is() -> None:
    assert met(Before("softmax")) == met("before(softmax)") == ["head", "same"]
    assert met(OfClass(layers.Dense)) == ["hidden", "head"]


def test_add_is_every_sum_and_its_class_the_layer_alone() -> None:
    x = keras.Input((4,))
    y = layers.Add(name="a")([x, layers.Subtract(name="s")([x, layers.Average(name="m")([x, x])])])
    model = keras.Model(x, y)
    assert met("add", model) == ["m", "s", "a"]
    assert met("class(Add)", model) == ["a"]
