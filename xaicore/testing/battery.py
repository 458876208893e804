"""The laws of analyzers, one function each: it returns where the law holds and raises where it does not."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs
import keras
import numpy as np

import xaicore
from xaicore.nesting import is_compiled, is_cut
from xaicore.testing.models import MODELS, SPECIAL, float64_twin, inputs_of, rows_of

if TYPE_CHECKING:
    from xaicore.analyzer import AnalyzerBase
    from xaicore.explanation import Explanation

BATCH = 5
# Of a search: its laws hold at every iteration, and after hundreds float32 and float64 have gone different ways.
ITERATIONS = 50
# Samples of one batch differ by where a BLAS or convolution kernel cuts it: a few units of float32's 1.2e-7,
# times the condition of the quotients in relevance rules (up to 7e-4 for epsilon = 1e-7).
BETWEEN_BATCHES = 1e-3
# float64 has 2.2e-16; the same conditions on sums of a few hundred terms leave 1e-10.
IN_FLOAT64 = 1e-9


def expressions(kind: str) -> tuple[str, ...]:
    """Return every registered name that serves as this kind without parameters, lifted ones too.

    A name that cannot be made for another reason, such as an import that fails, is among them: its laws say why.
    """
    found = []
    for row in xaicore.available(kind):
        try:
            xaicore.get(row.name, kind)
        except xaicore.errors.MissingParameter:
            continue
        except xaicore.errors.InvalidParameter:
            if row.kind != kind:  # it is lifted, and what it is lifted to has no default that would do for it
                continue
        except xaicore.errors.XaicoreError:
            pass
        found.append(row.name)
    return tuple(found)


def _explain(expression: str, model: keras.Model, x: object) -> Explanation:
    return _analyzer(expression, model).explain(model, x, target=1, verbose=0)


def _analyzer(expression: str, model: keras.Model) -> AnalyzerBase:
    """Return the analyzer of a name, with what it has to learn from data first; long searches are cut short."""
    analyzer = xaicore.get_analyzer(expression)
    if getattr(analyzer, "max_iter", 0) > ITERATIONS:
        analyzer = attrs.evolve(analyzer, max_iter=ITERATIONS)  # type: ignore[misc]  # every analyzer is an attrs class
    learn = getattr(analyzer, "fit", None)
    return analyzer if learn is None else learn(model, inputs_of(model, 4 * BATCH, seed=2))


@functools.lru_cache(maxsize=8)
def _model(make: Callable[[], keras.Model], expression: str) -> keras.Model:  # noqa: ARG001  # a key: one for each
    """Return a model that the laws of one analyzer share, with what is traced on it."""
    return make()


@functools.lru_cache(maxsize=2)
def _twin(make: Callable[[], keras.Model], expression: str) -> keras.Model:
    """Return the same model in float64."""
    return float64_twin(_model(make, expression))


@functools.lru_cache(maxsize=4)
def _models(expression: str) -> tuple[Callable[[], keras.Model], ...]:
    """Return the models that an analyzer does not refuse, at least one; a special one where it refuses the others."""
    for group in (MODELS, SPECIAL):
        fitting = tuple(make for make in group.values() if _takes(expression, _model(make, expression)))
        if fitting:
            return fitting
    raise AssertionError(f"{expression} refuses every model of the battery.")


def _takes(expression: str, model: keras.Model) -> bool:
    errors = xaicore.errors
    try:
        analyzer = _analyzer(expression, model)
        analyzer.plan(model)
        if hasattr(analyzer, "filters"):  # which see what they are given when it is there
            analyzer.explain(model, inputs_of(model, 1), target=1, verbose=0)
    except errors.RuleTaken:
        if "(" not in expression:  # a name sets no rule that another takes the place of; who composes may
            raise
        return False
    except (errors.InvalidParameter, errors.UnknownSite, errors.RuleNeverMet):
        return False
    return True


def _arrays(explanation: Explanation) -> list[np.ndarray]:
    return keras.tree.flatten(explanation.attributions)  # type: ignore[no-any-return]


def _differ(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest difference, relative to the largest entry of each sample."""
    axes = tuple(range(1, a.ndim))
    size = np.maximum(np.abs(a).max(axis=axes, keepdims=True), np.finfo(np.float32).tiny)
    return float((np.abs(a - b) / size).max())


