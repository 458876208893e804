"""Operations on tensors against NumPy and TensorFlow's own."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from xaicore.errors import InvalidArgument, NotFinite
from xaicore.inspect import ops


def test_to_floatx() -> None:
    assert ops.to_floatx(np.array([True, False])).dtype == tf.float32
    assert ops.to_floatx(tf.constant([1.5], tf.float64)).dtype == tf.float32


def test_gradients_stop_at_the_inputs() -> None:
    """Y = a b with b = a^2: dy/da is b, not 3 a^2."""
    a = tf.constant(2.0)
    b = a**2
    assert [float(g) for g in ops.gradients([a, b], lambda a, b: a * b)] == [4.0, 2.0]

    @tf.function
    def in_a_graph(a: tf.Tensor) -> list[tf.Tensor]:
        b = a**2
        return ops.gradients([a, b], [a * b, b], [tf.constant(3.0), tf.constant(5.0)])

    assert [float(g) for g in in_a_graph(a)] == [12.0, 11.0]


def test_gradients_of_what_does_not_depend_are_none() -> None:
    a, b = tf.constant(2.0), tf.constant(3.0)
    found = ops.gradients([a, b], lambda a, b: [2 * a], [tf.constant(7.0)])  # the point of the test
    assert (float(found[0]), found[1]) == (14.0, None)
    with pytest.raises(InvalidArgument, match="2 known_Ys for 1 Ys"):
        ops.gradients([a], lambda a: a, [a, a])
    with pytest.raises(InvalidArgument, match="function of the Xs"):
        ops.gradients([a], [2 * a])


def test_what_is_not_finite_is_found_and_named() -> None:
    x = np.array([[1.0, np.nan], [np.inf, 2.0]])
    np.testing.assert_array_equal(ops.is_not_finite(x), [[False, True], [True, False]])
    with pytest.raises(NotFinite, match=r"relevance of conv1.*2 numbers.*\(0, 1\)"):
        ops.assert_finite(x, "relevance of conv1")
    np.testing.assert_array_equal(ops.assert_finite(np.ones(3)), np.ones(3))
    checked = tf.function(lambda t: ops.assert_finite(t, "logits"))
    with pytest.raises(tf.errors.InvalidArgumentError, match="logits is not finite"):
        checked(tf.constant([np.nan]))


@pytest.mark.parametrize("padding", ["VALID", "same"])
@pytest.mark.parametrize(("strides", "rates"), [((1, 1), (1, 1)), ((2, 3), (1, 1)), ((1, 1), (2, 1))])
def test_patches_are_tensorflows(padding: str, strides: tuple[int, int], rates: tuple[int, int]) -> None:
    x = np.random.default_rng(0).normal(size=(2, 7, 8, 3)).astype(np.float32)
    expected = tf.image.extract_patches(x, (1, 2, 3, 1), (1, *strides, 1), (1, *rates, 1), padding.upper())
    np.testing.assert_array_equal(ops.extract_conv_patches(x, (2, 3), strides, rates, padding), expected)


def test_patches_of_unknown_lengths_are_refused() -> None:
    for x, kernel in ((np.zeros((1, 4, 2)), (2, 2)), (layers.Input((None, 2)), (2,))):
        with pytest.raises(InvalidArgument, match="one known length"):
            ops.extract_conv_patches(x, kernel)
    with pytest.raises(InvalidArgument, match="full"):
        ops.extract_conv_patches(np.zeros((1, 4, 2)), (2,), padding="full")


def test_gather() -> None:
    x = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(ops.gather(x, 1, [0, 2]), x[:, [0, 2]])
    np.testing.assert_array_equal(ops.gather_nd(x, [[0, 1], [2, 3]]), [1, 11])


def test_apply_takes_a_bare_tensor_with_its_batch() -> None:
    x = np.ones((2, 3), np.float32)
    (one,) = ops.apply(layers.Identity(), x)
    (single,) = ops.apply(layers.Identity(), [x])
    (total,) = ops.apply(layers.Add(), [x, x])
    assert one.shape == single.shape == (2, 3)
    np.testing.assert_array_equal(total, 2 * x)


def test_apply_on_symbolic_tensors_leaves_the_layer_alone() -> None:
    """A model of both calls, of the layer and of what stands for it, has one set of variables."""
    x = keras.Input((3,))
    layer = layers.Dense(2)
    y = layer(x)
    before = list(layer._inbound_nodes), list(x._keras_history.operation._outbound_nodes)
    (again,) = ops.apply(layer, x)
    assert (layer._inbound_nodes, x._keras_history.operation._outbound_nodes) == before
    both = keras.Model(x, [y, again])
    assert len(both.weights) == 2
    np.testing.assert_array_equal(*both(np.ones((2, 3), np.float32)))

    (made,) = ops.apply(layers.Dense(2), x)  # not built, so that it is called as by Keras
    assert keras.Model(x, made)(np.ones((2, 3), np.float32)).shape == (2, 2)


def test_arrays_broadcast_to_symbolic_tensors() -> None:
    tensors = [layers.Input((2, 3)), layers.Input((4,))]
    found = ops.broadcast_to_tensors([np.arange(3), 5.0], tensors)
    assert [a.shape for a in found] == [(1, 2, 3), (1, 4)]
    assert ops.broadcast_to_tensors(1.0, tensors[0]).shape == (1, 2, 3)
    with pytest.raises(InvalidArgument, match=r"expected one that broadcasts to \(1, 4\)"):
        ops.broadcast_to_tensors(np.zeros(3), tensors[1])
    with pytest.raises(InvalidArgument, match="for 2 tensors"):
        ops.broadcast_to_tensors([np.zeros(3)], tensors)
