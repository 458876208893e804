"""Filters against numpy: exact but for one division, per sample, and refusing what they would wipe out."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from xaicore.errors import InvalidParameter
from xaicore.filters import Abs, AbsMax, Normalize, SumChannels

A = np.random.default_rng(0).normal(size=(4, 5, 6, 3)).astype(np.float32)
ORACLES = {
    Abs: np.abs,
    AbsMax: lambda a: np.abs(a).max(axis=-1, keepdims=True),
    SumChannels: lambda a: a.astype(float).sum(axis=-1, keepdims=True),
    Normalize: lambda a: a / np.abs(a).max(axis=tuple(range(1, a.ndim)), keepdims=True),
}


@pytest.mark.parametrize("kind", ORACLES)
@pytest.mark.parametrize("shape", [(4, 5, 6, 3), (4, 30, 3), (4, 2, 3, 5, 3)])
def test_filters_follow_their_formula(kind, shape):
    a = A.reshape(-1)[: np.prod(shape)].reshape(shape) if np.prod(shape) <= A.size else np.resize(A, shape)
    # a sum of three, or one division, in float32
    np.testing.assert_allclose(kind()(tf.constant(a)).numpy(), ORACLES[kind](a), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ORACLES)
def test_filters_are_per_sample(kind):
    """A sample filtered alone has the bits that it has in a batch."""
    whole = kind()(tf.constant(A)).numpy()
    for i in range(len(A)):
        np.testing.assert_array_equal(kind()(tf.constant(A[i : i + 1])).numpy()[0], whole[i])


@pytest.mark.parametrize("kind", [AbsMax, SumChannels])
def test_channel_filters_refuse_vectors(kind):
    with pytest.raises(InvalidParameter, match="channels"):
        kind()(tf.zeros((4, 30)))


def test_normalize_keeps_zero_and_works_on_vectors():
    a = np.array([[0, 0, 0], [1, -4, 2]], np.float32)
    np.testing.assert_array_equal(Normalize()(tf.constant(a)).numpy(), [[0, 0, 0], [0.25, -1, 0.5]])
    assert Normalize()(tf.constant(A)).dtype == tf.float32


@pytest.mark.parametrize("kind", ORACLES)
def test_filters_are_values(kind):
    assert kind() == kind()
    assert hash(kind()) == hash(kind())
