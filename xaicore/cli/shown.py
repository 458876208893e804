"""What `xaicore explain` prints of its results; the files hold all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from xaicore.cli.screen import console, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from xaicore.explanation import Explanation
    from xaicore.tabular import Columns

SHOWN = 6  # samples, and targets of a sample


@attrs.frozen(eq=False)
class Done:
    """One analyzer's result and the seconds that it took, the trace included.

    text: the analyzer as it was asked for; one of a table also knows its columns.
    """

    text: str
    explanation: Explanation
    seconds: float


def show(facts: Sequence[tuple[str, str]], done: Sequence[Done], columns: Columns | None) -> None:
    """Print what was done to what, scores, and of a table what changes; a fact without text is left out."""
    out = console()
    for name, text in facts:
        if text:
            out.print(f"{name:<12}{text}")
    out.print()
    numbers = ("sample", "score", "residual", "seconds")
    lines = table("analyzer", *numbers, number=numbers)
    for d in done:
        residual = d.explanation.residual
        for i, score in enumerate(d.explanation.scores[:SHOWN]):
            first = i == 0
            lines.add_row(
                d.text if first else "",
                str(d.explanation.ids[i]),
                _number(score),
                "-" if residual is None else _number(residual[i]),
                f"{d.seconds:.1f}" if first else "",
            )
        more = len(d.explanation) - SHOWN
        if more > 0:
            lines.add_row("", f"+{more}", "...", "", "")
    out.print(lines)
    for d in done:
        if columns is not None and "counterfactuals" in d.explanation.extras:
            _show_changes(d, columns)


def _show_changes(done: Done, columns: Columns) -> None:
    """Print what changes in the first samples, and how many of all samples have a counterfactual."""
    from xaicore.cli.tables import changed

    first = done.explanation.split(SHOWN)[0]
    several = first["valid"][0].size > 1
    names = ("sample", *(("counterfactual",) if several else ()), "valid", "feature", "before", "after")
    lines = table(*names, number=("before", "after"))
    for row in changed(first, columns):
        valid = "already" if row["already"] else "yes" if row["valid"] else "no"
        said = {**row, "valid": valid, "feature": row["feature"] or "nothing changed"}
        lines.add_row(*(str(said[name]) for name in names))
    console().print()
    console().print(done.text)
    console().print(lines)
    found = done.explanation["valid"].reshape(len(done.explanation), -1)
    whole = f"{int(found.all(axis=1).sum())} of {len(found)} samples have "
    console().print(whole + (f"{found.shape[1]} valid counterfactuals." if several else "a valid counterfactual."))


def _number(value: np.ndarray) -> str:
    import numpy as np

    return ", ".join(f"{v:.4g}" for v in np.ravel(value)[:SHOWN]) + (", ..." if np.size(value) > SHOWN else "")
