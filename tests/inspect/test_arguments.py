"""Every tool says what it was given and what it expected, whatever it is given."""

from __future__ import annotations

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from xaicore.errors import InputMistake, InvalidArgument, NotAKerasModel, UnbuiltModel, XaicoreError
from xaicore.inspect import graph, layers, ops

MODEL = keras.Sequential(
    [
        *(keras.Input((4, 4, 2)), keras.layers.Conv2D(3, 2, name="conv"), keras.layers.Flatten(name="flat")),
        keras.layers.Dense(3, activation="softmax", name="head"),
    ]
)
LAYER = MODEL.get_layer("head")
X = np.ones((2, 2), np.float32)
# What each function takes; the first argument of the others is a model (of graph) or a layer.
TAKES: dict[str, dict[str, object]] = {
    "activation_search_safe_layers": {},
    "apply": {"layer": LAYER, "inputs": np.ones((1, 27), np.float32)},
    "as_layer": {"inputs": MODEL.inputs, "outputs": [X]},
    "assert_finite": {"x": X, "name": "x"},
    "biases": {"of": [LAYER]},
    "broadcast_to_tensors": {"arrays": 1.0, "tensors": X},
    "copy_layer": {"layer": LAYER, "keep_bias": True, "name_template": "%s_2", "weights": LAYER.get_weights()},
    "endpoints": {"model": MODEL, "of": ["head"]},
    "expose": {"model": MODEL, "arguments": "flat", "outputs": "head"},
    "extract_conv_patches": {
        "x": np.ones((1, 4, 4, 2)),
        "kernel_shape": (2, 2),
        "strides": 1,
        "rates": 1,
        "padding": "same",
    },
    "find_layer": {"model": MODEL, "name": "head", "properties": [], "klass": object, "search_reversed": True},
    "gather": {"x": X, "axis": 0, "indices": [1]},
    "gather_nd": {"x": X, "indices": [[0, 1]]},
    "gradients": {"Xs": [X], "Ys": lambda x: 2 * x, "known_Ys": [X]},
    "inbound_count": {"layer": LAYER},
    "is_input_layer": {"layer": LAYER, "ignore_reshape_layers": True},
    "is_not_finite": {"x": X},
    "kernel": {"layer": LAYER},
    "known_layers": {},
    "layer_index": {"model": MODEL, "layer": LAYER},
    "layers_with_biases": {"model": MODEL, "exclude": [], "return_biases": True},
    "model_contains": {"model": MODEL, "layer_condition": layers.contains_kernel, "return_only_counts": False},
    "neuronwise_io": {"layer": LAYER, "node_index": 0, "return_i": True, "return_o": True},
    "outbound_count": {"layer": LAYER},
    "pre_softmax_tensors": {"Xs": MODEL.outputs, "should_find_softmax": True},
    "print_execution_graph": {"model": MODEL, "format": "table"},
    "read_graph": {"model": MODEL, "forward_kwargs": {}},
    "replay": {"model": MODEL, "x": np.ones((1, 4, 4, 2))},
    "to_floatx": {"x": X},
}
TAKES["copy_layer_without_activation"] = TAKES["copy_layer"]
FUNCTIONS = {
    name: function
    for module in (layers, graph, ops)
    for name, function in vars(module).items()
    if inspect.isfunction(function)
    and name[0] != "_"
    and (function.__module__ == module.__name__ or name in getattr(module, "__all__", ()))
}


class Wrong:
    """Nothing that any function takes."""


def cases() -> list[tuple[str, str, object]]:
    """Return (function, argument, something wrong) for every function and argument."""
    found = []
    for name in FUNCTIONS:
        arguments = TAKES.get(name, {"layer": LAYER} if hasattr(layers, name) else {"model": MODEL})
        found += [(name, key, wrong) for key in arguments for wrong in (Wrong(), Wrong)]
    return found


