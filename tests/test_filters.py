"""Filters against NumPy, per sample, and refusing what they would wipe out."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import xaicore
from xaicore import filters
from xaicore.errors import InvalidArgument, InvalidParameter, UnknownParameter
from xaicore.registry import get_filter

A = np.random.default_rng(0).normal(size=(4, 5, 6, 3)).astype(np.float32)


def over_sample(reduce, a, *args, axis=None):
    """Return a NumPy reduction over all axes but the batch, or over some."""
    axes = tuple(range(1, a.ndim)) if axis is None else axis
    return reduce(a, *args, axis=axes, keepdims=True)


def unit(a, axis=None):
    """Return (a - min) / (max - min), 0 for constants."""
    low, high = (over_sample(f, a, axis=axis) for f in (np.min, np.max))
    return np.divide(a - low, high - low, out=np.zeros_like(a), where=high > low)


ORACLES = {
    "abs": np.abs,
    "absmax": lambda a: np.abs(a).max(axis=-1, keepdims=True),
    "absolute_normalize": lambda a: unit(np.abs(a)),
    "clip_percentile": lambda a: np.clip(
        a, -over_sample(np.percentile, np.abs(a), 99), over_sample(np.percentile, np.abs(a), 99)
    ),
    "clip_percentile(percentile=70)": lambda a: np.clip(
        a, -over_sample(np.percentile, np.abs(a), 70), over_sample(np.percentile, np.abs(a), 70)
    ),
    "gamma": lambda a: np.sign(a) * np.sqrt(np.abs(a) * over_sample(np.max, np.abs(a))),
    "max_channels": lambda a: a.max(axis=-1, keepdims=True),
    "mean_channels": lambda a: a.astype(float).mean(axis=-1, keepdims=True),
    "negative": lambda a: np.maximum(-a, 0),
    "negative_normalize": lambda a: unit(np.maximum(-a, 0)),
    "normalize": lambda a: a / over_sample(np.max, np.abs(a)),
    "normalize(axis=-1)": lambda a: a / np.abs(a).max(axis=-1, keepdims=True),
    "positive": lambda a: np.maximum(a, 0),
    "positive_normalize": lambda a: unit(np.maximum(a, 0)),
    "positive_normalize(axis=(1,))": lambda a: unit(np.maximum(a, 0), axis=(1,)),
    "quantile_mask": lambda a: np.where(np.abs(a) >= over_sample(np.quantile, np.abs(a), 0.9), a, 0),
    "quantile_mask(quantile=1)": lambda a: np.where(np.abs(a) >= over_sample(np.max, np.abs(a)), a, 0),
    "sign": np.sign,
    "square": np.square,
    "sum_channels": lambda a: a.astype(float).sum(axis=-1, keepdims=True),
}


@pytest.mark.parametrize("expression", ORACLES)
@pytest.mark.parametrize("shape", [(4, 5, 6, 3), (4, 30, 3), (4, 2, 3, 5, 3)])
def test_filters_follow_their_formula(expression, shape):
    a = np.resize(A, shape)
    found = get_filter(expression)(tf.constant(a)).numpy()
    # A sum of three, a quotient, or a line between two entries, in float32.
    np.testing.assert_allclose(found, ORACLES[expression](a), rtol=1e-5, atol=1e-6)
    assert found.dtype == np.float32


@pytest.mark.parametrize("expression", ORACLES)
def test_filters_are_per_sample(expression):
    """A sample filtered alone has what it has in a batch."""
    one = get_filter(expression)
    whole = one(tf.constant(A)).numpy()
    for i in range(len(A)):
        # One unit in the last place: powers are computed in vectors of eight, and what is left over one by one.
        np.testing.assert_array_max_ulp(one(tf.constant(A[i : i + 1])).numpy()[0], whole[i], maxulp=1)


@pytest.mark.parametrize("expression", ORACLES)
def test_filters_are_values(expression):
    assert get_filter(expression) == get_filter(expression)
    assert hash(get_filter(expression)) == hash(get_filter(expression))


@pytest.mark.parametrize("name", ["absmax", "sum_channels", "max_channels", "mean_channels"])
def test_channel_filters_refuse_vectors(name):
    with pytest.raises(InvalidParameter, match="channels"):
        get_filter(name)(tf.zeros((4, 30)))


def test_zero_stays_zero_and_vectors_are_samples_too():
    a = tf.constant([[0, 0, 0], [1, -4, 2]], tf.float32)
    np.testing.assert_array_equal(get_filter("normalize")(a), [[0, 0, 0], [0.25, -1, 0.5]])
    np.testing.assert_array_equal(get_filter("filter.gamma")(a)[0], [0, 0, 0])
    np.testing.assert_array_equal(get_filter("positive_normalize")(a), [[0, 0, 0], [0.5, 0, 1]])


@pytest.mark.parametrize("axis", [0, -4, 4, (1, 0)])
def test_no_filter_crosses_the_batch(axis):
    with pytest.raises(InvalidParameter, match="axis 0 is the batch"):
        get_filter("normalize", axis=axis)(tf.constant(A))


@pytest.mark.parametrize(
    "fields",
    [
        {"axis": "all"},
        {"axis": ()},
        {"axis": (1, 1)},
        {"axis": True},
        {"axis": 1.5},
    ],
)
def test_axes_are_whole_numbers_that_differ(fields):
    with pytest.raises(InvalidParameter, match="an axis, or several that differ"):
        get_filter("normalize", **fields)


@pytest.mark.parametrize(
    ("expression", "match"),
    [
        ("clip_percentile(percentile=0)", "> 0"),
        ("clip_percentile(percentile=101)", "<= 100"),
        ("quantile_mask(quantile=-0.1)", ">= 0"),
        ("filter.gamma(gamma=0)", "> 0"),
    ],
)
def test_parameters_out_of_range(expression, match):
    with pytest.raises(InvalidParameter, match=match):
        get_filter(expression)


# ---------------------------------------------------------------------------------------------------------- callables

# Builtin's name; and one that cannot be without a size.
OTHER_NAMES = {"filter.abs": "absolute", "filter.resize": None}
NAMES = [row.name for row in xaicore.available("filter") if row.name.startswith("filter.")]


@pytest.mark.parametrize("name", NAMES)
def test_every_filter_can_be_imported(name):
    member = OTHER_NAMES.get(name, name.removeprefix("filter."))
    if member is not None:
        assert getattr(filters, member) == get_filter(name)
        assert member in filters.__all__


@pytest.mark.parametrize("expression", ORACLES)
def test_arrays_give_arrays_and_tensors_tensors(expression):
    one, a = get_filter(expression), A.astype(np.float64)
    found = one(a)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, ORACLES[expression](a), rtol=1e-13, atol=1e-13)  # float64
    traced = tf.function(one)(tf.constant(a))
    np.testing.assert_allclose(traced, found, rtol=1e-13, atol=1e-13)


def test_parameters_of_a_call_count_over_the_filters_own():
    np.testing.assert_allclose(filters.normalize(A, axis=(-3, -2)), A / np.abs(A).max((1, 2), keepdims=True), rtol=1e-6)
    shifted = unit(A, axis=(1, 2))
    np.testing.assert_allclose(filters.normalize(A, unit=True, axis=(-3, -2)), shifted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(filters.sum_channels(A, axis=1), A.sum(1, keepdims=True), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(filters.gamma(A, gamma=1), A, rtol=1e-6)
    assert filters.normalize == get_filter("normalize")  # the object itself is as it was
    with pytest.raises(UnknownParameter, match=r"axes=.*part, unit, axis"):
        filters.normalize(A, axes=1)
    with pytest.raises(UnknownParameter, match=r"axis=.*parameters: part"):
        filters.positive(A, axis=1)


def test_whole_numbers_are_taken_and_texts_are_not():
    np.testing.assert_array_equal(filters.normalize([[1, -4], [0, 0]]), [[0.25, -1], [0, 0]])
    with pytest.raises(InvalidArgument, match="expected numbers"):
        filters.normalize([["a"]])
    for given in ([1.0, 2.0], tf.constant([[1, 2]])):
        with pytest.raises(InvalidArgument, match=r"floating numbers \(batch, \*features\)"):
            filters.normalize(given)


def test_an_imported_filter_follows_an_analyzer():
    assert xaicore.get_analyzer("gradient") | filters.absmax | filters.sign == xaicore.get_analyzer(
        "gradient | absmax | sign"
    )
