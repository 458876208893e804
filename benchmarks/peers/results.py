"""What a script of a peer said, read into frozen values; whatever went wrong becomes an error in one line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

import attrs
import numpy as np


@attrs.frozen
class Search:
    """What a search for counterfactuals gave.  of: rows there are.  l1, l2: of each row tried; None: not valid."""

    of: int
    seconds: float
    l1: tuple[float | None, ...]
    l2: tuple[float | None, ...]

    @property
    def rows(self) -> int:
        """Rows that were tried before the time was over."""
        return len(self.l1)

    @property
    def speed(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds

    @property
    def valid(self) -> float:
        """Fraction of the rows tried that are of the wanted class; 0 where none was done."""
        return sum(value is not None for value in self.l1) / max(self.rows, 1)

    def median(self, name: str, among: Search | None = None) -> float | None:
        """Return the median of distances "l1" or "l2"; among: over the rows that are valid there too."""
        others = getattr(self if among is None else among, name)
        both = [a for a, b in zip(getattr(self, name), others, strict=False) if a is not None and b is not None]
        return float(np.median(both)) if both else None


@attrs.frozen
class Row:
    """One method in one run.  seconds, base: of each round, the method's and the own gradient's in that round.

    first: seconds of the first call, which also builds and traces.  memory: its most, MB above what was held before.
    search: of a search for counterfactuals, in place of rounds.
    """

    key: str
    label: str
    error: str | None = None
    first: float | None = None
    memory: float | None = None
    seconds: tuple[float, ...] = ()
    base: tuple[float, ...] = ()
    search: Search | None = None


@attrs.frozen
class Outcome:
    """What one script said in one run."""

    versions: Mapping[str, str] = attrs.field(factory=dict)
    rows: tuple[Row, ...] = ()
    error: str | None = None


@attrs.frozen
class Pair:
    """A peer and xaicore, run after each other on one workload."""

    workload: str
    peer: str
    theirs: Outcome
    ours: Outcome


def parsed(stdout: str, stderr: str, code: int) -> Outcome:
    """Return the outcome of a script that ended with this code and wrote this."""
    try:
        document = json.loads(stdout)
    except json.JSONDecodeError:
        lines = [line.strip() for line in stderr.splitlines() if line.strip()]
        return Outcome(error=f"ended with code {code}: {(lines or ['and said nothing'])[-1][:160]}")
    rows = tuple(_row(row) for row in document["rows"])
    return Outcome(document["versions"], rows, document["error"])


def _row(row: Mapping[str, object]) -> Row:
    first = row.get("first")
    if "l1" in row:
        search = Search(row["of"], row["seconds"], tuple(row["l1"]), tuple(row["l2"]))
        return Row(row["key"], row["label"], row["error"], first, search=search)
    if row["error"]:
        return Row(row["key"], row["label"], row["error"], first)
    return Row(row["key"], row["label"], None, first, row["memory"], tuple(row["seconds"]), tuple(row["base"]))


@attrs.frozen
class Line:
    """One method of one peer over all passes, beside xaicore's.

    seconds: median.  own: ratio to the own gradient, median, least, largest.  to_ours: seconds to those of xaicore's
    gradient in the run beside it.  to_method: seconds to those of xaicore's method there.  memory: of a first call, MB.
    """

    workload: str
    key: str
    peer: str
    version: str
    label: str = ""
    error: str | None = None
    seconds: float | None = None
    own: tuple[float, float, float] | None = None
    memory: float | None = None
    to_ours: float | None = None
    to_method: float | None = None
    ours: float | None = None
    ours_own: float | None = None
    ours_memory: float | None = None
    ours_error: str | None = None
    search: Search | None = None
    ours_search: Search | None = None


def lines_of(pairs: Sequence[Pair]) -> list[Line]:
    """Return a line per workload, peer and method; one with an error where a script or a method failed."""
    groups: dict[tuple[str, str], list[Pair]] = {}
    for pair in pairs:
        groups.setdefault((pair.workload, pair.peer), []).append(pair)
    return [line for (workload, peer), group in groups.items() for line in _lines(workload, peer, group)]


def _lines(workload: str, peer: str, group: Sequence[Pair]) -> list[Line]:
    version = next((v for pair in group for name, v in pair.theirs.versions.items() if name == peer), "")
    failed = next((pair.theirs.error for pair in group if pair.theirs.error), None)
    if failed:
        return [Line(workload, "", peer, version, error=failed)]
    places = range(len(group[0].theirs.rows))
    return [_line(workload, peer, version, [(p.theirs.rows[i], p.ours) for p in group]) for i in places]


def _line(workload: str, peer: str, version: str, runs: Sequence[tuple[Row, Outcome]]) -> Line:
    row, ours = runs[0]
    line = Line(workload, row.key, peer, version, row.label, next((r.error for r, _ in runs if r.error), None))
    beside = [(r, _same(r.key, outcome)) for r, outcome in runs]
    line = attrs.evolve(line, ours_error=ours.error or next((o.error for _, o in beside if o and o.error), None))
    if row.search:
        search = beside[0][1].search if beside[0][1] else None
        return attrs.evolve(line, search=row.search, ours_search=search)
    return _timed(line, [(r, o if o and o.seconds else None) for r, o in beside if r.seconds])


def _same(key: str, outcome: Outcome) -> Row | None:
    return next((row for row in outcome.rows if row.key == key), None)


def _timed(line: Line, runs: Sequence[tuple[Row, Row | None]]) -> Line:
    """Return the line with its numbers: ratios within a round or between runs beside each other, then medians."""
    if not runs:
        return line
    ratios = [s / b for row, _ in runs for s, b in zip(row.seconds, row.base, strict=True)]
    line = attrs.evolve(
        line,
        seconds=float(np.median([s for row, _ in runs for s in row.seconds])),
        own=(float(np.median(ratios)), min(ratios), max(ratios)),
        memory=_most(row for row, _ in runs),
    )
    both = [(row, ours) for row, ours in runs if ours]
    if not both:
        return line
    return attrs.evolve(
        line,
        to_ours=float(np.median([np.median(row.seconds) / np.median(ours.base) for row, ours in both])),
        to_method=float(np.median([np.median(row.seconds) / np.median(ours.seconds) for row, ours in both])),
        ours_memory=_most(ours for _, ours in both),
        ours=float(np.median([s for _, ours in both for s in ours.seconds])),
        ours_own=float(np.median([s / b for _, ours in both for s, b in zip(ours.seconds, ours.base, strict=True)])),
    )


def _most(rows: Iterable[Row]) -> float | None:
    """Return the largest memory of some runs: each begins with the process's pages in another state."""
    return max((row.memory for row in rows if row.memory), default=None)
