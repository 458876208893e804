"""Facts that rules and conditions stand on, on a model where each of them is easy to read off."""

from __future__ import annotations

import keras
import pytest
from keras import layers

from networks import nested_and_flat
from xaicore.inspect.conditions import matches
from xaicore.inspect.facts import Facts, facts_of
from xaicore.inspect.kinds import is_relu
from xaicore.inspect.nodes import Site
from xaicore.inspect.read import read_graph


@pytest.fixture(scope="module")
def facts() -> dict[str, Facts]:
    x = keras.Input((8, 8, 3))
    y = layers.ZeroPadding2D(name="pad")(layers.Rescaling(1 / 255, name="scale")(x))
    a = layers.Conv2D(4, 3, activation="relu", name="first_a")(y)
    b = layers.Conv2D(4, 3, activation="tanh", name="first_b")(y)
    c = layers.Conv2D(4, 1, name="second")(layers.MaxPooling2D(1, name="pool")(a))
    d = layers.Add(name="sum")([a, layers.ReLU(name="relu")(c)])
    e = layers.Concatenate(name="join")([d, b])
    z = layers.Dense(3, name="last")(layers.Flatten(name="flat")(e))
    graph = read_graph(keras.Model(x, layers.Reshape((3,), name="shape")(z)))
    return {str(site): found for site, found in facts_of(graph).items()}


def test_first_is_reached_through_padding_and_rescaling_only(facts: dict[str, Facts]) -> None:
    assert {name for name, f in facts.items() if f.first} == {"first_a", "first_b"}


def test_last_reaches_the_output_through_reshaping_only(facts: dict[str, Facts]) -> None:
    assert {name for name, f in facts.items() if f.last} == {"last", "shape"}


def test_signs_are_followed_from_relu_through_pooling_and_sums(facts: dict[str, Facts]) -> None:
    expected = {"second": (True,), "sum": (True, True), "join": (True, False), "last": (False,), "first_a": (False,)}

    assert {name: facts[name].nonnegative for name in expected} == expected


def test_a_sum_with_a_negative_constant_is_not_known_to_be_nonnegative() -> None:
    x = keras.Input((4,))
    y = keras.ops.add(layers.Dense(3, activation="relu")(x), -1.0)
    graph = read_graph(keras.Model(x, layers.Dense(2, name="after")(y)))

    (after,) = [f for site, f in facts_of(graph).items() if str(site) == "after"]

    assert after.nonnegative == (False,)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("conv", True),
        ("dense", False),
        ("affine and relu", True),
        ("not first", False),
        ("dense or first", True),
        ("block*/conv1", True),
        ("block2/conv1[1]", True),
        ("block2/conv1", True),
        ("conv1", False),
        ("any", True),
    ],
)
def test_conditions(condition: str, expected: bool) -> None:
    site, found = Site("block2/conv1", 1), Facts("conv", affine=True, relu=True, first=True)

    assert matches(condition, site, found) is expected


def test_relu_is_told_by_identity_and_by_instance() -> None:
    """``activation=ReLU()`` has no name; leaky and shifted ones are none."""
    assert is_relu(layers.ReLU())
    assert is_relu(keras.activations.relu)
    assert not is_relu(layers.ReLU(negative_slope=0.1))
    assert not is_relu(keras.activations.elu)


def test_the_part_around_a_cut_is_the_frontier() -> None:
    graph = read_graph(nested_and_flat()[0])
    node = graph.node("backbone/branch")

    around = graph.frontier(node.outputs)

    conv = graph.node("backbone/conv").outputs[0]
    assert conv in around
    assert len(around) == 2  # the skip connection, and the other tower
