"""`xaicore demo`: real trained networks on real data, every family of methods, on one HTML page.

A network is a module here that finds its files (``find``) and makes its part of the page (``section``).
"""

from __future__ import annotations

import importlib
import pathlib
from typing import TYPE_CHECKING, Any

import click

from xaicore.errors import PackageMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from xaicore.cli.report import Page

NETWORKS = {
    "expressions": "xaicore.cli.demo.expressions",
    "imagenet": "xaicore.cli.demo.imagenet",
    "applicants": "xaicore.cli.demo.applicants",
}


@click.command()
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=click.Path(path_type=pathlib.Path, dir_okay=False),
    default="xaicore-demo.html",
    show_default=True,
    help="The page; a page of this name is replaced.",
)
@click.option(
    "--network",
    "-n",
    "names",
    type=click.Choice(tuple(NETWORKS)),
    multiple=True,
    help="One network alone; can be given again.  Default: all three.",
)
def demo(output: pathlib.Path, names: tuple[str, ...]) -> None:
    """Explain three real networks with every family of methods, on one self-contained HTML page.

    A face and its expression, photographs and their ImageNet classes, people and a decision about them.
    Networks, photographs and data come out of installed packages; nothing is downloaded.
    What is not installed is left out, and the page says which `pip install` brings it.
    """
    from xaicore.cli.report import render
    from xaicore.cli.screen import console

    out = console()
    page = build([NETWORKS[name] for name in names or NETWORKS], say=out.print)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(render(page), encoding="utf-8")
    out.print(f"\nThe page is {output.resolve()}")


def build(modules: Iterable[str], say: Callable[[str], None]) -> Page:
    """Return the page about the networks of these modules; ``say`` gets a line for each step that is done.

    Raises:
        PackageMissing: nothing of any network is installed.
        UnreadableModel, UnreadableInput: a file is not the one that the demo was written for.
    """
    from xaicore.cli.report import Page
    from xaicore.cli.versions import versions

    found: list[tuple[Any, Any]] = []
    left_out = []
    for module in map(importlib.import_module, modules):
        try:
            found.append((module, module.find()))
        except PackageMissing as error:
            left_out.append(f"{module.TITLE}: {error}")
            say(f"Left out: {left_out[-1]}")
    if not found:
        raise PackageMissing(" ".join(["The demo has no network to show.", *left_out]))
    sections = []
    for module, data in found:
        say(f"\n{module.TITLE}: {data.network}")
        sections.append(module.section(data, say))
    return Page(title="What networks go by", sections=sections, left_out=left_out, versions=versions())
