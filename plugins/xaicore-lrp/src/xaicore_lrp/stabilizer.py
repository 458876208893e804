"""Division of relevance by a pre-activation, in one place: every rule divides through here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xaicore.inspect.affine import AffineForm

    # scale, denominator, the quotient that was passed on, the bias that stands in the denominator
    Share = tuple[float, tf.Tensor, tf.Tensor, tf.Tensor | None]


def stabilize(z: tf.Tensor, amount: float, *, nonnegative: bool = False) -> tf.Tensor:
    """Return ``z + amount * sign(z)`` with sign(0) = +1.

    z: any shape, floating.  nonnegative: z is known to be >= 0, so that its sign needs no pass of its own.
    """
    # tf.cast of a Python float would round it to float32 on the way to float64.
    step = tf.constant(amount, z.dtype)
    return z + step if nonnegative else z + tf.where(z >= 0, step, -step)


def divide(relevance: tf.Tensor, z: tf.Tensor, amount: float, *, nonnegative: bool = False) -> tf.Tensor:
    """Return ``relevance / stabilize(z, amount)``; with amount 0 an exact zero of z gives zero.

    relevance: (batch, *outputs).  z: the same shape, or with batch 1.
    """
    if amount == 0:
        return tf.math.divide_no_nan(relevance, z)
    return relevance / stabilize(z, amount, nonnegative=nonnegative)


def account(
    form: AffineForm, x: tf.Tensor, relevance: tf.Tensor, shares: Sequence[Share], amount: float
) -> dict[str, tf.Tensor]:
    """Return what is not passed on: the parts of biases and of the stabilizer, each (batch,).

    A share passes ``scale * quotient * (z - bias)`` to the inputs, where ``quotient = divide(relevance, z, amount)``;
    ``scale * quotient * bias`` belongs to the bias and the rest of ``scale * relevance`` to the stabilizer,
    which is all of it where z is exactly zero and amount is 0.  The scales sum to 1.
    """
    zero = per_sample(tf.zeros_like(relevance))
    sinks = {"bias": zero, "stabilizer": zero}
    for scale, z, quotient, bias in shares:
        factor = tf.constant(scale, relevance.dtype)
        sinks["stabilizer"] += factor * per_sample(kept_back(relevance, z, quotient, amount))
        if bias is not None:
            # An input of zeros leaves the bias, in the shape of the output and with batch 1.
            offset = form.apply(tf.zeros_like(x[:1]), form.kernel, bias)
            sinks["bias"] += factor * per_sample(quotient * offset)
    return sinks


def kept_back(relevance: tf.Tensor, z: tf.Tensor, quotient: tf.Tensor, amount: float) -> tf.Tensor:
    """Return ``relevance - quotient * z`` without its cancellation."""
    if amount == 0:
        return tf.where(tf.equal(z, 0), relevance, tf.zeros_like(relevance))
    step = tf.constant(amount, z.dtype)
    return quotient * tf.where(z >= 0, step, -step)


def per_sample(values: tf.Tensor) -> tf.Tensor:
    """Return the sum per sample, (batch,)."""
    return tf.reduce_sum(values, axis=tf.range(1, tf.rank(values)))
