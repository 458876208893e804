"""Where relevance starts, where it stops, what is kept of it on the way: fields that analyzers of one pass share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from xaicore.errors import InvalidParameter
from xaicore.values import Array, convert_by, numeric_or_array

if TYPE_CHECKING:
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


def start_of(value: Initial) -> Any:
    """Return what ``Program.pull`` takes as initial."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return lambda scores: scores * 0 + value
    if isinstance(value, Array):
        return {"": value.data}
    return {site: one.data if isinstance(one, Array) else one for site, one in value}


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
