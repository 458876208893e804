"""`xaicore plan`: what every operation of a model would get and cost, known before anything runs."""

from __future__ import annotations

import json
import pathlib
from typing import TYPE_CHECKING

import attrs
import click

from xaicore.inspect.mermaid import escaped

if TYPE_CHECKING:
    from xaicore.analyzer import AnalyzerBase
    from xaicore.engine.plan import Plan

# Colours of the rules of a plan, in the order in which they are met (Okabe and Ito's palette for the colour-blind).
COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#0072B2", "#D55E00")
PLAIN, WRONG = "#eeeeee", "#ff8888"


@click.command()
@click.argument("model_path", metavar="MODEL", type=click.Path(path_type=pathlib.Path))
@click.option("--analyzer", "-a", "expression", metavar="EXPR", required=True, help="Name or expression of a method.")
@click.option("--head", metavar="NAME", help="Name or number of the output, where the model has several.")
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--mermaid", "form", flag_value="mermaid", help="Print a Mermaid graph, coloured by rule.")
def plan(model_path: pathlib.Path, expression: str, head: str | None, form: str | None) -> None:
    """Show what every operation of MODEL would get from an analyzer, a rule or its own gradient, and what it costs."""
    analyzer, found = _plan(model_path, expression, head)
    if form == "json":
        click.echo(as_json(str(analyzer), found))
    elif form == "mermaid":
        click.echo(as_mermaid(found))
    else:
        _print(f"{analyzer} on {model_path}", found)


def as_json(analyzer: str, plan: Plan) -> str:
    """Return a plan for programs: totals, and the rows."""
    fixed, per_sample = plan.memory or (None, None)
    document = {
        "analyzer": analyzer,
        "forward_passes": plan.passes,
        "bytes_fixed": fixed,
        "bytes_per_sample": per_sample,
        "fallbacks": plan.fallbacks,
        "notes": list(plan.notes),
        "rows": [attrs.asdict(row) for row in plan.rows],
    }
    return json.dumps(document, indent=2)


def as_mermaid(plan: Plan) -> str:
    """Return a plan as a Mermaid flowchart: a box per site, an arrow per tensor, a colour per rule."""
    rules = dict.fromkeys(row.rule for row in plan.rows if row.rule)
    names = {row.site: f"n{number}" for number, row in enumerate(plan.rows)}
    lines = ["flowchart TD"]
    for row in plan.rows:
        said = [row.site, row.operation, row.rule or row.action]
        lines.append(f'    {names[row.site]}["{"<br/>".join(escaped(text) for text in said)}"]')
        lines += [f"    {names[before]} --> {names[row.site]}" for before in row.after if before in names]
    for number, rule in enumerate(rules):
        colour = COLOURS[number % len(COLOURS)]
        lines.append(f"    classDef rule{number} fill:{colour}")
        lines.append(f"    class {','.join(names[row.site] for row in plan.rows if row.rule == rule)} rule{number}")
    for action, colour in (("gradient", PLAIN), ("unsupported", WRONG)):
        sites = [names[row.site] for row in plan.rows if row.action == action]
        if sites:
            lines += [f"    classDef {action} fill:{colour}", f"    class {','.join(sites)} {action}"]
    return "\n".join(lines)


def totals(plan: Plan) -> str:
    """Return what a plan costs, as a sentence."""
    told = "" if not plan.fallbacks else f" {plan.fallbacks} operations that no rule meets get their gradient."
    if plan.passes is None:
        return f"Cost of the whole unknown.{told}"
    memory = "memory unknown, where lengths are free or a part runs whole"
    if plan.memory is not None:
        fixed, per_sample = plan.memory
        memory = (
            f"memory beside the weights {fixed / 1e6:.3g} MB and {per_sample / 1e6:.3g} MB for each sample of a batch"
        )
    return f"About {plan.passes:.3g} forward passes; {memory}.{told}"


def _print(title: str, found: Plan) -> None:
    from xaicore.cli.screen import console, table

    out = console()
    out.print(f"{title}\n")
    lines = table("site", "operation", "action", "rule", "passes", "why", number=("passes",))
    for row in found.rows:
        style = {"unsupported": "red", "gradient": "dim", "explained": "bold"}.get(row.action)
        passes = "" if row.passes is None else f"{row.passes:.3f}"
        lines.add_row(row.site, row.operation, row.action, row.rule, passes, row.why, style=style)
    out.print(lines)
    out.print(f"\n{' '.join((totals(found), *found.notes))}")


def _plan(model_path: pathlib.Path, expression: str, head: str | None) -> tuple[AnalyzerBase, Plan]:
    import xaicore
    from xaicore.cli.explain import read_head
    from xaicore.cli.models import load_model

    analyzer = xaicore.get_analyzer(expression)
    return analyzer, analyzer.plan(load_model(model_path), read_head(head))
