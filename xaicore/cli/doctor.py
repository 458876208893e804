"""`xaicore doctor`: what is installed, what is slow, what is broken."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import click

from xaicore.errors import NameClash

if TYPE_CHECKING:
    from rich.console import Console

    from xaicore.registry import Registry

NEEDED = ("keras", "tensorflow", "numpy", "attrs", "pluggy")
OPTIONAL = ("click", "rich", "jinja2", "pillow", "scikit-image", "fer")
IMPORTED = ("xaicore", "keras")


@click.command()
@click.option("--fast", is_flag=True, help="Leave out the import times, which need a fresh Python each.")
@click.pass_context
def doctor(context: click.Context, *, fast: bool) -> None:
    """Show versions, plugins, import times, and broken plugins with their traceback.

    The exit code is 1 if something is broken.
    """
    from xaicore.cli.screen import console

    out = console()
    _print_versions(out)
    healthy = _print_plugins(out)
    if not fast:
        _print_times(out)
    out.print("\nAll is well." if healthy else "\nSomething is broken, see above.")
    context.exit(0 if healthy else 1)


def _print_versions(out: Console) -> None:
    from xaicore.cli.screen import table
    from xaicore.cli.versions import version_of, versions

    lines = table("distribution", "version", "")
    for name, version in versions().items():
        lines.add_row(name, version, "")
    for names, note in ((NEEDED, "needed"), (OPTIONAL, "for the command line and the demo")):
        for name in names:
            if name not in versions():
                lines.add_row(name, version_of(name), note)
    out.print(lines)


def _print_plugins(out: Console) -> bool:
    from xaicore.cli.screen import table
    from xaicore.registry import VARIABLE, default

    registry = default()
    healthy = _ask(registry, out)
    lines = table("family", "distribution", "version", "names", number=("names",))
    for family, plugin in sorted(registry.plugins.items()):
        count = sum(1 for row in registry.available() if row.name.startswith(f"{family}."))
        lines.add_row(family, plugin.distribution, plugin.version, str(count))
    for family, distribution in sorted(registry.disabled.items()):
        lines.add_row(family, distribution, "", f"switched off by {VARIABLE}")
    out.print()
    out.print(lines)
    for name in registry.unknown:
        out.print(f"\n{VARIABLE} names {name!r}, and no plugin of this family is installed.", style="red")
    for name, claims in registry.clashes.items():
        out.print(f"\nCLASH: {name!r} is claimed by {' and by '.join(claims)}. Uninstall one of them.", style="red")
    for broken in registry.broken.values():
        out.print(f"\nBROKEN: {broken.distribution} {broken.version} ({broken.family}): {broken.error!r}", style="red")
        out.print(broken.traceback.rstrip())
    return healthy and not registry.broken and not registry.clashes and not registry.unknown


def _ask(registry: Registry, out: Console) -> bool:
    """Ask the hooks that are otherwise asked when their answer is first needed: what is wrong with it shows here."""
    registry.commands()
    try:
        registry.layer_readers()
    except NameClash as error:
        out.print(f"\nCLASH: {error}", style="red")
        return False
    return True


def _print_times(out: Console) -> None:
    """Print how long a fresh Python needs for an import, its own start included and given beside it."""
    out.print()
    bare = _seconds("pass")
    out.print(f"python alone      {bare:6.2f} s")
    for name in IMPORTED:
        out.print(f"import {name:10} {_seconds(f'import {name}'):6.2f} s")


def _seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)  # noqa: S603  # our own text
    return time.perf_counter() - start
