"""Symbolic calls append nodes to the layers that they meet; here the layers of the user get back what they had."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import keras
from keras.src.models.functional import Functional  # no public name

from xaicore.inspect.affine import twin


@contextlib.contextmanager
def untouched(*of: object) -> Iterator[None]:
    """Leave nodes of operations as they were.

    Args:
        of: Layers and models, with all that is inside them; symbolic tensors, which stand for what made them.
            Anything else, such as an eager tensor, has no nodes.
    """
    every = {id(op): op for one in of for op in _operations(one)}.values()
    before = [(x, len(x._inbound_nodes), len(x._outbound_nodes)) for x in every]  # noqa: SLF001  # no public name
    try:
        yield
    finally:
        for x, inbound, outbound in before:
            del x._inbound_nodes[inbound:], x._outbound_nodes[outbound:]  # noqa: SLF001


def _operations(one: object) -> Iterable[keras.Operation]:
    if isinstance(one, keras.KerasTensor):
        history = getattr(one, "_keras_history", None)
        return () if history is None else (history.operation,)
    if isinstance(one, keras.layers.Layer):
        inside = one._flatten_layers(include_self=True, recursive=True)  # noqa: SLF001  # no public name
        return [op for layer in inside for op in (layer, *(layer.operations if isinstance(layer, Functional) else ()))]
    return (one,) if isinstance(one, keras.Operation) else ()


def own_nodes(operation: keras.Operation, **attributes: object) -> keras.Operation:
    """Return a twin of an operation that shares its variables and has no nodes yet, for use in another model."""
    return twin(operation, _inbound_nodes=[], _outbound_nodes=[], **attributes)
