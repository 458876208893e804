"""What a call tells beyond its operation: which of its operands are constants, what is broadcast to what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import layers

from xaicore.inspect.kinds import kind
from xaicore.inspect.linear import linear_map
from xaicore.inspect.nodes import Ref

if TYPE_CHECKING:
    from collections.abc import Collection

    from xaicore.inspect.nodes import Graph, Node

_KEEPS_SIGN = frozenset({"routing", "identity", "max_pooling", "average_pooling", "sum", "interpolation"})
# Weights of these are negative beside an edge.
_OVERSHOOTS = frozenset({"bicubic", "lanczos3", "lanczos5"})
_OF_TWO = frozenset({"Maximum", "Minimum"})
# Operations of the kind "routing" whose operands may be constants, which stand in the output.
_TAKES_CONSTANTS = frozenset({"Minimum", "Concatenate", "Stack", "Hstack", "Vstack", "Dstack"})


def called_kind(graph: Graph, node: Node, *, raw: bool = False) -> str:
    """Return the kind of a call, which constants among its operands can change.

    The larger of a tensor and a constant is an activation: no relevance belongs to the constant.  Sums and products of
    the model's input with constants alone are rescaling, as the layer of that name is.  A matrix product with a
    constant is a dense layer written as an operation.

    Args:
        graph: That the node is of.
        node: The call.
        raw: Whether it is given nothing but the model's input, padded, reshaped or rescaled.
    """
    operation, name = node.operation, kind(node.operation)
    if isinstance(operation, layers.Layer) or len(node.inputs) != 1:
        return name
    if type(operation).__name__ in _OF_TWO:
        return "activation"
    if linear_map(node, graph.specs) is not None:
        return "dense"
    if not raw or name not in {"sum", "product"} or type(operation).__name__ in {"Sum", "Glu"}:
        return name
    shapes = [graph.specs[key].shape for key in (*node.inputs, *node.outputs)]
    # A constant over the input is no rescaling.
    inverse = "Divide" in type(operation).__name__ and not isinstance(node.args[0], Ref)
    return "rescaling" if shapes[0] == shapes[1] and not inverse else name


def keeps_sign(node: Node, name: str, nonnegative: Collection[int]) -> bool:
    """Return whether a call returns no negative number because it is given none.

    name: its kind.  nonnegative: keys of tensors without negative numbers.
    """
    operation, of_class = node.operation, type(node.operation).__name__
    if name not in _KEEPS_SIGN or not node.inputs or not all(key in nonnegative for key in node.inputs):
        return False
    if isinstance(operation, layers.Subtract) or of_class == "Subtract":
        return False
    if getattr(operation, "interpolation", None) in _OVERSHOOTS or getattr(operation, "fill_value", 0) < 0:
        return False
    if of_class == "Pad":
        return not getattr(operation, "constant_values", None)  # pads with zeros, or with the tensor's own values
    if (name == "sum" and not isinstance(operation, layers.Layer)) or of_class in _TAKES_CONSTANTS:
        return all(map(_is_nonnegative, keras.tree.flatten(node.args)))
    return True


def _is_nonnegative(operand: object) -> bool:
    """Return whether an operand is a tensor of the graph, or a constant without a negative number."""
    if operand is None or isinstance(operand, Ref):
        return True
    if isinstance(operand, keras.Variable):
        return False  # it may be trained further
    return bool(np.all(np.asarray(operand) >= 0))


def gates(graph: Graph, node: Node, bounded: Collection[int]) -> tuple[bool, ...]:
    """Return per input of a product whether it scales the others.

    A factor that is broadcast along an axis to another one is a gate.  Among those of full size it is one that comes
    from an activation which is bounded on both sides; where all of these are, none is.

    bounded: keys of tensors that stay between zero and another number.
    """
    shapes = [graph.specs[key].shape for key in node.inputs]
    rank = max(map(len, shapes))
    aligned = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    # Axis by axis: the sizes of some are not known, and one of unknown size is not broadcast.
    spread = [
        kind(node.operation) == "product"
        and any(own == 1 != other for one in aligned for own, other in zip(shape, one, strict=True))
        for shape in aligned
    ]
    if all(spread):
        spread = [False] * len(spread)
    full = [key for key, small in zip(node.inputs, spread, strict=True) if not small]
    scales = set(bounded) if not all(key in bounded for key in full) else set()
    return tuple(small or key in scales for key, small in zip(node.inputs, spread, strict=True))
