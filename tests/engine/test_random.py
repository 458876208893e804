"""Random numbers: the published generator, the normal distribution, and rows that know nothing of their batch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from xaicore.engine.loops import accumulate
from xaicore.engine.random import bits, mix_int, normal, uniform

GAMMA = 0x9E3779B97F4A7C15
# The first words of SplitMix64 from two seeds, as published with other implementations of it.
PUBLISHED = {
    1234567: (
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ),
    0: (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F),
}


@pytest.mark.parametrize("seed", PUBLISHED)
def test_the_mixer_gives_the_published_words(seed):
    words = [mix_int(seed + (j + 1) * GAMMA) for j in range(len(PUBLISHED[seed]))]
    assert words == list(PUBLISHED[seed])


def test_tensors_give_the_words_of_the_definition():
    """The same key and counter in Python integers."""
    ids, words = np.array([0, 1, 7, 2**40, -3]), 16
    found = bits(tf.constant(ids), words, seed=5, draw=3, stream=2).numpy()
    start = mix_int(mix_int(5) + 3 * GAMMA)
    keys = [mix_int(mix_int((int(i) % 2**64) ^ start) + 4 * GAMMA) for i in ids]
    want = [[mix_int(key + (j + 1) * GAMMA) for j in range(words)] for key in keys]
    assert found.tolist() == want


def test_normal_numbers_are_those_of_box_and_muller():
    ids = tf.range(3, dtype=tf.int64)
    word = bits(ids, 16, seed=1, draw=0, stream=0).numpy()
    r = np.sqrt(-2 * np.log(((word >> np.uint64(40)).astype(float) + 1) / 2**24))
    theta = math.pi * word.astype(np.uint32).view(np.int32).astype(float) / 2**31
    want = np.concatenate([r * np.cos(theta), r * np.sin(theta)], axis=1)
    exact = normal(ids, seed=1, draw=0, shape=(4, 8), dtype=tf.float64).numpy()
    np.testing.assert_allclose(exact.reshape(3, -1), want, atol=1e-14)
    # r up to 5.8, and the angle in float32 is 2e-7 off
    np.testing.assert_allclose(normal(ids, seed=1, draw=0, shape=(4, 8)).numpy(), exact, atol=2e-6)


SHAPES = [(), (1,), (5,), (33,), (28, 28, 1), (7, 3, 3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_are_the_same_to_the_bit_in_any_batch(shape):
    """One sample alone, in reverse order, in an odd batch: equal bits."""
    ids = np.arange(100, 139)
    whole = normal(tf.constant(ids), seed=4, draw=2, stream=1, shape=shape).numpy()
    assert whole.shape == (39, *shape)
    for rows in ([0], [38], [5, 3], list(range(38, -1, -1)), list(range(7))):
        part = normal(tf.constant(ids[rows]), seed=4, draw=2, stream=1, shape=shape).numpy()
        np.testing.assert_array_equal(part, whole[rows])


@pytest.mark.parametrize("shape", [(5,), (28, 28, 1)])
def test_loops_and_unknown_shapes_give_the_same_bits(shape):
    """Inside a compiled loop, with batch and shape known only when run, the numbers are those of eager calls."""
    signature = [tf.TensorSpec((None,), tf.int64), tf.TensorSpec((len(shape),), tf.int32)]

    @tf.function(autograph=False, input_signature=signature)
    def last(ids, per_sample):
        def step(k):
            # only draw 3 is kept, so that nothing is added and bits can be compared
            return (tf.where(k == 3, normal(ids, seed=9, draw=k, shape=per_sample), 0.0),)

        return accumulate(5, step)[0]

    ids = tf.constant([8, 2, 5], tf.int64)
    np.testing.assert_array_equal(last(ids, shape).numpy(), normal(ids, seed=9, draw=3, shape=shape).numpy())


def test_the_distribution_is_the_normal_one():
    """Mean, variance, kurtosis, and the largest distance to the distribution function (Kolmogorov and Smirnov)."""
    z = np.sort(normal(tf.range(500, dtype=tf.int64), seed=0, draw=0, shape=(2000,), dtype=tf.float64).numpy().ravel())
    n = z.size  # one million
    # five standard errors each
    assert abs(z.mean()) < 5 / math.sqrt(n)
    assert abs(z.var() - 1) < 5 * math.sqrt(2 / n)
    assert abs((z**4).mean() - 3) < 5 * math.sqrt(96 / n)
    normal_cdf = 0.5 * (1 + np.vectorize(math.erf)(z / math.sqrt(2)))
    distance = np.abs(normal_cdf - (np.arange(n) + 0.5) / n).max()
    assert distance < 2.2 / math.sqrt(n)  # exceeded with a probability of 1e-4


@pytest.mark.parametrize("what", ["ids", "draw", "stream", "seed", "positions"])
def test_numbers_of_different_keys_are_independent(what):
    """Correlations of z and of z^2 between neighbours vanish within five standard errors."""
    keys = {"seed": 0, "draw": 0, "stream": 0}
    ids = tf.range(400, dtype=tf.int64)

    def draw(**changed):
        return normal(ids, shape=(640,), dtype=tf.float64, **(keys | changed)).numpy()

    a = draw()
    b = {"ids": lambda: np.roll(a, 1, axis=0), "positions": lambda: np.roll(a, 1, axis=1)}.get(
        what, lambda: draw(**{what: 1})
    )()
    for f in (lambda z: z, lambda z: (z**2 - 1) / math.sqrt(2)):
        assert abs((f(a) * f(b)).mean()) < 5 / math.sqrt(a.size)


def test_the_two_numbers_of_a_word_are_independent():
    z = normal(tf.range(400, dtype=tf.int64), seed=2, draw=0, shape=(640,), dtype=tf.float64).numpy()
    a, b = z[:, :320], z[:, 320:]
    assert abs((a * b).mean()) < 5 / math.sqrt(a.size)
    assert abs(((a**2 - 1) * (b**2 - 1) / 2).mean()) < 5 / math.sqrt(a.size)


def test_every_part_of_the_key_counts():
    ids = tf.constant([3], tf.int64)
    keys = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (2**63, 0, 0), (0, 2**31, 0)]
    rows = {normal(ids, seed=s, draw=d, stream=t, shape=(4,)).numpy().tobytes() for s, d, t in keys}
    assert len(rows) == len(keys)


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float32, tf.float64])
def test_dtypes(dtype):
    assert normal(tf.range(2, dtype=tf.int64), seed=0, draw=0, shape=(3,), dtype=dtype).dtype == dtype


def test_uniform_numbers_are_even_and_those_of_their_sample():
    ids = tf.range(50, dtype=tf.int64)
    u = uniform(ids, seed=3, draw=2, shape=(40,)).numpy()
    assert u.shape == (50, 40)
    assert u.min() > 0
    assert u.max() < 1
    # Ten bins of 200: chi-squared with 9 degrees of freedom is below 27.9 with a chance of 0.999.
    counts = np.histogram(u, bins=10, range=(0, 1))[0]
    assert ((counts - 200) ** 2 / 200).sum() < 27.9
    np.testing.assert_array_equal(uniform(ids[7:8], seed=3, draw=2, shape=(40,)).numpy()[0], u[7])
    np.testing.assert_array_equal(uniform(ids, seed=3, draw=2, shape=(40,), dtype=tf.float64).numpy(), u)
    assert not np.any(uniform(ids, seed=3, draw=3, shape=(40,)).numpy() == u)
