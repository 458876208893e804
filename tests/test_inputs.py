"""Every mistake in the data has its own error; what is right comes out in the model's order and dtypes, untouched."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from xaicore.errors import EmptyInput, InputDtype, InputNotFinite, InputRank, InputShape, InputStructure
from xaicore.inspect.inputs import InputSpec, check_inputs, check_numbers, read_inputs

IMAGE = InputSpec("image", (None, 4, 5, 3), "float32")
ROWS = InputSpec("rows", (None, 3), "float32")
WORDS = InputSpec("words", (None, None), "int32")
TWO = (IMAGE, ROWS)


def check(spec, x):
    return check_inputs((spec,), 0, x).leaves[0]


def test_an_array_of_the_models_dtype_is_not_copied():
    x = np.ones((2, 3), np.float32)

    assert check(ROWS, x) is x


@pytest.mark.parametrize("dtype", ["float64", "float16", "int64", "uint8", "bool"])
def test_numbers_are_converted_and_the_users_array_is_not(dtype):
    x = np.array([[0, 1, 1]], dtype)

    found = check(ROWS, x)

    assert found.dtype == np.float32
    assert np.array_equal(found, [[0, 1, 1]])
    assert x.dtype == dtype


@pytest.mark.parametrize(
    "x", [[[1, 2, 3]], tf.ones((2, 3)), tf.Variable(tf.ones((2, 3))), tf.ones((2, 3), tf.bfloat16)]
)
def test_whatever_is_an_array_is_taken(x):
    assert check(ROWS, x).shape[1:] == (3,)


STRUCTURES = {
    "a list in order": ([0, 1], lambda a, b: [a, b], [0, 1]),
    "a tuple": ([0, 1], lambda a, b: (a, b), [0, 1]),
    "names of inputs": ([0, 1], lambda a, b: {"rows": b, "image": a}, {"rows": 1, "image": 0}),
    "the model's own names": ({"p": 0, "q": 1}, lambda a, b: {"q": b, "p": a}, {"q": 1, "p": 0}),
    "a nest": ({"p": [1], "q": 0}, lambda a, b: {"p": [b], "q": a}, {"p": [1], "q": 0}),
    "inputs in another order": ([1, 0], lambda a, b: [b, a], [1, 0]),
}


@pytest.mark.parametrize(("structure", "give", "expected"), STRUCTURES.values(), ids=STRUCTURES)
def test_each_array_finds_its_input(structure, give, expected):
    """Arrays come out in the model's order, and how they were given is kept, names in the user's order."""
    image, rows = np.zeros((2, 4, 5, 3), np.float32), np.ones((2, 3), np.float32)

    found = read_inputs(TWO, structure, give(image, rows))

    assert found.leaves[0] is image
    assert found.leaves[1] is rows
    assert found.structure == expected


@pytest.mark.parametrize("structure", [0, [0], {"p": 0}])
def test_one_input_takes_a_bare_array(structure):
    x = np.ones((2, 3), np.float32)

    assert check_inputs((ROWS,), structure, x).leaves[0] is x
    assert check_inputs((ROWS,), structure, [x]).leaves[0] is x


def test_one_input_takes_its_name():
    x = np.ones((2, 3), np.float32)

    assert check_inputs((ROWS,), 0, {"rows": x}).leaves[0] is x


A, B = np.zeros((2, 4, 5, 3)), np.zeros((2, 3))
MISTAKES = {
    "one array for two inputs": (TWO, [0, 1], A, InputStructure, r"list of 2.*image.*rows.*\(\(a, b\), target\)"),
    "three arrays for two inputs": (TWO, [0, 1], [A, B, B], InputStructure, "list of 3 arrays"),
    "a missing name": (TWO, {"p": 0, "q": 1}, {"p": A}, InputStructure, "without 'q'"),
    "an unknown name": (TWO, [0, 1], {"image": A, "rows": B, "x": B}, InputStructure, "unknown 'x'"),
    "a list for names": (TWO, {"p": 0, "q": 1}, [A, B], InputStructure, "a dict with 'p', 'q'"),
    "a dict of one other name": ((ROWS,), 0, {"x": B}, InputStructure, "without 'rows' and with unknown 'x'"),
    "samples in a list": ((ROWS,), 0, [np.zeros(3), np.zeros(3)], InputStructure, "np.stack"),
    "one sample": ((IMAGE,), 0, A[0], InputRank, r"pass x\[None\]"),
    "no channels": (
        (InputSpec("g", (None, 4, 5, 1), "float32"),),
        0,
        np.zeros((2, 4, 5)),
        InputRank,
        r"x\[\.\.\., None\]",
    ),
    "too many axes": ((ROWS,), 0, A, InputRank, "Expected 2 axes"),
    "a number": ((ROWS,), 0, 3.0, InputRank, "Expected 2 axes"),
    "another length": ((ROWS,), 0, np.zeros((2, 4)), InputShape, r"\(2, 4\).*\(batch, 3\)"),
    "channels first": ((IMAGE,), 0, np.zeros((2, 3, 4, 5)), InputShape, "moveaxis"),
    "other numbers of samples": (TWO, [0, 1], [A, B[:1]], InputShape, "image: 2, rows: 1"),
    "rows of unequal lengths": ((ROWS,), 0, [[1, 2, 3], [1]], InputShape, "unequal"),
    "no length": ((WORDS,), 0, np.zeros((2, 0), int), InputShape, r"\(2, 0\)"),
    "no sample": ((ROWS,), 0, B[:0], EmptyInput, "no sample"),
    "a file name": ((ROWS,), 0, "cat.png", InputDtype, "text.*Load"),
    "text": ((ROWS,), 0, np.array([["a"] * 3]), InputDtype, "text"),
    "objects": ((ROWS,), 0, np.array([[1, None, 2]]), InputDtype, "objects"),
    "nothing": ((ROWS,), 0, None, InputDtype, "objects"),
    "complex numbers": ((ROWS,), 0, B + 1j, InputDtype, "complex"),
    "dates": ((ROWS,), 0, B.astype("datetime64[s]"), InputDtype, "dates"),
    "masked": ((ROWS,), 0, np.ma.masked_less(B, 1), InputDtype, "filled"),
    "symbolic": ((ROWS,), 0, tf.keras.Input((3,)), InputDtype, "no array"),
    "fractions for integers": ((WORDS,), 0, np.array([[1, 2.5]]), InputDtype, r"x\[0, 1\] is 2\.5"),
    "beyond int32": ((WORDS,), 0, np.array([[1], [2**40]]), InputDtype, r"x\[1, 0\]"),
    "numbers for text": ((InputSpec("t", (None,), "string"),), 0, np.zeros(2), InputDtype, "expected text"),
    "NaN": ((ROWS,), 0, np.array([[0, 0, 0], [0, np.nan, 0]]), InputNotFinite, r"x\[1, 1\] = nan"),
    "infinity": ((ROWS,), 0, np.array([[-np.inf, 0, 0]], np.float32), InputNotFinite, r"x\[0, 0\] = -inf"),
    "NaN for integers": ((WORDS,), 0, np.array([[np.nan]]), InputNotFinite, "nan"),
    "too large for float32": ((ROWS,), 0, np.array([[0, 0, 1e39]]), InputNotFinite, r"x\[0, 2\] = 1e\+39.*too large"),
}


@pytest.mark.parametrize(("specs", "structure", "x", "error", "said"), MISTAKES.values(), ids=MISTAKES)
def test_each_mistake_has_its_error(specs, structure, x, error, said):
    with pytest.raises(error, match=said):
        check_inputs(specs, structure, x)


def test_whole_numbers_in_floats_are_taken_for_integers():
    found = check(WORDS, np.array([[1.0, 2.0]]))

    assert found.dtype == np.int32
    assert found.tolist() == [[1, 2]]


def test_text_is_taken_where_the_model_takes_text():
    spec = InputSpec("text", (None,), "string")

    assert check(spec, np.array(["a", "b"], object)).tolist() == ["a", "b"]


@given(st.integers(0, 29), st.integers(0, 2))
def test_the_first_wrong_number_is_named_across_chunks(sample, column):
    """Large data is checked in chunks; the position is that in the user's array."""
    x = np.zeros((30, 3))
    x[sample:, column] = np.nan
    wide = np.lib.stride_tricks.as_strided(x, (30, 3), x.strides)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xaicore.inspect.inputs._CHUNK", 7)
        with pytest.raises(InputNotFinite, match=rf"x\[{sample}, {column}\]"):
            check_numbers(wide, ROWS)


def test_read_only_data_is_taken():
    x = np.zeros((2, 3))
    x.setflags(write=False)

    assert check(ROWS, x).dtype == np.float32