def canonical(expression: str) -> None:
    """``get(str(a)) == a``, with an equal hash."""
    analyzer = xaicore.get_analyzer(expression)
    again = xaicore.get_analyzer(str(analyzer))
    assert again == analyzer, f"{expression}: {analyzer} came back as {again}"
    assert hash(again) == hash(analyzer), f"{expression}: equal values with different hashes"


def shaped_and_finite(expression: str) -> None:
    """Attributions are shaped like what is explained, axis 0 of every array is the sample, all numbers are finite."""
    for make in _models(expression):
        model = _model(make, expression)
        x = inputs_of(model, BATCH)
        explanation = _explain(expression, model, x)
        expected = [given.shape for given in keras.tree.flatten(x)]
        analyzer = xaicore.get_analyzer(expression)
        if is_cut(analyzer) and not _is_map(analyzer):
            expected = [(BATCH, *model.get_layer(analyzer.at).output.shape[1:])]  # type: ignore[attr-defined]  # is cut
        if _is_map(analyzer):  # in the size of one input
            (a,) = _arrays(explanation)
            maps = [(*shape[:-1], 1) for shape in expected]
            assert a.shape in maps, f"{expression}: a map of {a.shape} for inputs of {expected}"
        else:
            for a, shape in zip(_arrays(explanation), expected, strict=True):
                assert a.shape == shape, f"{expression}: {a.shape} for an input of {shape}"
        for name, array in [("scores", explanation.scores), *explanation.extras.items()]:
            assert len(array) == BATCH, f"{expression}: {name} has {len(array)} entries for {BATCH} samples"
            assert np.isfinite(array).all(), f"{expression}: {name} is not finite"
        assert all(np.isfinite(a).all() for a in _arrays(explanation)), f"{expression}: not finite"


def _is_map(analyzer: object) -> bool:
    inner = getattr(analyzer, "inner", None)
    return getattr(analyzer, "maps", False) or (inner is not None and _is_map(inner))


def per_sample(expression: str) -> None:
    """A sample's explanation does not depend on its batch mates; the same batch gives the same bits."""
    for make in _models(expression):
        model = _model(make, expression)
        x = inputs_of(model, BATCH)
        analyzer = _analyzer(expression, model)
        together = analyzer.explain(model, x, target=1, verbose=0)
        again = analyzer.explain(model, x, target=1, verbose=0)
        one_by_one = analyzer.explain(model, x, target=1, batch_size=1, verbose=0)
        for a, b, c in zip(_arrays(together), _arrays(again), _arrays(one_by_one), strict=True):
            assert np.array_equal(a, b), f"{expression}: two runs on one batch differ"
            assert _differ(a, c) < BETWEEN_BATCHES, f"{expression}: alone and in a batch differ by {_differ(a, c):.1e}"


def agrees_with_float64(expression: str) -> None:
    """In float64 a batch and its samples agree to 1e-9, and float32 agrees with float64."""
    make = _models(expression)[0]
    model, twin = _model(make, expression), _twin(make, expression)
    x = inputs_of(model, BATCH)
    (narrow,) = _arrays(_explain(expression, model, x))
    (exact,) = _arrays(_explain(expression, twin, np.asarray(x, np.float64)))
    wide = np.asarray(x, np.float64)
    (alone,) = _arrays(_analyzer(expression, twin).explain(twin, wide, target=1, batch_size=1, verbose=0))
    assert exact.dtype == np.float64
    assert _differ(exact, alone) < IN_FLOAT64
    assert _differ(exact, narrow) < BETWEEN_BATCHES


