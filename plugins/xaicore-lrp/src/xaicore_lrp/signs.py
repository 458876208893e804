"""An affine form split by the signs of its inputs and weights, in as few convolutions as the facts allow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs
import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Callable

    from xaicore.inspect.affine import AffineForm

    Tensors = tuple[tf.Tensor, ...]


@attrs.frozen(eq=False)
class SignSplit:
    """The positive part ``x+ W+ + x- W-`` and the negative part ``x+ W- + x- W+`` of ``x W``.

    parts: what the kernels are applied to: (x,) where x >= 0 is known before any number is; ([x+, x-],) where the
    form may be joined on its input channels; (x+, x-) otherwise.  agree, differ: one kernel per part, for the
    positive and the negative part.
    """

    form: AffineForm
    parts: Tensors
    agree: Tensors
    differ: Tensors
    joined: int | None = None

    @classmethod
    def of(cls, form: AffineForm, x: tf.Tensor, *, nonnegative: bool) -> SignSplit:
        """Split form at x: (batch, *features)."""
        plus, minus = positive(form.kernel), negative(form.kernel)
        if nonnegative:
            return cls(form, (x,), (plus,), (minus,))
        if form.join is None:
            return cls(form, (positive(x), negative(x)), (plus, minus), (minus, plus))
        channels, rows = form.join
        parts = tf.concat([positive(x), negative(x)], channels)
        agree, differ = tf.concat([plus, minus], rows), tf.concat([minus, plus], rows)
        return cls(form, (parts,), (agree,), (differ,), channels)

    @property
    def whole(self) -> Tensors:
        """The form's own kernel for each part."""
        kernel = self.form.kernel
        if self.joined is None:
            return (kernel,) * len(self.parts)
        assert self.form.join is not None  # noqa: S101  # tells mypy how the parts were joined
        return (tf.concat([kernel, kernel], self.form.join[1]),)

    def apply(self, kernels: Tensors, bias: tf.Tensor | None = None) -> tf.Tensor:
        """Return the sum of the parts under their kernels, and the bias once."""
        return _apply(self.form, self.parts, kernels, bias)

    def pull(self, kernels: Tensors, scale: float, output: tf.Tensor) -> Callable[[tf.Tensor], Tensors]:
        """Return the transposed map of ``scale`` times the kernels: relevance shaped like output -> one per part."""
        from xaicore.engine.vjp import vjp

        factor = tf.constant(scale, output.dtype)
        # Scale the smaller of the two: a scaled copy of a large kernel would stay in memory until the backward pass.
        by_kernel = scale != 1 and _size(self.form.kernel.shape) <= _size(output.shape[1:])
        scaled = tuple(factor * kernel for kernel in kernels) if by_kernel else kernels
        # The forward of this vjp is never read, so pruned.
        _, pullback = vjp(lambda *parts: _apply(self.form, parts, scaled, None), *self.parts)
        return pullback if by_kernel or scale == 1 else lambda relevance: pullback(factor * relevance)

    def weigh(self, gradients: Tensors) -> tf.Tensor:
        """Return ``sum of part * gradient``, shaped like x."""
        shares = [part * gradient for part, gradient in zip(self.parts, gradients, strict=True)]
        if self.joined is not None:
            shares = tf.split(shares[0], 2, axis=self.joined)
        return shares[0] if len(shares) == 1 else tf.add_n(shares)


def _size(shape: tf.TensorShape) -> int:
    """Return the count of numbers, free axes left out."""
    return math.prod(n or 1 for n in shape)


def _apply(form: AffineForm, parts: Tensors, kernels: Tensors, bias: tf.Tensor | None) -> tf.Tensor:
    first, *others = (
        form.apply(part, kernel, None if index else bias)
        for index, (part, kernel) in enumerate(zip(parts, kernels, strict=True))
    )
    return tf.add_n([first, *others]) if others else first


def positive(values: tf.Tensor) -> tf.Tensor:
    """Return ``max(values, 0)``."""
    return tf.nn.relu(values)


def negative(values: tf.Tensor) -> tf.Tensor:
    """Return ``min(values, 0)``."""
    return tf.minimum(values, tf.zeros((), values.dtype))
