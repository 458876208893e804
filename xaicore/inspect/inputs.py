"""Data as users give it, checked against the inputs of a model before anything is traced.  Numpy only."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from xaicore.errors import EmptyInput, InputDtype, InputNotFinite, InputRank, InputShape
from xaicore.inspect.arrange import Arranged, arrange

_CHUNK = 2**22  # numbers that are converted at a time while they are checked


@attrs.frozen
class InputSpec:
    """One input of a model.  shape: axis 0 is the batch, None; further axes are None where any length is taken."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str

    @property
    def said(self) -> str:
        """Name and shape as messages say them."""
        shape = ", ".join(["batch", *("any" if n is None else str(n) for n in self.shape[1:])])
        return f"input {self.name!r} of shape ({shape}{'' if self.shape[1:] else ','})"


def check_inputs(specs: Sequence[InputSpec], structure: object, x: object, first: int = 0) -> Arranged[np.ndarray]:
    """Return the arrays in the order of the specs and in the model's dtypes, and the structure they were given in.

    The user's arrays are not changed.

    Args:
        specs: The model's inputs.
        structure: In which the model takes them; holds the position of each in the specs.
        x: An array or tensor (batch, *features), or a list, tuple or dict of them.
        first: The number of its first sample among all, for messages.

    Raises:
        InputStructure: Another number of arrays, or other names, than the model has inputs.
        InputRank: Another number of axes.
        InputShape: Other lengths of axes, or inputs with different numbers of samples.
        InputDtype: Text, objects, complex numbers; fractions for an input of integers.
        InputNotFinite: NaN or infinity, in the data or after conversion.
        EmptyInput: No sample.
    """
    found = read_inputs(specs, structure, x)
    arrays = tuple(convert(array, spec, first) for array, spec in zip(found.leaves, specs, strict=True))
    return Arranged(arrays, found.structure)


def read_inputs(specs: Sequence[InputSpec], structure: object, x: object) -> Arranged[np.ndarray]:
    """Return the arrays as they are; structure, shapes and dtypes are checked as ``check_inputs`` does.

    The numbers are left to ``check_numbers`` and ``convert``, so that large data is not converted as a whole.
    """
    given = arrange([s.name for s in specs], structure, x)
    arrays = tuple(_array(value, spec) for value, spec in zip(given.leaves, specs, strict=True))
    for array, spec in zip(arrays, specs, strict=True):
        _check_dtype(array, spec)
        _check_shape(array, spec)
    lengths = {spec.name: len(array) for array, spec in zip(arrays, specs, strict=True)}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name}: {n}" for name, n in lengths.items())
        raise InputShape(f"Given inputs with different numbers of samples ({listed}); expected one number for all.")
    return Arranged(arrays, given.structure)


