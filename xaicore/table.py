"""Core's own names: the kinds of parts, and family ``filter``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xaicore.declaration import Declaration, Kind
from xaicore.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS: tuple[Kind, ...] = (
    Kind("analyzer", "xaicore.protocols:Analyzer", pipe=("xaicore.analyzer:Filtered", "filter")),
    Kind("cost", "xaicore.protocols:CostFunction"),
    Kind("filter", "xaicore.protocols:Filter"),
    Kind("optimizer", "xaicore.protocols:Optimizer"),
    Kind("quadrature", "xaicore.protocols:Quadrature"),
    Kind("rule", "xaicore.protocols:Rule", lift={"analyzer": ("xaicore.backward:Backward", "rules")}),
)

ROWS: dict[str, Declaration] = {
    "filter.abs": Declaration(
        "filter",
        "xaicore.filters:Abs",
        summary="Size without sign.",
        formula="|a|",
        short="abs",
    ),
    "filter.absmax": Declaration(
        "filter",
        "xaicore.filters:AbsMax",
        summary="The largest size over channels: one map per sample.",
        formula="max_c |a_c|",
        cites=("simonyan2013",),
        short="absmax",
    ),
    "filter.normalize": Declaration(
        "filter",
        "xaicore.filters:Normalize",
        summary="Each sample divided by its largest size, within [-1, 1].",
        formula="a / max |a|",
        short="normalize",
    ),
    "filter.sum_channels": Declaration(
        "filter",
        "xaicore.filters:SumChannels",
        summary="The sum over channels: one map per sample, the total kept.",
        formula="sum_c a_c",
        short="sum_channels",
    ),
}


@hookimpl
def xaicore_declarations() -> Mapping[str, Declaration]:
    """Return the rows of family ``filter``."""
    return ROWS


@hookimpl
def xaicore_kinds() -> tuple[Kind, ...]:
    """Return the kinds that core knows; plugins add theirs by the same hook."""
    return KINDS
