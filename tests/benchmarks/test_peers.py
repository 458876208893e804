"""What `make bench-peers` says of its runs: a failure is a row, ratios are taken within rounds, documents survive."""

from __future__ import annotations

import importlib
import json
import pathlib
import time

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def module(monkeypatch):
    """Return a function that imports a module of benchmarks/peers, which is no part of a distribution."""
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"benchmarks.peers.{name}")


def document(rows=(), error=None, **versions):
    """Return what a script prints."""
    return json.dumps({"versions": versions, "rows": list(rows), "error": error})


def timed_row(key, seconds, base, label="call"):
    return {"key": key, "label": label, "error": None, "first": 9.0, "memory": 5.0, "seconds": seconds, "base": base}


def pair_of(results, theirs, ours, workload="W3", peer="zennit"):
    return results.Pair(workload, peer, results.parsed(theirs, "", 0), results.parsed(ours, "", 0))


def test_a_script_that_dies_gives_the_last_line_of_what_it_said(module):
    found = module("results").parsed("", "Traceback ...\n  x\nImportError: no module named torch\n\n", 1)

    assert found.error == "ended with code 1: ImportError: no module named torch"
    assert found.rows == ()


def test_a_failed_peer_and_a_failed_method_are_rows_of_the_table(module):
    results, report = module("results"), module("report")
    good, bad = timed_row("gradient", [1.0], [1.0]), {"key": "lrp.zplus", "label": "ZPlus", "error": "TypeError: a|b"}
    pairs = [
        pair_of(results, document([good, bad], zennit="1.0.0"), document([good], xaicore="0.1.0")),
        results.Pair("W3", "captum", results.parsed("", "no such file", 127), results.Outcome()),
    ]

    table = report.full(results.lines_of(pairs), "heading")
    rows = [line for line in table.splitlines() if line.startswith("|")]

    assert "| `lrp.zplus` | zennit 1.0.0 | failed: TypeError: a\\|b |" in table
    assert "| all | captum | failed: ended with code 127: no such file |" in table
    assert len({row.replace("\\|", "").count("|") for row in rows}) == 1


def test_ratios_are_taken_within_a_round_and_between_runs_beside_each_other(module):
    """By hand: 2/1, 9/3, 4/4 have the median 2; 4/1 s to our gradient, 4/2 s to our method."""
    results = module("results")
    theirs = document([timed_row("gradient", [2.0, 9.0, 4.0], [1.0, 3.0, 4.0])], zennit="1.0.0", torch="2")
    ours = document([timed_row("gradient", [2.0, 2.0, 2.0], [1.0, 1.0, 1.0])], xaicore="0.1.0")

    (line,) = results.lines_of([pair_of(results, theirs, ours)])

    assert line.own == (2.0, 1.0, 3.0)
    assert (line.seconds, line.to_ours, line.to_method) == (4.0, 4.0, 2.0)
    assert (line.version, line.ours, line.ours_own, line.memory) == ("1.0.0", 2.0, 2.0, 5.0)


def test_a_method_that_xaicore_lacks_says_so_beside_the_peer(module):
    results, report = module("results"), module("report")
    missing = {"key": "ig.x", "label": "ig.x", "error": "FamilyNotInstalled: ig"}
    pair = pair_of(results, document([timed_row("ig.x", [2.0], [1.0])]), document([missing]), workload="W4")

    lines = results.lines_of([pair])

    assert "FamilyNotInstalled: ig" in report.full(lines, "")
    assert "ig.x" not in report.brief(lines, "")


def test_only_what_is_between_the_markers_is_replaced(module):
    report = module("report")
    text = f"# A\n\n{report.BEGIN}\nold\n{report.END}\n\nthe end\n"

    assert report.put(text, "new") == f"# A\n\n{report.BEGIN}\nnew\n{report.END}\n\nthe end\n"
    assert report.put(report.put(text, "new"), "new") == report.put(text, "new")
    with pytest.raises(report.MarkersMissing, match="README"):
        report.put("no place", "new", "README")


