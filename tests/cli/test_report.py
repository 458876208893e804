"""The report: one page that holds all of itself, in which no text is markup."""

from __future__ import annotations

import base64
import html.parser

import numpy as np

from xaicore.cli.coverage import coverage_table
from xaicore.cli.report import (
    Answer,
    Case,
    CaseSection,
    Change,
    Map,
    Method,
    Page,
    PictureSection,
    Prediction,
    Question,
    Subject,
    render,
    seconds,
    signed,
)
from xaicore.heatmap import png

DOT = png(np.zeros((2, 2, 3)))


def row(site, operation, action, rule="", why=""):
    return {"site": site, "operation": operation, "action": action, "rule": rule, "why": why}


def drawn(residual=0.25, total=1.25):
    return Map(DOT, DOT, limit=0.5, score=-1.5, total=total, residual=residual)


def method(expression="lrp.z", coverage=(), maps=None):
    return Method(expression, "", maps or [drawn()], 1.5, 0.012, tuple(coverage))


def subject(label="happy"):
    return Subject("a.png", label, DOT, DOT, [Prediction(label, 0.9, explained=True), Prediction("sad", 0.1)])


def pictures(*methods, title="A network", label="happy", subjects=1):
    return PictureSection(title, "One.", [subject(label)] * subjects, methods, ["no cam"], [("Network", "tiny")])


def cases(name="Row 7", *answers):
    questions = [Question("cf.x", "hours", 0.5)] * len(answers)
    return CaseSection("Cases", "Two.", [Case(name, {"age": "39 years"}, 0.25, answers)], questions, [], [])


def page(*sections, title="A page"):
    return render(Page(title, sections, ["no network"], {"xaicore": "0"}))


class Addresses(html.parser.HTMLParser):
    """Collects all that a browser would load, and the tags."""

    def __init__(self, page):
        super().__init__()
        self.found, self.tags = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.found += [value for name, value in attributes if name in {"src", "href", "data", "srcset", "action"}]


def test_the_page_loads_nothing_and_holds_the_pictures():
    text = page(
        pictures(method(), method("gradient.gradient")), pictures(method(maps=[drawn(), drawn(None)]), subjects=2)
    )
    addresses = Addresses(text)
    assert len(addresses.found) == (2 + 2 * 2) + (2 + 2 * 2)
    assert all(a.startswith("data:image/png;base64,") for a in addresses.found)
    assert base64.b64decode(addresses.found[0].partition(",")[2]) == DOT
    assert "://" not in text
    assert "script" not in addresses.tags
    assert "url(" not in text


def test_scores_residuals_and_seconds_are_on_the_page():
    text = page(pictures(method(), method("gradient.gradient", maps=[drawn(None)])))
    assert "\N{MINUS SIGN}1.5" in text
    assert "0.25" in text
    assert "<dd>–</dd>" in text
    assert "12 ms" in text
    assert "no cam" in text
    assert "no network" in text


def test_a_map_that_does_not_hold_the_score_is_marked():
    def marks(drawn):
        text = page(pictures(method(maps=[drawn])))
        return "holds no shares" in text, "tells where" in text

    assert marks(drawn(residual=0.25)) == (False, False)
    assert marks(drawn(residual=2.0)) == (True, False)
    assert marks(drawn(residual=1.4, total=-0.1)) == (False, True)
    assert marks(drawn(residual=None, total=0.0)) == (False, False)  # it promised nothing


def test_a_counterfactual_is_shown_in_its_units():
    found = Answer(found=True, probability=0.502, rounded=0.517, changes=[Change("age", "years", 39.0, 44.34, 45)])
    text = " ".join(page(cases("Row 7", found, Answer(False, 0.31, 0.3, []))).split())
    for part in (
        "age 39 → <b>44.3</b> years",
        "0.502",
        "(45 years) 0.517",
        "none found",
        "0.310",
        "age <b>39 years</b>",
    ):
        assert part in text


def test_names_from_outside_are_text_and_never_markup():
    evil = "<script>alert(1)</script>"
    rows = [row(evil, evil, "rule", evil, f'"{evil}')]
    text = page(pictures(method(evil, rows), title=evil, label=evil), cases(evil), title=evil)
    assert "<script" not in text
    assert "script" not in Addresses(text).tags


def test_methods_that_did_the_same_share_a_column():
    gradient = [row("conv", "Conv2D", "gradient"), row("dense", "Dense", "gradient")]
    rule = [row("conv", "Conv2D", "rule", "lrp.z"), row("dense", "Dense", "gradient")]
    table = coverage_table([method(coverage=gradient), method(coverage=rule), method(coverage=gradient)])
    assert table.columns == ((1, 3), (2,))
    assert [(r.site, [c.text for c in r.cells]) for r in table.rows] == [
        ("conv", ["gradient", "lrp.z"]),
        ("dense", ["gradient", "gradient"]),
    ]


def test_a_site_that_a_method_does_not_run_has_an_empty_cell():
    table = coverage_table(
        [method(coverage=[row("a", "A", "rule", "r")]), method(coverage=[row("b", "B", "rule", "r")])]
    )
    assert [[c and c.text for c in r.cells] for r in table.rows] == [["r", None], [None, "r"]]
    assert coverage_table([]).rows == ()


def test_numbers_are_written_for_reading():
    assert [signed(v) for v in (None, 0.0, -0.01234, 1234.5)] == ["–", "0", "\N{MINUS SIGN}0.0123", "1.23e+03"]
    assert [seconds(v) for v in (0.0123, 1.26)] == ["12 ms", "1.3 s"]
