"""What every operation will get, known before anything is traced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from xaicore.engine.cost import estimate
from xaicore.engine.unmet import Conditions
from xaicore.errors import NameMistake, RuleNeverMet, UnsupportedOperation
from xaicore.inspect.facts import Facts, facts_of
from xaicore.inspect.kinds import ROUTING, kind

if TYPE_CHECKING:
    from xaicore.engine.estimates import Estimate
    from xaicore.inspect.nodes import Graph, Node, Site
    from xaicore.protocols import Rule, RuleMap


NO_RULE = "no rule meets it"
_COLUMNS = ("site", "operation", "action", "rule", "why")


@attrs.frozen
class PlanRow:
    """What one site gets: action is "rule", "gradient" or "unsupported"; rule its expression; why the reason.

    "forward": the operation runs and no gradient is taken.  "none": it runs for the score, which nothing else hangs on.
    "folded": another operation does its work, with the weights of both.
    "explained" marks the site whose output is explained or looked at instead of the inputs; what runs before it gets
    no row.
    passes: estimated cost in forward passes of the whole model; None where it is not known.
    uncounted: what the estimate leaves out, or why there is none.
    after: sites whose outputs the operation takes.
    """

    site: str
    operation: str
    action: str
    rule: str
    why: str
    passes: float | None = None
    after: tuple[str, ...] = ()
    uncounted: str = ""


@attrs.frozen
class Plan:
    """A row per site in execution order, and what the engine needs beside them.

    head, loop: estimated cost in forward passes of the model: what runs before a cut, and what is explained, there and
    back; loop is None where a row has no estimate.
    memory: bytes beside the weights, (fixed, per sample), at the peak; None where lengths are free or a part runs
    whole.
    rules: site -> rule, for the sites that get one.  facts: site -> facts.
    notes: sentences on rules of a preset that act nowhere in this model, and on what the estimates leave out.
    """

    rows: tuple[PlanRow, ...]
    rules: Mapping[Site, Rule] = attrs.field(eq=False, repr=False)
    facts: Mapping[Site, Facts] = attrs.field(eq=False, repr=False)
    head: float = 0.0
    loop: float | None = None
    memory: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()

    @property
    def passes(self) -> float | None:
        """Estimated cost of explaining a batch, in forward passes of the model on it."""
        return None if self.loop is None else self.head + self.loop

    @property
    def fallbacks(self) -> int:
        """Operations that get their gradient because no rule is for them, though others get a rule."""
        return sum(row.why == NO_RULE for row in self.rows) if self.rules else 0

    def __str__(self) -> str:
        """Return the rows as a plain table, and the notes."""
        cells = [_COLUMNS, *(tuple(getattr(row, name) for name in _COLUMNS) for row in self.rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
        lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells)
        return "\n".join((*lines, *self.notes))


def decide(
    graph: Graph,
    whole: Graph,
    rules: RuleMap,
    *,
    otherwise: str = "gradient",
    required: Sequence[str] = (),
    noted: Sequence[str] = (),
    starts: Sequence[str] = (),
) -> Plan:
    """Decide what every operation gets: the first rule whose condition it meets, else its gradient or a refusal.

    Args:
        graph: The operations to decide on.
        whole: The model that they are part of: "first", "last" and signs are facts about it.
        rules: (condition, rule or None for the gradient), in order.
        otherwise: "gradient", or "unsupported" to refuse operations that nothing matches and that do not only route.
        required: Conditions that the user named: the rule of each has to act somewhere.
        noted: Conditions whose rules may act nowhere, which the plan then notes; one that is required too has to be met
            by an operation, and may lose it to an earlier rule.
        starts: Sites at whose output relevance starts, "" for the output of the graph.

    Raises:
        UnsupportedOperation: an operation has no rule; the message lists all of them.
        RuleNeverMet: no operation meets a rule, or one that the user named; SiteNeverMet where it names sites,
            RuleTaken where earlier rules took all operations that meet it.
    """
    facts = dict(facts_of(whole))
    own = {node.site: node.operation for node in whole.nodes}
    for node in graph.nodes:
        if node.operation is not own.get(node.site):  # a head that is stripped has another kind here
            facts[node.site] = attrs.evolve(facts[node.site], kind=kind(node.operation))
    chosen: dict[Site, Rule] = {}
    rows: list[PlanRow] = []
    conditions = Conditions()
    moving = graph.dependents(graph.inputs)
    for node in graph.nodes:
        if moving.isdisjoint(node.outputs):  # an embedding of positions: a constant, as far as the inputs go
            why = "does not depend on the input"
            rows += [PlanRow(str(s), type(op).__name__, "gradient", "", why) for s, op, _ in _calls(node)]
            continue
        for site, operation, looped in _calls(node):
            met = conditions.met(rules, site, facts[site])
            row, rule = _decide_one(site, operation, facts[site], met, otherwise, looped=looped, node=node)
            rows.append(row)
            if rule is not None:
                chosen[site] = rule
        rows += [PlanRow(str(s), "BatchNormalization", "folded", "", f"into {node.site}") for s in node.folded]
    _refuse(rows, rules, chosen)
    conditions.refuse(required, noted, [row.operation for row in rows])
    costs = estimate(graph, whole, chosen, facts)
    return Plan(
        _annotated(rows, graph, costs),
        chosen,
        _with_weights(graph, facts, chosen, starts),
        costs.head,
        costs.loop,
        costs.memory,
        (*conditions.notes(noted), *costs.notes),
    )


def _annotated(rows: Sequence[PlanRow], graph: Graph, costs: Estimate) -> tuple[PlanRow, ...]:
    """Return the rows with what each costs, and what it comes after."""
    source = {key: str(node.site) for node in graph.nodes for key in node.outputs}
    passes = {str(site): value for site, value in costs.by_site.items()}
    after = {
        str(node.site): tuple(dict.fromkeys(source[key] for key in node.inputs if key in source))
        for node in graph.nodes
    }
    why = {str(site): text for site, text in costs.uncounted.items()}
    return tuple(
        attrs.evolve(row, passes=passes.get(at), after=after.get(at, ()), uncounted=why.get(at, ""))
        for row in rows
        for at in (row.site,)
    )


def _calls(node: Node) -> list[tuple[Site, object, bool]]:
    inner = [(i.site, i.operation, i.looped) for i in node.inner]
    return [*inner, (node.site, node.operation, False)]


def _decide_one(
    site: Site,
    operation: object,
    facts: Facts,
    met: tuple[str, Rule | None] | None,
    otherwise: str,
    *,
    looped: bool,
    node: Node,
) -> tuple[PlanRow, Rule | None]:
    rule: Rule | None = None
    if node.inner and site == node.site:
        action, why = "gradient", f"run whole, its gradient between the layers inside ({node.why})"
    elif met is not None and met[1] is not None and looped:
        action, why = "unsupported", "called inside a loop of the backend, where no rule can reach it"
    elif met is not None:
        condition, rule = met
        action, why = ("gradient" if rule is None else "rule"), f"meets {condition}"
    elif facts.kind in ROUTING:
        action, why = "gradient", "only routes"
    elif otherwise == "gradient":
        action, why = "gradient", NO_RULE
    else:
        action, why = "unsupported", _why_not(operation, facts)
    text = "" if rule is None else describe(rule)
    return PlanRow(str(site), type(operation).__name__, action, text, why), rule


def _why_not(operation: object, facts: Facts) -> str:
    if type(operation).__name__ == "Lambda":
        return "a Lambda holds Python code that nothing is known of; write it as layers or in keras.ops"
    return f"no rule for kind {facts.kind!r}"


def describe(rule: Rule) -> str:
    """Return a rule's canonical expression, or its representation where no plugin declares it."""
    from xaicore.registry import expression_of  # the registry stands beside the engine; only texts need it

    try:
        return expression_of(rule)
    except NameMistake:
        return repr(rule)


