"""What a model computes of its variables alone, as layers of a Functional model, which has no node without input.

Each takes any tensor of the model, and does not look at it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from xaicore.inspect.symbols import VariableValue


@keras.saving.register_keras_serializable("xaicore")
class OnConstants(layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Calls a layer on fixed arrays: an embedding of positions."""

    def __init__(
        self, layer: Any, args: Sequence[object] = (), kwargs: Mapping[str, object] | None = None, **of_layer: object
    ) -> None:
        """Take the layer and what it is called on, arrays as they are or as ``get_config`` writes them."""
        super().__init__(**of_layer)
        self.layer = keras.saving.deserialize_keras_object(layer) if isinstance(layer, Mapping) else layer
        self._given: Any = (_read(tuple(args)), _read(dict(kwargs or {})))
        self.built = self.layer.built

    def build(self, shape: object) -> None:
        """Build the layer for what it is called on."""
        del shape
        if not self.layer.built:
            args, kwargs = self._given
            self.layer(*args, **kwargs)

    def call(self, inputs: object) -> object:
        """Return what the layer returns."""
        del inputs
        args, kwargs = self._given
        return self.layer(*args, **kwargs)

    def get_config(self) -> dict[str, object]:
        """Return the layer's configuration, and the arrays as numbers."""
        args, kwargs = keras.tree.map_structure(_written, self._given)
        layer = keras.saving.serialize_keras_object(self.layer)
        return {**super().get_config(), "layer": layer, "args": list(args), "kwargs": kwargs}


@keras.saving.register_keras_serializable("xaicore")
class VariableAlone(layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Returns the value of a variable."""

    def __init__(self, shape: Sequence[int], variable: keras.Variable | None = None, **of_layer: object) -> None:
        """Take the variable, or make one of a shape."""
        super().__init__(**of_layer)
        self.value = self.add_weight(shape=tuple(shape), name="value") if variable is None else variable
        self.built = True

    def call(self, inputs: object) -> object:
        """Return the value."""
        del inputs
        return keras.ops.convert_to_tensor(self.value)

    def compute_output_shape(self, input_shape: object) -> tuple[int, ...]:
        """Return the variable's shape."""
        del input_shape
        return tuple(self.value.shape)

    def get_config(self) -> dict[str, object]:
        """Return the shape."""
        return {**super().get_config(), "shape": tuple(self.value.shape)}


def fed(operation: keras.Operation, args: Sequence[object], kwargs: Mapping[str, object], name: str) -> layers.Layer:
    """Return a layer that takes any tensor and returns what an operation makes of constants.

    Its variables are those of the operation.
    """
    if isinstance(operation, VariableValue):
        variable = operation.variable
        return VariableAlone(variable.shape, variable, dtype=variable.dtype, name=name)
    return OnConstants(operation, args, kwargs, name=name)


def _written(leaf: object) -> object:
    return {"array": leaf.tolist(), "dtype": leaf.dtype.name} if isinstance(leaf, np.ndarray) else leaf


def _read(value: Any) -> Any:
    if isinstance(value, Mapping):
        written = set(value) == {"array", "dtype"}
        return np.array(value["array"], value["dtype"]) if written else {k: _read(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return tuple(map(_read, value))
    return np.asarray(value) if hasattr(value, "shape") else value
