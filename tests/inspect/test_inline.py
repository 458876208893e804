"""Layers made of layers as the operations that they consist of: live, without effects, always named the same."""

from __future__ import annotations

import threading
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import xaicore
from xaicore.errors import NoGraph
from xaicore.inspect import graph
from xaicore.inspect.read import read_graph
from xaicore.testing.models import randomise

X = np.random.default_rng(0).normal(size=(2, 6, 5)).astype(np.float32)
EXPLAINED = ("gradient", "lrp.epsilon(on_unsupported='gradient')", "ig(n_steps=4)")


def close(found: object, expected: object) -> None:
    """Compare to float32 rounding through some ten operations."""
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


# ------------------------------------------------------------------------------------------------ weights that change


class Places(layers.Layer):
    """As Keras's PatchEncoder: an embedding of constants, added."""

    def __init__(self, **more: object) -> None:
        super().__init__(**more)
        self.project, self.places = layers.Dense(4, name="project"), layers.Embedding(6, 4, name="places")

    def call(self, x: object) -> object:
        return self.places(ops.arange(6)) + self.project(x)


class Gain(layers.Layer):
    """A function of a variable alone."""

    def __init__(self, **more: object) -> None:
        super().__init__(**more)
        self.project = layers.Dense(4, name="project")
        self.gain = self.add_weight(shape=(4,), initializer="zeros", name="gain")

    def call(self, x: object) -> object:
        return self.project(x) * ops.exp(self.gain)


class Token(layers.Layer):
    """A variable that enters an operation as it is, and one in a list, whose value is read."""

    def __init__(self, **more: object) -> None:
        super().__init__(**more)
        self.project = layers.Dense(4, name="project")
        self.shift = self.add_weight(shape=(4,), name="shift")
        self.listed = [self.add_weight(shape=(4,), name="listed")]

    def call(self, x: object) -> object:
        return self.project(x) + self.shift + ops.sin(self.listed[0])


class Inner(layers.Layer):
    """A model inside that is called on constants."""

    def __init__(self, **more: object) -> None:
        super().__init__(**more)
        self.project = layers.Dense(4, name="project")
        given = keras.Input((3,))
        self.inside = keras.Model(given, layers.Dense(4, name="deep")(given), name="inside")

    def call(self, x: object) -> object:
        return self.project(x) + self.inside(ops.ones((1, 3)))


def with_block(block: layers.Layer) -> keras.Model:
    """Return a model around a block, (6, 5) -> 2."""
    x = keras.Input((6, 5), name="x")
    y = layers.GlobalAveragePooling1D(name="pool")(block(x))
    return randomise(keras.Model(x, layers.Dense(2, name="head")(y), name="around"))


@pytest.mark.parametrize("block", [Places, Gain, Token, Inner])
def test_every_variable_counts_after_it_has_changed(block: type[layers.Layer]) -> None:
    """In explanations and in models that were made of the model."""
    model = with_block(block(name="block"))
    analyzers = [xaicore.get_analyzer(text) for text in EXPLAINED]
    for analyzer in analyzers:
        analyzer.explain(model, X, 1, verbose=0)
    exposed = graph.expose(model, "pool")
    assert {id(v) for v in exposed.weights} == {id(v) for v in model.weights}

    for variable in model.weights:
        variable.assign_add(tf.ones(variable.shape))
        expected = model(X)[:, 1]
        for analyzer in analyzers:
            close(analyzer.explain(model, X, 1, verbose=0).scores, expected)
        close(exposed(X)[0][:, 1], expected)