def _refuse(rows: Sequence[PlanRow], rules: RuleMap, chosen: Mapping[Site, Rule]) -> None:
    unsupported = [row for row in rows if row.action == "unsupported"]
    if unsupported:
        listed = "; ".join(f"{r.site} ({r.operation}): {r.why}" for r in unsupported[:8])
        more = f" and {len(unsupported) - 8} more" if len(unsupported) > 8 else ""  # noqa: PLR2004  # a readable line
        raise UnsupportedOperation(
            f"No rule for {len(unsupported)} operation(s): {listed}{more}. "
            'Pass on_unsupported="gradient" to let their gradient stand in, or explain an inner tensor with at=.'
        )
    if rules and not chosen and any(rule is not None for _, rule in rules):
        wanted = ", ".join(dict.fromkeys(c for c, r in rules if r is not None))
        raise RuleNeverMet(
            f"No operation of the model meets a rule (conditions: {wanted}). The result would be the plain gradient. "
            "Operations: " + ", ".join(dict.fromkeys(row.operation for row in rows)) + "."
        )


def _with_weights(
    graph: Graph, facts: Mapping[Site, Facts], rules: Mapping[Site, Rule], starts: Sequence[str] = ()
) -> Mapping[Site, Facts]:
    """Mark the operations whose output's relevance is 0 wherever the output is 0.

    It is where every consumer weights relevance with its input, or only moves it on to ones that do, and where no
    relevance starts: what a user puts there need not be 0 anywhere.
    """
    started = (key for site in starts if site for key in graph.node(site).outputs)
    weighted: dict[int, bool] = dict.fromkeys((*graph.outputs, *started), False)
    takes: dict[int, bool] = {}
    result = dict(facts)
    for node in reversed(graph.nodes):
        out = all(takes.get(k, False) and weighted.get(k, True) for k in node.outputs)
        result[node.site] = attrs.evolve(facts[node.site], weighted=out)
        rule = rules.get(node.site)
        ok = rule.setting.weighted if rule is not None else (facts[node.site].kind in ROUTING and out)
        for key in node.inputs:
            takes[key] = takes.get(key, True) and ok
    return result
