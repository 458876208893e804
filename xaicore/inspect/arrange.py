"""Which of the given arrays is which input of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

import attrs

from xaicore.errors import InputStructure
from xaicore.inspect.structure import fill, positions

Leaf = TypeVar("Leaf")


@attrs.frozen(eq=False)
class Arranged(Generic[Leaf]):
    """leaves: one per input, in the model's order.  structure: how they were given, holding positions of inputs."""

    leaves: tuple[Leaf, ...]
    structure: object


def arrange(names: Sequence[str], structure: object, x: object) -> Arranged[object]:
    """Return what is given for each input.

    Taken are: the model's own structure; for one input the bare array; a dict by the names of the inputs;
    for a list of inputs a tuple too.  A single-input model takes nested Python lists of numbers as an array.

    Args:
        names: Of the inputs, in the model's order.
        structure: In which the model takes its inputs; holds the position of each.
        x: Data.  Arrays are anything that has a shape.

    Raises:
        InputStructure: Another number of arrays, or other names.
    """
    leaves: dict[int, object] = {}
    given = _match(_by_name(names, structure, x), x, leaves, names)
    return Arranged(tuple(leaves[i] for i in range(len(names))), given)


def _by_name(names: Sequence[str], structure: object, x: object) -> object:
    """Return the structure that x is to have: the model's, or a simpler one that means the same."""
    flat = positions(structure)
    if isinstance(x, Mapping) and not isinstance(structure, Mapping):
        return {names[i]: i for i in flat}
    if len(flat) == 1 and not isinstance(x, Mapping):
        return [flat[0]] if _is_list_of_arrays(x) else flat[0]
    return structure


def _is_list_of_arrays(x: object) -> bool:
    return isinstance(x, list | tuple) and any(hasattr(entry, "shape") for entry in x)


def _match(structure: object, x: object, leaves: dict[int, object], names: Sequence[str]) -> object:
    """Fill leaves by position; return the structure as x has it."""
    if isinstance(structure, Mapping):
        if not isinstance(x, Mapping) or set(x) != set(structure):
            raise _mistake(structure, x, names)
        return {name: _match(structure[name], value, leaves, names) for name, value in x.items()}
    if isinstance(structure, list | tuple):
        if not isinstance(x, list | tuple) or len(x) != len(structure):
            raise _mistake(structure, x, names)
        return [_match(inner, value, leaves, names) for inner, value in zip(structure, x, strict=True)]
    if isinstance(x, Mapping):
        raise _mistake(structure, x, names)
    leaves[structure] = x  # type: ignore[index]  # the leaves of a structure are positions
    return structure


def _mistake(structure: object, x: object, names: Sequence[str]) -> InputStructure:
    return InputStructure(f"Given {_given(structure, x)}; expected {_expected(structure, names)}.{_hint(structure, x)}")


def _given(structure: object, x: object) -> str:
    if isinstance(x, Mapping) and isinstance(structure, Mapping):
        missing = ", ".join(repr(n) for n in structure if n not in x)
        unknown = ", ".join(repr(n) for n in x if n not in structure)
        parts = [*([f"without {missing}"] if missing else []), *([f"with unknown {unknown}"] if unknown else [])]
        return f"a dict {' and '.join(parts)}"
    if isinstance(x, Mapping):
        return f"a dict ({', '.join(repr(n) for n in x)})"
    if isinstance(x, list | tuple):
        return f"a {type(x).__name__} of {len(x)} array{'' if len(x) == 1 else 's'}"
    return f"one array of shape {tuple(x.shape)}" if hasattr(x, "shape") else f"{type(x).__name__}"


def _expected(structure: object, names: Sequence[str]) -> str:
    count = len(positions(structure))
    if isinstance(structure, Mapping):
        return f"a dict with {', '.join(repr(n) for n in structure)}"
    if isinstance(structure, list | tuple):
        return f"a list of {count}, {fill(structure, names)}, or a dict by these names"
    return f"one array for {names[structure]!r}"  # type: ignore[call-overload]  # a position


def _hint(structure: object, x: object) -> str:
    if len(positions(structure)) > 1 and hasattr(x, "shape"):
        return " A dataset yields them as one: ((a, b), target), or ((a, b),) without a target."
    if len(positions(structure)) == 1 and isinstance(x, list | tuple) and len(x) > 1:
        return " Stack samples into one array with np.stack(x)."
    return ""
