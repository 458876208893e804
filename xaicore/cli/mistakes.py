"""Mistakes of a run that its file made, each told with file, line and key."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

from xaicore.errors import (
    InputMistake,
    InvalidSpecification,
    ModelMistake,
    ResultMistake,
    TargetMistake,
    UnknownOutput,
    XaicoreError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xaicore.cli.specification import Source, Specification

# What an option of `xaicore explain` is called in a file: its messages name options.
_OPTIONS = {
    "--preprocess": "$.data.preprocess",
    "--reference": "$.data.reference",
    "--columns": "$.data.columns",
    "--labels": "$.labels",
    "--output": "$.output",
}
_KINDS: tuple[tuple[type[XaicoreError], str], ...] = (
    (UnknownOutput, "$.head"),
    (TargetMistake, "$.target"),
    (ResultMistake, "$.output"),
    (ModelMistake, "$.model"),
    (InputMistake, "$.data"),
)


def check(found: Specification, source: Source) -> None:
    """Check what can be checked without a model: files that are there, a number, the preprocessing.

    Raises:
        InvalidSpecification: with all that is wrong, a line each.
    """
    wrong = [
        source.mistake(key, f"there is no file {path}; paths are relative to {source.path.parent}/.")
        for key, path in _files(found, source.path.parent)
        if not path.is_file()
    ]
    if found.batch_size is not None and found.batch_size < 1:
        wrong.append(source.mistake("$.batch_size", f"given {found.batch_size}; expected an integer of at least 1."))
    if not wrong:
        wrong = list(_refused(found, source))
    if wrong:
        raise InvalidSpecification("\n".join(map(str, wrong)))


def _refused(found: Specification, source: Source) -> Iterator[InvalidSpecification]:
    """Yield what the readers of the small files, and of the text for pictures, refuse."""
    from xaicore.cli.inputs import read_labels
    from xaicore.cli.preprocess_grammar import parse
    from xaicore.cli.tables import read_columns

    folder = source.path.parent
    readers: tuple[tuple[str, str | None, Callable[[str], object]], ...] = (
        ("$.data.preprocess", found.data.preprocess, parse),
        ("$.data.columns", found.data.columns, lambda name: read_columns(folder / name)),
        ("$.labels", found.labels, lambda name: read_labels(folder / name)),
    )
    for key, text, reader in readers:
        try:
            _ = None if text is None else reader(text)
        except XaicoreError as error:
            yield source.mistake(key, str(error))


def told(error: XaicoreError, source: Source) -> XaicoreError:
    """Return a mistake that showed in the run at the key that it is about; itself where it is about none."""
    if isinstance(error, InvalidSpecification):
        return error
    text = str(error)
    by_option = (key for option, key in _OPTIONS.items() if option in text)
    by_kind = (key for kind, key in _KINDS if isinstance(error, kind))
    key = next(by_option, None) or next(by_kind, None)
    return error if key is None else source.mistake(key, text)


def _files(found: Specification, folder: pathlib.Path) -> list[tuple[str, pathlib.Path]]:
    files = [(f"$.data.files[{i}]", name) for i, name in enumerate(found.data.files)]
    named = [("$.model", found.model), *files, ("$.labels", found.labels), ("$.data.columns", found.data.columns)]
    named.append(("$.data.reference", found.data.reference))
    return [(key, folder / name) for key, name in named if name is not None]
