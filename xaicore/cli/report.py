"""One self-contained HTML page: pictures, scores, residuals, what was done where.  It loads nothing from outside."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAGE = "report.html.j2"


@attrs.frozen
class Prediction:
    """A class and the model's output for it."""

    label: str
    value: float
    explained: bool = False


@attrs.frozen(eq=False)
class Method:
    """What one analyzer found.

    expression: canonical text.  summary: one line on what it computes.
    picture, overlay: PNG bytes of the map, alone and over the input.
    limit: the value at the ends of the colours.
    score: the explained output.  total: sum of the attributions.
    residual: what the method did not account for, None where it claims nothing.
    first_seconds, seconds: the first call, which traces the model, and a call after it.
    coverage: what every operation of the model got, as ``Explanation.coverage`` has it.
    """

    expression: str
    summary: str
    picture: bytes
    overlay: bytes
    limit: float
    score: float
    total: float
    residual: float | None
    first_seconds: float
    seconds: float
    coverage: Sequence[Mapping[str, str]]

    @property
    def astray(self) -> bool:
        """Whether what is not accounted for exceeds the score: then the map holds no shares of it."""
        return self.residual is not None and abs(self.residual) > abs(self.score)


@attrs.frozen(eq=False)
class Report:
    """All that the page shows.

    facts: (what, value) about model, input and preprocessing.
    picture, sample: PNG bytes of the photograph and of what the model sees of it; the first may be None.
    versions: distribution -> version.
    """

    title: str
    target: str
    picture: bytes | None
    sample: bytes
    facts: Sequence[tuple[str, str]]
    predictions: Sequence[Prediction]
    methods: Sequence[Method]
    versions: Mapping[str, str]


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


def render(report: Report) -> str:
    """Return the page.  Every text is escaped; a model's or a label's name cannot add markup.

    Raises:
        PackageMissing: jinja2 is not installed.
    """
    from xaicore.errors import PackageMissing

    try:
        import jinja2
    except ImportError as error:
        raise PackageMissing("The report needs jinja2. Install it with `pip install xaicore[cli]`.") from error
    from xaicore.cli.heatmap import ANCHORS

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("xaicore.cli", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = data_uri
    environment.filters["signed"] = signed
    environment.filters["seconds"] = seconds
    colours = ", ".join(f"rgb{anchor}" for anchor in ANCHORS)
    return environment.get_template(PAGE).render(
        report=report, coverage=coverage_table(report.methods), gradient=f"linear-gradient(to right, {colours})"
    )


def data_uri(image: bytes) -> str:
    """Return the bytes of a PNG as an address that holds the picture itself."""
    return "data:image/png;base64," + base64.b64encode(image).decode("ascii")


def signed(value: float | None) -> str:
    """Return a number for reading: three digits, a true minus sign, a dash for None."""
    if value is None:
        return "–"
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")


def seconds(value: float) -> str:
    """Return a duration for reading."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _cell(row: Mapping[str, str]) -> Cell:
    action = row["action"]
    return Cell(action, row["rule"] if action == "rule" else action, row["why"])
