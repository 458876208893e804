"""Nested lists and dicts of arrays, as the inputs of models are.  No TensorFlow, no Keras.

A structure has whole numbers as leaves: the positions of the arrays in a flat sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from xaicore.errors import InvalidExplanation


def transform(nested: object, function: Callable[[object], object]) -> object:
    """Return a new nest of lists and dicts with the function applied to each leaf, in order."""
    if isinstance(nested, Mapping):
        return {name: transform(value, function) for name, value in nested.items()}
    if isinstance(nested, list | tuple):
        return [transform(value, function) for value in nested]
    return function(nested)


def flatten(nested: object) -> tuple[object, tuple[object, ...]]:
    """Return (structure, leaves) of nested lists, tuples and dicts; dicts in their own order, tuples become lists."""
    leaves: list[object] = []

    def visit(leaf: object) -> int:
        leaves.append(leaf)
        return len(leaves) - 1

    return transform(nested, visit), tuple(leaves)


def fill(structure: object, leaves: Sequence[object]) -> object:
    """Return a new nest with each position replaced by its leaf.  ``fill(*flatten(nest)) == nest``, as lists."""
    return transform(structure, lambda position: leaves[position])  # type: ignore[call-overload]  # a position


def positions(structure: object) -> tuple[int, ...]:
    """Return the positions in a structure, in its order."""
    return flatten(structure)[1]  # type: ignore[return-value]  # the leaves of a structure are positions


def readonly(value: object) -> np.ndarray:
    """Return a numeric array that nobody writes to: the value itself if it is one, else a copy.

    bfloat16 becomes float32, which is exact and which every reader of files knows.

    Raises:
        InvalidExplanation: It holds no numbers.
    """
    array = np.asarray(value)
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    if array.dtype.kind not in "biufc":
        raise InvalidExplanation(f"Given an array of {array.dtype}; an explanation holds numbers.")
    owner: object = array
    while isinstance(owner, np.ndarray) and not owner.flags.writeable and owner.base is not None:
        owner = owner.base
    if not isinstance(owner, np.ndarray) or owner.flags.writeable:
        array = array.copy()
        array.setflags(write=False)
    return array


def same(a: object, b: object) -> bool:
    """Return whether two nests hold the same: arrays of equal dtype, shape and numbers, NaN being equal to NaN."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    return type(a) is type(b) and not isinstance(a, np.ndarray) and bool(a == b)


def join(nests: Sequence[object], name: str) -> object:
    """Return nests with axis 0 of their arrays concatenated, read-only; ``name`` is theirs in messages.

    Raises:
        InvalidExplanation: They differ in structure or in the shape of a sample.
    """
    first = nests[0]
    if isinstance(first, Mapping):
        if not all(isinstance(nest, Mapping) and nest.keys() == first.keys() for nest in nests):
            raise InvalidExplanation(f"Given {name} of different names; expected the same in all parts.")
        return {key: join([nest[key] for nest in nests], f"{name}[{key!r}]") for key in first}  # type: ignore[index]  # mappings
    if isinstance(first, list):
        if not all(isinstance(nest, list) and len(nest) == len(first) for nest in nests):
            raise InvalidExplanation(f"Given {name} of different numbers; expected the same in all parts.")
        return [join(entries, f"{name}[{i}]") for i, entries in enumerate(zip(*nests, strict=True))]
    try:
        whole: np.ndarray = np.concatenate([np.asarray(nest) for nest in nests])
    except ValueError as error:
        raise InvalidExplanation(f"Given {name} whose samples have different shapes ({error}).") from None
    whole.setflags(write=False)
    return whole
