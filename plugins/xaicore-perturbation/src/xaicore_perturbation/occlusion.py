"""Occlusion: what the output loses when a patch of the input is replaced."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import attrs

from xaicore.errors import InvalidParameter
from xaicore.protocols import Attribution
from xaicore.values import integer, optional
from xaicore_perturbation.masked import Copies, Perturbation, decided, floating

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from xaicore.engine.copies import Repeat
    from xaicore.engine.program import Program
    from xaicore.engine.target import Target
    from xaicore.protocols import Step, Tensors

_PARTS = 8  # patches along a side, where no size is given


def _lengths(value: Any, instance: Any, field: Any) -> Any:
    one: Any = integer(minimum=1)
    if isinstance(value, tuple | list):
        return tuple(one(v, instance, field) for v in value)
    return one(value, instance, field)


lengths: attrs.Converter[Any, Any] = attrs.Converter(_lengths, takes_self=True, takes_field=True)


@attrs.frozen(str=False)
class Occlusion(Perturbation):
    """``a_i = mean over patches p that cover i of f(x) - f(x with p replaced)``: Zeiler and Fergus 2014, section 4.2.

    A patch covers all channels; of vectors and of integers, features are positions.  The last patch of a side ends at
    its edge; where the stride is longer than a patch, what lies between patches is not looked at and has 0.  Of several
    inputs one is touched at a time.

    Args:
        patch: Length along every axis of positions, or one per axis.  None: an eighth of each side.
        stride: Distance of neighbouring patches, likewise.  None: their length, so that they do not overlap.
    """

    patch: int | tuple[int, ...] | None = attrs.field(default=None, converter=optional(lengths))
    stride: int | tuple[int, ...] | None = attrs.field(default=None, converter=optional(lengths))

    def passes(self, inner: float) -> float:  # noqa: ARG002  # no gradient is taken
        """Return an eighth of each of two sides, where no size is given."""
        return 1.0 + _PARTS**2

    def check_program(self, program: Program) -> None:
        """Refuse patches that do not fit."""
        self._windows(program)

    def attribute(self, program: Program) -> Step:
        """Return the step: one forward, and one for each patch."""
        windows = self._windows(program)
        n = sum(len(one.starts) for one in windows)

        def step(inputs: Tensors, target: Target, ids: tf.Tensor) -> Attribution:

            fixed, scores = decided(program, inputs, target)

            def inside(repeat: Repeat, k: tf.Tensor, ids: tf.Tensor) -> Tensors:  # noqa: ARG001  # nothing is random
                return tuple(one.rows(k) for one in windows)

            def keep(repeat: Repeat, k: tf.Tensor, ids: tf.Tensor) -> Tensors:
                return tuple(1 - mask for mask in inside(repeat, k, ids))

            ranks = [x.shape.rank for x in inputs]
            left = Copies(self, program, inputs, fixed, ids, n, keep).sums(inside, ranks)
            maps = tuple(_lost(scores, m, one.cover()) for m, one in zip(left, windows, strict=True))
            return Attribution(floating(maps, inputs), scores)

        return step

    def _windows(self, program: Program) -> list[_Windows]:
        found: list[_Windows] = []
        first = 0
        for name, shape in zip(program.graph.input_names, self.sizes(program), strict=True):
            positions = shape if len(shape) == 1 else shape[:-1]
            patch = _each(self.patch, positions, name, "patch") or tuple(-(-n // _PARTS) for n in positions)
            stride = _each(self.stride, positions, name, "stride") or patch
            if any(p > n for p, n in zip(patch, positions, strict=True)):
                raise InvalidParameter(f"Given patch={self.patch} for the input {name!r} with positions {positions}.")
            sides = [_starts(n, p, s) for n, p, s in zip(positions, patch, stride, strict=True)]
            found.append(_Windows(first, positions, patch, list(itertools.product(*sides)), len(shape) > 1))
            first += math.prod(map(len, sides))
        return found


@attrs.frozen(eq=False)
class _Windows:
    """The patches of one input.  first: number of its first patch among those of all inputs."""

    first: int
    positions: tuple[int, ...]
    patch: tuple[int, ...]
    starts: list[tuple[int, ...]]
    channels: bool

    def rows(self, k: tf.Tensor) -> tf.Tensor:
        """Return where the k-th patches are, 1 or 0: (rows, *positions, 1), or (rows, features)."""
        import tensorflow as tf

        own = (k >= self.first) & (k < self.first + len(self.starts))
        starts = tf.gather(tf.constant(self.starts), tf.clip_by_value(k - self.first, 0, len(self.starts) - 1))
        mask = tf.cast(own, tf.float32)
        for axis, (length, size) in enumerate(zip(self.positions, self.patch, strict=True)):
            at = tf.range(length)[None] - starts[:, axis : axis + 1]
            mask = mask[..., None] * tf.reshape(
                tf.cast((at >= 0) & (at < size), tf.float32), [-1] + [1] * axis + [length]
            )
        return mask[..., None] if self.channels else mask

    def cover(self) -> np.ndarray:
        """Return how many patches cover each position."""
        import numpy as np

        counts = np.zeros(self.positions)
        for start in self.starts:
            counts[tuple(slice(a, a + p) for a, p in zip(start, self.patch, strict=True))] += 1
        return counts[..., None] if self.channels else counts


def _lost(scores: tf.Tensor, left: tf.Tensor, cover: np.ndarray) -> tf.Tensor:
    """Return the mean loss of the score at every place, 0 where nothing covers it.  left: sums of what patches left."""
    import tensorflow as tf

    covered = tf.constant(cover > 0)
    whole = tf.reshape(scores, [-1] + [1] * (left.shape.rank - 1))
    mean = tf.math.divide_no_nan(left, tf.constant(cover, left.dtype))
    return tf.where(covered, whole - mean, tf.zeros_like(mean))


def _each(
    given: int | tuple[int, ...] | None, positions: tuple[int, ...], name: str, field: str
) -> tuple[int, ...] | None:
    if given is None or isinstance(given, int):
        return given if given is None else (given,) * len(positions)
    if len(given) != len(positions):
        raise InvalidParameter(
            f"Given {field}={given} for the input {name!r} with positions {positions}; expected one length for all "
            f"axes, or {len(positions)}."
        )
    return given


def _starts(length: int, patch: int, stride: int) -> list[int]:
    """Return where patches start along a side; one more at its end where the stride does not reach it."""
    regular = list(range(0, length - patch + 1, stride))
    gap = stride <= patch and regular[-1] + patch < length
    return [*regular, length - patch] if gap else regular
