"""Operations that multiply one tensor by a constant, read into affine forms: dense layers written as operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs
import keras
import numpy as np
import tensorflow as tf
from keras import layers

from xaicore.inspect.affine import AffineForm
from xaicore.inspect.kind_names import BY_A_CONSTANT
from xaicore.inspect.nodes import Ref

if TYPE_CHECKING:
    from xaicore.inspect.nodes import Node, Spec

_MATRIX = 2  # axes


@attrs.frozen(eq=False)
class LinearMap:
    """A product of one tensor with one constant.  tensor, constant: their places among the arguments, flattened."""

    tensor: int
    constant: int
    value: object

    def read(self, operation: keras.Operation, call: Callable[..., object], leaves: Sequence[object]) -> AffineForm:
        """Return the affine form of a call; inside the trace.

        Args:
            operation: The product.
            call: From its arguments, flattened, to what it returns.
            leaves: These arguments.
        """

        def linear(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None) -> tf.Tensor:
            changed = list(leaves)
            changed[self.tensor], changed[self.constant] = x, kernel
            z = call(*changed)
            return z if bias is None else z + bias

        kernel = tf.convert_to_tensor(self.value)
        x = leaves[self.tensor]
        if kernel.dtype != x.dtype and not kernel.dtype.is_floating:  # type: ignore[attr-defined]
            kernel = tf.cast(kernel, x.dtype)  # type: ignore[attr-defined]
        plain = type(operation).__name__ == "Matmul" and self.constant > self.tensor and len(kernel.shape) == _MATRIX
        return AffineForm(kernel=kernel, bias=None, map=linear, join=(-1, -2) if plain else None)


def product_of(node: Node) -> LinearMap | None:
    """Return how a node multiplies its only tensor by its only constant; None where it does not."""
    operation = node.operation
    if isinstance(operation, layers.Layer) or type(operation).__name__ not in BY_A_CONSTANT or len(node.inputs) != 1:
        return None
    leaves = keras.tree.flatten((node.args, dict(node.kwargs)))
    tensors = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Ref)]
    constants = [i for i, leaf in enumerate(leaves) if _is_array(leaf)]
    if len(constants) != 1 or len(leaves) != len(tensors) + len(constants):
        return None
    return LinearMap(tensors[0], constants[0], leaves[constants[0]])


def linear_map(node: Node, specs: Mapping[int, Spec]) -> LinearMap | None:
    """Return how a node multiplies its only tensor by a constant, sample by sample; None where it does not."""
    found = product_of(node)
    if found is None:
        return None
    given, made = specs[node.inputs[0]].shape, specs[node.outputs[0]].shape
    # Where samples are summed, or stand on another axis, it is no map of one sample.
    return found if len(given) >= _MATRIX and made and given[0] == made[0] else None


def multiplications(product: LinearMap, given: Sequence[int], made: Sequence[int]) -> float:
    """Return how often numbers are multiplied: input, constant and output have each axis in common with one another."""
    of_constant: Sequence[int] = tuple(product.value.shape)  # type: ignore[attr-defined]  # an array
    return math.sqrt(math.prod(given) * math.prod(of_constant) * math.prod(made))


def _is_array(leaf: object) -> bool:
    if isinstance(leaf, keras.Variable | tf.Tensor | tf.Variable):
        return len(leaf.shape) > 0
    return isinstance(leaf, np.ndarray) and leaf.ndim > 0
