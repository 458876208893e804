"""What an analyzer and the analyzers inside of it ask for: the score, a cut, a plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs

from xaicore.engine.target_text import split_output
from xaicore.errors import InvalidParameter
from xaicore.relevance import start_rows

if TYPE_CHECKING:
    from xaicore.analyzer import AnalyzerBase
    from xaicore.engine.plan import Plan
    from xaicore.engine.program import Program
    from xaicore.engine.target import ParsedTarget


def score_of(analyzer: object) -> str:
    """Return which score an analyzer explains: its own field ``score``, or that of the analyzer inside."""
    score = getattr(analyzer, "score", None)
    if score is not None:
        return str(score)
    inner = getattr(analyzer, "inner", None)
    return "logit" if inner is None else score_of(inner)


def check_target(analyzer: object, target: object, parsed: ParsedTarget) -> None:
    """Let an analyzer, or one inside, refuse a target before anything is traced: its ``check_target``."""
    own, inner = getattr(analyzer, "check_target", None), getattr(analyzer, "inner", None)
    if own is not None:
        own(target, parsed)
    if inner is not None:
        check_target(inner, target, parsed)


def own_target(analyzer: object, target: object) -> object:
    """Return the function that a text stands for which is a target of this analyzer alone; else the target."""
    if not isinstance(target, str):
        return target
    rest = split_output(target)[1]
    for one in nested(analyzer):
        if rest in one.own_targets:
            return one.own_targets[rest]
    return target


def nested(analyzer: object) -> Iterator[AnalyzerBase]:
    """Yield an analyzer and those inside, from the outside in, where they are ours or derived from ours."""
    while analyzer is not None:
        if hasattr(analyzer, "warn_about"):
            yield analyzer  # type: ignore[misc]  # what has the method will do
        analyzer = getattr(analyzer, "inner", None)


def rows_of(analyzer: object, program: Program) -> int | None:
    """Return for how many samples an analyzer, or one inside, holds values of their own; None for any number.

    Values are its baselines, and the relevance of its field ``initial``.

    Raises:
        InvalidParameter: Two of them hold values for different numbers of samples.
    """
    found = {rows for one in nested(analyzer) if (rows := one.rows(program)) is not None}
    found |= {rows for one in nested(analyzer) for rows in start_rows(getattr(one, "initial", None), program)}
    if len(found) > 1:
        raise InvalidParameter(
            f"Given initial relevance or baselines for {' and '.join(map(str, sorted(found)))} samples; expected as "
            "many."
        )
    return next(iter(found), None)


def copies_of(analyzer: object) -> int:
    """Return how many copies of a sample an analyzer explains together; 1 for none, and where it does not say."""
    make, inner = getattr(analyzer, "copies", None), getattr(analyzer, "inner", None)
    return 1 if make is None else int(make(1 if inner is None else copies_of(inner)))


def is_compiled(analyzer: object) -> bool:
    """Return whether the step can be compiled: an analyzer, or one inside, that runs on the host says no."""
    inner = getattr(analyzer, "inner", None)
    return getattr(analyzer, "compiled", True) and (inner is None or is_compiled(inner))


def is_cut(analyzer: object) -> bool:
    """Return whether an analyzer, or one inside, explains an inner tensor (``at=``) or gives a map of positions."""
    inner = getattr(analyzer, "inner", None)
    own = getattr(analyzer, "at", None) is not None or getattr(analyzer, "maps", False)
    return own or (inner is not None and is_cut(inner))


def plan_of(analyzer: object, program: Program) -> Plan:
    """Return the plan of an analyzer, or of the analyzer inside; all gradient, or all forward, without rules."""
    find, repeat = getattr(analyzer, "explained_site", None), getattr(analyzer, "passes", None)
    site = None if find is None else find(program)
    check = getattr(analyzer, "check_program", None)
    if check is not None:
        check(program)
    plan = _plan_inside(analyzer, program if site is None else program.cut(site)[1])
    if repeat is not None and plan.loop is not None:
        find_spared = getattr(analyzer, "spared", None)
        # What is left out of every pass runs once, there and back.
        less = 0.0 if find_spared is None else find_spared(program if site is None else program.cut(site)[1])
        plan = attrs.evolve(plan, loop=repeat(plan.loop - less) + less)
    if site is None:
        return plan
    names = {str(node.site): type(node.operation).__name__ for node in program.graph.nodes}
    wholes = (node.whole for node in program.graph.nodes if node.whole is not None)
    names |= {str(whole.site): type(whole.operation).__name__ for whole in wholes}
    why = "chosen by position and shape" if getattr(analyzer, "at", None) is None else "named by at="
    from xaicore.engine.plan import PlanRow
    from xaicore.inspect.entry import SUFFIX

    operation = names.get(site.removesuffix(SUFFIX), "InputLayer")
    row = PlanRow(site, operation, "explained", "", why)
    return attrs.evolve(plan, rows=(row, *plan.rows))


def _plan_inside(analyzer: object, program: Program) -> Plan:
    from xaicore.engine.plan import decide  # analyzers ask what is nested where no Keras is needed

    rule_map = getattr(analyzer, "rule_map", None)
    prepared = getattr(analyzer, "prepared", None)
    if prepared is not None:
        program = prepared(program)
    if rule_map is not None:
        rules, otherwise = rule_map()
        named, noted = getattr(analyzer, "named", ()), getattr(analyzer, "noted", ())
        return decide(program.graph, program.whole, rules, otherwise=otherwise, required=named, noted=noted)
    inner = getattr(analyzer, "inner", None)
    if inner is not None:
        return plan_of(inner, program)
    return _as_it_runs(analyzer, decide(program.graph, program.whole, ()))


def _as_it_runs(analyzer: object, plan: Plan) -> Plan:
    """Return the plan of an analyzer without rules: no gradient where it takes none."""
    if not getattr(analyzer, "asks_model", True):
        action, why = "none", "runs for the score alone"
    elif not getattr(analyzer, "needs_gradient", True):
        action, why = "forward", "no gradient is needed"
    else:
        return plan
    # A gradient is a pass there and one back.
    rows = (
        attrs.evolve(row, action=action, why=why, passes=None if row.passes is None else row.passes / 2)
        for row in plan.rows
    )
    return attrs.evolve(plan, rows=tuple(rows))
