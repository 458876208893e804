"""Groups of features that are taken away together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import attrs

from xaicore.errors import InvalidParameter
from xaicore.values import Array

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from xaicore.inspect.nodes import Graph
    from xaicore.protocols import Tensors


def taken(value: Any) -> Any:
    """Take None, an array of integers, or a tuple of these, one per input."""
    if value is None or isinstance(value, Array):
        return value
    return tuple(taken(one) for one in value) if isinstance(value, tuple) else Array(value)


def checked(instance: object, field: object, value: Any) -> None:  # noqa: ARG001  # as attrs calls it
    """Refuse groups that are no integers of at least 0."""
    for one in value if isinstance(value, tuple) else (value,):
        if one is not None and (one.data.dtype.kind not in "iu" or one.data.size == 0 or one.data.min() < 0):
            raise InvalidParameter(
                f"Given groups of {one.data.dtype}; expected integers of at least 0, one per feature."
            )


@attrs.frozen(eq=False)
class Groups:
    """Which group every feature of every input belongs to, numbered through.

    members: for each input an integer array, shaped like a sample.  count: number of groups.
    """

    members: tuple[np.ndarray, ...]
    count: int

    def off(self, k: tf.Tensor) -> Tensors:
        """Return where the k-th groups are, 1 or 0, one row per number: shaped like samples."""
        import tensorflow as tf

        return tuple(
            tf.cast(tf.constant(m)[None] == tf.reshape(k, [-1] + [1] * m.ndim), tf.float32) for m in self.members
        )

    def spread(self, values: tf.Tensor) -> Tensors:
        """Return a value of every group at all its features: (rows, groups) -> (rows, *features) for each input."""
        import tensorflow as tf

        return tuple(tf.gather(values, tf.constant(m), axis=1) for m in self.members)


def read_groups(given: Any, graph: Graph, shapes: tuple[tuple[int, ...], ...]) -> Groups:
    """Return the groups for a model's inputs; each feature its own where none are given.

    Raises:
        InvalidParameter: an array does not broadcast to a sample of its input.
    """
    import numpy as np

    each = given if isinstance(given, tuple) else (given,) * (1 if given is not None else len(shapes))
    if len(each) != len(shapes):
        raise InvalidParameter(
            f"Given {len(each)} arrays of groups; expected a tuple of {len(shapes)}: {', '.join(graph.input_names)}."
        )
    members, first = [], 0
    for one, shape, name in zip(each, shapes, graph.input_names, strict=True):
        own = np.arange(math.prod(shape)).reshape(shape)
        if one is not None:
            try:
                whole = np.broadcast_to(one.data, shape)
            except ValueError:
                raise InvalidParameter(
                    f"Given groups of shape {one.shape} for the input {name!r}; expected one that broadcasts to "
                    f"{shape}."
                ) from None
            own = np.unique(whole, return_inverse=True)[1].reshape(shape)  # numbered without gaps
        members.append((own + first).astype(np.int32))
        first = int(members[-1].max()) + 1
    return Groups(tuple(members), first)
