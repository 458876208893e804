"""Tables on the command line: columns from a file, analyzers that are told the names, changes in the table's units."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import attrs

from xaicore.errors import InvalidArgument, UnreadableInput

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Sequence

    from xaicore.analyzer import AnalyzerBase
    from xaicore.explanation import Explanation
    from xaicore.tabular import Columns

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


def told(analyzer: AnalyzerBase, columns: Columns) -> AnalyzerBase:
    """Return an analyzer that knows the table: what it takes as names, categories and integers, where it has none."""
    own = {field.name for field in attrs.fields(type(analyzer))}  # type: ignore[arg-type]  # every analyzer is one
    facts: dict[str, Any] = {"names": columns.names, "categories": columns.categories, "integers": columns.integers}
    given = {name: fact for name, fact in facts.items() if name in own and fact and not getattr(analyzer, name)}
    if "names" not in given:
        return analyzer
    free = getattr(analyzer, "features", None)
    if free is not None and "categories" in given:
        given["categories"] = tuple(group for group in columns.categories if _reached(group, free))
    return attrs.evolve(analyzer, **given)  # type: ignore[misc]  # every analyzer is an attrs class


def _reached(group: Sequence[str], free: object) -> bool:
    """Return whether a category may change as a whole; one that is held needs no care."""
    named = free if isinstance(free, tuple) else ()
    return any(name in named or name.partition("=")[0] in named for name in group)


def changed(explanation: Explanation, columns: Columns) -> list[dict[str, Any]]:
    """Return what changed in counterfactuals, in the units of the table; nothing for other explanations."""
    from xaicore.tabular import changes

    if "counterfactuals" not in explanation.extras:
        return []
    after = explanation["counterfactuals"]
    after = after.reshape(len(explanation), -1, after.shape[-1])
    before = columns.decode(after[:, 0] - explanation.attributions)
    found = [
        {"sample": row["sample"], "counterfactual": k, **{key: row[key] for key in ("feature", "before", "after")}}
        for k in range(after.shape[1])
        for row in changes(before, columns.decode(after[:, k]))
    ]
    return sorted(found, key=lambda row: (row["sample"], row["counterfactual"]))


def as_csv(rows: Sequence[dict[str, Any]]) -> bytes:
    """Return rows as a .csv file; only a header where nothing changed."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, ("sample", "counterfactual", "feature", "before", "after"), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()
