"""Baselines: where a path starts, checked against the model's inputs before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from xaicore.errors import InvalidParameter
from xaicore.values import Array, numeric_or_array

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.inspect.nodes import Graph
    from xaicore.protocols import Tensors

    Baseline = float | Array | tuple[float | Array, ...]


def _converted(value: Any, instance: Any, field: Any) -> Baseline:
    """Take a number, an array, or a tuple of these; a list is an array."""
    single: Any = numeric_or_array
    if isinstance(value, tuple) and value:
        return tuple(single(one, instance, field) for one in value)
    return single(value, instance, field)  # type: ignore[no-any-return]


baseline: attrs.Converter[Any, Any] = attrs.Converter(_converted, takes_self=True, takes_field=True)


def check(given: Baseline, graph: Graph) -> None:
    """Raise InvalidParameter where a baseline does not fit: one for all inputs, or one each, like one sample."""
    names = graph.input_names
    if isinstance(given, tuple) and len(given) != len(names):
        raise InvalidParameter(
            f"Given {len(given)} baselines; expected one for all inputs or a tuple of {len(names)}: {', '.join(names)}."
        )
    for one, name, key in zip(_each(given, len(names)), names, graph.inputs, strict=False):
        expected = graph.specs[key].shape[1:]
        if isinstance(one, Array) and not _fits(one.shape, expected):
            raise InvalidParameter(
                f"Given a baseline of shape {one.shape} for the input {name!r}; expected a number or an array that "
                f"broadcasts to one sample, {expected}."
            )


def filled(given: Baseline, inputs: Tensors) -> Tensors:
    """Return the baseline of every sample, shaped like the inputs and of their dtypes."""
    return tuple(_like(one, x) for one, x in zip(_each(given, len(inputs)), inputs, strict=True))


def _each(given: Baseline, count: int) -> tuple[float | Array, ...]:
    return given if isinstance(given, tuple) else (given,) * count


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    """Return whether a shape broadcasts to a sample's; a free length takes any."""
    short = len(expected) - len(shape)
    return short >= 0 and all(n == 1 or e is None or n == e for n, e in zip(shape, expected[short:], strict=True))


def _like(one: float | Array, x: tf.Tensor) -> tf.Tensor:
    import numpy as np
    import tensorflow as tf

    # By way of numpy: a Python float would be rounded to float32 on its way to float64.
    value = np.asarray(one.data if isinstance(one, Array) else one).astype(x.dtype.as_numpy_dtype)
    return tf.zeros_like(x) + tf.constant(value)