def check_numbers(array: np.ndarray, spec: InputSpec) -> None:
    """Raise what ``convert`` would raise for any row, without holding a converted copy of all."""
    rows = max(1, _CHUNK // max(1, array[:1].size))
    for start in range(0, len(array), rows):
        convert(array[start : start + rows], spec, first=start)


def convert(array: np.ndarray, spec: InputSpec, first: int = 0) -> np.ndarray:
    """Return the array in the input's dtype, itself where it has it; ``first`` is the number of its first sample.

    Raises:
        InputNotFinite: NaN or infinity, or a number too large for the input's dtype.
        InputDtype: A number that an input of integers cannot hold.
    """
    if spec.dtype == "string":
        return array if array.dtype.kind == "U" else array.astype(str)
    if _is_float(array.dtype):
        _refuse_where(~np.isfinite(array), array, spec, first, "expected finite numbers")
    wanted = np.dtype(spec.dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # what they would warn of is refused below
        converted = array.astype(wanted, copy=False)
    if array.dtype == wanted:
        return converted
    if _is_float(wanted):
        _refuse_where(~np.isfinite(converted), array, spec, first, f"it is too large for {wanted}")
    elif (wrong := converted != array).any():
        place, value = _first(wrong, array, first)
        raise InputDtype(
            f"Given {array.dtype} for {spec.said}, which takes {wanted}, and x[{place}] is {value}. "
            f"Expected whole numbers that {wanted} can hold; round them yourself if that is what you mean."
        )
    return converted


def _array(value: object, spec: InputSpec) -> np.ndarray:
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise InputDtype(f"Given a masked array for {spec.said}; fill the masked entries first, x.filled(value).")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError, NotImplementedError) as error:
        if isinstance(value, list | tuple):
            raise InputShape(
                f"Given rows of unequal lengths for {spec.said} ({error}); expected one shape for all samples."
            ) from None
        raise InputDtype(
            f"Given {type(value).__name__} for {spec.said}, which is no array ({error}); expected numbers."
        ) from None
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array  # exact, and NumPy's own


def _check_dtype(array: np.ndarray, spec: InputSpec) -> None:
    kind = array.dtype.kind
    if kind in ("USO" if spec.dtype == "string" else "biuf"):
        return
    names = {"O": "objects", "U": "text", "S": "bytes", "c": "complex numbers", "M": "dates", "m": "times"}
    hints = {
        "O": " Make them an array of numbers, for example with np.asarray(x, dtype='float32').",
        "U": " Load the data that the text names, and pass the array.",
        "c": " Pass real and imaginary part, or the modulus, as the model was trained.",
    }
    wanted = "text" if spec.dtype == "string" else "numbers"
    raise InputDtype(
        f"Given {names.get(kind, 'numbers' if kind in 'biuf' else 'records')} ({array.dtype}) for {spec.said}; "
        f"expected {wanted}.{hints.get(kind, '')}"
    )


def _check_shape(array: np.ndarray, spec: InputSpec) -> None:
    if array.ndim != len(spec.shape):
        raise InputRank(f"Given shape {array.shape} for {spec.said}.{_hint_rank(array, spec)}")
    if not len(array):
        raise EmptyInput(f"Given shape {array.shape} for {spec.said}: there is no sample to explain.")
    if not _fits(array.shape[1:], spec) or not array.size:
        raise InputShape(f"Given shape {array.shape} for {spec.said}.{_hint_shape(array, spec)}")


def _fits(shape: Sequence[int], spec: InputSpec) -> bool:
    """Return whether this is the shape of a sample of the input."""
    return len(shape) == len(spec.shape) - 1 and all(
        n is None or n == m for n, m in zip(spec.shape[1:], shape, strict=True)
    )


def _hint_rank(array: np.ndarray, spec: InputSpec) -> str:
    if _fits(array.shape, spec):
        return " This is one sample without the batch axis; pass x[None]."
    if array.ndim and _fits((*array.shape[1:], 1), spec):
        return " The last axis is missing; pass x[..., None]."
    return f" Expected {len(spec.shape)} axes, the first being the batch."


def _hint_shape(array: np.ndarray, spec: InputSpec) -> str:
    if array.ndim > 2 and _fits((*array.shape[2:], array.shape[1]), spec):  # noqa: PLR2004  # batch, channels, spatial
        return " The channels come first; pass np.moveaxis(x, 1, -1)."
    return " Resize or reshape the samples as for training."


def _is_float(dtype: np.dtype) -> bool:
    return dtype.kind == "f" or dtype.name == "bfloat16"


def _refuse_where(wrong: np.ndarray, array: np.ndarray, spec: InputSpec, first: int, reason: str) -> None:
    if wrong.any():
        place, value = _first(wrong, array, first)
        raise InputNotFinite(
            f"Given x[{place}] = {value} for {spec.said}; {reason}. Replace or drop {int(wrong.sum())} such numbers."
        )


def _first(wrong: np.ndarray, array: np.ndarray, first: int) -> tuple[str, object]:
    """Return where the first wrong entry is, counted from the user's first sample, and the entry."""
    place = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    return ", ".join(str(int(i) + (0 if axis else first)) for axis, i in enumerate(place)), array[place]
