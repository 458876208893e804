"""Where paths start: baselines as parts, checked against the model's inputs before anything runs.

Law of each: per sample, a baseline depends on the sample, its id and the number of the draw alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import attrs

from xaicore.declaration import part
from xaicore.errors import InvalidParameter
from xaicore.values import Array, convert_by, integer, optional, real
from xaicore_ig.constant import Constant, check_shape, values_or_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import tensorflow as tf

    from xaicore.inspect.nodes import Graph
    from xaicore.protocols import Tensors

_POSITIONS = 3  # axes of what has positions: batch, positions, channels


class Baseline(Protocol):
    """One or several starts of a path for every sample.

    count: how many there are for each sample; the attributions are their mean.
    """

    @property
    def count(self) -> int: ...  # noqa: D102  # told above

    def check(self, graph: Graph) -> None:
        """Raise InvalidParameter where it does not fit the inputs of a graph."""
        ...

    def __call__(self, inputs: Tensors, ids: tf.Tensor, draw: tf.Tensor) -> Tensors:
        """Return the baselines of some samples, shaped like their inputs.  draw: int32 (batch,), below ``count``."""
        ...


@attrs.frozen
class Uniform:
    """``b ~ U(low, high)`` for every entry, n draws.

    Args:
        low, high: Bounds, in the units of the model's inputs.
        n: Number of draws.
        seed: With the sample's id and the number of the draw it fixes the numbers.
    """

    low: float = attrs.field(default=0.0, converter=real())
    high: float = attrs.field(default=1.0, converter=real())
    n: int = attrs.field(default=10, converter=integer(minimum=1))
    seed: int = attrs.field(default=0, converter=integer(minimum=0))

    def __attrs_post_init__(self) -> None:
        """Refuse bounds the wrong way round."""
        if self.low > self.high:
            raise InvalidParameter(f"Given low={self.low} and high={self.high}; expected low <= high.")

    @property
    def count(self) -> int:
        """The number of draws."""
        return self.n

    def check(self, graph: Graph) -> None:
        """Take any inputs."""

    def __call__(self, inputs: Tensors, ids: tf.Tensor, draw: tf.Tensor) -> Tensors:
        """Return numbers of their own for every input."""
        import tensorflow as tf

        from xaicore.engine.random import uniform

        def one(stream: int, x: tf.Tensor) -> tf.Tensor:
            shape = x.shape[1:] if x.shape[1:].is_fully_defined() else tf.shape(x)[1:]
            u = uniform(ids, seed=self.seed, draw=draw, stream=stream, shape=shape, dtype=x.dtype)
            return tf.constant(self.low, x.dtype) + tf.constant(self.high - self.low, x.dtype) * u

        return tuple(one(stream, x) for stream, x in enumerate(inputs))


@attrs.frozen
class Mean:
    """The mean of a sample over its positions, channel by channel; of vectors, over their features."""

    @property
    def count(self) -> int:
        """One."""
        return 1

    def check(self, graph: Graph) -> None:
        """Take any inputs."""

    def __call__(self, inputs: Tensors, ids: tf.Tensor, draw: tf.Tensor) -> Tensors:  # noqa: ARG002
        """Return the means, filled in."""
        import tensorflow as tf

        def one(x: tf.Tensor) -> tf.Tensor:
            rank = x.shape.rank
            over = list(range(1, rank - 1 if rank >= _POSITIONS else rank))
            return tf.zeros_like(x) + tf.reduce_mean(x, over, keepdims=True)

        return tuple(one(x) for x in inputs)


@attrs.frozen
class Blurred:
    """The sample under a Gaussian filter over its positions, edges repeated: Fong and Vedaldi 2017, section 4.1.

    Args:
        sigma: Standard deviation of the filter, in positions.
    """

    sigma: float = attrs.field(default=10.0, converter=real(above=0))

    @property
    def count(self) -> int:
        """One."""
        return 1

    def check(self, graph: Graph) -> None:
        """Raise InvalidParameter for an input without positions."""
        for name, key in zip(graph.input_names, graph.inputs, strict=False):
            if len(graph.specs[key].shape) < _POSITIONS:
                raise InvalidParameter(
                    f"Given a blurred baseline for the input {name!r} of shape {graph.specs[key].shape}; expected "
                    "positions, (batch, *positions, channels). ig.zeros, ig.mean and ig.reference take any shape."
                )

    def __call__(self, inputs: Tensors, ids: tf.Tensor, draw: tf.Tensor) -> Tensors:  # noqa: ARG002
        """Return the filtered samples."""
        from xaicore_ig.blur import blur

        return tuple(blur(x, self.sigma) for x in inputs)


@attrs.frozen
class Reference:
    """Samples of a data set: all in turn, or n drawn for each explained one.

    Args:
        samples: An array (m, *features), or a tuple of these, one per input, whose rows belong together.
        n: Number of draws for each sample, with replacement.  None: every one of the m samples once.
        seed: With the sample's id and the number of the draw it fixes which one.
    """

    samples: Array | tuple[Array, ...] = attrs.field(converter=values_or_array)
    n: int | None = attrs.field(default=None, converter=optional(integer(minimum=1)))
    seed: int = attrs.field(default=0, converter=integer(minimum=0))

    def __attrs_post_init__(self) -> None:
        """Refuse what has no rows, or unequal numbers of them."""
        if not all(isinstance(a, Array) and a.shape for a in self._each(1)):
            raise InvalidParameter("Given samples without rows; expected an array (m, *features), or a tuple of these.")
        if len({a.shape[0] for a in self._each(1)}) != 1 or not self.rows:
            raise InvalidParameter(
                f"Given samples of shapes {', '.join(str(a.shape) for a in self._each(1))}; expected as many rows in "
                "each, and at least one."
            )

    @property
    def rows(self) -> int:
        """The number of samples."""
        return int(self._each(1)[0].shape[0])

    @property
    def count(self) -> int:
        """The number of draws."""
        return self.rows if self.n is None else self.n

    def check(self, graph: Graph) -> None:
        """Raise InvalidParameter unless the samples are shaped like the inputs."""
        if len(self._each(1)) not in {1, len(graph.input_names)} or (
            len(graph.input_names) > 1 and not isinstance(self.samples, tuple)
        ):
            raise InvalidParameter(
                f"Given {len(self._each(1))} arrays of samples; expected a tuple of {len(graph.input_names)}: "
                f"{', '.join(graph.input_names)}."
            )
        for one, name, key in zip(self._each(1), graph.input_names, graph.inputs, strict=False):
            expected = graph.specs[key].shape[1:]
            if len(one.shape) - 1 != len(expected):
                raise InvalidParameter(f"Given samples of shape {one.shape} for {name!r}; expected (m, *{expected}).")
            check_shape(one, (None, *expected), name)

    def __call__(self, inputs: Tensors, ids: tf.Tensor, draw: tf.Tensor) -> Tensors:
        """Return the drawn rows."""
        import tensorflow as tf

        from xaicore.engine.random import bits

        row = draw
        if self.n is not None:
            word = bits(ids, 1, seed=self.seed, draw=draw, stream=0)[:, 0]
            row = tf.cast(tf.bitwise.right_shift(word, tf.constant(33, tf.uint64)), tf.int32) % self.rows
        pairs = zip(self._each(len(inputs)), inputs, strict=True)
        return tuple(tf.gather(tf.constant(a.data.astype(x.dtype.as_numpy_dtype)), row) for a, x in pairs)

    def _each(self, count: int) -> tuple[Any, ...]:
        return self.samples if isinstance(self.samples, tuple) else (self.samples,) * count


@attrs.frozen
class Several:
    """Several baselines in turn.

    Args:
        baselines: Numbers, arrays, or baselines by name.
    """

    baselines: tuple[Any, ...] = part(
        "baseline", many=True, literal=True, converter=lambda given: tuple(as_baseline(one) for one in given)
    )

    def __attrs_post_init__(self) -> None:
        """Refuse none."""
        if not self.baselines:
            raise InvalidParameter("Given no baselines; expected at least one.")

    @property
    def count(self) -> int:
        """The number of all draws."""
        return sum(one.count for one in self.baselines)

    def check(self, graph: Graph) -> None:
        """Check each."""
        for one in self.baselines:
            one.check(graph)

    def __call__(self, inputs: Tensors, ids: tf.Tensor, draw: tf.Tensor) -> Tensors:
        """Return, row by row, what the baseline gives whose turn it is."""
        import tensorflow as tf

        found, first = None, 0
        for one in self.baselines:
            here = one(inputs, ids, tf.clip_by_value(draw - first, 0, one.count - 1))
            turn = draw >= first
            found = here if found is None else tuple(_where(turn, h, f) for h, f in zip(here, found, strict=True))
            first += one.count
        return found  # type: ignore[return-value]  # there is at least one


def _is_baseline(value: Any) -> bool:
    return callable(value) and hasattr(value, "count") and not isinstance(value, tuple | list)


def _number_or_part(value: Any, instance: Any, field: Any) -> Any:
    return value if _is_baseline(value) else convert_by(values_or_array, value, field, instance)


# Takes a baseline as it is, and what ``Constant`` takes as plain values, which read better in an expression.
number_or_part: attrs.Converter[Any, Any] = attrs.Converter(_number_or_part, takes_self=True, takes_field=True)


def as_baseline(value: Any) -> Any:
    """Return a baseline: itself, or the constant of plain values."""
    return value if _is_baseline(value) else Constant(value)


def rows_of(value: Any, graph: Graph) -> int | None:
    """Return for how many samples a baseline has values of their own; None where it has none."""
    baseline = as_baseline(value)
    for one in baseline.baselines if isinstance(baseline, Several) else (baseline,):
        rows = one.rows(graph) if isinstance(one, Constant) else None
        if rows is not None:
            return rows
    return None


def starts(value: Any, inputs: Sequence[np.ndarray], ids: np.ndarray) -> list[np.ndarray]:
    """Return baselines as arrays, like the inputs; with several for each sample, axis 1 is the draw."""
    import numpy as np
    import tensorflow as tf

    baseline = as_baseline(value)
    tensors, keys = tuple(map(tf.convert_to_tensor, inputs)), tf.constant(ids, tf.int64)
    draws = [baseline(tensors, keys, tf.fill([len(ids)], k)) for k in range(baseline.count)]
    if baseline.count == 1:
        return [one.numpy() for one in draws[0]]
    return [np.stack([one.numpy() for one in same], 1) for same in zip(*draws, strict=True)]


def _where(rows: tf.Tensor, then: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    return tf.where(tf.reshape(rows, [-1] + [1] * (then.shape.rank - 1)), then, other)
