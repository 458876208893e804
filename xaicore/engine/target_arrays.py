"""Targets given as numbers: integers and arrays of integers, checked against the output."""

from __future__ import annotations

import attrs
import numpy as np

from xaicore.engine.target_read import Gather, Reader, Signed
from xaicore.engine.target_text import LARGEST, NEGATIVE
from xaicore.errors import TargetLength, TargetOutOfRange, TargetType


@attrs.frozen
class OutputSpec:
    """One output of a model.

    shape: axis 0 is the batch, None.
    scored: what its numbers are: "logit", "probability", or "value" where the model has no head.
    aliases: further names, of its layer.  keyed: whether it goes by a key, so that it has no place among several.
    """

    name: str
    shape: tuple[int | None, ...]
    scored: str
    aliases: tuple[str, ...] = ()
    keyed: bool = False

    @property
    def one_number(self) -> bool:
        """Whether the output is one number per sample, (batch,) or (batch, 1)."""
        return self.axes in {(), (1,)}

    @property
    def axes(self) -> tuple[int | None, ...]:
        """The shape without the batch; None where a length is unknown."""
        return tuple(self.shape[1:])

    @property
    def said(self) -> str:
        """Name and shape as messages say them."""
        shape = ", ".join(["batch", *("any" if n is None else str(n) for n in self.axes)])
        return f"output {self.name!r} of shape ({shape}{'' if self.axes else ','})"

    @property
    def neuron(self) -> str:
        """Text that names one neuron of the output, as an example in messages."""
        return f"output[{','.join('0' * len(self.axes))}]"


def read_array(target: object, spec: OutputSpec, batch: int) -> tuple[Reader, np.ndarray, bool]:
    """Return how the score is read, the index (batch, k, m) and whether results have an axis for k.

    On (batch,) and (batch, classes): an integer, (batch,) or (batch, k).
    On outputs of rank n > 2: index tuples (batch, n-1) or (batch, k, n-1).

    Raises:
        TargetType: No integers; bool and float are none.
        TargetLength: Not one target per sample, or a wrong number of indices.
        TargetOutOfRange: Negative, or beyond the output.
    """
    array = _integers(target)
    index, many = (_tuples if len(spec.axes) > 1 else _classes)(array, spec, batch)
    if spec.one_number:
        _check_sign(index, spec)
        return Signed(), index.astype(np.int32), many
    check_range(index, spec, "target")
    return Gather(), index.astype(np.int32), many


def check_range(index: np.ndarray, spec: OutputSpec, given: str) -> None:
    """Raise TargetOutOfRange where an entry of index (..., rank - 1) is negative or beyond its axis of the output."""
    _check_positive(index, given)
    for axis, length in enumerate(spec.axes):
        size = LARGEST if length is None else length
        if (largest := index[..., axis].max()) >= size:
            raise TargetOutOfRange(
                f"Given {given} with index {largest} on axis {axis + 1}; {spec.said} has 0 to {size - 1} there."
            )


def _check_sign(index: np.ndarray, spec: OutputSpec) -> None:
    _check_positive(index, "target")
    if index.max() > 1:
        raise TargetOutOfRange(
            f"Given target {index.max()}; {spec.said} is one number per sample: 1 means plus, 0 means minus the output."
        )


def _check_positive(index: np.ndarray, given: str) -> None:
    if index.size and index.min() < 0:
        raise TargetOutOfRange(f"Given {given} with a negative index, {index.min()}. {NEGATIVE}")


def _integers(target: object) -> np.ndarray:
    try:
        array = np.asarray(target)
    except ValueError as error:
        raise TargetLength(f"Given targets of unequal lengths ({error}); expected one row per sample.") from None
    if array.dtype == object and all(type(entry) is int for entry in array.flat):
        raise TargetOutOfRange(f"Given a target beyond 64 bits; indices are at most {LARGEST}.")
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise TargetType(
            f"Given a target of type {type(target).__name__} and dtype {array.dtype}; expected integers, "
            "text, or a function outputs -> (batch,). "
            "Convert labels with `.astype(int)`, one-hot rows with `.argmax(-1)`."
        )
    return array


def _classes(array: np.ndarray, spec: OutputSpec, batch: int) -> tuple[np.ndarray, bool]:
    expected = "an integer, (batch,) or (batch, k)"
    several = 2
    if array.ndim > several or 0 in array.shape:
        raise TargetLength(f"Given a target of shape {array.shape}; {spec.said} takes {expected}.")
    if array.ndim == 0:
        return np.full((batch, 1, 1), array), False
    _check_batch(array, batch, expected)
    return array.reshape(batch, -1, 1), array.ndim == several


def _tuples(array: np.ndarray, spec: OutputSpec, batch: int) -> tuple[np.ndarray, bool]:
    entries = len(spec.axes)
    expected = f"index tuples (batch, {entries}) or (batch, k, {entries})"
    one, several = 2, 3
    if array.ndim not in {one, several} or array.shape[-1] != entries or 0 in array.shape:
        raise TargetLength(
            f"Given a target of shape {array.shape}; {spec.said} takes {expected}, "
            f"or text such as '{spec.neuron}' for the same neuron in all samples."
        )
    _check_batch(array, batch, expected)
    return array.reshape(batch, -1, entries), array.ndim == several


def _check_batch(array: np.ndarray, batch: int, expected: str) -> None:
    if len(array) != batch:
        raise TargetLength(f"Given {len(array)} targets for {batch} samples; expected {expected}.")
