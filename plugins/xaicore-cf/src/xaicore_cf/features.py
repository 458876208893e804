"""Features of a sample, by index or by name: how a user says them.

A sample is the inputs of the model, flattened one behind the other; ``xaicore_cf.layout`` says where they are in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, TypeAlias

from xaicore.errors import InvalidParameter
from xaicore.values import Array

Feature: TypeAlias = "int | str"
_SHOWN = 80


def _one(value: Any, given: str) -> Feature:
    if isinstance(value, str) and value:
        return str(value)
    if isinstance(value, Integral) and not isinstance(value, bool) and value >= 0:
        return int(value)
    raise InvalidParameter(f"Given {given}; expected features, each an index of the flattened sample or a name.")


def free(value: Any) -> Array | tuple[Feature, ...] | None:
    """Return which features may change: booleans like a sample as an array, indices and names as a tuple."""
    if value is None:
        return None
    given = f"features={value!r:.{_SHOWN}}"
    if isinstance(value, list | tuple) and any(isinstance(one, str) for one in value):
        return tuple(_one(one, given) for one in value)
    found = value if isinstance(value, Array) else Array(value)
    whole = found.data.dtype.kind in "iu" and found.data.size and found.data.min() >= 0
    if not whole and not (found.data.dtype == bool and found.data.any()):
        raise InvalidParameter(
            f"Given {given}; expected indices of the flattened sample that may change, from 0 and at least one, their "
            "names, or booleans shaped like a sample with at least one True."
        )
    return found


def names(value: Any) -> tuple[str, ...]:
    """Return names, all different."""
    found = (value,) if isinstance(value, str) else tuple(value)
    if not all(isinstance(one, str) and one for one in found) or len(set(found)) != len(found):
        raise InvalidParameter(f"Given names={value!r:.{_SHOWN}}; expected a name for each feature, all different.")
    return tuple(map(str, found))


def directions(value: Any) -> tuple[tuple[Feature, int], ...]:
    """Return (feature, 1 or -1) of each feature that may go in one direction only."""
    pairs = _pairs("monotone", value, "{feature: 1 to grow only, -1 to shrink only}")
    if not all(sign in {1, -1} for _, sign in pairs):
        raise InvalidParameter(f"Given monotone={value!r:.{_SHOWN}}; expected 1 to grow only, -1 to shrink only.")
    return tuple((feature, int(sign)) for feature, sign in pairs)


def steps(value: Any) -> tuple[tuple[Feature, float], ...]:
    """Return (feature, step) of each feature that changes by multiples of a step; features in a list by steps of 1."""
    value = _listed(value)
    listed = isinstance(value, list | tuple) and all(isinstance(one, str | Integral) for one in value)
    pairs = _pairs("integers", dict.fromkeys(value, 1) if listed else value, "features, or {feature: step}")
    if not all(step > 0 and math.isfinite(step) for _, step in pairs):
        raise InvalidParameter(f"Given integers={value!r:.{_SHOWN}}; expected steps above 0.")
    return tuple((feature, float(step)) for feature, step in pairs)


def _listed(value: Any) -> Any:
    """Return an array as a list, lists of lists for several axes; anything else as it is."""
    found = value.data if isinstance(value, Array) else value
    return found.tolist() if hasattr(found, "tolist") else value


def _pairs(name: str, value: Any, expected: str) -> tuple[tuple[Feature, Any], ...]:
    if isinstance(value, Mapping):
        value = value.items()
    given = f"{name}={value!r:.{_SHOWN}}"
    try:
        pairs = tuple((_one(feature, given), number) for feature, number in value)
    except (TypeError, ValueError) as error:
        if isinstance(error, InvalidParameter):
            raise
        raise InvalidParameter(f"Given {given}; expected {expected}.") from error
    if not all(isinstance(number, Real) and not isinstance(number, bool) for _, number in pairs):
        raise InvalidParameter(f"Given {given}; expected {expected}.")
    return pairs


def groups(value: Any) -> tuple[tuple[Feature, ...], ...]:
    """Return the features of each category: columns of which one is 1 and the others are 0."""
    value = _listed(value)
    given = f"categories={value!r:.{_SHOWN}}"
    if not isinstance(value, list | tuple) or not all(isinstance(group, list | tuple) for group in value):
        raise InvalidParameter(f"Given {given}; expected a list of lists of features, each one category.")
    found = tuple(tuple(_one(one, given) for one in group) for group in value)
    if any(len(group) <= 1 for group in found):
        raise InvalidParameter(f"Given {given}; expected at least two features in each category.")
    return found


def bounds(value: Any) -> tuple[float | Array | None, float | Array | None]:
    """Return (low, high): numbers, arrays, or None where there is no bound.

    Raises:
        InvalidParameter: no pair, NaN, or low above high somewhere.
    """
    import numpy as np

    if value is None:
        return (None, None)
    if not isinstance(value, list | tuple) or len(value) != 2:  # noqa: PLR2004  # a pair
        raise InvalidParameter(
            f"Given bounds={value!r:.{_SHOWN}}; expected (low, high): numbers, arrays like a sample, or None."
        )
    low, high = (_end(name, one) for name, one in zip(("low", "high"), value, strict=True))
    if low is None or high is None:
        return low, high
    try:
        crossed = np.asarray(low) > np.asarray(high)
    except ValueError as error:
        raise InvalidParameter(f"Given bounds low and high of shapes that do not fit together ({error}).") from error
    if crossed.any():
        raise InvalidParameter("Given bounds with low above high somewhere; expected low <= high for every feature.")
    return low, high


def _end(name: str, value: Any) -> float | Array | None:
    import numpy as np

    if value is None:
        return None
    if isinstance(value, str | bool):
        raise InvalidParameter(f"Given bounds with {name}={value!r}; expected a number, an array, or None.")
    found = float(value) if isinstance(value, Real) else value if isinstance(value, Array) else Array(value)
    if np.isnan(np.asarray(found)).any():
        raise InvalidParameter(f"Given bounds with NaN in {name}; expected numbers, infinite ones where there is none.")
    return None if isinstance(found, float) and math.isinf(found) else found
