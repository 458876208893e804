"""Arrays that compare by content, and strict converters."""

from __future__ import annotations

import copy
import pickle
from fractions import Fraction

import attrs
import numpy as np
import pytest

from xaicore.errors import InvalidParameter
from xaicore.values import Array, choice, flag, integer, numeric_or_array, optional, real, text


def converted(converter, value):
    @attrs.frozen
    class Holder:
        field: object = attrs.field(converter=converter)

    return Holder(value).field


@pytest.mark.parametrize(
    ("converter", "value", "expected"),
    [
        (integer(), np.int64(3), 3),
        (integer(minimum=1), 1, 1),
        (real(), 1, 1.0),
        (real(), np.float32(0.5), 0.5),
        (real(minimum=0), 0, 0.0),
        (real(above=0, maximum=1), 1, 1.0),
        (real(), Fraction(1, 4), 0.25),
        (flag, True, True),
        (choice("a", "b"), "b", "b"),
        (text, "x", "x"),
        (optional(integer()), None, None),
        (optional(integer()), 3, 3),
        (optional(str), 3, "3"),
        (numeric_or_array, 2, 2.0),
        (numeric_or_array, [1, 2], Array([1, 2])),
        (numeric_or_array, Array([1, 2]), Array([1, 2])),
    ],
)
def test_what_converters_give(converter, value, expected):
    found = converted(converter, value)

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("converter", "value", "expected"),
    [
        (integer(), True, "an integer"),
        (integer(), 8.0, "an integer"),
        (integer(), "8", "an integer"),
        (integer(minimum=1), 0, "at least 1"),
        (real(), True, "a finite number"),
        (real(), "1", "a finite number"),
        (real(), None, "a finite number"),
        (real(), float("nan"), "a finite number"),
        (real(), float("inf"), "a finite number"),
        (real(), 10**400, "a finite number"),
        (real(), np.zeros(()), "a finite number"),
        (real(minimum=0), -1e-9, ">= 0"),
        (real(above=0), 0, "> 0"),
        (real(minimum=0, maximum=1), 2, ">= 0 <= 1"),
        (flag, 1, "True or False"),
        (flag, np.bool_(True), "True or False"),
        (choice("a", "b"), "c", "'a', 'b'"),
        (choice("a", "b"), 1, "'a', 'b'"),
        (choice("a", "b"), ["a"], "'a', 'b'"),
        (text, "", "text"),
        (text, 1, "text"),
        (numeric_or_array, "1", "array of numbers"),
        (numeric_or_array, None, "array of numbers"),
        (numeric_or_array, ["a"], "array of numbers"),
        (numeric_or_array, [[1], [1, 2]], "array of numbers"),
        (numeric_or_array, [object()], "array of numbers"),
    ],
)
def test_what_converters_refuse(converter, value, expected):
    """The error names the field, what was given and what was expected."""
    with pytest.raises(InvalidParameter, match=f"field=.*expected .*{expected}"):
        converted(converter, value)


def test_arrays_compare_by_content():
    a = np.arange(6.0).reshape(2, 3)

    assert Array(a) == Array(a.copy())
    assert Array(a) == Array(np.asfortranarray(a)) == Array(a.astype(">f8"))
    assert len({Array(a), Array(a.copy())}) == 1
    assert Array(a) != Array(a.T)
    assert Array(a) != Array(a.reshape(3, 2))
    assert Array(a) != Array(a.astype(np.float32))
    assert Array(a) != a.tolist()


@pytest.mark.parametrize("copied", [lambda a: a, copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))])
def test_arrays_are_read_only_copies(copied):
    given = np.zeros(3)
    array = copied(Array(given))
    given[0] = 1

    assert array == Array(np.zeros(3))
    with pytest.raises(ValueError, match="read-only"):
        array.data[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(array)[0] = 1
    np.array(array)[0] = 1  # a copy is the caller's


def test_arrays_print_their_digest():
    assert repr(Array([1.0])) == f'array("{Array([1.0]).digest}")'
    assert Array([1.0]).digest.startswith("sha256:")
    assert Array(np.zeros((2, 3))).shape == (2, 3)
