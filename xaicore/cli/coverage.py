"""What every operation of a model got from each of several methods, as one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from xaicore.cli.report import Method


@attrs.frozen
class Cell:
    """What one operation got from one method."""

    action: str
    text: str
    why: str


@attrs.frozen
class SiteRow:
    """A line of the table of coverage: a site, its operation, and a cell per column; None where it does not run."""

    site: str
    operation: str
    cells: tuple[Cell | None, ...]


@attrs.frozen
class Coverage:
    """What was done where.  Methods that did the same everywhere share a column.

    columns: for each column the numbers of its methods, from 1.  rows: one per site, in order of execution.
    """

    columns: tuple[tuple[int, ...], ...]
    rows: tuple[SiteRow, ...]


def coverage_table(methods: Sequence[Method]) -> Coverage:
    """Return the table of all methods."""
    operations = {row["site"]: row["operation"] for method in methods for row in method.coverage}
    numbers: dict[tuple[Cell | None, ...], list[int]] = {}
    for number, method in enumerate(methods, start=1):
        cells = {row["site"]: _cell(row) for row in method.coverage}
        numbers.setdefault(tuple(cells.get(site) for site in operations), []).append(number)
    rows = zip(operations.items(), zip(*numbers, strict=True), strict=True) if numbers else ()
    return Coverage(
        tuple(tuple(n) for n in numbers.values()),
        tuple(SiteRow(site, operation, cells) for (site, operation), cells in rows),
    )


def _cell(row: Mapping[str, str]) -> Cell:
    action = row["action"]
    return Cell(action, row["rule"] if action == "rule" else action, row["why"])
