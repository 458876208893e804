"""Models made from models compute what they should, and leave the first as it was."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from networks import Symbolic, nested_and_flat, small_cnn, subclassed_and_flat
from xaicore.errors import InvalidArgument, NoActivation, NoGraph, UnknownLayer
from xaicore.inspect import graph
from xaicore.testing.models import convolutional, inputs_of, randomise, two_towers


def state(model: keras.Model) -> list[object]:
    """Return what must not change: weights, configurations, and the nodes of every layer."""
    every = [model, *graph.model_layers(model)]
    nodes = [(id(x), [id(n) for n in x._inbound_nodes], [id(n) for n in x._outbound_nodes]) for x in every]
    outputs = [id(x.output) for x in every if x._inbound_nodes and len(x._inbound_nodes) == 1]
    return [nodes, outputs, [x.get_config() for x in every[1:]], [w.tobytes() for w in model.get_weights()]]


def softmax_heads(kind: str) -> keras.Model:
    """Return one network with its softmax as an argument, a layer, an operation, nested, or under a reshape."""
    x = keras.Input((4,), name="x")
    hidden = layers.Dense(6, activation="relu", name="hidden")(x)
    if kind == "argument":
        y = layers.Dense(3, activation="softmax", name="head")(hidden)
    else:
        logits = layers.Dense(3, name="head")(hidden)
        y = {
            "layer": layers.Softmax(name="softmax"),
            "activation": layers.Activation("softmax", name="softmax"),
            "operation": keras.ops.softmax,
            "nested": keras.Sequential([keras.Input((3,)), layers.Softmax(name="inside")], name="nested"),
            "reshaped": keras.Sequential([keras.Input((3,)), layers.Softmax(), layers.Reshape((3, 1))]),
        }[kind](logits)
    return randomise(keras.Model(x, y, name="classifier"))


KINDS = ["argument", "layer", "activation", "operation", "nested", "reshaped"]


@pytest.mark.parametrize("kind", KINDS)
def test_logits_of_every_way_to_write_a_softmax(kind: str) -> None:
    model = softmax_heads(kind)
    before = state(model)
    x = inputs_of(model, 3)

    logits = graph.model_without_softmax(model)

    assert logits.name == "classifier"
    expected = model.get_layer("hidden")(x).numpy() @ model.get_layer("head").kernel + model.get_layer("head").bias
    # Float32 sums of six products of size one.
    np.testing.assert_allclose(np.reshape(logits(x), (3, 3)), expected, rtol=1e-5, atol=1e-6)
    assert state(model) == before
    # The variables are shared, not copied.
    model.get_layer("head").bias.assign_add([1.0, 2.0, 3.0])
    np.testing.assert_allclose(np.reshape(logits(x), (3, 3)), expected + np.array([1, 2, 3]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS[:5])
def test_tensors_before_the_softmax_belong_to_the_model(kind: str) -> None:
    model = softmax_heads(kind)
    before = state(model)
    x = inputs_of(model, 3)

    (before_softmax,) = graph.pre_softmax_tensors(model.outputs)
    logits = keras.Model(model.input, before_softmax)

    np.testing.assert_allclose(keras.ops.softmax(logits(x)), model(x), rtol=1e-5)
    assert logits.get_layer("hidden") is model.get_layer("hidden")
    assert state(model) == before


def test_an_output_without_softmax_is_not_lost() -> None:
    x = keras.Input((4,), name="x")
    hidden = layers.Dense(6, name="hidden")(x)
    model = randomise(keras.Model(x, [layers.Dense(3, activation="softmax")(hidden), layers.Dense(2)(hidden)]))
    data = inputs_of(model, 3)

    logits, other = graph.model_without_softmax(model)(data)

    np.testing.assert_allclose(keras.ops.softmax(logits), model(data)[0], rtol=1e-5)
    np.testing.assert_array_equal(other, model(data)[1])
    before, same = graph.pre_softmax_tensors(model.outputs)
    assert before is not model.outputs[0]
    assert same is model.outputs[1]


def test_an_activation_that_others_read_too_stays_for_them() -> None:
    x = keras.Input((4,), name="x")
    probability = layers.Dense(3, activation="softmax", name="p")(x)
    model = randomise(keras.Model(x, [probability, layers.Dense(2, name="further")(probability)]))
    data = inputs_of(model, 3)
    logits, further = graph.model_without_softmax(model)(data)
    np.testing.assert_allclose(keras.ops.softmax(logits), model(data)[0], rtol=1e-5)
    np.testing.assert_array_equal(further, model(data)[1])


def test_a_softmax_that_is_not_there() -> None:
    model, _ = nested_and_flat()
    with pytest.raises(NoActivation, match="no softmax"):
        graph.model_without_softmax(model)
    x = inputs_of(model, 2)
    np.testing.assert_array_equal(graph.model_without_softmax(model, should_find_softmax=False)(x), model(x))
    with pytest.raises(NoActivation, match="None of the 1 tensors"):
        graph.pre_softmax_tensors(model.outputs)
    assert graph.pre_softmax_tensors(model.outputs, should_find_softmax=False) == model.outputs
    with pytest.raises(NoActivation, match="nothing to leave out"):
        graph.model_without_output_activation(model)


def test_any_output_activation_is_left_out() -> None:
    model = two_towers()
    x = inputs_of(model, 2)
    np.testing.assert_allclose(keras.ops.sigmoid(graph.model_without_output_activation(model)(x)), model(x), rtol=1e-5)
    with pytest.raises(NoActivation):
        graph.model_without_softmax(model)


def test_a_subclassed_model_without_its_softmax_can_be_saved(tmp_path: object) -> None:
    class Classifier(Symbolic):
        def call(self, x: object) -> object:
            return keras.ops.softmax(super().call(x))

    model, flat = subclassed_and_flat(Classifier)
    logits = graph.model_without_softmax(model)
    x = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32)
    np.testing.assert_allclose(logits(x), flat(x), rtol=1e-5, atol=1e-6)
    logits.save(tmp_path / "logits.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "logits.keras")(x), logits(x))


# ------------------------------------------------------------------------------------------------ search and expose


def test_layers_of_nested_models_are_met_once() -> None:
    model, _ = nested_and_flat()
    every = graph.model_layers(model)
    assert len(every) == len(set(map(id, every)))
    found = [layer.name for layer in every]
    assert found[found.index("backbone") :][:3] == ["backbone", "x", "conv"]
    convs = graph.model_contains(model, lambda layer: isinstance(layer, layers.Conv2D))
    assert [layer.name for layer in convs] == ["conv", "branch"]
    conditions = [lambda layer: isinstance(layer, layers.Conv2D), lambda layer: layer.name == "head"]
    assert graph.model_contains(model, conditions, return_only_counts=True) == [2, 1]
    assert [len(some) for some in graph.model_contains(model, conditions)] == [2, 1]


def test_layers_are_found_by_name_class_and_attributes() -> None:
    model, _ = nested_and_flat()
    assert graph.find_layer(model, "backbone/conv").name == "conv"
    assert graph.find_layer(model, klass=layers.Conv2D).name == "branch"
    assert graph.find_layer(model, klass=layers.Conv2D, search_reversed=False).name == "conv"
    assert graph.find_layer(model, properties=("gamma",)).name == "norm"
    assert graph.logits_layer(model).name == "head"
    assert graph.global_pooling_layer(model).name == "average"
    for wrong in ({"name": "backbone/cnv"}, {"klass": layers.LSTM}, {"properties": ("no_such",)}):
        with pytest.raises(UnknownLayer):
            graph.find_layer(model, **wrong)
    with pytest.raises(InvalidArgument, match="at least one"):
        graph.find_layer(model)


def test_layers_with_biases_in_the_models_order() -> None:
    model = convolutional()
    found, biases = graph.layers_with_biases(model, exclude=[model.get_layer("conv2")])
    assert [layer.name for layer in found] == ["conv1", "norm", "dense", "head"]
    np.testing.assert_array_equal(biases[0], model.get_layer("conv1").bias.numpy())
    assert graph.layers_with_biases(model, return_biases=False)[1].name == "conv2"


def test_endpoints_by_every_way_to_name_them() -> None:
    model = convolutional()
    conv1 = model.get_layer("conv1")
    ways = [1, conv1, "conv1", {"name": "conv1"}, {"layer": conv1, "link": "output", "node": 0}]
    assert all(t is conv1.output for t in graph.endpoints(model, ways))
    inputs = graph.endpoints(model, [{"name": "add", "link": "input"}])[0]
    assert [t is u for t, u in zip(inputs, (conv1.output, model.get_layer("relu").output), strict=True)] == [True, True]
    nested, _ = nested_and_flat()
    inner = nested.get_layer("backbone")
    conv = graph.endpoints(nested, ["backbone/conv"])[0]  # the layer is called in another model too
    keras.Model(inner.inputs[0], conv)  # connected with this one
    assert conv.shape == (None, 6, 6, 6)
    for wrong, error in (
        ("conv9", UnknownLayer),
        (99, UnknownLayer),
        (layers.Dense(1), UnknownLayer),
        ({"name": "conv1", "node": 3}, InvalidArgument),
        ({"name": "conv1", "link": "side"}, InvalidArgument),
        ({"nam": "conv1"}, InvalidArgument),
    ):
        with pytest.raises(error):
            graph.endpoints(model, [wrong])


@pytest.mark.parametrize("make", [small_cnn, convolutional])
def test_exposed_tensors_are_those_of_the_model(make: Callable[[], keras.Model]) -> None:
    model = make()
    before = state(model)
    x = inputs_of(model, 2)
    exposed = graph.expose(model, "conv2")
    output, inner = exposed(x)
    np.testing.assert_allclose(output, model(x), rtol=1e-6)  # Dense(softmax) is the last layer with a kernel
    np.testing.assert_array_equal(inner, keras.Model(model.input, model.get_layer("conv2").output)(x))
    assert state(model) == before


def test_layers_inside_of_nested_and_subclassed_models_are_exposed() -> None:
    nested, flat = nested_and_flat()
    x = inputs_of(nested, 2)
    before = state(nested)
    output, pooled = graph.expose(nested)(x)  # what the backbone's global pooling read in its last call
    np.testing.assert_allclose(output, flat(x), rtol=1e-5)
    inner = nested.get_layer("backbone")
    norm = keras.Model(inner.inputs[0], graph.endpoints(inner, ["norm"])[0])
    expected = norm(x[1])
    np.testing.assert_allclose(pooled, expected, rtol=1e-5, atol=1e-6)
    first = graph.expose(nested, {"name": "backbone/norm", "node": 0})(x)[1]
    np.testing.assert_allclose(first, norm(x[0]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(graph.expose(nested, "backbone")(x)[1], inner(x[1]), rtol=1e-5, atol=1e-6)
    assert state(nested) == before

    model, _ = subclassed_and_flat(Symbolic)
    data = np.ones((2, 5), np.float32)
    np.testing.assert_array_equal(graph.expose(model, "enter")(data)[1], model.enter(data))


def test_constants_become_outputs_of_a_model(tmp_path: object) -> None:
    x = keras.Input((2,), name="x")
    y = layers.Dense(1, name="y")(x)
    before = graph.outbound_count(y._keras_history.operation), graph.outbound_count(x._keras_history.operation)
    outputs = graph.as_layer([x], [y, np.arange(3.0, dtype=np.float32)])
    assert outputs[0] is y
    assert before == (
        graph.outbound_count(y._keras_history.operation),
        graph.outbound_count(x._keras_history.operation),
    )
    model = keras.Model(x, outputs)
    np.testing.assert_array_equal(model(np.zeros((2, 2), np.float32))[1], [0, 1, 2])
    model.save(tmp_path / "constants.keras")
    again = keras.saving.load_model(tmp_path / "constants.keras")
    np.testing.assert_array_equal(again(np.zeros((2, 2), np.float32))[1], [0, 1, 2])


class Whole(layers.Layer):
    """A layer with a layer inside, written with TensorFlow, which refuses symbolic tensors."""

    def build(self, shape: tuple[int, ...]) -> None:
        self.inside = layers.Dense(shape[-1], name="inside")
        self.inside.build(shape)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return (batch, n) -> (batch, n)."""
        return tf.add(x, self.inside(x))

    def compute_output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape


def test_a_layer_that_is_run_whole_is_not_exposed() -> None:
    x = keras.Input((2,), name="x")
    model = keras.Model(x, layers.Dense(1)(Whole(name="whole")(x)))
    data = np.ones((3, 2), np.float32)
    np.testing.assert_array_equal(graph.expose(model, "whole")(data)[1], model.get_layer("whole")(data))
    with pytest.raises(NoGraph, match=r"'inside'.*run whole"):
        graph.expose(model, "whole/inside")
