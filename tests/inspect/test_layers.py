"""Questions about single layers: each that older tools answer wrongly has a test here."""

from __future__ import annotations

import keras
import pytest
from keras import layers

from networks import Raw, nested_and_flat, small_cnn, subclassed_and_flat
from transformers import subclassed_transformer
from xaicore.errors import InvalidArgument, UnknownLayer, UnknownSite
from xaicore.inspect import layers as ask


def test_known_layers_are_classes() -> None:
    """Names of classes would break `isinstance`."""
    known = ask.known_layers()
    assert all(issubclass(cls, layers.Layer) for cls in known)
    assert {layers.Conv2D, layers.DepthwiseConv2D, layers.ReLU, layers.SeparableConv1D, layers.Add} <= set(known)
    assert isinstance(layers.Dropout(0.5), ask.activation_search_safe_layers())
    assert not isinstance(layers.Dense(1), ask.activation_search_safe_layers())


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (layers.Dense(1), False),  # linear is no activation
        (layers.Dense(1, activation="tanh"), True),
        (layers.ReLU(), True),
        (layers.PReLU(), True),
        (layers.Activation("linear"), False),
        (layers.Flatten(), False),
        (layers.Dense(1, activation=layers.LeakyReLU()), True),
    ],
)
def test_whether_there_is_an_activation(layer: layers.Layer, *, expected: bool) -> None:
    assert ask.contains_activation(layer) is expected


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        (layers.Dense(1, activation="relu"), {"relu"}),
        (layers.ReLU(), {"relu"}),
        (layers.ReLU(max_value=6), {"relu6"}),
        (layers.Conv2D(1, 1, activation="leaky_relu"), {"leaky_relu"}),  # no "relu" by a part of its name
        (layers.Activation("relu6"), {"relu6"}),
        (layers.LeakyReLU(), {"leaky_relu"}),
        (layers.Dense(1, activation="elu"), {"elu"}),
        (layers.Dense(1, activation="selu"), {"selu"}),
        (layers.Softmax(), {"softmax"}),
        (layers.Dense(1, activation=layers.Softmax()), {"softmax"}),
        (layers.Dense(1), {"linear"}),
        (layers.Flatten(), set()),
    ],
)
def test_an_activation_is_itself_and_no_other(layer: layers.Layer, names: set[str]) -> None:
    every = ("relu", "relu6", "leaky_relu", "elu", "selu", "softmax", "linear", "tanh")
    assert {name for name in every if ask.contains_activation(layer, name)} == names


def test_an_activation_by_function_class_and_operation() -> None:
    x = keras.Input((3,))
    operation = keras.ops.leaky_relu(x)._keras_history.operation
    assert ask.contains_activation(operation, "leaky_relu")
    assert not ask.contains_activation(operation, "relu")
    assert ask.contains_activation(layers.Dense(1, activation="relu"), keras.activations.relu)
    assert ask.contains_activation(layers.PReLU(), layers.PReLU)
    with pytest.raises(InvalidArgument, match="rleu"):
        ask.contains_activation(layers.Dense(1), "rleu")


def test_only_relu_knows_what_is_no_relu() -> None:
    """A check that is always true never warns anybody."""
    assert all(map(ask.only_relu_activation, (layers.Dense(1), layers.Dense(1, activation="relu"), layers.ReLU())))
    for other in ("tanh", "leaky_relu", "gelu", "elu", "softmax"):
        assert not ask.only_relu_activation(layers.Dense(1, activation=other))
    assert not ask.only_relu_activation(layers.ReLU(negative_slope=0.1))


def test_kernels_and_biases() -> None:
    with_kernel = (layers.Dense(1), layers.EinsumDense("ab,bc->ac", 2), layers.Conv1DTranspose(1, 1))
    with_kernel += (layers.DepthwiseConv2D(1), layers.SeparableConv2D(1, 1))
    assert all(map(ask.contains_kernel, with_kernel))
    assert not any(
        map(ask.contains_kernel, (layers.LSTM(2), layers.Embedding(2, 2), layers.BatchNormalization(), layers.ReLU()))
    )
    biased, bare = layers.Dense(1), layers.Dense(1, use_bias=False)
    biased.build((None, 2))
    bare.build((None, 2))
    assert ask.contains_bias(biased)
    assert not ask.contains_bias(bare)


