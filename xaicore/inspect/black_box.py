"""A function on arrays as a model: for explanations that only look at outputs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from xaicore.errors import BlackBoxMistake

Shape = tuple[int | None, ...]
# Data whose shapes are known when it is run through, or whose order an arbitrary function cannot know.
_RUN = (dict, tf.data.Dataset, keras.utils.PyDataset)


class HostFunction(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Calls a function on NumPy arrays, on the host, outside of any compiled step."""

    def __init__(self, function: Callable[..., object], outputs: Shape, dtype: str) -> None:
        """Keep the function.

        function: arrays (batch, ...) -> an array (batch, *outputs).
        """
        super().__init__(name="function", dtype=dtype, trainable=False)
        self.function, self.outputs = function, outputs

    def call(self, *inputs: tf.Tensor) -> tf.Tensor:
        """Return what the function makes of the inputs."""
        if any(isinstance(x, keras.KerasTensor) for x in inputs):
            return self.compute_output_spec(*inputs)
        found = tf.numpy_function(self._checked, inputs, self.compute_dtype, stateful=False)
        return tf.ensure_shape(found, (None, *self.outputs))

    def compute_output_spec(self, *inputs: Any) -> keras.KerasTensor:  # noqa: ARG002  # the shape is told
        """Return shape and dtype of the output."""
        return keras.KerasTensor((None, *self.outputs), self.compute_dtype)

    def _checked(self, *inputs: np.ndarray) -> np.ndarray:
        try:
            found = np.asarray(self.function(*inputs))
        except Exception as error:
            told = f"{type(error).__name__}: {error}".splitlines()[0]
            raise BlackBoxMistake(f"The function raised {told}, for {len(inputs[0])} samples.") from error
        expected = (len(inputs[0]), *self.outputs)
        fits = found.ndim == len(expected) and all(e in {None, n} for n, e in zip(found.shape, expected, strict=True))
        if not fits or found.dtype.kind not in "fiub":
            raise BlackBoxMistake(
                f"The function returned {found.dtype} of shape {found.shape} for {len(inputs[0])} samples; expected "
                f"numbers of shape {expected}."
            )
        return found.astype(self.compute_dtype)


def black_box(
    function: Any,
    inputs: Shape | Sequence[Shape],
    outputs: Shape,
    *,
    dtype: str = "float32",
) -> keras.Model:
    """Return a model that calls a function on arrays: ``xaicore.black_box(forest.predict_proba, (30,), (2,))``.

    It has outputs and no gradient: perturbations and searches explain it, and whatever asks for a gradient refuses it.

    Args:
        function: Takes one NumPy array (batch, *shape) for each input, and returns one (batch, *outputs).
        inputs: Shape of a sample, or a list of shapes for several inputs.
        outputs: Shape of the output for a sample, () for a number.
        dtype: Of inputs and outputs, "float32" or "float64".

    Raises:
        BlackBoxMistake: The function cannot be called, or a shape is none; at a run, what it returns has another shape.
    """
    if not callable(function) or isinstance(function, keras.Model):
        raise BlackBoxMistake(f"Given {type(function).__name__} as the function; expected a callable on NumPy arrays.")
    shapes: list[Any] = list(inputs) if isinstance(inputs, list) else [inputs]
    for shape in [*shapes, outputs]:
        if not isinstance(shape, tuple) or not all(n is None or n > 0 for n in shape):
            raise BlackBoxMistake(
                f"Given the shape {shape!r}; expected a tuple of lengths for one sample, for example (30,)."
            )
    given = [keras.Input(shape, dtype=dtype) for shape in shapes]
    found = HostFunction(function, outputs, dtype)(*given)
    return keras.Model(given if isinstance(inputs, list) else given[0], found, name="black_box")


def as_model(given: Any, x: object) -> Any:
    """Return a plain function on arrays as a model, with shapes taken from the data; anything else as it is.

    x: arrays, tensors or numbers, or a list of arrays for a function of several.

    Raises:
        BlackBoxMistake: the data has no shapes before it is run through, or the function does not return one row for
            each sample.
    """
    if not (inspect.isroutine(given) or isinstance(given, functools.partial)):
        return given
    several = isinstance(x, list | tuple) and any(hasattr(one, "shape") for one in x)
    parts: list[Any] = list(x) if several else [x]  # type: ignore[call-overload]  # a list where there are several
    if any(hasattr(one, "__next__") or isinstance(one, _RUN) for one in parts):
        raise BlackBoxMistake(
            f"Given the function {_named(given)} and data as a {type(x).__name__}; expected arrays, which tell the "
            "shapes. Wrap the function first: xaicore.black_box(function, inputs, outputs)."
        )
    arrays = [np.asarray(one) for one in parts]
    if any(not a.ndim or not len(a) or a.dtype.kind not in "fiub" for a in arrays):
        kinds = ", ".join(f"{a.dtype} of shape {a.shape}" for a in arrays)
        raise BlackBoxMistake(f"Given {kinds} for the function {_named(given)}; expected numbers, (batch, *features).")
    dtype = "float32" if all(a.dtype.itemsize <= np.dtype("float32").itemsize for a in arrays) else "float64"
    found = np.asarray(given(*(a[:1].astype(dtype) for a in arrays)))
    if found.shape[:1] != (1,):
        raise BlackBoxMistake(
            f"The function {_named(given)} returned an array of shape {found.shape} for one sample; expected one row "
            "for each sample, (batch, *outputs)."
        )
    shapes: Any = [a.shape[1:] for a in arrays]
    return black_box(given, shapes if several else shapes[0], found.shape[1:], dtype=dtype)


def _named(function: object) -> str:
    return str(getattr(function, "__qualname__", type(function).__name__))
