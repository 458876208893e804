"""What a plugin answers to a hook, checked as soon as it is asked, so that what is wrong breaks this plugin only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from xaicore.errors import InvalidDeclaration

if TYPE_CHECKING:
    import click


def readers(answer: object) -> dict[str, object]:
    """Return the answer to ``xaicore_layer_readers``: class path -> a function, the import path of one, or a kind.

    Raises:
        InvalidDeclaration: it is none.
    """
    if not isinstance(answer, Mapping):
        raise InvalidDeclaration(
            f"xaicore_layer_readers returned {answer!r:.60}; expected a dict: class path 'module:Class' -> reader."
        )
    found = dict(answer)
    for path, reader in found.items():
        if not is_path(path):
            raise InvalidDeclaration(
                f"xaicore_layer_readers names the layer {path!r:.60}; expected its class as 'module:Class'."
            )
        if not (callable(reader) or is_path(reader) or is_kind(reader)):
            raise InvalidDeclaration(
                f"xaicore_layer_readers gives {reader!r:.60} for {path}; expected a function of the layer, the import "
                "path of one, 'module:function', or a kind of operation, such as 'activation'."
            )
    return found


def commands(answer: object) -> tuple[click.Command, ...]:
    """Return the answer to ``xaicore_commands``: commands of click, which is there wherever this is asked.

    Raises:
        InvalidDeclaration: it is none.
    """
    import click

    found = tuple(answer) if isinstance(answer, Iterable) and not isinstance(answer, str | Mapping) else None
    if found is None or not all(isinstance(one, click.Command) and one.name for one in found):
        raise InvalidDeclaration(
            f"xaicore_commands returned {answer if found is None else list(found)!r:.60}; expected a list of "
            "click.Command objects, each with a name."
        )
    return found


def is_kind(value: object) -> bool:
    """Return whether a value looks like the name of a kind of operation; which there are, inspection knows."""
    return isinstance(value, str) and value.isidentifier() and value.islower()


def is_path(value: object) -> bool:
    """Return whether a value looks like an import path, ``module:name``."""
    return isinstance(value, str) and all(part for part in value.partition(":"))
