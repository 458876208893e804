"""Values that analyzers are made of: arrays that compare by content, and strict converters for attrs fields.

A converter gives the one spelling of a value (float, int, ...), or refuses with an InvalidParameter
that says the field, what was given and what was expected.
"""

from __future__ import annotations

import hashlib
import math
import weakref
from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import attrs

from xaicore.errors import InvalidParameter

if TYPE_CHECKING:
    import numpy as np

Field: TypeAlias = "attrs.Attribute[Any]"
AnyConverter: TypeAlias = "attrs.Converter[Any, Any] | Callable[[Any], Any]"


_SHOWN = 80  # characters of a value in an error


def _read_only(values: object) -> np.ndarray:
    import numpy as np

    found = np.array(values, order="C")
    if found.dtype.kind not in "biuf":
        raise InvalidParameter(f"Given an array of dtype {found.dtype}; expected numbers or booleans.")
    found = found.astype(found.dtype.newbyteorder("<"), copy=False)
    found.setflags(write=False)
    return found


@attrs.frozen(eq=False, repr=False)
class Array:
    """A read-only copy of an array, equal and hashed by dtype, shape and bits.

    Prints as ``array("sha256:...")``, so that an expression that holds one stays short.

    Args:
        data: Anything that ``numpy.array`` takes, of numbers or booleans.
    """

    data: np.ndarray = attrs.field(converter=_read_only)
    digest: str = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Take the fingerprint once."""
        head = f"{self.data.dtype.str}{self.data.shape}".encode()
        object.__setattr__(self, "digest", f"sha256:{hashlib.sha256(head + self.data.tobytes()).hexdigest()}")

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape."""
        return self.data.shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return the data; numpy calls this."""
        import numpy as np

        return np.array(self.data, dtype=dtype) if copy else np.asarray(self.data, dtype=dtype)

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, Array) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f'array("{self.digest}")'

    def __reduce__(self) -> tuple[type[Array], tuple[np.ndarray]]:
        return Array, (self.data,)  # a copy is read-only as well


def integer(minimum: int | None = None) -> attrs.Converter[Any, int]:
    """Return a converter to int: Python's and NumPy's integers of at least ``minimum``; no bool, no 8.0."""
    expected = "an integer" if minimum is None else f"an integer of at least {minimum}"

    def convert(value: Any, field: Field) -> int:
        if isinstance(value, bool) or not isinstance(value, Integral) or (minimum is not None and value < minimum):
            raise _refused(field, value, expected)
        return int(value)

    return attrs.Converter(convert, takes_field=True)


def real(
    minimum: float | None = None, above: float | None = None, maximum: float | None = None
) -> attrs.Converter[Any, float]:
    """Return a converter to float: a finite number with minimum <= value <= maximum and value > above; no bool."""
    limits = ((">=", minimum), (">", above), ("<=", maximum))
    expected = "a finite number" + "".join(f" {sign} {x:g}" for sign, x in limits if x is not None)

    def convert(value: Any, field: Field) -> float:
        if isinstance(value, bool) or not isinstance(value, Real):
            raise _refused(field, value, expected)
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        inside = (
            math.isfinite(number)
            and (minimum is None or number >= minimum)
            and (above is None or number > above)
            and (maximum is None or number <= maximum)
        )
        if not inside:
            raise _refused(field, value, expected)
        return number

    return attrs.Converter(convert, takes_field=True)


def choice(*options: str) -> attrs.Converter[Any, str]:
    """Return a converter that takes one of these texts and nothing else."""
    expected = "one of " + ", ".join(map(repr, options))

    def convert(value: Any, field: Field) -> str:
        if not isinstance(value, str) or value not in options:
            raise _refused(field, value, expected)
        return options[options.index(value)]

    return attrs.Converter(convert, takes_field=True)


def _flag(value: Any, field: Field) -> bool:
    if not isinstance(value, bool):
        raise _refused(field, value, "True or False")
    return value


def _text(value: Any, field: Field) -> str:
    if not isinstance(value, str) or not value:
        raise _refused(field, value, "text")
    return str(value)


def _numeric_or_array(value: Any, field: Field) -> float | Array:
    if isinstance(value, Array):
        return value
    if isinstance(value, str | bytes | bool | dict | set) or value is None:
        raise _refused(field, value, "a number or an array of numbers")
    if isinstance(value, Real):
        number: float = convert_by(real(), value, field)
        return number
    try:
        found = Array(value)
    except (TypeError, ValueError) as error:  # InvalidParameter is a ValueError
        raise _refused(field, value, "a number or an array of numbers") from error
    return found


def _axes(value: Any, field: Field) -> tuple[int, ...]:
    given = (value,) if isinstance(value, Integral) and not isinstance(value, bool) else value
    whole = isinstance(given, tuple | list) and all(isinstance(a, Integral) and not isinstance(a, bool) for a in given)
    if not whole or not given or len(set(given)) != len(given):
        raise _refused(field, value, "an axis, or several that differ")
    return tuple(int(a) for a in given)


def _lengths(value: Any, field: Field) -> tuple[int, ...]:
    given = value if isinstance(value, tuple | list) else ()
    whole = [int(n) for n in given if isinstance(n, Integral) and not isinstance(n, bool)]
    if not given or len(whole) != len(given) or min(whole) < 1:
        raise _refused(field, value, "a tuple of lengths of at least 1")
    return tuple(whole)


lengths: attrs.Converter[Any, tuple[int, ...]] = attrs.Converter(_lengths, takes_field=True)


class LayerText(str):
    """The name of a layer that was given as a site, and the layer, until a model tells where in it that is.

    layer: a weak reference, so that an analyzer keeps no model alive.
    """

    __slots__ = ("layer",)

    layer: weakref.ref[Any]

    def __new__(cls, layer: Any) -> Self:
        """Take the name of a layer."""
        text = super().__new__(cls, layer.name)
        text.layer = weakref.ref(layer)
        return text

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        """Copy as the name alone: the layer is an object of this process."""
        return str, (str(self),)


def _site(value: Any, field: Field) -> str:
    if isinstance(value, LayerText):
        return value
    name = getattr(value, "name", value)
    if not isinstance(name, str) or not name:
        raise _refused(field, value, "the text of a site, or a layer")
    return str(name) if isinstance(value, str) else LayerText(value)


site_text: attrs.Converter[Any, str] = attrs.Converter(_site, takes_field=True)
axes: attrs.Converter[Any, tuple[int, ...]] = attrs.Converter(_axes, takes_field=True)
flag: attrs.Converter[Any, bool] = attrs.Converter(_flag, takes_field=True)
text: attrs.Converter[Any, str] = attrs.Converter(_text, takes_field=True)
numeric_or_array: attrs.Converter[Any, float | Array] = attrs.Converter(_numeric_or_array, takes_field=True)


def optional(converter: AnyConverter) -> attrs.Converter[Any, Any]:
    """Return a converter that lets None through and leaves the rest to another."""

    def convert(value: Any, instance: Any, field: Field) -> Any:
        if value is None:
            return None
        if isinstance(converter, attrs.Converter):
            return convert_by(converter, value, field, instance)
        return converter(value)

    return attrs.Converter(convert, takes_self=True, takes_field=True)


def convert_by(converter: Any, value: object, field: Field, instance: object = None) -> Any:
    """Call a Converter, which attrs does at run time and its stubs do not know."""
    return converter(value, instance, field)


def _refused(field: Field, value: object, expected: str) -> InvalidParameter:
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}... ({type(value).__name__})"
    return InvalidParameter(f"Given {field.alias}={shown}; expected {expected}.")
