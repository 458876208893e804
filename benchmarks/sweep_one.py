"""One architecture of the sweep: built, planned, traced, explained."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

import xaicore
from xaicore.engine.program import Program
from xaicore.engine.target import Target
from xaicore.errors import XaicoreError
from xaicore.inspect import graph
from xaicore.inspect.head import strip_head
from xaicore.inspect.read import read_graph
from xaicore.testing.models import randomise

if TYPE_CHECKING:
    from xaicore.backward import Backward

REPEATS = 3
# What a rule cannot be made without.
NEEDED = {name: f"{name}(alpha=3)" for name in ("lrp.alphabeta", "lrp.alphabeta_ignore_bias")}


def built(name: str, size: int) -> keras.Model:
    """Return an architecture with random weights of both signs, ten classes and a softmax head."""
    return randomise(getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=10))


def analyzer_of(expression: str) -> Any:
    """Return an analyzer under which the gradient stands in where there is no rule."""
    lifted = expression.startswith("lrp.")
    return xaicore.get_analyzer(expression, **({"on_unsupported": "gradient"} if lifted else {}))


def examined(name: str, size: int, methods: Mapping[str, str], rules: Sequence[str]) -> dict[str, Any]:
    """Return what came of an architecture under the methods and under the rules, as JSON takes it."""
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
    found["methods"] = {}
    for key, text in methods.items():
        try:
            found["methods"][key] = explained(analyzer_of(text), model, x, seconds)
        except XaicoreError as error:  # such as guided backpropagation of a network without ReLU
            found["methods"][key] = {"refused": type(error).__name__}
    found["rules"] = under_rules(model, x, rules, lambda: built(name, size))
    found["order"] = called_by_keras(model, x) == called_by_us(model)
    found["replay"] = bool(np.array_equal(graph.replay(model, x), model(x, training=False)))
    return found


def under_rules(
    model: keras.Model, x: np.ndarray, rules: Sequence[str], build: Callable[[], keras.Model]
) -> dict[str, Any]:
    """Return what every rule made of one picture; in float64 too where float32 was not wide enough."""
    found = {rule: conserved(analyzer_of(rule), model, x) for rule in rules}
    overflown = [rule for rule, made in found.items() if not made["finite"]]
    if overflown:
        keras.config.set_dtype_policy("float64")
        wide = build()
        keras.config.set_dtype_policy("float32")
        for rule in overflown:
            found[rule]["wide"] = conserved(analyzer_of(rule), wide, x.astype(np.float64))
    return found


def every_rule() -> list[str]:
    """Return an expression of every rule of the family that is for operations with a kernel.

    PatternNet's and PatternAttribution's are made from data, and are not for networks with random weights.
    """
    names = [row.name for row in xaicore.available("rule") if row.name.startswith("lrp.") and row.name != "lrp.pattern"]
    expressions = [NEEDED.get(name, name) for name in names]
    return [e for e in expressions if xaicore.get_rule(e).setting.applies == "affine"]


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


def conserved(analyzer: Backward, model: keras.Model, x: np.ndarray) -> dict[str, object]:
    """Return whether relevance is finite, and what is missing of conservation, sinks counted.

    Missing: relevance and sinks minus the score, relative to the larger of |score| and the sum of |relevance|.
    """
    whole = read_graph(model, {})
    chosen, otherwise = analyzer.rule_map()
    ruled = Program(strip_head(whole), whole).with_rules(chosen, otherwise=otherwise)
    bound = analyzer.bind(model)
    parsed = bound.parse_target(3, 1)

    # Eagerly: one sweep takes no longer than tracing it would.
    target = Target(parsed.spec, tf.constant(parsed.index[:, 0]))
    pull = ruled.pull((tf.constant(x),), target, initial="score", sinks=True)
    relevance, score = pull.relevance[0].numpy(), float(pull.scores[0])
    gap = relevance.sum() + sum(float(sink[0]) for sink in pull.sinks.values()) - score
    return {
        "finite": bool(np.isfinite(relevance).all() and np.isfinite(gap)),
        "missing": float(abs(gap) / max(abs(score), np.abs(relevance).sum())),
        "claims": "conservation" in analyzer.claims,
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
