"""Baselines that are given as values: for all samples, or an array with a row for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from xaicore.errors import InvalidParameter
from xaicore.values import Array, convert_by, numeric_or_array

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.inspect.nodes import Graph
    from xaicore.protocols import Tensors


def _one(value: Any, instance: Any, field: Any) -> float | Array:
    import numpy as np

    if value is None:
        return 0.0
    found: float | Array = convert_by(numeric_or_array, value, field, instance)
    if isinstance(found, Array) and not np.isfinite(found.data).all():
        raise InvalidParameter(
            f"Given {field.alias}= an array of shape {found.shape} with NaN or infinity; expected finite numbers."
        )
    return found


def _values(value: Any, instance: Any, field: Any) -> Any:
    """Take a number, an array, or a tuple or list of these, one per input; None is 0."""
    if isinstance(value, tuple | list) and len(value):
        return tuple(_one(each, instance, field) for each in value)
    return _one(value, instance, field)


values_or_array: attrs.Converter[Any, Any] = attrs.Converter(_values, takes_self=True, takes_field=True)


@attrs.frozen
class Constant:
    """Numbers that are given.

    Args:
        value: In the units of the model's inputs: a number, an array that broadcasts to one sample or has its shape,
            an array (samples, *features) with a row for each sample of the data, in its order; or a tuple of these,
            one per input.
    """

    value: float | Array | tuple[float | Array, ...] = attrs.field(default=0.0, converter=values_or_array)

    @property
    def count(self) -> int:
        """One."""
        return 1

    def check(self, graph: Graph) -> None:
        """Raise InvalidParameter unless there is one value for all inputs, or one each, like one sample or all."""
        names = graph.input_names
        if isinstance(self.value, tuple) and len(self.value) != len(names):
            raise InvalidParameter(
                f"Given {len(self.value)} baselines; expected one for all inputs or a tuple of {len(names)}: "
                f"{', '.join(names)}. The features of one input are an array, np.array([...])."
            )
        for one, name, key in zip(self._each(len(names)), names, graph.inputs, strict=False):
            check_shape(one, graph.specs[key].shape, name)
        if len(set(self._rows(graph))) > 1:
            raise InvalidParameter(
                f"Given baselines for {' and '.join(map(str, self._rows(graph)))} samples; expected as many in each."
            )

    def rows(self, graph: Graph) -> int | None:
        """Return for how many samples there is a row; None where all have the same."""
        return next(iter(self._rows(graph)), None)

    def __call__(self, inputs: Tensors, ids: tf.Tensor, draw: tf.Tensor) -> Tensors:  # noqa: ARG002
        """Return the values, filled in."""
        return tuple(_filled(one, x, ids) for one, x in zip(self._each(len(inputs)), inputs, strict=True))

    def _each(self, count: int) -> tuple[float | Array, ...]:
        return self.value if isinstance(self.value, tuple) else (self.value,) * count

    def _rows(self, graph: Graph) -> list[int]:
        pairs = zip(self._each(len(graph.input_names)), graph.inputs, strict=False)
        return [one.shape[0] for one, key in pairs if _per_sample(one, len(graph.specs[key].shape))]


def _per_sample(one: float | Array, rank: int) -> bool:
    """Return whether an array has a row for each sample, given how many axes a batch has; one row is for all."""
    return isinstance(one, Array) and len(one.shape) == rank and one.shape[0] != 1


def check_shape(one: float | Array, expected: tuple[int | None, ...], name: str) -> None:
    """Raise InvalidParameter unless an array broadcasts to a batch of the expected shape (None where free)."""
    if not isinstance(one, Array):
        return
    short = len(expected) - len(one.shape)
    fits = short >= 0 and all(
        n == 1 or e is None or n == e for n, e in zip(one.shape, expected[short:], strict=True)
    )  # a free length takes any
    if not fits:
        sample = expected[1:]
        raise InvalidParameter(
            f"Given a baseline of shape {one.shape} for the input {name!r}; expected a number, an array that "
            f"broadcasts to one sample, {sample}, or one with a row for each, (samples, "
            f"{', '.join(str(n) for n in sample)})."
        )


def _filled(one: float | Array, x: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    import numpy as np
    import tensorflow as tf

    # By way of numpy: a Python float would be rounded to float32 on its way to float64.
    value = tf.constant(np.asarray(one.data if isinstance(one, Array) else one).astype(x.dtype.as_numpy_dtype))
    return tf.zeros_like(x) + (tf.gather(value, ids) if _per_sample(one, x.shape.rank) else value)
