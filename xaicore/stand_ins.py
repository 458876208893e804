"""What stands in for inputs that are taken away: plain values, checked against the inputs' shapes and filled in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from xaicore.errors import InvalidParameter
from xaicore.values import Array, numeric_or_array

if TYPE_CHECKING:
    from xaicore.inspect.nodes import Spec
    from xaicore.protocols import Tensors

# A number or an array for all inputs, or one of these for each.
StandIn: TypeAlias = "float | Array | tuple[float | Array, ...]"


def _stand_in(value: Any, instance: Any, field: Any) -> Any:
    one: Any = numeric_or_array
    if isinstance(value, tuple) and value:
        return tuple(one(v, instance, field) for v in value)
    return one(value, instance, field)


# Takes a number, an array or a list of numbers; or a tuple of these, one per input.
stand_in: attrs.Converter[Any, Any] = attrs.Converter(_stand_in, takes_self=True, takes_field=True)


def check_stand_in(value: StandIn, names: Sequence[str], specs: Sequence[Spec], what: str = "baseline") -> None:
    """Raise InvalidParameter unless there is one value for all inputs, or one each, and they broadcast to samples."""
    import numpy as np

    if isinstance(value, tuple) and len(value) != len(names):
        raise InvalidParameter(
            f"Given {len(value)} values of {what} as a tuple; expected one for all inputs or a tuple of {len(names)}, "
            f"one each: {', '.join(names)}. The numbers of one sample are an array or a list."
        )
    for one, name, spec in zip(_each(value, len(names)), names, specs, strict=True):
        shape, expected = np.shape(one), spec.shape[1:]
        short = len(expected) - len(shape)
        ends = zip(shape, expected[max(short, 0) :], strict=False)
        if short < 0 or not all(n == 1 or e in {None, n} for n, e in ends):
            raise InvalidParameter(
                f"Given a {what} of shape {shape} for {name!r}; expected a number, or an array that broadcasts to "
                f"one sample, {expected}."
            )
        if "float" not in spec.dtype and np.any(np.asarray(one) % 1):
            raise InvalidParameter(
                f"Given a {what} with fractions for {name!r}, which holds {spec.dtype}; expected whole numbers."
            )


def filled(value: StandIn, inputs: Tensors) -> Tensors:
    """Return what stands in for every input, in its dtype, broadcasting to it."""
    import numpy as np
    import tensorflow as tf

    # By way of NumPy: a Python float would be rounded to float32 on its way to float64.
    return tuple(
        tf.constant(np.asarray(one).astype(x.dtype.as_numpy_dtype))
        for one, x in zip(_each(value, len(inputs)), inputs, strict=True)
    )


def _each(value: StandIn, count: int) -> tuple[float | Array, ...]:
    return value if isinstance(value, tuple) else (value,) * count
