"""Every rule and composite of LRP on one network: finite, conserved, and where the score went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

import xaicore
from benchmarks.sweep_networks import wide_twin, without_shifts
from xaicore.engine.program import Program
from xaicore.engine.target import Target
from xaicore.errors import XaicoreError
from xaicore.inspect.head import strip_head
from xaicore.inspect.read import read_graph

if TYPE_CHECKING:
    import keras

    from xaicore.backward import Backward

# What a rule cannot be made without.
NEEDED = {name: f"{name}(alpha=3)" for name in ("lrp.alphabeta", "lrp.alphabeta_ignore_bias")}
# Made from data by `fit`, and not for networks with random weights.
FITTED = {"lrp.pattern", "lrp.pattern_attribution", "lrp.pattern_net"}


def every_rule() -> list[str]:
    """Return an expression of every rule for operations with a kernel, and of every composite.

    The other rules are for what lies between these operations, and act beside each of them.
    """
    rows = [row for kind in ("rule", "analyzer") for row in xaicore.available(kind)]
    lrp = [row for row in rows if row.name.startswith("lrp.") and row.name not in FITTED]
    rules = [NEEDED.get(row.name, row.name) for row in lrp if row.declaration.kind == "rule"]
    kernels = [e for e in rules if xaicore.get_rule(e).setting.applies in {"affine", "first"}]
    return [*kernels, *(row.name for row in lrp if row.declaration.kind == "analyzer")]


def under_rules(model: keras.Model, x: np.ndarray, rules: Sequence[str], name: str) -> dict[str, Any]:
    """Return what every rule made of one picture.

    Where float32 was not wide enough: in float64 too, and in float64 without biases and shifts.
    """
    found = {rule: conserved(rule, model, x) for rule in rules}
    overflown = [rule for rule, made in found.items() if not made.get("finite", True)]
    if overflown:
        wide = wide_twin(model, name, x.shape[1])
        for rule in overflown:
            found[rule]["wide"] = conserved(rule, wide, x.astype(np.float64))
        without_shifts(wide)
        for rule in overflown:
            found[rule]["unshifted"] = conserved(rule, wide, x.astype(np.float64))
    return found


def conserved(expression: str, model: keras.Model, x: np.ndarray) -> dict[str, Any]:
    """Return what became of the score, under a rule that may not be replaced by the gradient anywhere.

    missing: relevance and sinks minus the score, relative to the larger of |score| and the sum of |relevance|.
    of_score: the same, relative to |score|.  share: relevance of the input, relative to the score.
    grown: the sum of |relevance|, relative to |score|.
    """
    analyzer = xaicore.get_analyzer(expression, on_unsupported="raise")
    try:
        pull, fallbacks = _pulled(analyzer, model, x)
    except XaicoreError as error:
        return {"refused": type(error).__name__}
    relevance, score = pull.relevance[0].numpy().astype(np.float64), float(pull.scores[0])
    with np.errstate(invalid="ignore"):  # infinities of both signs
        total, size = float(relevance.sum()), float(np.abs(relevance).sum())
    gap = abs(total + sum(float(sink[0]) for sink in pull.sinks.values()) - score)
    if not np.isfinite(gap + size):
        return {"finite": False, "fallbacks": fallbacks, "claims": "conservation" in analyzer.claims}
    return {
        "finite": True,
        "missing": gap / max(abs(score), size),
        "of_score": gap / abs(score),
        "share": total / score,
        "grown": size / abs(score),
        "fallbacks": fallbacks,
        "claims": "conservation" in analyzer.claims,
    }


def _pulled(analyzer: Backward, model: keras.Model, x: np.ndarray) -> tuple[Any, int]:
    """Return one sweep back from the score, and the number of operations that the plan left without a rule."""
    whole = read_graph(model, {})
    chosen, otherwise = analyzer.rule_map()
    ruled = Program(strip_head(whole), whole).with_rules(chosen, otherwise=otherwise)
    parsed = analyzer.bind(model).parse_target(3, 1)
    # Eagerly: one sweep takes no longer than tracing it would.
    target = Target(parsed.spec, tf.constant(parsed.index[:, 0]))
    pull = ruled.pull((tf.constant(x),), target, initial="score", sinks=True)
    # A gradient that a composite asks for by name is no fallback, and neither is that of what only moves values.
    asked = ("meets ", "only routes")
    rows = () if ruled.plan is None else ruled.plan.rows
    return pull, sum(row.action == "gradient" and not row.why.startswith(asked) for row in rows)
