"""Deep twins: a layer and all layers inside of it a second time, with the same variables.

A twin can be called symbolically, in another precision or without an activation: the layers of the user are only read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import keras

from xaicore.inspect.affine import twin

# What Keras keeps about calls and tracking belongs to the original.
_NOT_INSIDE = frozenset({"_inbound_nodes", "_outbound_nodes", "_tracker", "_losses", "_loss_ids", "_nodes"})
# What is bound to the original, and would keep it: wrapped methods, and what training and predicting compiled.
_BOUND = ("build", "quantize", "train_function", "test_function", "predict_function", "optimizer", "history")

Changes = Callable[[keras.Operation], Mapping[str, object]]


@attrs.frozen(eq=False)
class Twins:
    """A deep twin.

    operation: the twin.  by_original: id of each operation inside, itself included, -> its twin.
    originals: id of a twin -> what it is a twin of.
    """

    operation: keras.Operation
    by_original: Mapping[int, keras.Operation] = attrs.field(repr=False)
    originals: Mapping[int, keras.Operation] = attrs.field(repr=False)


def deep_twin(operation: keras.Operation, changes: Changes | None = None) -> Twins:
    """Return a twin of an operation that holds twins of the layers inside, in the same places.

    Layers are found where Python objects hold them: attributes, lists, tuples, dicts, and the graphs of nested models.

    Args:
        operation: Any layer or model; only read.
        changes: For each operation the attributes that its twin has in their stead.
    """
    by_original: dict[int, keras.Operation] = {}
    originals: dict[int, keras.Operation] = {}

    def copied(original: keras.Operation) -> keras.Operation:
        if id(original) not in by_original:
            # Losses and nodes of its own; a symbolic tensor has no loss that could be added.
            own: dict[str, object] = {"_inbound_nodes": [], "_outbound_nodes": [], "_losses": [], "_loss_ids": set()}
            made = twin(original, **own, **({} if changes is None else changes(original)))
            for name in _BOUND:
                made.__dict__.pop(name, None)
            by_original[id(original)], originals[id(made)] = made, original  # before its parts, which may hold it
            for name, value in original.__dict__.items():
                if name == "_nodes_by_depth":
                    made.__dict__[name] = {depth: [_node(n) for n in nodes] for depth, nodes in value.items()}
                elif name not in _NOT_INSIDE and made.__dict__.get(name) is value:
                    made.__dict__[name] = inside(value)
        return by_original[id(original)]

    def inside(value: Any) -> Any:
        if isinstance(value, keras.Operation):
            return copied(value)
        if isinstance(value, dict):
            found: Any = {key: inside(one) for key, one in value.items()}
            changed = any(found[key] is not one for key, one in value.items())
        elif isinstance(value, list | tuple):
            found = [inside(one) for one in value]
            changed = any(new is not old for new, old in zip(found, value, strict=True))
            found = (
                type(value)(*found)
                if hasattr(value, "_fields")
                else tuple(found)
                if isinstance(value, tuple)
                else found
            )
        else:
            return value
        return found if changed else value

    def _node(node: Any) -> Any:  # of a nested model
        made = object.__new__(type(node))
        made.__dict__.update(node.__dict__)
        made.operation = None if node.operation is None else copied(node.operation)
        return made

    return Twins(copied(operation), by_original, originals)
