"""Tables on the command line: columns from a file, analyzers that are told the names, changes in the table's units."""

from __future__ import annotations

import csv
import io
import itertools
from typing import TYPE_CHECKING, Any

import attrs

from xaicore.errors import InvalidArgument, UnreadableInput

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterable, Iterator

    import numpy as np

    from xaicore.analyzer import AnalyzerBase
    from xaicore.explanation import Explanation
    from xaicore.tabular import Columns

_CHANGE = ("feature", "before", "after")
_PART = 1000  # rows of a table that are text at a time
_MOST_BYTES = 1_000_000  # of a file of columns


def read_columns(path: pathlib.Path) -> Columns:
    """Return the columns that a YAML or JSON file describes: a list of mappings; see ``xaicore.tabular.Column``.

    Raises:
        UnreadableInput: there is no such file, or it is no YAML.
        InvalidArgument: it describes no columns.
    """
    import yaml

    from xaicore.tabular import Columns

    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UnreadableInput(f"{path} has more than {_MOST_BYTES:,} bytes; expected the columns of one table.")
        described = yaml.safe_load(path.read_text(encoding="utf-8-sig"))  # JSON is YAML
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise UnreadableInput(f"Cannot read the columns {path}: {error}") from error
    if not isinstance(described, list):
        raise InvalidArgument(f"{path} holds no list; expected `- {{name: age, low: 17, high: 90}}` for each column.")
    return Columns.of(described)


def read_rows(path: pathlib.Path, columns: Columns) -> np.ndarray:
    """Return the rows of a table as the model takes them; the text of a part of them is held at a time.

    Raises:
        UnreadableInput: a column is missing, or a value is none of its column; with the file, the row and the column.
    """
    import numpy as np

    from xaicore.tabular import table_rows

    rows, parts, count = table_rows(path), [], 0
    while part := list(itertools.islice(rows, _PART)):
        missing = [column.name for column in columns.columns if column.name not in part[0]]
        if missing:
            raise UnreadableInput(
                f"{path} has no column {', '.join(map(repr, missing))}; its first line names "
                f"{', '.join(map(repr, part[0]))}. Expected the names of --columns there, in any order."
            )
        try:
            parts.append(columns.encode(part, first=count))
        except UnreadableInput as error:
            raise UnreadableInput(f"{path}: {error} The first row below the header is row 0.") from error
        count += len(part)
    return np.concatenate(parts)


def told(analyzer: AnalyzerBase, columns: Columns | None) -> AnalyzerBase:
    """Return an analyzer that knows the table: names, categories, integers and bounds, where it has none of its own."""
    if columns is None:
        return analyzer
    own = {field.name for field in attrs.fields(type(analyzer))}  # type: ignore[arg-type]  # every analyzer is one
    facts: dict[str, Any] = {"names": columns.names, "categories": columns.categories, "integers": columns.integers}
    given = {name: fact for name, fact in facts.items() if name in own and fact and not getattr(analyzer, name)}
    if columns.bounds is not None and getattr(analyzer, "bounds", None) == (None, None):
        given["bounds"] = columns.bounds
    if "names" not in given:
        return analyzer
    free = getattr(analyzer, "features", None)
    if free is not None and "categories" in given:
        reached = _reached(free, columns)
        given["categories"] = tuple(group for group in columns.categories if not reached.isdisjoint(group))
    return attrs.evolve(analyzer, **given)  # type: ignore[misc]  # every analyzer is an attrs class


def _reached(free: Any, columns: Columns) -> set[str]:
    """Return the features that may change, said by index, by name, or by booleans; all where that cannot be told.

    A category that may not change needs no care.
    """
    import numpy as np

    names, every = columns.names, set(columns.names)
    chosen: Any = list(free) if isinstance(free, tuple) else free.data
    if not isinstance(free, tuple) and chosen.dtype == bool:
        if chosen.size != len(names):
            return every
        chosen = np.flatnonzero(chosen)
    found: set[str] = set()
    parts = {column.name: column.features for column in columns.columns}
    for one in np.ravel(np.asarray(chosen, object)).tolist():
        if isinstance(one, str):
            found |= {one} if one in every else set(parts.get(one, names))
        elif one < len(names):
            found.add(names[one])
    return found


def changed(explanation: Explanation, columns: Columns) -> Iterator[dict[str, Any]]:
    """Yield what changed in counterfactuals, in the units of the table; nothing of other explanations.

    A counterfactual in which nothing changed has one row, without a feature.
    """
    if "counterfactuals" in explanation.extras:
        for number, part in enumerate(explanation.split(_PART)):
            yield from _changed(part, columns, number * _PART)


def _changed(explanation: Explanation, columns: Columns, start: int) -> list[dict[str, Any]]:
    """Return what changed in some samples, the first of them with this number."""
    import numpy as np

    from xaicore.frames import before_of
    from xaicore.tabular import changes

    after = explanation["counterfactuals"]
    after = after.reshape(len(explanation), -1, after.shape[-1])
    valid = np.broadcast_to(explanation["valid"].reshape(len(explanation), -1), after.shape[:2])
    already = explanation["already"].reshape(len(explanation), -1)  # of each target, which may have several
    already = np.repeat(already, after.shape[1] // already.shape[1], axis=1)
    before = columns.decode(before_of(explanation))
    found = []
    for k in range(after.shape[1]):
        of = changes(before, columns.decode(after[:, k]))
        same = sorted(set(range(len(before))) - {row["sample"] for row in of})
        of += [{"sample": sample, "feature": "", "before": "", "after": ""} for sample in same]
        for row in of:
            i = row["sample"]
            said = {"valid": bool(valid[i, k]), "already": bool(already[i, k])}
            found.append({"sample": start + i, "counterfactual": k, **said, **{key: row[key] for key in _CHANGE}})
    return sorted(found, key=lambda row: (row["sample"], row["counterfactual"]))


def as_csv(rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """Yield the lines of a .csv file; only a header for what is no counterfactual."""
    stream = io.StringIO(newline="")
    names = ("sample", "counterfactual", "valid", "already", *_CHANGE)
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        yield stream.getvalue().encode()
        stream.seek(0)
        stream.truncate()
        writer.writerow(row)
    yield stream.getvalue().encode()
