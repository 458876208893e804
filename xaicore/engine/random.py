"""Random numbers of a sample that depend on nothing but the sample: not on its batch, its size, or a loop.

SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators") in counter form: the j-th word
of a stream is ``mix(key + (j + 1) * gamma)``, so every number is computed on its own, elementwise, from

    key = mix(mix(id ^ start(seed, stream)) + (draw + 1) * gamma).

One 64-bit word gives two normal numbers (Box and Muller 1958):

    r = sqrt(-2 log u),  u = (24 high bits + 1) / 2^24,  theta = pi * (32 low bits, signed) / 2^31,
    z = r cos(theta), r sin(theta).

Eight elementwise passes make a word; Philox-2x32-10 takes fifty and Threefry-2x32-20 over a hundred.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

_BITS = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15  # 2^64 / golden ratio, odd
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # variant 13 of Stafford's mixers
# Words per sample are padded to this many, so that every number goes through the vectorised code of log, sin and cos:
# the code for the last few entries of a tensor rounds differently.
_BLOCK = 16


def normal(
    ids: tf.Tensor,
    *,
    seed: int,
    draw: int | tf.Tensor,
    stream: int = 0,
    shape: Sequence[int] | tf.Tensor = (),
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Return standard normal numbers, (batch, *shape).

    Law: row i depends on (seed, ids[i], draw, stream, shape) alone, to the bit.

    Args:
        ids: int64 (batch,), the samples' ids.
        seed: Taken modulo 2^64.
        draw: Number of the draw, an int, a scalar integer tensor (the counter of a loop), or one per row, (batch,).
        stream: Tells several tensors of one draw apart.
        shape: Shape per sample; a tensor where it is known only when run.
        dtype: A floating type.  Half precision is rounded from float32; the largest magnitude is 5.8.
    """
    count, words = _sizes(shape)
    word = bits(ids, words, seed=seed, draw=draw, stream=stream)
    z = _box_muller(word, tf.float64 if dtype == tf.float64 else tf.float32)
    whole = isinstance(count, int) and count == 2 * words
    return tf.cast(_per_sample(z if whole else z[:, :count], shape), dtype)


def uniform(
    ids: tf.Tensor,
    *,
    seed: int,
    draw: int | tf.Tensor,
    stream: int = 0,
    shape: Sequence[int] | tf.Tensor = (),
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Return numbers evenly spread over (0, 1), (batch, *shape): ``(23 high bits + 1/2) / 2^23``, exact in float32.

    Law and arguments as in ``normal``.
    """
    count, _ = _sizes(shape)
    word = bits(ids, count, seed=seed, draw=draw, stream=stream)
    wide = tf.float64 if dtype == tf.float64 else tf.float32  # half precision is rounded from float32
    u = (tf.cast(tf.bitwise.right_shift(word, _word(41)), wide) + 0.5) * tf.constant(2.0**-23, wide)
    return tf.cast(_per_sample(u, shape), dtype)


def bits(ids: tf.Tensor, words: int | tf.Tensor, *, seed: int, draw: int | tf.Tensor, stream: int) -> tf.Tensor:
    """Return random words, uint64 (batch, words).  Arguments as in ``normal``."""
    mix = _mixer()
    own = mix(tf.bitwise.bitwise_xor(tf.cast(ids, tf.uint64), _word(mix_int(mix_int(seed) + (stream + 1) * _GAMMA))))
    key = mix(own + (tf.cast(draw, tf.uint64) + _word(1)) * _word(_GAMMA))
    return mix(tf.expand_dims(key, 1) + _steps(words))


def mix_int(word: int) -> int:
    """Return the mixer of SplitMix64 of a Python integer, a bijection on 64 bits."""
    word &= _BITS
    word = (word ^ (word >> 30)) * _FIRST & _BITS
    word = (word ^ (word >> 27)) * _SECOND & _BITS
    return word ^ (word >> 31)


def _mixer() -> Callable[[tf.Tensor], tf.Tensor]:
    """Return the mixer of SplitMix64 of tensors, whose uses share their constants."""
    shifts = [_word(by) for by in (30, 27, 31)]
    factors = [_word(_FIRST), _word(_SECOND)]

    def folded(word: tf.Tensor, by: tf.Tensor) -> tf.Tensor:
        return tf.bitwise.bitwise_xor(word, tf.bitwise.right_shift(word, by))

    def mix(word: tf.Tensor) -> tf.Tensor:
        for by, factor in zip(shifts, factors, strict=False):
            word = folded(word, by) * factor
        return folded(word, shifts[-1])

    return mix


def _per_sample(numbers: tf.Tensor, shape: Sequence[int] | tf.Tensor) -> tf.Tensor:
    """Return (batch, count) as (batch, *shape)."""
    static = tf.get_static_value(shape)
    if static is None:
        return tf.reshape(numbers, tf.concat([[-1], tf.convert_to_tensor(shape, tf.int32)], 0))
    return tf.reshape(numbers, [-1, *(int(n) for n in static)])


def _word(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint64)


def _steps(words: int | tf.Tensor) -> tf.Tensor:
    """Return (j + 1) * gamma for each word j, known before the run where ``words`` is."""
    if isinstance(words, int):
        return tf.constant(np.arange(1, words + 1, dtype=np.uint64) * np.uint64(_GAMMA))
    return tf.cast(tf.range(1, words + 1), tf.uint64) * _word(_GAMMA)


def _sizes(shape: Sequence[int] | tf.Tensor) -> tuple[int | tf.Tensor, int | tf.Tensor]:
    """Return the count of numbers per sample and of words, two numbers each, in whole blocks."""
    static = tf.get_static_value(shape)
    count = tf.reduce_prod(shape) if static is None else math.prod(int(n) for n in static)
    return count, -(-count // (2 * _BLOCK)) * _BLOCK


def _box_muller(word: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Return two normal numbers per word, (batch, 2 * words).

    u is exact in float32, so that float32 and float64 give the same numbers to rounding.
    """
    u = (tf.cast(tf.bitwise.right_shift(word, _word(40)), dtype) + 1) * tf.constant(2.0**-24, dtype)
    r = tf.sqrt(-2 * tf.math.log(u))
    theta = tf.cast(tf.cast(word, tf.int32), dtype) * tf.constant(math.pi * 2.0**-31, dtype)
    return tf.concat([r * tf.cos(theta), r * tf.sin(theta)], axis=1)