@pytest.mark.parametrize("block", [Places, Gain])
def test_a_model_with_parts_that_have_no_input_is_saved(block: type[layers.Layer], tmp_path: object) -> None:
    exposed = graph.expose(with_block(block(name="block")), "pool")
    exposed.save(tmp_path / "exposed.keras")
    again = keras.saving.load_model(tmp_path / "exposed.keras")
    for a, b in zip(again(X), exposed(X), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_sum_keeps_its_rule_and_what_does_not_depend_on_the_input_needs_none() -> None:
    rows = {row.site: row for row in xaicore.get_analyzer("lrp.epsilon").plan(with_block(Places(name="block"))).rows}
    assert list(rows) == ["block/places", "block/project", "block/add", "pool", "head"]
    assert rows["block/add"].action == rows["block/project"].action == "rule"
    assert (rows["block/places"].action, rows["block/places"].why) == ("gradient", "does not depend on the input")


def test_copies_at_an_inner_site_do_not_repeat_what_has_no_samples() -> None:
    """Noise of zero: the mean over copies is the gradient, at a site beside an embedding of 6 places."""
    model = with_block(Places(name="block"))
    found = xaicore.get_analyzer("smoothgrad(gradient, n=3, noise=0.0, at='block/project')").explain(
        model, X, 1, verbose=0
    )
    head = model.get_layer("head").kernel.numpy()[:, 1]
    close(found.attributions, np.broadcast_to(head / 6, (2, 6, 4)))  # the mean over 6 places, then the head


@pytest.mark.parametrize("rule", ["lrp.epsilon(epsilon=1e-12)", "lrp.z"])
def test_relevance_of_a_sum_with_a_constant_before_the_input(rule: str) -> None:
    """R_i = h_i w_i, whichever side the constant is on."""
    x = keras.Input((4,))
    constant = np.array([1.0, -2.0, 3.0, 0.5], np.float32)
    hidden = layers.Dense(4, name="hidden")
    model = randomise(keras.Model(x, layers.Dense(2, name="head")(ops.add(constant, hidden(x)))))
    data = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    found = xaicore.get_analyzer(rule, at="hidden").explain(model, data, 1, verbose=0)
    close(found.attributions, hidden(data) * model.get_layer("head").kernel.numpy()[:, 1])


# ------------------------------------------------------------------------------------------------------------- effects


class Counting(layers.Layer):
    """A call that counts, draws random numbers and adds losses."""

    def __init__(self, **more: object) -> None:
        super().__init__(**more)
        self.inside = layers.Dense(4, activity_regularizer="l2", name="inside")
        self.seed = keras.random.SeedGenerator(3)
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")
        self.calls = 0

    def call(self, x: object) -> object:
        self.calls += 1
        self.count.assign_add(1.0)
        y = self.inside(x)
        self.add_loss(ops.sum(y))
        return y + keras.random.normal((4,), seed=self.seed)


LOOKS: dict[str, Callable[[keras.Model], object]] = {
    "execution_graph": graph.execution_graph,
    "expose": lambda model: graph.expose(model, "pool"),
    "without_softmax": lambda model: graph.model_without_softmax(model, should_find_softmax=False),
    "replay": lambda model: graph.replay(model, X),
    "plan": lambda model: xaicore.get_analyzer("gradient").plan(model),
    "explain": lambda model: xaicore.get_analyzer("gradient").explain(model, X, 1, verbose=0),
    "pre_softmax": lambda model: graph.pre_softmax_tensors(model.outputs, should_find_softmax=False),
    "neuronwise": lambda model: graph.neuronwise_io(model.get_layer("head")),
}


@pytest.mark.parametrize("look", LOOKS)
def test_looking_at_a_model_has_no_effect(look: str) -> None:
    model = with_block(Counting(name="block"))
    model(X)
    before = [v.numpy() for v in model.variables], [float(x) for x in model.losses]
    assert len(before[1]) == 2

    LOOKS[look](model)

    for a, b in zip((v.numpy() for v in model.variables), before[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert [float(x) for x in model.losses] == before[1]


# --------------------------------------------------------------------------------------------------------------- names


class Residual(keras.Model):
    """Operations and a layer that are made in the call, and a layer with the name that the second would get."""

    def __init__(self, **more: object) -> None:
        super().__init__(**more)
        self.a, self.b = layers.Dense(5, name="a"), layers.Dense(2, name="add_1", activation="softmax")

    def call(self, x: object) -> object:
        h = layers.Add()([x + self.a(x), x])
        return self.b(h + 1.0)


def built(model: keras.Model, *shape: int) -> keras.Model:
    """Return a subclassed model that has been called."""
    model(np.zeros((1, *shape), np.float32))
    return randomise(model)


def test_sites_and_fingerprints_are_the_same_every_time() -> None:
    model = built(Residual(), 5)
    sites = [str(site) for site in read_graph(model).sites]
    assert sites == ["a", "add", "add_2", "add_3", "add_1"]
    assert [str(site) for site in read_graph(model).sites] == sites
    prints = {xaicore.get_analyzer(text).bind(model).fingerprint for text in ("gradient", "ig", "lrp.z")}
    assert len(prints) == 1
    x = X[:, 0]
    at = [row.site for row in xaicore.get_analyzer("gradient").plan(model).rows][1]
    assert xaicore.get_analyzer("gradient", at=at).explain(model, x, 1, verbose=0).attributions.shape == (2, 5)


class SameNames(keras.Model):
    """Two layers of one name."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = layers.Dense(5, name="same"), layers.Dense(2, name="same", activation="softmax")

    def call(self, x: object) -> object:
        return self.b(self.a(x))


def test_layers_of_one_name_are_no_reason_to_run_a_model_whole() -> None:
    model = built(SameNames(), 5)
    x = X[:, 0]
    assert [str(site) for site in read_graph(model).sites] == ["same", "same[1]"]
    logits = (x @ model.a.kernel.numpy() + model.a.bias.numpy()) @ model.b.kernel.numpy() + model.b.bias.numpy()
    close(xaicore.get_analyzer("gradient").explain(model, x, 1, verbose=0).scores, logits[:, 1])


# --------------------------------------------------------------------------------------------------- calls of their own


class Twice(layers.SeparableConv2D):
    """A separable convolution that does something else."""

    def call(self, x: object) -> object:
        return super().call(x) * 2.0


def test_a_separable_convolution_with_a_call_of_its_own_is_not_replaced() -> None:
    x = keras.Input((6, 6, 2))
    model = randomise(keras.Model(x, layers.Flatten(name="flat")(Twice(3, 2, name="twice")(x))))
    data = np.random.default_rng(0).normal(size=(2, 6, 6, 2)).astype(np.float32)
    np.testing.assert_array_equal(graph.replay(model, data), model(data))
    assert [str(site) for site in read_graph(model).sites] == ["twice", "flat"]
    close(xaicore.get_analyzer("gradient").explain(model, data, 1, verbose=0).scores, model(data)[:, 1])


def test_a_separable_convolution_called_by_keyword() -> None:
    x = keras.Input((6, 6, 2), name="x")
    model = randomise(keras.Model(x, layers.SeparableConv2D(3, 2, name="sep")(inputs=x)))
    assert [str(site) for site in read_graph(model).sites] == ["sep/depthwise", "sep/pointwise"]


class Around(keras.Model):
    """A Functional model with a call around its graph."""

    def call(self, x: object) -> object:
        return super().call(x) * 2.0


class Extended(keras.Sequential):
    """A Sequential model likewise."""

    def call(self, x: object, training: bool | None = None) -> object:
        return super().call(x, training=training) - 1.0


def functional(cls: type) -> keras.Model:
    """Return a Functional or Sequential model of a class."""
    x = keras.Input((5,), name="x")
    hidden = layers.Dense(3, activation="relu", name="hidden")
    made = Extended([x, hidden]) if cls is Extended else Around(x, hidden(x))
    return randomise(made)


@pytest.mark.parametrize("cls", [Around, Extended])
def test_a_graph_with_a_call_of_its_own_around_it(cls: type) -> None:
    model, x = functional(cls), X[:, 0]
    nodes = [len(layer._inbound_nodes) for layer in graph.model_layers(model)]
    np.testing.assert_array_equal(graph.replay(model, x), model(x))
    for text in EXPLAINED:
        close(xaicore.get_analyzer(text).explain(model, x, 1, verbose=0).scores, model(x)[:, 1])
    sites = [str(site) for site in read_graph(model).sites]
    assert sites == ["convert_to_tensor", "hidden", "multiply" if cls is Around else "subtract"]
    assert [len(layer._inbound_nodes) for layer in graph.model_layers(model)] == nodes


# ------------------------------------------------------------------------------------------------------ what is refused


class Branching(keras.Model):
    """A layer inside that refuses symbolic tensors."""

    def __init__(self, **more: object) -> None:
        super().__init__(**more)
        self.choose = Choice(name="choose")
        self.head = layers.Dense(2, name="head")

    def call(self, x: object) -> object:
        return self.head(tf.concat([self.choose(x)], -1))


class Choice(layers.Layer):
    """Does not tell the shape of what it returns."""

    def call(self, x: object) -> object:
        return x

    def compute_output_shape(self, shape: object) -> object:
        raise LookupError(f"No shape for {shape}")


def test_why_a_model_has_no_graph_is_told() -> None:
    """The layer, the kind of the error and its text; in the plan too."""
    model = built(Branching(name="branching"), 5)
    with pytest.raises(NoGraph, match=r"'choose' refuses symbolic tensors: LookupError: .*No shape for"):
        graph.execution_graph(model)
    (row,) = [r for r in xaicore.get_analyzer("gradient").plan(model).rows if r.site == "branching"]
    assert "LookupError" in row.why


# -------------------------------------------------------------------------------------------------------------- threads


def test_another_thread_builds_models_of_the_same_layers_meanwhile() -> None:
    model = built(Residual(), 5)
    errors: list[BaseException] = []
    stop = threading.Event()

    def look() -> None:
        try:
            while not stop.is_set():
                read_graph(model)
        except BaseException as error:  # noqa: BLE001  # told by the test
            errors.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(60):
            x = keras.Input((5,))
            y = model.a(x)
            history = y._keras_history
            assert history.operation._inbound_nodes[history.node_index].outputs[0] is y
            keras.Model(x, y)
    finally:
        stop.set()
        thread.join()
    assert not errors
    assert len(model.a._inbound_nodes) == 60
