"""One node run as the model runs it at inference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras

from xaicore.inspect.nodes import Ref

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.inspect.nodes import Node


def run(node: Node, tensors: Sequence[object], operation: keras.Operation | None = None) -> list[tf.Tensor]:
    """Return the outputs of a node, called as the model calls it at inference.

    operation: what to call in the node's stead, its twin.
    """
    operation = node.operation if operation is None else operation
    flat = keras.tree.flatten((node.args, dict(node.kwargs)))
    given = iter(tensors)
    filled = [next(given) if isinstance(leaf, Ref) else leaf for leaf in flat]
    args, kwargs = keras.tree.pack_sequence_as((node.args, dict(node.kwargs)), filled)
    if getattr(operation, "_call_has_training_arg", False):
        kwargs = {**kwargs, "training": False}
    return keras.tree.flatten(operation(*args, **kwargs))  # type: ignore[no-any-return]