@pytest.mark.parametrize(("name", "key", "wrong"), cases())
def test_what_is_wrong_is_told(name: str, key: str, wrong: object) -> None:
    right = TAKES.get(name, {"layer": LAYER} if hasattr(layers, name) else {"model": MODEL})
    takes_classes_and_functions = key in {"activation", "klass", "layer_condition", "Ys"}
    if wrong is Wrong and takes_classes_and_functions:
        return
    with pytest.raises(XaicoreError, match="expected"):
        FUNCTIONS[name](**{**right, key: wrong})


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_takes_what_is_right(name: str) -> None:
    FUNCTIONS[name](**TAKES.get(name, {"layer": LAYER} if hasattr(layers, name) else {"model": MODEL}))


def test_a_text_is_no_list_of_its_letters_and_a_list_no_name() -> None:
    with pytest.raises(InvalidArgument, match=r"name=\['conv', 'head'\] \(list\); expected text"):
        graph.find_layer(MODEL, ["conv", "head"])
    with pytest.raises(InvalidArgument, match="expected a list of names"):
        graph.find_layer(MODEL, properties="kernel")
    with pytest.raises(InvalidArgument, match="expected a list of layers, names"):
        graph.endpoints(MODEL, "head")
    with pytest.raises(InvalidArgument, match=r"layer='head' \(str\); expected a layer"):
        graph.kernel("head")
    with pytest.raises(InvalidArgument, match="expected a layer"):
        layers.is_dense_layer("head")


def test_models_that_are_not_built_and_what_is_no_model() -> None:
    unbuilt = keras.Sequential([keras.layers.Dense(3)])
    for tool in (graph.execution_graph, graph.layers_with_biases, graph.logits_layer, graph.read_graph):
        with pytest.raises(UnbuiltModel, match="never been called"):
            tool(unbuilt)
    for tool in (graph.model_layers, graph.logits_layer, graph.bottleneck_nodes):
        with pytest.raises(NotAKerasModel, match="expected a Keras 3 model"):
            tool(LAYER)


def test_known_gradients_have_the_shape_of_their_outputs() -> None:
    """A number would be broadcast without a word, and rows of another length are TensorFlow's to complain of."""
    for known in ([tf.ones(3)], [tf.ones((2, 1))], [1.0]):
        with pytest.raises(InvalidArgument, match=r"known_Ys\[0\] of shape .* for a Y of shape \(2, 2\)"):
            ops.gradients([X], lambda x: 2 * x, known)
    with pytest.raises(InvalidArgument, match="one for each"):
        ops.gradients([X], lambda x: 2 * x, [X, X])
    with pytest.raises(InvalidArgument, match=r"Xs\[0\] of int32; expected a floating type"):
        ops.gradients([tf.constant([1])], lambda x: x)
    with pytest.raises(InvalidArgument, match=r"Ys\[0\] of bool"):
        ops.gradients([X], lambda x: x > 0)
    np.testing.assert_array_equal(ops.gradients([X], lambda x: 2 * x, [np.full((2, 2), 3.0)])[0], 6 * X)


def test_places_that_are_not_there() -> None:
    for find in (lambda: ops.gather(X, 0, [5]), lambda: ops.gather(X, 7, [0]), lambda: ops.gather_nd(X, [[0, 9]])):
        with pytest.raises(InvalidArgument, match=r"places in x, whose shape is \(2, 2\)"):
            find()
    with pytest.raises(InvalidArgument, match="whole numbers"):
        ops.gather(X, 0, [0.5])


def test_values_without_numbers_are_not_finite_nor_infinite() -> None:
    for wrong in ("a", ["a", "b"], keras.Input((2,))):
        with pytest.raises(InvalidArgument, match="expected numbers"):
            ops.assert_finite(wrong)
    assert not ops.is_not_finite([1, 2]).numpy().any()


def test_replay_checks_the_shapes_of_inputs() -> None:
    for wrong in (np.ones((1, 5, 4, 2)), np.ones((4, 4, 2)), "a", [X, X]):
        with pytest.raises(InputMistake):
            graph.replay(MODEL, wrong)