def runs_as_planned(expression: str) -> None:
    """What is planned before anything runs is what ran, site by site."""
    for make in _models(expression):
        model = _model(make, expression)
        planned = [row.site for row in _analyzer(expression, model).plan(model).rows]
        coverage = _explain(expression, model, inputs_of(model, BATCH)).coverage
        assert [row["site"] for row in coverage] == planned, f"{expression}: planned {planned}, covered {coverage}"
        idle = [row["site"] for row in coverage if row["visited"] != "yes"]
        assert not idle, f"{expression}: {', '.join(idle)} planned, and never met"


def one_trace(expression: str) -> None:
    """One trace per analyzer and model, whatever the batch size; none of what runs on the host."""
    model = _model(_models(expression)[0], expression)
    x = inputs_of(model, BATCH)
    analyzer = _analyzer(expression, model)
    bound = analyzer.bind(model)
    for size in (BATCH, 2, 1):
        analyzer.explain(model, rows_of(x, slice(size)), target=1, verbose=0)
    assert analyzer.bind(model) is bound
    assert bound.traces == is_compiled(analyzer), f"{expression}: {bound.traces} traces"


def leaves_the_model_alone(expression: str) -> None:
    """Weights, configuration, instance attributes, nodes and predictions are what they were."""
    for make in _models(expression):
        model = make()
        x = inputs_of(model, BATCH)
        before = _state(model, x)
        _explain(expression, model, x)
        after = _state(model, x)
        assert before[0] == after[0], f"{expression}: the model was changed"
        assert all(np.array_equal(a, b) for a, b in zip(before[1], after[1], strict=True))


def _state(model: keras.Model, x: object) -> tuple[object, list[np.ndarray]]:
    every = model._flatten_layers()  # noqa: SLF001  # no public way that enters all layers
    attributes = [(layer.name, sorted(layer.__dict__), len(layer._inbound_nodes)) for layer in every]  # noqa: SLF001
    losses = [len(layer._losses) for layer in every]  # noqa: SLF001
    return (str(model.get_config()), attributes, losses), [*model.get_weights(), np.asarray(model(x))]


def claims_hold(expression: str) -> None:
    """Where conservation or completeness is claimed the residual is what is missing, and no more than what is told.

    Conservation: what reaches the inputs and what the account says is lost on the way make up the score.
    """
    analyzer = xaicore.get_analyzer(expression)
    if not analyzer.claims:
        return
    model = _twin(_models(expression)[0], expression)
    analyzer = _analyzer(expression, model)
    if hasattr(analyzer, "account"):
        analyzer = attrs.evolve(analyzer, account=True)  # type: ignore[misc]  # every analyzer is an attrs class
    explanation = analyzer.explain(model, inputs_of(model, BATCH), target=1, verbose=0)
    total = sum(a.sum(axis=tuple(range(1, a.ndim))) for a in _arrays(explanation))
    assert explanation.residual is not None, f"{expression} claims {set(analyzer.claims)} and reports no residual"
    if "conservation" not in analyzer.claims:
        return
    assert np.allclose(explanation.residual, total - explanation.scores, rtol=0, atol=1e-12 * np.abs(total).max())
    if hasattr(analyzer, "account"):
        rows = explanation.ledger.values()
        lost = sum(v for row in rows for name, v in row.items() if name not in {"arrived", "passed", "missing"})
        size = max(np.abs(row["arrived"]).max() for row in rows)
        gap = np.abs(total + lost - explanation.scores).max()
        assert gap < IN_FLOAT64 * size, f"{expression}: {gap:.1e} of relevance up to {size:.1e} is nowhere"


Law = Callable[[str], None]

ANALYZER_LAWS: tuple[Law, ...] = (
    canonical,
    shaped_and_finite,
    per_sample,
    agrees_with_float64,
    runs_as_planned,
    one_trace,
    leaves_the_model_alone,
    claims_hold,
)