def test_models_are_networks_whatever_they_are_made_of() -> None:
    functional, _ = nested_and_flat()
    raw, _ = subclassed_and_flat(Raw)
    assert all(map(ask.is_network, (functional, raw, keras.Sequential())))
    assert not ask.is_network(layers.Dense(1))
    assert not ask.is_network(layers.LSTM(1))


def test_layers_of_convolutional_networks() -> None:
    """MobileNet's layers are some: ReLU, depthwise and separable convolutions."""
    some = (
        layers.ReLU(),
        layers.DepthwiseConv2D(3),
        layers.SeparableConv2D(1, 1),
        layers.Multiply(),
        layers.Dropout(0.1),
    )
    assert all(map(ask.is_convnet_layer, some))
    others = (layers.LSTM(1), layers.MultiHeadAttention(1, 1), layers.LayerNormalization(), keras.Sequential())
    assert not any(map(ask.is_convnet_layer, others))
    assert ask.is_relu_convnet_layer(layers.Conv2D(1, 1, activation="relu"))
    assert not ask.is_relu_convnet_layer(layers.Conv2D(1, 1, activation="tanh"))


def test_kinds_by_name() -> None:
    assert ask.is_average_pooling(layers.GlobalAveragePooling3D())
    assert ask.is_max_pooling(layers.MaxPooling1D())
    assert not ask.is_max_pooling(layers.AveragePooling1D(2))
    assert ask.is_batch_normalization_layer(layers.BatchNormalization())
    assert ask.is_dense_layer(layers.Dense(1))
    assert ask.is_conv_layer(layers.Conv3D(1, 1))
    assert not ask.is_conv_layer(layers.Dense(1))
    assert ask.is_add_layer(layers.Add())
    assert ask.is_embedding_layer(layers.Embedding(2, 2))


def test_input_layers_through_reshaping_or_not() -> None:
    """The answer without looking through a reshape is found too, and not searched for ever."""
    x = keras.Input((4, 4, 1), name="x")
    padded = layers.ZeroPadding2D(name="pad")(x)
    conv = layers.Conv2D(2, 3, name="conv")(padded)
    direct = layers.Conv2D(2, 3, padding="same", name="direct")(x)
    later = layers.Conv2D(2, 1, name="later")(layers.Add(name="add")([conv, direct]))
    model = keras.Model(x, later)
    found = {name: ask.is_input_layer(model.get_layer(name)) for name in ("x", "pad", "conv", "direct", "later")}
    assert found == {"x": True, "pad": True, "conv": True, "direct": True, "later": False}
    assert not ask.is_input_layer(model.get_layer("conv"), ignore_reshape_layers=False)
    assert ask.is_input_layer(model.get_layer("direct"), ignore_reshape_layers=False)
    assert not ask.is_input_layer(layers.Dense(1))  # never called


def test_the_index_of_a_layer_counts_kernels_in_the_order_of_execution() -> None:
    model = small_cnn()
    found = {name: ask.layer_index(model, model.get_layer(name)) for name in ("conv1", "pool", "conv2", "relu", "head")}
    assert found == {"conv1": 0, "pool": 0, "conv2": 1, "relu": 1, "head": 2}
    nested, _ = nested_and_flat()
    assert ask.layer_index(nested, "head") == 6  # three kernels in each of two calls of the backbone
    with pytest.raises(UnknownLayer, match="model_layers"):
        ask.layer_index(model, layers.Dense(1))
    with pytest.raises(UnknownSite):
        ask.layer_index(model, "nowhere")
    raw, _ = subclassed_and_flat(Raw)
    assert ask.layer_index(raw, raw.leave) == 3
    transformer = subclassed_transformer()  # layers made of layers, in a model that runs whole
    assert ask.layer_index(transformer, transformer.encoder) == 0
    assert ask.layer_index(transformer, transformer.attention) == 4
    assert ask.layer_index(transformer, transformer.head) == 5
