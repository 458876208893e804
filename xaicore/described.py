"""An explanation in alibi's fields: ``meta``, how it was made, and ``data``, what came out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from xaicore.errors import NotExpressible
from xaicore.expression import parse
from xaicore.registry import expression_of

if TYPE_CHECKING:
    from xaicore.explanation import Explanation


def about(analyzer: Any, target: object) -> dict[str, Any]:
    """Return what ``meta`` tells of an analyzer, in values that JSON can hold.

    Name and parameters are those of the analyzer without the filters behind it, which stand by themselves.
    """
    filters = getattr(analyzer, "filters", ())
    inner = analyzer.inner if filters else analyzer
    fields = {field.alias: getattr(inner, field.name) for field in attrs.fields(type(inner))}
    own: dict[str, Any] = getattr(inner, "described", dict)()
    function = getattr(target, "__qualname__", type(target).__qualname__) if callable(target) else None
    return {
        "name": _name(inner),
        "type": ["whitebox" if getattr(inner, "needs_gradient", True) else "blackbox"],
        "params": {
            **{name: _plain(value) for name, value in {**fields, **own}.items()},
            "filters": [_plain(one) for one in filters],
            "target_fn": function,
        },
    }


def meta_of(explanation: Explanation) -> dict[str, object]:
    """Return ``meta``."""
    from xaicore import __version__

    told: Mapping[str, Any] = explanation.about
    return {
        "name": told.get("name", explanation.analyzer),
        "type": list(told.get("type", ["whitebox"])),
        "explanations": ["local"],
        "params": {**told.get("params", {}), "analyzer": explanation.analyzer, "fingerprint": explanation.model},
        "version": __version__,
    }


def data_of(explanation: Explanation) -> dict[str, object]:
    """Return ``data``; None for what was not kept."""
    kept = explanation.kept
    return {
        "attributions": list(explanation.arrays),
        "X": kept.get("X"),
        "forward_kwargs": kept.get("forward_kwargs"),
        "baselines": kept.get("baselines"),
        "predictions": kept.get("predictions"),
        "deltas": explanation.residual,
        "target": explanation.target,
        "scores": explanation.scores,
    }


def _name(analyzer: Any) -> str:
    try:
        tree = parse(str(analyzer))
    except NotExpressible:
        return type(analyzer).__name__
    return str(getattr(tree, "name", type(analyzer).__name__))


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it; parts as their expressions."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    try:
        return expression_of(value)
    except NotExpressible:
        return repr(value)
