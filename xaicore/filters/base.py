"""What all filters share: they are called on tensors and on arrays, and name axes of a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from xaicore.errors import InvalidArgument, InvalidParameter, UnknownParameter

if TYPE_CHECKING:
    import tensorflow as tf

Axes = tuple[int, ...]


class FilterBase:
    """Base of filters: frozen attrs classes whose one method of their own is ``filtered``."""

    def filtered(self, attributions: tf.Tensor) -> tf.Tensor:
        """Return what becomes of attributions, (batch, *features), floating."""
        raise NotImplementedError(f"{type(self).__qualname__} has to define `filtered(attributions)`.")

    def __call__(self, attributions: Any, **parameters: object) -> Any:
        """Return filtered attributions: a tensor for a tensor, an array for anything else that NumPy takes.

        Args:
            attributions: (batch, *features).  Whole numbers become float64.
            parameters: In place of the filter's own, ``normalize(maps, axis=(1, 2))``.

        Raises:
            UnknownParameter, InvalidParameter: the filter has no such parameter, or not this value.
            InvalidArgument: the attributions are no numbers, or have no axis beside the batch.
        """
        import tensorflow as tf

        if parameters:
            return self._with(parameters)(attributions)
        values = attributions if tf.is_tensor(attributions) else _array(attributions)
        if not values.dtype.is_floating or values.shape.rank is None or values.shape.rank < 2:  # noqa: PLR2004  # a batch
            raise InvalidArgument(
                f"Given {values.dtype.name} of shape {values.shape} to a filter; expected attributions, floating "
                "numbers (batch, *features)."
            )
        found = self.filtered(values)
        return found.numpy() if values is not attributions and hasattr(found, "numpy") else found

    def _with(self, parameters: dict[str, object]) -> FilterBase:
        kind: Any = type(self)  # every filter is an attrs class
        known = [field.name for field in attrs.fields(kind)]
        unknown = [name for name in parameters if name not in known]
        if unknown:
            raise UnknownParameter(
                f"Given {unknown[0]}= to {self}; expected one of its parameters: {', '.join(known)}."
            )
        return kind(**{name: getattr(self, name) for name in known} | parameters)  # type: ignore[no-any-return]


def axes_of(axis: Axes | None, attributions: tf.Tensor) -> list[int]:
    """Return axes counted from the front; raises InvalidParameter where there is none such, or it is the batch."""
    rank = attributions.shape.rank
    if axis is None:
        return list(range(1, rank))
    found = [a + rank if a < 0 else a for a in axis]
    if not all(1 <= a < rank for a in found):
        raise InvalidParameter(
            f"Given axis={axis} for attributions of shape {tuple(attributions.shape)}; expected axes of a sample, "
            f"1 to {rank - 1} or -{rank - 1} to -1: axis 0 is the batch."
        )
    return found


def _array(given: Any) -> tf.Tensor:
    import numpy as np
    import tensorflow as tf

    array = np.asarray(given)
    if array.dtype.kind not in "fiub":
        raise InvalidArgument(f"Given {array.dtype} to a filter; expected numbers, (batch, *features).")
    return tf.constant(array if array.dtype.kind == "f" else array.astype(np.float64))
