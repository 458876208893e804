"""`xaicore run`: a model, data, a target and analyzers named in one YAML file."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

import click

from xaicore.errors import XaicoreError

if TYPE_CHECKING:
    from xaicore.cli.explain import Request
    from xaicore.cli.specification import Specification


@click.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=pathlib.Path))
@click.option("--overwrite", is_flag=True, help="Replace results of the same names.")
def run(path: pathlib.Path, overwrite: bool) -> None:  # click passes options by name
    """Run what FILE (YAML) asks for: `model`, `data`, `analyzers`, and perhaps `target`, `output` and more.

    Paths in it are relative to its folder.  Writes what `xaicore explain` writes.
    """
    from xaicore.cli import explain
    from xaicore.cli.mistakes import check, told
    from xaicore.cli.specification import read

    specification, source = read(path)
    check(specification, source)
    try:
        explain.run(requested(specification, path.parent, overwrite=overwrite))
    except XaicoreError as error:
        raise told(error, source) from error


def requested(specification: Specification, folder: pathlib.Path, *, overwrite: bool) -> Request:
    """Return the request that a specification stands for, its paths taken from a folder."""
    from xaicore.cli.explain import Request

    target = specification.target
    return Request(
        model_path=folder / specification.model,
        input_paths=tuple(folder / file for file in specification.data.files),
        expressions=specification.analyzers,
        target=", ".join(map(str, target)) if isinstance(target, tuple) else None if target is None else str(target),
        preprocess=specification.data.preprocess,
        head=None if specification.head is None else str(specification.head),
        labels=None if specification.labels is None else folder / specification.labels,
        columns=None if specification.data.columns is None else folder / specification.data.columns,
        reference=None if specification.data.reference is None else folder / specification.data.reference,
        output=folder / specification.output,
        batch_size=specification.batch_size,
        overwrite=overwrite,
    )
