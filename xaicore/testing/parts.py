"""The laws of rules, quadratures, costs, optimizers and filters, one function each, as in battery.py of analyzers.

Oracles are the model itself in float64, exact integrals and finite differences; nothing asks a part about itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import xaicore
from xaicore.analyzer import AnalyzerBase, Filtered
from xaicore.errors import InvalidParameter, RuleNeverMet, UnsupportedOperation
from xaicore.testing.models import MODELS, float64_twin, gated, inputs_of

if TYPE_CHECKING:
    import keras

    from xaicore.explanation import Explanation

BATCH = 4
# float64 has 2.2e-16; sums of a few hundred terms, each divided by what may be 1e-3 of it, leave 1e-10.
ROUNDING = 1e-9
COUNTS = (1, 2, 3, 4, 5, 8, 11, 21, 50)  # nodes: odd, even, few and many; a quadrature may refuse some
# 50 additions of numbers of size 1/50 in float64.
OF_SUMS = 1e-13
# Central differences of step h are off by h^2 f'''/6 and by 1e-16 f/h: 1e-9 for costs of size ten.
STEP, OF_DIFFERENCES = 1e-5, 1e-6


# ---------------------------------------------------------------------------------------------------------- rules


def adds_up(expression: str) -> None:
    """A rule leaves the output what it is; where it claims conservation, inputs and sinks get what arrives.

    It is looked at wherever the plan puts it, on every model that has such an operation.
    """
    met = 0
    for make in (*MODELS.values(), gated):
        model = float64_twin(make())
        found = _under(expression, model)
        if found is None:
            continue
        analyzer, explanation = found
        x = inputs_of(model, BATCH)
        # Sums in another order than Keras takes them.
        _near(explanation.scores, np.asarray(model(x))[:, 1], f"{expression}: other scores than the model's")
        rule = str(xaicore.registry.expression_of(xaicore.get_rule(expression)))
        sites = [row.site for row in analyzer.plan(model).rows if row.rule == rule]
        met += len(sites)
        if "conservation" not in xaicore.get_rule(expression).setting.claims:
            continue
        for site in sites:
            row = explanation.ledger.get(site)
            if row is None:  # nothing arrives there
                continue
            size = max(1.0, *(float(np.abs(value).max()) for value in row.values()))
            missing = float(np.abs(row["missing"]).max())
            assert missing < ROUNDING * size, f"{expression}: {missing:.1e} of {size:.1e} is lost at {site}"
    assert met, f"{expression}: no model of the battery has an operation that it acts on."


def _under(expression: str, model: keras.Model) -> tuple[AnalyzerBase, Explanation] | None:
    """Return the pass around a rule, and what it explains; None where the model has nothing for it, or too much."""
    analyzer = xaicore.get_analyzer(expression, account=True, score="probability", on_unsupported="gradient")
    try:
        return analyzer, analyzer.explain(model, inputs_of(model, BATCH), target=1, verbose=0)
    except (RuleNeverMet, UnsupportedOperation):
        return None


# ---------------------------------------------------------------------------------------------------- quadratures


def integrates(expression: str) -> None:
    """Nodes lie in [0, 1], weights sum to 1, and polynomials are exact up to the degree that is declared."""
    quadrature = xaicore.get_quadrature(expression)
    taken = 0
    for n in COUNTS:
        try:
            nodes, weights = quadrature(n)
        except InvalidParameter:
            continue
        taken += 1
        where = f"{expression} of {n} nodes"
        assert nodes.shape == weights.shape == (n,), f"{where}: {nodes.shape}, {weights.shape}"
        assert nodes.dtype == weights.dtype == np.float64, f"{where}: {nodes.dtype}, {weights.dtype}"
        assert ((nodes >= 0) & (nodes <= 1)).all(), f"{where}: nodes outside of [0, 1]"
        assert quadrature.degree(n) >= 0, f"{where}: not even exact for constants"
        for power in range(min(quadrature.degree(n), 40) + 1):  # beyond, all nodes but the last are zero to rounding
            error = abs(float(weights @ nodes**power) - 1 / (power + 1))
            assert error < OF_SUMS, f"{where}: degree {quadrature.degree(n)} declared, t^{power} is off by {error:.1e}"
    assert taken, f"{expression} takes none of {COUNTS} nodes."


# ---------------------------------------------------------------------------------------------------------- costs


def slopes(expression: str) -> None:
    """A cost is one number per sample, whatever is beside it, and its gradient is that of finite differences."""
    import tensorflow as tf

    cost = _cost(expression)
    given = _given()
    value = _value(cost, given)
    assert value.shape == (BATCH,), f"{expression}: {value.shape} for {BATCH} samples"
    alone = [_value(cost, {name: a[i : i + 1] for name, a in given.items()}) for i in range(BATCH)]
    _near(np.concatenate(alone), value, f"{expression}: another value alone than in a batch")
    for name in ("x", "outputs"):
        point = tf.constant(given[name])
        with tf.GradientTape() as tape:
            tape.watch(point)
            total = tf.reduce_sum(cost(**_tensors(given | {name: point})))
        gradient = tape.gradient(total, point, unconnected_gradients=tf.UnconnectedGradients.ZERO).numpy()
        for i, aside in enumerate(STEP * np.eye(given[name].shape[1])):
            up, down = (_value(cost, given | {name: given[name] + s * aside}) for s in (1, -1))
            error = float(np.abs(gradient[:, i] - (up - down) / (2 * STEP)).max())
            assert error < OF_DIFFERENCES, f"{expression}: the gradient by {name} is off by {error:.1e}"


def _cost(expression: str) -> Any:
    """Return a cost; one that knows data, by its parameter ``reference``, gets some."""
    cost = xaicore.get_cost(expression)
    if getattr(cost, "reference", ...) is not None:
        return cost
    return xaicore.get_cost(expression, reference=np.random.default_rng(2).normal(size=(12, 5)))


def _given() -> dict[str, Any]:
    """Return candidates and what is told beside them, in float64; a kink is nowhere near."""
    random = np.random.default_rng(0)
    x, original = random.normal(size=(2, BATCH, 5))
    return {"x": x, "original": original, "outputs": random.normal(size=(BATCH, 3)), "target": np.array([0, 1, 2, 1])}


def _tensors(given: Mapping[str, Any]) -> dict[str, Any]:
    import tensorflow as tf

    return {name: tf.convert_to_tensor(value) for name, value in given.items()}


def _value(cost: Any, given: Mapping[str, Any]) -> np.ndarray:
    return np.asarray(cost(**_tensors(given)))


# ----------------------------------------------------------------------------------------------------- optimizers


def descends(expression: str) -> None:
    """Rows do not see each other, an entry without a gradient keeps its bits, and the first step goes down.

    One that has no ``update`` searches by itself: its ``minimize`` answers for the same, of a bowl.
    """
    optimizer = xaicore.get_optimizer(expression)
    run = _steps if hasattr(optimizer, "update") else _search
    x = np.random.default_rng(3).normal(size=(BATCH, 3))
    x[:, 1] = 0  # held; at 0, so that a decay of weights leaves it too
    together = run(optimizer, x)
    assert np.array_equal(together[:, :, 1], np.zeros_like(together[:, :, 1])), f"{expression}: a held entry moves"
    # Among others before it and not alone: random numbers hang on the number of the row.
    fewer = np.concatenate([run(optimizer, x[: i + 1])[:, i:] for i in range(BATCH)], axis=1)
    _near(fewer, together, f"{expression}: rows depend on each other")
    before, after = ((point[:, [0, 2]] ** 2).sum(axis=1) for point in (x, together[0]))
    assert (after < before).all(), f"{expression}: goes up, from {before} to {after}"


def _steps(optimizer: Any, x: np.ndarray) -> np.ndarray:
    """Return the points of a few short steps down a bowl, (steps, batch, features); the second feature is held."""
    import tensorflow as tf

    at, points = tf.constant(x), []
    state = optimizer.init(at)
    for _ in range(5):
        step, state = optimizer.update(2 * at * [1.0, 0.0, 1.0], state, at)
        # A quarter of a step, should a rule be made for flatter bowls: which way it goes is what is looked at.
        at += step / 4
        points.append(at.numpy())
    return np.stack(points)


def _search(optimizer: Any, x: np.ndarray) -> np.ndarray:
    """Return where a search ends on the same bowl, as if it were one step."""
    import tensorflow as tf

    found = optimizer.minimize(lambda at: tf.reduce_sum(at**2, axis=1), x, max_iter=20, grad_mask=[1, 0, 1])
    return np.asarray(found)[None]


# -------------------------------------------------------------------------------------------------------- filters


def filters_nothing_across_samples(expression: str) -> None:
    """A filter is per sample, keeps the batch axis and stays finite on zeros."""
    import tensorflow as tf

    one = xaicore.get_filter(expression)
    x = np.random.default_rng(0).normal(size=(BATCH, 4, 4, 3)).astype(np.float32)
    x[2] = 0
    whole = one(tf.constant(x)).numpy()
    alone = np.concatenate([one(tf.constant(x[i : i + 1])).numpy() for i in range(BATCH)])
    # Powers are computed in vectors of eight numbers, and what is left over one by one: one unit in the last place.
    np.testing.assert_array_max_ulp(whole, alone, maxulp=1)
    assert np.isfinite(whole).all()
    analyzer = xaicore.get_analyzer("gradient") | expression
    assert isinstance(analyzer, Filtered)
    assert xaicore.get_analyzer(str(analyzer)) == analyzer


def prints(kind: str) -> Callable[[str], None]:
    """Return the law of a kind: ``get(expression_of(part)) == part``, with an equal hash."""

    def prints_as_it_is_read(expression: str) -> None:
        part = xaicore.get(expression, kind)
        again = xaicore.get(xaicore.registry.expression_of(part), kind)
        assert again == part, f"{expression}: {part} came back as {again}"
        assert hash(again) == hash(part), f"{expression}: equal values with different hashes"

    return prints_as_it_is_read


def _near(a: np.ndarray, b: np.ndarray, said: str) -> None:
    error = float(np.abs(a - b).max())
    assert error <= ROUNDING * max(1.0, float(np.abs(b).max())), f"{said}, by {error:.1e}"


Law = Callable[[str], None]

RULE_LAWS: tuple[Law, ...] = (prints("rule"), adds_up)
QUADRATURE_LAWS: tuple[Law, ...] = (prints("quadrature"), integrates)
COST_LAWS: tuple[Law, ...] = (prints("cost"), slopes)
OPTIMIZER_LAWS: tuple[Law, ...] = (prints("optimizer"), descends)
FILTER_LAWS: tuple[Law, ...] = (prints("filter"), filters_nothing_across_samples)
