"""`xaicore list` and `xaicore show`: what is installed, by name.  Neither imports TensorFlow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

from xaicore.cli.screen import console, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xaicore.registry import Row


@click.command("list")
@click.argument("kind", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects instead of a table.")
def list_names(kind: str | None, *, as_json: bool) -> None:
    """List all names, or those that serve as one KIND: analyzer, rule, filter, ...

    A rule serves as an analyzer, too.
    """
    from xaicore.registry import available

    rows = available(kind)
    if as_json:
        click.echo(json.dumps([_as_object(row) for row in rows], indent=2))
    else:
        _print_rows(rows)
    for line in _broken():
        click.echo(line, err=True)


@click.command()
@click.argument("name")
def show(name: str) -> None:
    """Show a NAME's parameters, formula, publication and the distribution that it comes from."""
    from xaicore.cli.describe import describe

    description = describe(name)
    out = console()
    out.print(description.signature, style="bold")
    lines = Table.grid(padding=(0, 2))
    for label, text in description.lines():
        lines.add_row(Text(label, style="dim"), text)
    out.print(lines)
    if description.documentation:
        out.print(f"\n{description.documentation}")


def _print_rows(rows: Sequence[Row]) -> None:
    lines = table("name", "kind", "from", "what it does")
    for row in rows:
        short = f"{row.name} ({row.declaration.short})" if row.declaration.short else row.name
        lines.add_row(short, row.kind, row.distribution, row.declaration.summary)
    console().print(lines)


def _as_object(row: Row) -> dict[str, object]:
    declared = row.declaration
    return {
        "name": row.name,
        "kind": row.kind,
        "short": declared.short,
        "aliases": list(declared.aliases),
        "summary": declared.summary,
        "formula": declared.formula,
        "cites": list(declared.cites),
        "distribution": row.distribution,
        "version": row.version,
    }


def _broken() -> list[str]:
    from xaicore.registry import default

    registry = default()
    broken = [f"{b.distribution} {b.version} ({b.family}) is broken: {b.error!r}" for b in registry.broken.values()]
    clashes = [f"{name!r} is claimed by {' and by '.join(by)}" for name, by in registry.clashes.items()]
    return [f"{line}. `xaicore doctor` tells more." for line in (*broken, *clashes)]
