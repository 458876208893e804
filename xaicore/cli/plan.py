"""`xaicore plan`: what every operation of a model would get, known before anything runs."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from xaicore.analyzer import AnalyzerBase
    from xaicore.engine.plan import PlanRow


@click.command()
@click.argument("model_path", metavar="MODEL", type=click.Path(path_type=pathlib.Path))
@click.option("--analyzer", "-a", "expression", metavar="EXPR", required=True, help="Name or expression of a method.")
@click.option("--head", metavar="NAME", help="Name or number of the output, where the model has several.")
def plan(model_path: pathlib.Path, expression: str, head: str | None) -> None:
    """Show what every operation of MODEL would get from an analyzer: a rule or its own gradient."""
    from xaicore.cli.screen import console, table

    analyzer, rows = _plan(model_path, expression, head)
    out = console()
    out.print(f"{analyzer} on {model_path}\n")
    lines = table("site", "operation", "action", "rule", "why")
    for row in rows:
        style = {"unsupported": "red", "gradient": "dim"}.get(row.action)
        lines.add_row(row.site, row.operation, row.action, row.rule, row.why, style=style)
    out.print(lines)


def _plan(model_path: pathlib.Path, expression: str, head: str | None) -> tuple[AnalyzerBase, tuple[PlanRow, ...]]:
    import xaicore
    from xaicore.cli.explain import read_head
    from xaicore.cli.models import load_model

    analyzer = xaicore.get_analyzer(expression)
    return analyzer, analyzer.plan(load_model(model_path), read_head(head)).rows
