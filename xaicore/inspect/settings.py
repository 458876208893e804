"""What a layer was told when it was made, and what of a model a graph that was read of it depends on."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

_SCALARS = (bool, int, float, str, type(None))
_SWITCHES = ("quantization_mode", "lora_enabled", "lora_rank", "lora_alpha")


@functools.cache  # signatures are slow to read, and this is asked at every explanation
def _parameters(mro: tuple[type, ...]) -> tuple[str, ...]:
    """Return the parameters of a class and its bases: attributes of these names are its configuration."""
    made = [base.__dict__["__init__"] for base in mro if "__init__" in base.__dict__ and base is not object]
    names = (name for one in made for name in _names(one))
    return tuple(dict.fromkeys(name for name in names if name not in {"self", "name", "args", "kwargs"}))


def _names(function: object) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(function).parameters)  # type: ignore[arg-type]
    except (TypeError, ValueError):  # written in C
        return ()


def settings(operation: keras.Operation) -> tuple[tuple[str, object], ...]:
    """Return the numbers and texts that an operation was told when it was made, by name, as they are now."""
    own, of_class = operation.__dict__, _parameters(type(operation).__mro__)
    return tuple((name, own[name]) for name in of_class if name in own and _is_plain(own[name]))


def structure_of(model: keras.Model) -> Hashable:
    """Return what a graph that was read of a model depends on, but for the numbers in its variables.

    These are its layers, what they were told, their functions, and which variables they have: LoRA and quantisation
    add some.  Attributes that only count calls are no part of it.
    """
    every = model._flatten_layers()  # noqa: SLF001  # no public way that enters all layers
    return tuple(map(_of_layer, every))


def _of_layer(layer: keras.layers.Layer) -> Hashable:
    own = layer.__dict__
    # What is neither number nor text is told apart by which object it is, an activation or a function for example.
    told = tuple(
        own[name] if _is_plain(own[name]) else id(own[name]) for name in _parameters(type(layer).__mro__) if name in own
    )
    variables = (*layer._trainable_variables, *layer._non_trainable_variables)  # noqa: SLF001  # `variables` is slow
    return id(layer), told, tuple(own.get(name) for name in _SWITCHES), tuple(map(id, variables))


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return isinstance(value, _SCALARS)