def test_a_run_of_some_workloads_leaves_the_others_alone(module):
    """W3 stays, with the words above all; W5 is new, and stands behind it with a paragraph of its own."""
    results, report = module("results"), module("report")
    row = {
        "key": "cf.x",
        "label": "search",
        "error": None,
        "first": 1.0,
        "seconds": 2.0,
        "of": 1,
        "l1": [8.0],
        "l2": [3.0],
    }
    lines = results.lines_of([pair_of(results, document([row], alibi="0.9.6"), document(), "W5", "alibi")])
    full = report.full(
        results.lines_of([pair_of(results, document([timed_row("gradient", [2.0], [1.0])]), document())]), "one"
    )
    text = report.put(f"# A\n\n{report.BEGIN}\n{report.END}\nthe end\n", full)

    found = report.sections(text, lines, "another")

    assert found.startswith(text.split(report.END)[0].rstrip())
    assert f"## {report.TITLES['W5']}\n\nanother\n\n| library |" in found
    assert found.endswith("the end\n")
    assert report.sections(found, lines, "another") == found
    assert "the third" in report.sections(found, lines, "the third")
    assert "another" not in report.sections(found, lines, "the third")


@pytest.mark.parametrize("name", ["docs/explanation/peers.md", "README.md"])
def test_the_documents_have_a_place_for_the_tables(module, name):
    text = (ROOT / name).read_text(encoding="utf-8")

    assert module("report").put(text, "x").count("x") >= 1


def one_layer():
    """Return a network that says class 1 where x_0 > 0, and four rows of the other class."""
    return {
        "layers": np.array('[{"kind": "dense", "activation": "softmax"}]'),
        "kernel_0": np.array([[0.0, 1.0], [0.0, 0.0]]),
        "bias_0": np.zeros(2),
        "x": np.full((4, 2), -1.0),
        "targets": np.ones(4, int),
    }


def test_counterfactuals_are_judged_by_the_network_and_not_by_the_peer(module):
    """One layer, class 1 where x_0 > 0: of three claims one is of the other class, one is not, one was not found."""
    data = one_layer()
    found = np.array([[2.0, 3.0], [-2.0, 0.0], [np.nan, np.nan]])

    judged = module("common").judged(found, data)

    assert judged == {"of": 4, "l1": [7.0, None, None], "l2": [5.0, None, None]}


def test_distances_are_compared_on_rows_that_both_found(module):
    """The peer did three rows and found the last two; xaicore found all but the third."""
    results, report = module("results"), module("report")
    row = {"key": "cf.x", "label": "search", "error": None, "first": 1.0, "seconds": 2.0, "of": 4}
    theirs = document([row | {"l1": [None, 8.0, 4.0], "l2": [None, 3.0, 2.0]}], alibi="0.9.6")
    ours = document([row | {"l1": [1.0, 5.0, None, 9.0], "l2": [1.0, 2.5, None, 3.0]}])

    table = report.full(results.lines_of([pair_of(results, theirs, ours, "W5", "alibi")]), "")

    assert "| alibi 0.9.6 | search | 3 of 4 (time over) | 1.50 | 67% | 6.00 | 2.50 | 5.00 | 2.50 |" in table
    assert "| xaicore | `cf.x` | 4 of 4 | 2.00 | 75% | 5.00 | 2.50 |  |  |" in table


def slow(rows):
    """Return a search whose rows take no time but for the last, which does not end by itself."""

    def find(x, targets):
        for i, row in enumerate(x):
            for _ in range(0 if i < rows else 10_000):
                time.sleep(0.01)
            yield row[None] + 2

    return find


@pytest.mark.parametrize("rows", [0, 2])
def test_a_row_that_does_not_end_is_given_up_and_those_before_it_count(module, rows):
    """Class 1 where x_0 > 0, and from -1 the search goes to 1: |2, 2| = 4."""
    common, results, report = module("common"), module("results"), module("report")
    data = one_layer()
    peer = common.Searches(lambda: None, [common.Search("cf.x", "search", slow(rows))])

    (row,) = common.searched(peer, data, common.Options((), 1, 0.2))

    assert (row["error"], row["of"], row["l1"]) == (None, 4, [4.0] * rows)
    pair = pair_of(results, document([row], dice_ml="0.12"), document(), "W5", "dice_ml")
    table = report.full(results.lines_of([pair]), "")
    said = "2 of 4 (time over) |" if rows else "none in 0 s | | | | | | |"
    assert f"| dice_ml 0.12 | search | {said}" in table
    rows_of_table = [line for line in table.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows_of_table}) == 1
