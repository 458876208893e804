"""One architecture of the sweep: built, planned, traced, explained."""

from __future__ import annotations

import collections
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import xaicore
from xaicore.backward import Backward
from xaicore.engine.head import strip_head
from xaicore.engine.program import Program
from xaicore.engine.target import Target
from xaicore.inspect.read import read_graph
from xaicore.testing.models import randomise

REPEATS = 3


def built(name: str, size: int) -> keras.Model:
    """Return an architecture with random weights of both signs, ten classes and a softmax head."""
    return randomise(getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=10))


def analyzer_of(expression: str) -> Any:
    """Return an analyzer under which the gradient stands in where there is no rule."""
    lifted = expression.startswith("lrp.")
    return xaicore.get_analyzer(expression, **({"on_unsupported": "gradient"} if lifted else {}))


def examined(name: str, size: int, methods: Mapping[str, str]) -> dict[str, object]:
    """Return what came of it, as JSON takes it."""
    model = built(name, size)
    x = np.random.default_rng(0).random((1, size, size, 3), np.float32)
    epsilon = analyzer_of("lrp.epsilon")
    plan = epsilon.plan(model)
    for analyzer in (xaicore.get_analyzer("gradient"), epsilon):
        bound = analyzer.bind(model)
        bound._function(bound.parse_target(3, 1).spec).get_concrete_function()  # noqa: SLF001  # traced, not run
    fallbacks = collections.Counter(row.operation for row in plan.rows if _falls_back(row))
    found: dict[str, object] = {"name": name, "sites": len(plan.rows), "fallbacks": dict(fallbacks)}
    seconds = timed(xaicore.get_analyzer("gradient"), model, x) if methods else 1.0
    found["methods"] = {key: explained(analyzer_of(text), model, x, seconds) for key, text in methods.items()}
    return found


def explained(analyzer: Any, model: keras.Model, x: np.ndarray, seconds: float) -> dict[str, object]:
    """Return what one analyzer made of one picture."""
    explanation = analyzer.explain(model, x, 3, verbose=0)
    values = np.asarray(explanation.attributions)
    missing = None
    if isinstance(analyzer, Backward) and "conservation" in analyzer.claims:
        missing = not_closed(analyzer, model, x)
    elif explanation.residual is not None:
        missing = float(abs(explanation.residual[0]) / max(abs(explanation.scores[0]), np.abs(values).sum()))
    return {
        "finite": bool(np.isfinite(values).all()),
        "missing": missing,
        "ratio": timed(analyzer, model, x) / seconds,
        "fallbacks": sum(map(_falls_back, analyzer.plan(model).rows)) if "conservation" in analyzer.claims else 0,
    }


def not_closed(analyzer: Backward, model: keras.Model, x: np.ndarray) -> float:
    """Return attributions and sinks minus the score, relative to the larger of |score| and sum of |attributions|."""
    graph = read_graph(model, {})
    program = Program(strip_head(graph), graph)
    rules, otherwise = analyzer.rule_map()
    ruled = program.with_rules(rules, otherwise=otherwise)
    bound = analyzer.bind(model)
    parsed = bound.parse_target(3, 1)

    @tf.function(autograph=False)
    def pulled(x: tf.Tensor) -> Any:
        pull = ruled.pull((x,), Target(parsed.spec, tf.constant(parsed.index[:, 0])), initial="score", sinks=True)
        return pull.scores, pull.relevance[0], dict(pull.sinks)

    score, relevance, sinks = (keras.tree.map_structure(np.asarray, one) for one in pulled(tf.constant(x)))
    gap = relevance.sum() + sum(s.sum() for s in sinks.values()) - score.sum()
    return float(abs(gap) / max(abs(score.sum()), np.abs(relevance).sum()))


def timed(analyzer: Any, model: keras.Model, x: np.ndarray) -> float:
    """Return the median seconds of a call after the first."""
    bound = analyzer.bind(model)
    parsed, ids = bound.parse_target(3, 1), np.arange(1)
    seconds = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        bound.batch((x,), parsed, ids)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds[1:]))


def _falls_back(row: Any) -> bool:
    return bool(row.action == "gradient" and row.why.startswith("no rule"))
