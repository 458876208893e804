"""One self-contained HTML page: pictures, scores, residuals, what was done where.  It loads nothing from outside."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, ClassVar

import attrs

from xaicore.cli.coverage import Coverage, coverage_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAGE = "report.html.j2"  # it includes the template that a section names


@attrs.frozen
class Prediction:
    """A class and the model's output for it."""

    label: str
    value: float
    explained: bool = False


@attrs.frozen(eq=False)
class Subject:
    """A picture that is explained.

    caption: what it is.  target: the explained output.
    picture, sample: PNG bytes of the photograph and of what the model sees of it.
    predictions: the largest outputs.
    """

    caption: str
    target: str
    picture: bytes
    sample: bytes
    predictions: Sequence[Prediction]

    @property
    def says(self) -> str:
        """What the model says of it, in words."""
        best = max(self.predictions, key=lambda p: p.value)
        return f"{best.label}, with probability {best.value:.3f}"


@attrs.frozen(eq=False)
class Map:
    """What one analyzer found in one picture.

    picture, overlay: PNG bytes of the map, alone and over the input.
    limit: the value at the ends of the colours.
    score: the explained output.  total: sum of the attributions.
    residual: what the method did not account for, None where it claims nothing.
    """

    picture: bytes
    overlay: bytes
    limit: float
    score: float
    total: float
    residual: float | None

    @property
    def astray(self) -> bool:
        """Whether what is not accounted for exceeds the score: then the map holds no shares of it."""
        return self.residual is not None and abs(self.residual) > abs(self.score)

    @property
    def drained(self) -> bool:
        """Whether less than a tenth of the score has reached the picture: then the map tells where, not how much."""
        return self.residual is not None and abs(self.total) < abs(self.score) / 10


@attrs.frozen(eq=False)
class Method:
    """What one analyzer found.

    expression: canonical text.  summary: one line on what it computes.
    maps: one per picture.
    first_seconds, seconds: the first call, which traces the model, and a call after it.
    coverage: what every operation of the model got, as ``Explanation.coverage`` has it.
    """

    expression: str
    summary: str
    maps: Sequence[Map]
    first_seconds: float
    seconds: float
    coverage: Sequence[Mapping[str, str]]


@attrs.frozen(eq=False)
class PictureSection:
    """A model of pictures.

    lead: what it is, in a sentence.
    left_out: a line for each analyzer that is not installed.
    facts: (what, value) about model, data, preprocessing and licences.
    """

    template: ClassVar[str] = "report_pictures.html.j2"

    title: str
    lead: str
    subjects: Sequence[Subject]
    methods: Sequence[Method]
    left_out: Sequence[str]
    facts: Sequence[tuple[str, str]]

    @property
    def coverage(self) -> Coverage:
        """What was done where."""
        return coverage_table(self.methods)


@attrs.frozen
class Change:
    """A number that a counterfactual changes.  whole: the new one, rounded away from the old one."""

    name: str
    unit: str
    before: float
    after: float
    whole: int


@attrs.frozen
class Answer:
    """A counterfactual of one case.

    found: whether the model says the other thing of it.
    probability, rounded: what the model says of it, and of it in whole units.
    """

    found: bool
    probability: float
    rounded: float
    changes: Sequence[Change]


@attrs.frozen
class Case:
    """What is known of a case, what the model says of it, and an answer per question."""

    name: str
    known: Mapping[str, str]
    probability: float
    answers: Sequence[Answer]


@attrs.frozen
class Question:
    """What was asked of all cases: by which analyzer, what was free to change, and the seconds that it took."""

    expression: str
    free: str
    seconds: float


@attrs.frozen(eq=False)
class CaseSection:
    """A model of tables, and its counterfactuals; fields as in ``PictureSection``."""

    template: ClassVar[str] = "report_cases.html.j2"

    title: str
    lead: str
    cases: Sequence[Case]
    questions: Sequence[Question]
    left_out: Sequence[str]
    facts: Sequence[tuple[str, str]]


@attrs.frozen(eq=False)
class Page:
    """All that the page shows.

    left_out: a line for each section whose packages are not installed.
    versions: distribution -> version.
    """

    title: str
    sections: Sequence[PictureSection | CaseSection]
    left_out: Sequence[str]
    versions: Mapping[str, str]


def render(page: Page) -> str:
    """Return the page.  Every text is escaped; a model's or a label's name cannot add markup.

    Raises:
        PackageMissing: jinja2 is not installed.
    """
    from xaicore.errors import PackageMissing

    try:
        import jinja2
    except ImportError as error:
        raise PackageMissing("The report needs jinja2. Install it with `pip install xaicore[cli]`.") from error
    from xaicore.heatmap import ANCHORS

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
    return environment.get_template(PAGE).render(page=page, gradient=f"linear-gradient(to right, {colours})")


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
