"""Symbolic calls append nodes to the layers that they meet; here the layers of the user get back what they had."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import keras
from keras.src.models.functional import Functional  # no public name
from keras.src.utils.naming import auto_name  # likewise

from xaicore.inspect.affine import twin
from xaicore.inspect.quiet import quiet

# Two that put their lists in the place of one list would give back each other's.
_GUARDING = threading.RLock()
_LISTS = ("_inbound_nodes", "_outbound_nodes")


class _Guarded(list[Any]):
    """The nodes of an operation, which drop what one thread appends: others may build models meanwhile."""

    def __init__(self, nodes: Iterable[Any]) -> None:
        super().__init__(nodes)
        self._thread = threading.get_ident()

    def append(self, node: Any) -> None:
        """Append what another thread made."""
        if threading.get_ident() != self._thread:
            super().append(node)


@contextlib.contextmanager
def untouched(*of: object) -> Iterator[None]:
    """Leave nodes and losses of operations as they were.  What other threads do with the operations meanwhile, stays.

    Args:
        of: Layers and models, with all that is inside them; symbolic tensors, which stand for what made them.
            Anything else, such as an eager tensor, has no nodes.
    """
    every = {id(op): op for one in of for op in _operations(one)}.values()
    with _GUARDING, quiet():
        before = [(op, name, op.__dict__[name]) for op in every for name in _LISTS]
        # Past Keras' `__setattr__`, which would track the lists.
        for op, name, nodes in before:
            op.__dict__[name] = _Guarded(nodes)
        try:
            yield
        finally:
            for op, name, nodes in before:
                guarded = op.__dict__[name]
                op.__dict__[name] = nodes
                nodes.extend(guarded[len(nodes) :])


def _operations(one: object) -> Iterable[keras.Operation]:
    if isinstance(one, keras.KerasTensor):
        history = getattr(one, "_keras_history", None)
        return () if history is None or history.operation is None else (history.operation,)
    if isinstance(one, keras.layers.Layer):
        inside = one._flatten_layers(include_self=True, recursive=True)  # noqa: SLF001  # no public name
        return [op for layer in inside for op in (layer, *(layer.operations if isinstance(layer, Functional) else ()))]
    return (one,) if isinstance(one, keras.Operation) else ()


def own_nodes(operation: keras.Operation, **attributes: object) -> keras.Operation:
    """Return a twin of an operation that shares its variables and has no nodes yet, for use in another model."""
    fresh: dict[str, object] = {"_inbound_nodes": [], "_outbound_nodes": []}
    if isinstance(operation, keras.layers.Layer):
        fresh |= {"_losses": [], "_loss_ids": set()}
    return twin(operation, **fresh, **attributes)


def new_name(operation: keras.Operation, what: str) -> dict[str, str]:
    """Return a name that no layer has, as attributes: a twin may be in one model with what it is the twin of."""
    name = auto_name(f"{operation.name}_{what}")
    return {"name": name, "_name": name} if hasattr(operation, "_name") else {"name": name}
