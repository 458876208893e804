"""Where relevance starts, where it stops, what is kept of it on the way: fields that analyzers of one pass share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from xaicore.errors import InvalidParameter
from xaicore.values import Array, convert_by, numeric_or_array

if TYPE_CHECKING:
    from collections.abc import Callable

    from xaicore.protocols import Program, Pull, Tensor

# "one", "score", a number, an array, or (site, number or array) pairs.
Initial: TypeAlias = "str | float | Array | tuple[tuple[str, float | Array], ...]"

ALL = "all"
_LAYER, _LEDGER = "layers/", "ledger/"
_PAIR = 2


def _initial(value: Any, field: attrs.Attribute[Any]) -> Any:
    if value is None or (isinstance(value, str) and value in {"one", "score"}):
        return value
    if isinstance(value, str):
        raise InvalidParameter(
            f"Given initial={value!r}; expected 'score' (the explained output's value), 'one', a number, an array of "
            "the output's shape, or a mapping from sites to numbers and arrays."
        )
    if isinstance(value, Mapping):
        value = tuple(value.items())
    pairs = isinstance(value, tuple) and bool(value) and all(isinstance(p, tuple) and len(p) == _PAIR for p in value)
    if pairs and all(isinstance(site, str) and site for site, _ in value):
        return tuple((site, convert_by(numeric_or_array, one, field)) for site, one in value)
    return convert_by(numeric_or_array, value, field)


def _sites(value: Any, field: attrs.Attribute[Any]) -> tuple[str, ...]:
    found = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, tuple | list) else None
    if found is None or not all(isinstance(site, str) and site for site in found):
        raise InvalidParameter(f"Given {field.alias}={value!r}; expected the text of a site, or a list of them.")
    return found


initial: attrs.Converter[Any, Any] = attrs.Converter(_initial, takes_field=True)
sites: attrs.Converter[Any, tuple[str, ...]] = attrs.Converter(_sites, takes_field=True)


def start_of(value: Initial, program: Program) -> tuple[Callable[[Tensor], Any], tuple[str, ...]]:
    """Return (ids -> what ``Program.pull`` takes as initial, the sites where relevance starts, "" for the output).

    Raises:
        UnknownSite, InvalidParameter: no such site, or what is given there does not broadcast to its output.
    """
    if isinstance(value, str):
        return (lambda ids: value), ()  # noqa: ARG005  # one signature for all forms
    if isinstance(value, float):
        return (lambda ids: lambda scores: scores * 0 + value), ()  # noqa: ARG005
    given = _given(value)
    rows = {site: _rows(site, one, program) for site, one in given.items()}

    def start(ids: Tensor) -> dict[str, Any]:
        import tensorflow as tf

        return {site: one if rows[site] is None else tf.gather(one, ids) for site, one in given.items()}

    return start, tuple(given)


def start_rows(value: object, program: Program) -> set[int]:
    """Return for how many samples the relevance of a field ``initial`` holds rows of their own; nothing for any."""
    given = _given(value) if isinstance(value, Array | tuple) else {}
    return {rows for site, one in given.items() if (rows := _rows(site, one, program)) is not None}


def _given(value: Any) -> dict[str, Any]:
    pairs = (("", value),) if isinstance(value, Array) else value
    return {site: one.data if isinstance(one, Array) else one for site, one in pairs}


def _rows(site: str, value: object, program: Program) -> int | None:
    """Return the samples that relevance is given for; None where it is one sample's, and broadcast."""
    import numpy as np

    graph, given = program.graph, np.asarray(value).shape
    expected = graph.specs[graph.node(site).outputs[0] if site else graph.outputs[0]].shape[1:]
    by_sample = len(given) > len(expected)
    sample = given[1:] if by_sample else given
    ends = zip(sample, expected[len(expected) - len(sample) :], strict=False)
    if len(sample) > len(expected) or not all(n == 1 or e in {None, n} for n, e in ends):
        raise InvalidParameter(
            f"Given initial relevance of shape {given} for {f'the output of {site!r}' if site else 'the output'}; "
            f"expected a number, or an array that broadcasts to one sample, {expected}, or holds one for each sample."
        )
    return given[0] if by_sample and given[0] != 1 else None


def wanted(layers: tuple[str, ...], program: Program) -> tuple[str, ...]:
    """Return the sites whose relevance is kept; raises UnknownSite."""
    graph = program.graph
    if layers == (ALL,):
        return tuple(str(node.site) for node in graph.nodes)
    for site in layers:
        graph.node(site)
    return layers


def extras_of(pull: Pull) -> dict[str, Tensor]:
    """Return the relevance of sites and the account of every site as extras, under names that say so."""
    kept = {_LAYER + site: relevance for site, relevance in pull.taps.items()}
    lines = {f"{_LEDGER}{site}/{name}": value for site, row in pull.ledger.items() for name, value in row.items()}
    return {**kept, **lines}


def layers_of(extras: Mapping[str, Any]) -> dict[str, Any]:
    """Return site -> relevance of its output, out of an explanation's extras."""
    return {name.removeprefix(_LAYER): value for name, value in extras.items() if name.startswith(_LAYER)}


def ledger_of(extras: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return site -> {"arrived", "passed", sinks by name, "missing"}, (batch,) each, in the order of the way back.

    missing: what arrived and was neither passed on nor accounted for; rounding, where a rule conserves.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, value in extras.items():
        if name.startswith(_LEDGER):
            site, _, what = name.removeprefix(_LEDGER).rpartition("/")
            found.setdefault(site, {})[what] = value
    for row in found.values():
        row["missing"] = row["arrived"] - sum(value for what, value in row.items() if what != "arrived")
    return found
