"""What symbolic calls are made with: variables as operations, notes of which are read, names of what is made."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf
from keras.src.utils.naming import to_snake_case  # no public name

if TYPE_CHECKING:
    from keras.src.backend.common.variables import Variable


class VariableValue(keras.Operation):  # type: ignore[misc]  # Keras has no types
    """Returns the value of a variable."""

    def __init__(self, variable: keras.Variable) -> None:
        """Keep the variable; only its value is ever read."""
        super().__init__(name=variable.name)
        self.variable = variable

    def call(self) -> Any:
        """Return the value."""
        return tf.convert_to_tensor(self.variable.value)

    def compute_output_spec(self) -> keras.KerasTensor:
        """Return shape and dtype."""
        return keras.KerasTensor(self.variable.shape, self.variable.dtype)


class Reads(keras.StatelessScope):  # type: ignore[misc]  # Keras has no types
    """A scope that notes the variables whose values are read outside of any graph."""

    def __init__(self) -> None:
        super().__init__()
        self.read: dict[int, Variable] = {}

    def get_current_value(self, variable: Variable) -> object:
        """Return the value that the scope has for a variable, None for the variable's own."""
        if tf.executing_eagerly():
            self.read[id(variable)] = variable
        return super().get_current_value(variable)


class Names:
    """Names of operations that are made in a call: Keras numbers them through the process, here through the call."""

    def __init__(self, taken: set[str]) -> None:
        self._taken, self._count = taken, collections.Counter[str]()

    def of(self, operation: keras.Operation) -> str:
        """Return the name of the next operation of a class: ``add``, ``add_1``, past the names of the layers."""
        kind = to_snake_case(type(operation).__name__)
        while True:
            count = self._count[kind]
            self._count[kind] += 1
            name = f"{kind}_{count}" if count else kind
            if name not in self._taken:
                return str(name)


def symbol_of(value: Any) -> keras.KerasTensor:
    """Return a symbolic tensor of the shape and type of a value."""
    return keras.KerasTensor(tuple(value.shape), keras.backend.standardize_dtype(value.dtype))
