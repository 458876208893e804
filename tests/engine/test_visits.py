"""What ran is what was planned, and the plan says what it is that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np
import pytest
import tensorflow as tf

import xaicore
from networks import Raw, small_cnn, subclassed_and_flat
from xaicore.analyzer import AnalyzerBase
from xaicore.errors import PlanBroken
from xaicore.protocols import Attribution

if TYPE_CHECKING:
    from xaicore.engine.program import Program
    from xaicore.engine.target import Target
    from xaicore.protocols import Step, Tensors

X = np.random.default_rng(0).normal(size=(2, 8, 8, 2)).astype(np.float32)
SITES = ["conv1", "pool", "conv2", "relu", "flatten", "head"]


@pytest.mark.parametrize(
    ("expression", "action"),
    [
        ("gradient", "gradient"),
        ("gradient.baseline", "gradient"),
        ("smoothgrad(n=2)", "gradient"),
        ("perturbation.occlusion", "forward"),
        ("smoothgrad(perturbation.occlusion, n=2) | abs", "forward"),
        ("perturbation.rise(n=4)", "forward"),
        ("gradient.input", "none"),
        ("gradient.random | abs", "none"),
    ],
)
def test_the_plan_says_whether_a_gradient_is_taken_and_all_of_it_runs(expression: str, action: str) -> None:
    explanation = xaicore.get_analyzer(expression).explain(small_cnn(), X, target=1, verbose=0)

    assert [row["site"] for row in explanation.coverage] == SITES
    assert {row["action"] for row in explanation.coverage} == {action}
    assert {row["visited"] for row in explanation.coverage} == {"yes"}


def test_a_pass_without_a_gradient_is_half_of_one_with_it() -> None:
    model = small_cnn()
    there, both = (xaicore.get_analyzer(n).plan(model).rows for n in ("perturbation.occlusion", "gradient"))

    assert [row.passes for row in there] == [None if row.passes is None else row.passes / 2 for row in both]


@pytest.mark.parametrize("site", ["conv2", "conv2:inputs", "image"])
def test_a_site_that_is_explained_is_visited_too(site: str) -> None:
    explanation = xaicore.get_analyzer("gradient", at=site).explain(small_cnn(), X, target=1, verbose=0)

    after = {"conv2": 3, "conv2:inputs": 2, "image": 0}[site]
    assert [row["site"] for row in explanation.coverage] == [site, *SITES[after:]]
    operation = {"image": "InputLayer"}.get(site, "Conv2D")
    assert [explanation.coverage[0][name] for name in ("action", "operation", "visited")] == [
        "explained", operation, "yes",
    ]  # fmt: skip


def test_layers_inside_a_call_are_visited_where_no_gradient_is_needed() -> None:
    model, _ = subclassed_and_flat(Raw)
    x = np.ones((2, 5), np.float32)

    explanation = xaicore.get_analyzer("perturbation.occlusion").explain(model, x, target=1, verbose=0)

    assert {row["visited"] for row in explanation.coverage} == {"yes"}


@attrs.frozen(str=False)
class Astray(AnalyzerBase):
    """Explains something else than it was given: a part of the model, or nothing of it."""

    site: str | None = None

    def attribute(self, program: Program) -> Step:
        """Return a step that runs as much of the model as it was told."""
        head = None if self.site is None else program.cut(self.site)[0]

        def step(inputs: Tensors, target: Target, ids: tf.Tensor) -> Attribution:
            seen = inputs[0] if head is None else head(inputs)[0]
            return Attribution(inputs, tf.reduce_sum(seen, axis=tf.range(1, tf.rank(seen))))

        return step


@pytest.mark.parametrize(("site", "idle"), [(None, "conv1, conv2, flatten, head, pool and 1 more"), ("conv2", "head")])
def test_what_does_not_run_as_planned_is_an_error(site: str | None, idle: str) -> None:
    with pytest.raises(PlanBroken, match=rf"{idle}.*: planned and did not run"):
        Astray(site).explain(small_cnn(), X, target=1, verbose=0)


def test_what_runs_and_was_not_planned_is_an_error() -> None:
    """A rule at a layer of another model: seen by a program of that model alone."""
    analyzer = xaicore.get_analyzer("gradient")
    model = small_cnn()
    bound = analyzer.bind(model, fresh=True)
    bound.visited.sites.add("elsewhere")

    with pytest.raises(PlanBroken, match="elsewhere: ran and not planned"):
        analyzer.explain(model, X, target=1, verbose=0)
