"""RISE: random smooth masks, averaged by the score of what they leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from xaicore.protocols import Attribution
from xaicore.values import integer, real
from xaicore_perturbation.masked import Copies, Perturbation, decided, floating

if TYPE_CHECKING:
    from collections.abc import Callable

    import tensorflow as tf

    from xaicore.engine.copies import Repeat
    from xaicore.engine.program import Program
    from xaicore.engine.target import Target
    from xaicore.protocols import Step, Tensors


@attrs.frozen(str=False)
class Rise(Perturbation):
    """``a = 1/(n p) sum_k f(x * m_k) m_k``: Petsiuk, Das and Saenko 2018, eq. 6.

    m_k is a grid of bits, each 1 with probability p, stretched over the positions by linear interpolation and shifted
    at random by less than a cell (their section 3.2); of vectors and of integers every feature has a bit of its own.
    Masks are drawn for every sample from its id.

    Args:
        n: Number of masks; the paper takes 4000 to 8000.
        grid: Cells along every axis of positions.
        p: Probability that a place is kept.
        seed: With the sample's id and the number of the mask it fixes the mask.
    """

    n: int = attrs.field(default=4000, converter=integer(minimum=1))
    grid: int = attrs.field(default=7, converter=integer(minimum=1))
    p: float = attrs.field(default=0.5, converter=real(above=0, maximum=1))
    seed: int = attrs.field(default=0, converter=integer(minimum=0))

    def passes(self, inner: float) -> float:  # noqa: ARG002  # no gradient is taken
        """Return one forward, and n."""
        return 1.0 + self.n

    def check_program(self, program: Program) -> None:
        """Refuse inputs whose lengths are not known."""
        self.sizes(program)

    def attribute(self, program: Program) -> Step:
        """Return the step: one forward, and one for each mask."""
        shapes = self.sizes(program)

        def step(inputs: Tensors, target: Target, ids: tf.Tensor) -> Attribution:
            fixed, scores = decided(program, inputs, target)

            def masks(repeat: Repeat, k: tf.Tensor, ids: tf.Tensor) -> Tensors:  # noqa: ARG001  # of the id alone
                pairs = enumerate(zip(inputs, shapes, strict=True))
                return tuple(self._mask(k, ids, i, shape, smooth=x.dtype.is_floating) for i, (x, shape) in pairs)

            ranks = [x.shape.rank for x in inputs]
            sums = Copies(self, program, inputs, fixed, ids, self.n, masks).sums(masks, ranks)
            share = 1 / (self.n * self.p)
            return Attribution(floating(tuple(share * m for m in sums), inputs), scores)

        return step

    def _mask(self, k: tf.Tensor, ids: tf.Tensor, stream: int, shape: tuple[int, ...], *, smooth: bool) -> tf.Tensor:
        """Return masks in [0, 1], (rows, *positions, 1), or (rows, features)."""
        import tensorflow as tf

        from xaicore.engine.random import uniform

        def draw(which: int, size: tuple[int, ...]) -> tf.Tensor:
            return uniform(ids, seed=self.seed, draw=k, stream=2 * stream + which, shape=size)

        if len(shape) == 1 or not smooth:
            return tf.cast(draw(0, shape) < self.p, tf.float32)
        positions = shape[:-1]
        # One node more at each end than there are cells, so that a shifted grid covers the last position too.
        mask = tf.cast(draw(0, (self.grid + 2,) * len(positions)) < self.p, tf.float32)
        shifts = draw(1, (len(positions),))
        for axis, length in enumerate(positions):
            place = tf.range(length, dtype=tf.float32)[None] * (self.grid / length) + shifts[:, axis : axis + 1]
            hats = tf.nn.relu(1 - tf.abs(place[..., None] - tf.range(self.grid + 2, dtype=tf.float32)))
            mask = _along(mask, hats, axis + 1)
        return mask[..., None]


def _along(mask: tf.Tensor, weights: tf.Tensor, axis: int) -> tf.Tensor:
    """Return a mask with one axis stretched by weights of its own for each row, (rows, length, nodes)."""
    import tensorflow as tf

    letters: Callable[[int], str] = lambda n: "abcdefgh"[:n]  # noqa: E731
    names = letters(mask.shape.rank - 1)
    old = names[axis - 1]
    return tf.einsum(f"z{names},zy{old}->z{names.replace(old, 'y')}", mask, weights)
