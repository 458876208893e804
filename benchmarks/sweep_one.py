"""One architecture of the sweep: built, planned, traced, explained."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

import xaicore
from benchmarks.sweep_networks import built, pictures, settled
from benchmarks.sweep_rules import under_rules
from xaicore.errors import XaicoreError
from xaicore.inspect import graph

REPEATS = 3


def analyzer_of(expression: str) -> Any:
    """Return an analyzer under which the gradient stands in where there is no rule."""
    lifted = expression.startswith("lrp.")
    return xaicore.get_analyzer(expression, **({"on_unsupported": "gradient"} if lifted else {}))


def examined(name: str, size: int, methods: Mapping[str, str], rules: Sequence[str]) -> dict[str, Any]:
    """Return what came of an architecture under the methods and under the rules, as JSON takes it."""
    model = settled(name, size) if methods or rules else built(name, size)
    x = pictures(name, size, 1, seed=0)
    epsilon = analyzer_of("lrp.epsilon")
    plan = epsilon.plan(model)
    for analyzer in (xaicore.get_analyzer("gradient"), epsilon):
        bound = analyzer.bind(model)
        bound._function(bound.parse_target(3, 1).spec, 1).get_concrete_function()  # noqa: SLF001  # traced, not run
    fallbacks = collections.Counter(row.operation for row in plan.rows if _falls_back(row))
    found: dict[str, object] = {"name": name, "sites": len(plan.rows), "fallbacks": dict(fallbacks)}
    seconds = timed(xaicore.get_analyzer("gradient"), model, x) if methods else 1.0
    found["methods"] = {}
    for key, text in methods.items():
        try:
            found["methods"][key] = explained(analyzer_of(text), model, x, seconds)
        except XaicoreError as error:  # such as guided backpropagation of a network without ReLU
            found["methods"][key] = {"refused": type(error).__name__}
    found["rules"] = under_rules(model, x, rules, name)
    found["order"] = called_by_keras(model, x) == called_by_us(model)
    found["replay"] = bool(np.array_equal(graph.replay(model, x), model(x, training=False)))
    return found


def called_by_keras(model: keras.Model, x: np.ndarray) -> list[str]:
    """Return the names of operations in the order in which Keras calls them, seen from their own ``call``."""
    called: list[str] = []

    def watched(operation: keras.Operation) -> Callable[..., object]:
        own = operation.call

        def call(*args: object, **kwargs: object) -> object:
            called.append(operation.name)
            return own(*args, **kwargs)

        return call

    watch = [op for op in model.operations if not isinstance(op, keras.layers.InputLayer)]
    for operation in watch:
        operation.__dict__["call"] = watched(operation)
    try:
        model(x, training=False)
    finally:
        for operation in watch:
            del operation.__dict__["call"]
    return called


def called_by_us(model: keras.Model) -> list[str]:
    """Return the names in our order; the stages of a separable convolution, or what is in a layer, are that layer."""
    names = [entry.site.split("/")[0] for entry in graph.execution_trace(model, keep_input_layers=False)]
    return [name for before, name in zip([None, *names], names, strict=False) if name != before]


def explained(analyzer: Any, model: keras.Model, x: np.ndarray, seconds: float) -> dict[str, object]:
    """Return what one analyzer made of one picture."""
    explanation = analyzer.explain(model, x, 3, verbose=0)
    values = np.asarray(explanation.attributions)
    missing = None
    if "completeness" in analyzer.claims and explanation.residual is not None:
        missing = float(abs(explanation.residual[0]) / max(abs(explanation.scores[0]), np.abs(values).sum()))
    return {
        "finite": bool(np.isfinite(values).all()),
        "missing": missing,
        "ratio": timed(analyzer, model, x) / seconds,
    }


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
