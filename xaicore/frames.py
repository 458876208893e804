"""Explanations as tables: what changed in counterfactuals, or the attribution of each feature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xaicore.errors import InvalidArgument, PackageMissing
from xaicore.tabular import Columns, changes

if TYPE_CHECKING:
    import pandas as pd

    from xaicore.explanation import Explanation


def to_frame(explanation: Explanation, names: Sequence[str] | Columns | None = None) -> pd.DataFrame:
    """Return a table; see ``Explanation.to_frame``."""
    try:
        import pandas as pd
    except ImportError as error:
        raise PackageMissing("Tables need pandas, which is not installed: `pip install pandas`.") from error
    arrays = explanation.arrays
    if len(arrays) != 1 or explanation.scores.ndim != 1:
        raise InvalidArgument(
            f"Given an explanation of {len(arrays)} inputs and scores of shape {explanation.scores.shape}; a table is "
            "made of one input and one target per sample."
        )
    attributions = arrays[0].reshape(len(explanation), -1)
    said = _names(names, attributions.shape[1])
    if "counterfactuals" not in explanation.extras:
        rows = [
            {"sample": int(i), "feature": name, "attribution": float(value)}
            for i, row in zip(explanation.ids, attributions, strict=True)
            for name, value in zip(said, row, strict=True)
        ]
        return pd.DataFrame(rows, columns=["sample", "feature", "attribution"])
    after = explanation["counterfactuals"]
    after = after.reshape(len(explanation), -1, attributions.shape[1])
    before = before_of(explanation)
    valid = np.reshape(explanation.extras.get("valid", np.ones(after.shape[:2], bool)), after.shape[:2])
    found: list[dict[str, Any]] = []
    for k in range(after.shape[1]):
        changed = changes(_decoded(before, names, said), _decoded(after[:, k], names, said))
        found += [
            {
                **row,
                "counterfactual": k,
                "sample": int(explanation.ids[row["sample"]]),
                "valid": bool(valid[row["sample"], k]),
            }
            for row in changed
        ]
    columns = ["sample", *(["counterfactual"] if after.shape[1] > 1 else []), "feature", "before", "after", "valid"]
    found.sort(key=lambda row: (row["sample"], row["counterfactual"]))
    return pd.DataFrame(found, columns=columns)


def before_of(explanation: Explanation) -> np.ndarray:
    """Return the inputs that counterfactuals are of, (batch, features).

    They are ``originals`` where changes are counted from somewhere else, as those of pertinent positives are.
    """
    rows = len(explanation)
    if "originals" in explanation.extras:
        return explanation["originals"].reshape(rows, -1)
    targets = explanation.scores[0].size
    changes_of_first = explanation.arrays[0].reshape(rows, targets, -1)[:, 0]
    after = explanation["counterfactuals"].reshape(rows, -1, changes_of_first.shape[1])
    return after[:, 0] - changes_of_first  # type: ignore[no-any-return]


def _names(names: Sequence[str] | Columns | None, count: int) -> tuple[str, ...]:
    if names is None:
        return tuple(str(i) for i in range(count))
    found = names.names if isinstance(names, Columns) else tuple(names)
    if isinstance(names, str) or len(found) != count:
        raise InvalidArgument(f"Given {len(found)} names for {count} features; expected one for each.")
    return found


def _decoded(x: np.ndarray, names: Sequence[str] | Columns | None, said: tuple[str, ...]) -> list[dict[str, Any]]:
    if isinstance(names, Columns):
        return names.decode(x)
    # Six digits are what float32 knows of a difference.
    return [{name: float(f"{value:.6g}") for name, value in zip(said, row, strict=True)} for row in x]
