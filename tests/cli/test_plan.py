"""`xaicore plan`: table, JSON and Mermaid of what would happen."""

from __future__ import annotations

import json
import re

import keras
import pytest
from click.testing import CliRunner
from keras import layers

import xaicore
from xaicore.cli.group import group
from xaicore.cli.plan import as_json, as_mermaid, totals
from xaicore.testing.models import MODELS, inputs_of


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "model.keras"
    MODELS["convolutional"]().save(path)
    return str(path)


def invoke(*arguments):
    result = CliRunner().invoke(group, ["plan", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_table_has_a_line_per_site_and_the_total(saved):
    text = invoke(saved, "-a", "lrp.epsilon")
    for site in ("conv1", "norm", "add", "head"):
        assert re.search(rf"^\s*{site}\b", text, re.MULTILINE)
    assert "forward passes; memory beside the weights" in text


def test_json_is_the_plan(saved):
    found = json.loads(invoke(saved, "-a", "smoothgrad(lrp.alpha2beta1, n=8)", "--json"))
    plan = xaicore.get_analyzer("smoothgrad(lrp.alpha2beta1, n=8)").plan(MODELS["convolutional"]())
    assert found["forward_passes"] == plan.passes
    assert (found["bytes_fixed"], found["bytes_per_sample"], found["fallbacks"]) == (*plan.memory, plan.fallbacks)
    assert [row["site"] for row in found["rows"]] == [row.site for row in plan.rows]
    assert found["rows"][1]["after"] == ["conv1"]


def test_mermaid_has_every_site_edge_and_colour_and_no_markup(saved):
    plan = xaicore.get_analyzer("lrp.epsilon").plan(MODELS["convolutional"]())
    text = as_mermaid(plan)
    assert text == invoke(saved, "-a", "lrp.epsilon", "--mermaid").rstrip("\n")
    names = [row.site for row in plan.rows]
    edges = {(names.index(before), i) for i, row in enumerate(plan.rows) for before in row.after}
    assert {tuple(map(int, found)) for found in re.findall(r"n(\d+) --> n(\d+)", text)} == edges
    assert (names.index("conv1"), names.index("add")) in edges  # the skip connection
    coloured = re.findall(r"class ([n\d,]+) ", text)
    assert sorted(",".join(coloured).split(",")) == sorted(f"n{i}" for i in range(len(names)))
    odd = keras.Sequential([keras.Input((2,)), layers.Dense(2, name='a"<b>')])
    assert "<b>" not in as_mermaid(xaicore.get_analyzer("lrp.z").plan(odd))


def test_a_plan_of_a_cut_starts_at_the_site_and_counts_the_head_once():
    model = MODELS["convolutional"]()
    whole = xaicore.get_analyzer("smoothgrad(n=10)").plan(model)
    inner = xaicore.get_analyzer("smoothgrad(n=10, at='pool')").plan(model)
    assert inner.rows[0].action == "explained"
    assert inner.rows[0].site == "pool"
    assert "conv1" not in [row.site for row in inner.rows]
    assert inner.passes < whole.passes / 2
    assert inner.head > 0.5


def test_the_unit_is_the_forward_pass_and_a_gradient_takes_two():
    plan = xaicore.get_analyzer("gradient").plan(MODELS["convolutional"]())
    assert plan.passes == pytest.approx(2, abs=0.1)  # the softmax is not explained, and nearly free
    assert sum(row.passes for row in plan.rows) == pytest.approx(plan.passes)
    whole = xaicore.get_analyzer("ig(n_steps=7, prefix=False)").plan(MODELS["convolutional"]())
    assert whole.passes == pytest.approx(2 + 7 * plan.passes)


def test_what_a_path_leaves_out_is_counted_once():
    """A dense layer from 400 to 40 is nearly all of this model: seven steps take little more than its two ends."""
    model = keras.Sequential([keras.Input((400,)), layers.Dense(40, activation="relu"), layers.Dense(2)])
    short, whole = (xaicore.get_analyzer("ig(n_steps=7)", prefix=p).plan(model).passes for p in (True, False))
    assert whole == pytest.approx(16, abs=0.2)
    assert 3 < short < 6


def test_alpha_beta_costs_less_where_inputs_are_known_to_be_positive():
    """Four passes on a layer behind a ReLU, eight where inputs have both signs."""
    rows = {row.site: row.passes for row in xaicore.get_analyzer("lrp.alpha2beta1").plan(dense()).rows}
    plain = {row.site: row.passes for row in xaicore.get_analyzer("gradient").plan(dense()).rows}
    assert rows["hidden"] / plain["hidden"] == pytest.approx(4, rel=0.05)
    assert rows["last"] / plain["last"] == pytest.approx(2, rel=0.05)


def dense():
    return keras.Sequential(
        [
            keras.Input((900,)),
            layers.Dense(900, activation="relu", name="hidden"),
            layers.Dense(900, name="last"),
        ]
    )


def test_a_plan_says_what_its_estimates_are_of():
    free = keras.Sequential([keras.Input((None, 3)), layers.Conv1D(2, 3), layers.GlobalAveragePooling1D()])
    plan = xaicore.get_analyzer("gradient").plan(free)
    assert totals(plan) == "About 2 forward passes; memory unknown, where lengths are free or a part runs whole."
    assert json.loads(as_json("gradient", plan))["notes"] == ["Costs are those at 128 for every length that is free."]
    long = keras.Sequential([keras.Input((None, 3)), layers.Conv1D(2, 500), layers.GlobalAveragePooling1D()])
    assert totals(xaicore.get_analyzer("gradient").plan(long)) == "Cost of the whole unknown."


def test_coverage_after_the_run_is_the_plan_with_what_was_visited():
    model = MODELS["two_towers"]()
    for expression in ("lrp.epsilon", "smoothgrad(n=2)", "cam", "ig(at='head', n_steps=2)"):
        analyzer = xaicore.get_analyzer(expression)
        found = analyzer.explain(model, inputs_of(model, 2), 1, verbose=0).coverage
        assert [row["site"] for row in found] == [row.site for row in analyzer.plan(model).rows]
        assert {row["visited"] for row in found} == {"yes"}
