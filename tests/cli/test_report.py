"""The report: one page that holds all of itself, in which no text is markup."""

from __future__ import annotations

import base64
import html.parser

import numpy as np

from xaicore.cli.heatmap import png
from xaicore.cli.report import Method, Prediction, Report, coverage_table, render, seconds, signed

DOT = png(np.zeros((2, 2, 3)))


def row(site, operation, action, rule="", why=""):
    return {"site": site, "operation": operation, "action": action, "rule": rule, "why": why}


def method(expression="lrp.z", coverage=(), residual=0.25):
    return Method(
        expression, "", DOT, DOT, limit=0.5, score=-1.5, total=1.25, residual=residual,
        first_seconds=1.5, seconds=0.012, coverage=tuple(coverage),
    )  # fmt: skip


def report(*methods, title="A page", label="happy"):
    predictions = [Prediction(label, 0.9, explained=True), Prediction("sad", 0.1)]
    return Report(title, label, DOT, DOT, [("Network", "tiny")], predictions, methods, {"xaicore": "0"})


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
    page = render(report(method(), method("gradient.gradient", residual=None)))
    addresses = Addresses(page)
    assert len(addresses.found) == 2 + 2 * 2
    assert all(a.startswith("data:image/png;base64,") for a in addresses.found)
    assert base64.b64decode(addresses.found[0].partition(",")[2]) == DOT
    assert "://" not in page
    assert "script" not in addresses.tags
    assert "url(" not in page


def test_scores_residuals_and_seconds_are_on_the_page():
    page = render(report(method(), method("gradient.gradient", residual=None)))
    assert "\N{MINUS SIGN}1.5" in page
    assert "0.25" in page
    assert "<dd>–</dd>" in page
    assert "12 ms" in page


def test_names_from_outside_are_text_and_never_markup():
    evil = "<script>alert(1)</script>"
    rows = [row(evil, evil, "rule", evil, f'"{evil}')]
    page = render(report(method(evil, rows), title=evil, label=evil))
    assert "<script" not in page
    assert "script" not in Addresses(page).tags


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
