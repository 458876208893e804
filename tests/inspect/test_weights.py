"""Kernels, copies and what neurons read, against Keras's own outputs."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from networks import small_cnn
from xaicore.errors import InvalidArgument, UnsupportedOperation
from xaicore.inspect import graph
from xaicore.inspect.weights import has_biases
from xaicore.testing.models import randomise


def built(layer: layers.Layer, *shape: int) -> layers.Layer:
    """Return a layer with random weights."""
    randomise(keras.Sequential([keras.Input(shape), layer]))
    return layer


def test_a_kernel_is_the_one_weight_of_rank_two_or_more() -> None:
    layer = built(layers.Conv2D(4, 3), 6, 6, 2)
    np.testing.assert_array_equal(graph.kernel(layer), layer.kernel.numpy())
    for other, shape, names in (
        (layers.SeparableConv2D(4, 3), (6, 6, 2), "depthwise_kernel.*pointwise_kernel"),
        (layers.LSTM(3), (4, 2), "recurrent_kernel"),
        (layers.Flatten(), (3,), "none"),
    ):
        with pytest.raises(UnsupportedOperation, match=names):
            graph.kernel(built(other, *shape))


def test_calls_are_counted() -> None:
    shared = layers.Dense(2)
    x = keras.Input((2,))
    keras.Model(x, layers.Add()([shared(x), shared(shared(x))]))
    assert graph.inbound_count(shared) == 3
    assert graph.outbound_count(shared) == 3


COPIED = [
    (lambda: layers.Dense(3, activation="relu"), (5,)),
    (lambda: layers.Conv2D(3, 2, activation="tanh", strides=2), (6, 6, 2)),
    (lambda: layers.Conv1DTranspose(3, 2, activation="relu"), (6, 2)),
    (lambda: layers.SeparableConv2D(3, 2, activation="relu"), (6, 6, 2)),
    (lambda: layers.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d", activation="relu"), (4, 5)),
]


@pytest.mark.parametrize(("make", "shape"), COPIED)
def test_a_copy_computes_the_same_from_variables_of_its_own(make: object, shape: tuple[int, ...]) -> None:
    layer = built(make(), *shape)
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)

    copy, linear = graph.copy_layer(layer), graph.copy_layer_without_activation(layer, name_template="linear_%s")
    without = graph.copy_layer(layer, keep_bias=False)

    np.testing.assert_array_equal(copy(x), layer(x))
    np.testing.assert_array_equal(layer.activation(linear(x)), layer(x))
    assert (linear.name, copy.name == layer.name) == (f"linear_{layer.name}", False)
    assert without.bias is None
    zeroed = graph.copy_layer(
        layer, weights=[np.zeros_like(w) if w is layer.bias else w.numpy() for w in layer.weights]
    )
    np.testing.assert_array_equal(without(x), zeroed(x))
    before = layer.get_weights()
    copy.set_weights([w + 1 for w in before])
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_copy_without_activation_of_an_activation_layer_hands_on() -> None:
    for layer in (layers.ReLU(), layers.Softmax(), layers.LeakyReLU(), layers.Activation("relu")):
        copy = graph.copy_layer_without_activation(built(layer, 4))
        np.testing.assert_array_equal(copy(np.array([[-1.0, 2.0]], np.float32)), [[-1.0, 2.0]])


def test_what_cannot_be_copied_is_refused() -> None:
    dense = built(layers.Dense(3), 5)
    with pytest.raises(InvalidArgument, match=r"\[\(5, 3\), \(3,\)\]"):
        graph.copy_layer(dense, weights=[np.zeros((5, 2)), np.zeros(2)])
    with pytest.raises(InvalidArgument, match="%s"):
        graph.copy_layer(dense, name_template="copy")
    einsum = built(layers.EinsumDense("ab,bc->ac", 3, bias_axes="c"), 5)
    assert graph.copy_layer(einsum).name != einsum.name


NEURONS = [
    (lambda: layers.Dense(4), (3, 5)),
    (lambda: layers.Conv1D(4, 3, padding="causal", dilation_rate=2), (9, 2)),
    (lambda: layers.Conv1D(4, 3, strides=2, padding="same"), (9, 2)),
    (lambda: layers.Conv2D(4, (2, 3), strides=2, padding="same"), (7, 8, 3)),
    (lambda: layers.Conv2D(4, 3, dilation_rate=2), (7, 8, 3)),
    (lambda: layers.Conv2D(4, 3, strides=2), (7, 8, 3)),
    (lambda: layers.Conv3D(4, 2, padding="same"), (4, 3, 5, 2)),
]


@pytest.mark.parametrize(("make", "shape"), NEURONS)
def test_rows_times_the_kernel_are_what_neurons_give(make: object, shape: tuple[int, ...]) -> None:
    layer = built(make(), *shape)
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    y = layer(x)

    rows = graph.neuronwise_io(layer, Xs=[x], Ys=[y])

    kernel = layer.kernel.numpy().reshape(-1, 4)
    assert rows.inputs.shape[1] == len(kernel)
    # Float32 sums of at most 18 products of size one.
    np.testing.assert_allclose(rows.inputs @ kernel + layer.bias.numpy(), rows.outputs, rtol=1e-5, atol=1e-5)


def test_neurons_of_a_symbolic_call_leave_no_trace() -> None:
    model = small_cnn()
    conv = model.get_layer("conv2")
    before = graph.inbound_count(conv), graph.outbound_count(conv), graph.outbound_count(model.get_layer("pool"))

    rows = graph.neuronwise_io(conv)

    assert (rows.inputs.shape, rows.outputs.shape) == ((None, 2 * 2 * 6), (None, 4))
    assert before == (
        graph.inbound_count(conv),
        graph.outbound_count(conv),
        graph.outbound_count(model.get_layer("pool")),
    )
    assert graph.neuronwise_io(conv, return_o=False).outputs is None


def test_neurons_of_other_layers_are_refused() -> None:
    with pytest.raises(UnsupportedOperation, match="depthwise"):
        graph.neuronwise_io(built(layers.DepthwiseConv2D(2, name="depthwise"), 4, 4, 2))
    with pytest.raises(UnsupportedOperation, match="groups"):
        graph.neuronwise_io(built(layers.Conv2D(2, 2, groups=2), 4, 4, 2))
    dense = built(layers.Dense(2), 3)
    with pytest.raises(InvalidArgument, match="return_i=False"):
        graph.neuronwise_io(dense, return_i=False, return_o=False)
    with pytest.raises(InvalidArgument, match="node_index=5"):
        graph.neuronwise_io(dense, node_index=5)


def test_biases_of_normalization_are_what_it_gives_for_zeros() -> None:
    """With the layer's own epsilon."""
    norm = built(layers.BatchNormalization(epsilon=0.1), 4)
    expected = norm(np.zeros((1, 4), np.float32), training=False).numpy()[0]
    np.testing.assert_allclose(graph.biases([norm])[0], expected, rtol=1e-6)
    bare = built(layers.BatchNormalization(center=False, scale=False), 4)
    np.testing.assert_allclose(
        graph.biases([bare])[0], bare(np.zeros((1, 4), np.float32), training=False).numpy()[0], rtol=1e-6
    )
    layer_norm = built(layers.LayerNormalization(), 4)
    np.testing.assert_array_equal(graph.biases([layer_norm, built(layers.Flatten(), 3)])[0], layer_norm.beta.numpy())
    assert not has_biases(built(layers.LayerNormalization(center=False), 4))
    assert graph.biases([built(layers.Flatten(), 3)]) == [None]
