"""What is to be said of one name: parameters, formula, publication, origin."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import attrs

from xaicore.registry import default, parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from xaicore.registry import Row


@attrs.frozen
class Description:
    """What `xaicore show` prints.

    signature: the name with its parameters and their values where none is given.
    above: parameters that it also takes where it serves as another kind: (kind, parameters).
    documentation: what the author wrote about the part.
    """

    row: Row
    signature: str
    above: tuple[tuple[str, str], ...]
    documentation: str

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield (label, text), without what is empty."""
        declared = self.row.declaration
        also = f" (also an {', '.join(k for k, _ in self.above)})" if self.above else ""
        fixed = ", ".join(f"{k}={_value(v)}" for k, v in declared.preset.items())
        other = ", ".join(filter(None, (declared.short, *declared.aliases)))
        pairs = [
            ("kind", self.row.kind + also),
            ("does", declared.summary),
            ("formula", declared.formula),
            ("fixes", fixed),
            ("cites", ", ".join(declared.cites)),
            ("other names", other),
            ("from", f"{self.row.distribution} {self.row.version}, {declared.factory}"),
            *((f"as {kind}", f"also takes {text}") for kind, text in self.above),
        ]
        return ((label, text) for label, text in pairs if text)


def describe(name: str) -> Description:
    """Return the description of a name, of a bare name, of a family or of an alias.

    Raises:
        UnknownName, FamilyNotInstalled, BrokenPlugin: what is wrong with the name.
    """
    registry = default()
    row = registry.find(name)
    factory = parts.load_class(row.declaration.factory)
    preset = row.declaration.preset
    own = _parameters(factory, leave=preset)
    above = tuple(
        (kind, _parameters(parts.load_class(path), leave={parameter: None}))
        for kind, (path, parameter) in registry.kinds[row.kind].lift.items()
    )
    return Description(row, f"{row.name}({own})", above, inspect.getdoc(factory) or "")


def summary_of(expression: str) -> str:
    """Return the summary of the outermost name of an expression; nothing where a filter's pipe surrounds it."""
    row = default().find(expression.partition("|")[0].partition("(")[0].strip())
    return row.declaration.summary


def _parameters(factory: type, leave: Mapping[str, object]) -> str:
    shown = []
    for name, field in parts.fields(factory).items():
        value = parts.default(field)
        if name not in leave:
            shown.append(name if value is attrs.NOTHING else f"{name}={_value(value)}")
    return ", ".join(shown)


def _value(value: object) -> str:
    """Return a value as an expression writes it: a part by its name."""
    from xaicore.errors import NotExpressible
    from xaicore.registry import expression_of

    if value is None or isinstance(value, str | int | float | tuple | list):
        return repr(value)
    try:
        return expression_of(value)
    except NotExpressible:
        return repr(value)
