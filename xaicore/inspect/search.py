"""What is where in a model: its layers, the layer of a name, of a class, the last with a kernel, those with biases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import keras
from keras import layers

from xaicore.errors import InvalidArgument, UnknownLayer
from xaicore.inspect.arguments import a_class, a_flag, a_model, a_text, layers_listed, optional, refuse, several, takes
from xaicore.inspect.read import check_model
from xaicore.inspect.weights import biases as biases_of
from xaicore.inspect.weights import has_biases

if TYPE_CHECKING:
    import numpy as np

Condition = Callable[[keras.layers.Layer], object]


def _conditions(name: str, value: object) -> None:
    for one in value if isinstance(value, list | tuple) else [value]:
        if not callable(one) or isinstance(one, keras.Operation):
            raise refuse(name, one, "a function of a layer, such as `layers.contains_kernel`, or a list of them")


_attributes = optional(several(a_text, "a list of names of attributes"))
_POOLING = (
    *(layers.Flatten, layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D),
    *(layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D, layers.GlobalMaxPooling3D),
)


@takes(model=a_model)
def model_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Return all layers of a model, each once, depth first; a nested model or composite stands before its layers."""
    return _all_inside(model)


def _all_inside(container: keras.layers.Layer) -> list[keras.layers.Layer]:
    found: dict[int, keras.layers.Layer] = {}

    def collect(outer: keras.layers.Layer) -> None:
        for layer in _inside(outer):
            if id(layer) not in found:
                found[id(layer)] = layer
                collect(layer)

    collect(container)
    return list(found.values())


def _inside(container: keras.layers.Layer) -> list[keras.layers.Layer]:
    inside = container.layers if isinstance(container, keras.Model) else container._layers  # noqa: SLF001
    # An activation given as a layer is part of its layer.
    return [layer for layer in inside if layer is not getattr(container, "activation", None)]


@takes(model=a_model, layer_condition=_conditions, return_only_counts=a_flag)
def model_contains(
    model: keras.Model, layer_condition: Condition | Sequence[Condition], *, return_only_counts: bool = False
) -> object:
    """Return the layers of a model, nested ones too, for which a condition holds.

    Args:
        model: Any model.
        layer_condition: A function of a layer, or a list of them.
        return_only_counts: Numbers of layers in place of the layers.

    Returns:
        A list of layers (or a number); for a list of conditions a list of these.
    """
    conditions = [layer_condition] if callable(layer_condition) else list(layer_condition)
    every = model_layers(model)
    found = [[layer for layer in every if condition(layer)] for condition in conditions]
    answers: list[object] = [len(some) for some in found] if return_only_counts else list(found)
    return answers[0] if callable(layer_condition) else answers


@takes(model=a_model, name=optional(a_text), properties=_attributes, klass=optional(a_class), search_reversed=a_flag)
def find_layer(
    model: keras.Model,
    name: str | None = None,
    *,
    properties: Sequence[str] | None = (),
    klass: type | tuple[type, ...] | None = None,
    search_reversed: bool = True,
) -> keras.layers.Layer:
    """Return the layer of a name, or the last (first) layer that is of a class and has the given attributes.

    Args:
        model: Any model; nested layers count.
        name: A layer's name, or names on the way to it, ``backbone/conv3``.
        properties: A list of attributes that the layer has, and that are not None.
        klass: A class, or several.
        search_reversed: Whether the search begins at the end.

    Raises:
        InvalidArgument: Neither a name nor anything else is given, or a list of names.
        UnknownLayer: No layer is like that.
    """
    wanted = tuple(properties or ())
    if name is None and not wanted and klass is None:
        raise InvalidArgument("Given neither name, properties nor klass; expected at least one of them to search by.")
    every = model_layers(model)
    if name is not None:
        return named_layer(model, name)
    for layer in reversed(every) if search_reversed else every:
        has = all(getattr(layer, attribute, None) is not None for attribute in wanted)
        if has and (klass is None or isinstance(layer, klass)):
            return layer
    of = f" of class {klass}" if klass else ""
    raise UnknownLayer(f"The model {model.name!r} has no layer{of} with the attributes {list(wanted)}.")


def named_layer(model: keras.Model, name: str) -> keras.layers.Layer:
    """Return the layer of a name, or of the names on the way to it; raises UnknownLayer.

    A layer of the model itself comes before one of the same name that is deeper inside.
    """
    layer: keras.layers.Layer = model
    for part in name.split("/"):
        some = (*_inside(layer), *_all_inside(layer))
        found = next((x for x in some if x.name == part), None)
        if found is None:
            known = ", ".join(x.name for x in _all_inside(layer)[:20])
            raise UnknownLayer(f"Given the layer {name!r}; {part!r} is none of the expected layers {known}, ...")
        layer = found
    return layer


@takes(model=a_model)
def logits_layer(model: keras.Model) -> keras.layers.Layer:
    """Return the last layer that has a kernel: the one that computes logits, or probabilities from them.

    Raises:
        UnknownLayer: No layer has one.
    """
    return find_layer(check_model(model), properties=("kernel",))


@takes(model=a_model)
def global_pooling_layer(model: keras.Model) -> keras.layers.Layer:
    """Return the last layer that joins all positions: global pooling of any rank, or Flatten.

    Raises:
        UnknownLayer: There is none.
    """
    return find_layer(model, klass=_POOLING)


@takes(model=a_model, exclude=layers_listed, return_biases=a_flag)
def layers_with_biases(
    model: keras.Model, *, exclude: Sequence[keras.layers.Layer] = (), return_biases: bool = True
) -> object:
    """Return the layers that add something of their own, in the model's order, and what they add.

    Args:
        model: Any model; nested layers count.
        exclude: Layers left out.
        return_biases: Whether biases are returned too.

    Returns:
        A list of layers, or (layers, biases) as two lists of one length.
    """
    every = model_layers(check_model(model))
    found = [layer for layer in every if has_biases(layer) and all(layer is not x for x in exclude)]
    return (found, biases(found)) if return_biases else found


@takes(of=layers_listed)
def biases(of: Sequence[keras.layers.Layer]) -> list[np.ndarray | None]:
    """Return what each layer adds to its units, None where it adds nothing: see ``weights.biases``."""
    return [biases_of(layer) for layer in of]
