"""Entry points -> rows -> objects, and objects -> text.

A Registry is a value of what is installed; ``default()`` builds the one of this process when it is first needed.
Looking a name up imports the class that it names and nothing else: no TensorFlow.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import attrs

from xaicore.errors import NameClash, UnknownParameter
from xaicore.expression import unparse
from xaicore.registry import hooks
from xaicore.registry.build import Builder
from xaicore.registry.catalogue import Catalogue, Row
from xaicore.registry.discovery import VARIABLE, Broken, Plugin, discover, register

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    import click

    from xaicore.analyzer import AnalyzerBase
    from xaicore.declaration import Kind
    from xaicore.protocols import CostFunction, Filter, Optimizer, Quadrature, Rule
    from xaicore.values import Array

__all__ = [
    "VARIABLE",
    "Broken",
    "Registry",
    "Row",
    "available",
    "commands",
    "default",
    "expression_of",
    "get",
    "get_analyzer",
    "get_cost",
    "get_filter",
    "get_optimizer",
    "get_quadrature",
    "get_rule",
    "layer_readers",
]


@attrs.frozen(eq=False)
class Registry:
    """All names of a set of plugins.  Make it by ``from_entry_points`` or ``from_modules``."""

    catalogue: Catalogue

    @classmethod
    def from_entry_points(cls, selection: str | None = None, points: Iterable[EntryPoint] | None = None) -> Registry:
        """Return the registry of entry points, by default of all that are installed.

        Args:
            selection: Families to load, "lrp,gradient"; empty for core's own only, None for all.
            points: Entry points in place of those that are installed.
        """
        return cls(Catalogue.of(discover(selection, points)))

    @classmethod
    def from_modules(cls, modules: Mapping[str, object], version: str = "0") -> Registry:
        """Return the registry of plugins given as family -> module (or any object with hook implementations)."""
        return cls(Catalogue.of(register(Plugin(f, f"xaicore-{f}", version, m) for f, m in modules.items())))

    @property
    def broken(self) -> Mapping[str, Broken]:
        """Plugins that could not be used, by family, with their errors and tracebacks."""
        return self.catalogue.broken

    @property
    def clashes(self) -> Mapping[str, tuple[str, ...]]:
        """Families and bare names that are claimed more than once -> who claims them."""
        shorts = {name: rows for name, rows in self.catalogue.bare.items() if len(rows) > 1}
        claimed = {
            name: tuple(f"{r.distribution} {r.version} ({r.name})" for r in rows) for name, rows in shorts.items()
        }
        return {**self.catalogue.found.clashes, **claimed}

    @property
    def disabled(self) -> Mapping[str, str]:
        """Families that XAICORE_PLUGINS leaves out, with their distributions."""
        return self.catalogue.found.disabled

    @property
    def unknown(self) -> tuple[str, ...]:
        """Families that XAICORE_PLUGINS names and nobody brings."""
        return self.catalogue.found.unknown

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """All kinds of parts, by name."""
        return self.catalogue.kinds

    @property
    def plugins(self) -> Mapping[str, Plugin]:
        """The plugins that were loaded, by family."""
        return self.catalogue.found.plugins

    def find(self, name: str) -> Row:
        """Return the row of a name, short name, family or alias; raise what ``get`` raises."""
        return self.catalogue.find(name)

    def get(self, part: object, kind: str, *, arrays: Mapping[str, object] | None = None, **parameters: object) -> Any:
        """Return the part that an expression names, as a kind; an object is checked, and lifted where needed."""
        builder = Builder(self.catalogue, arrays or {})
        if isinstance(part, str):
            return builder.text(part, kind, parameters)
        if parameters:
            raise UnknownParameter(f"Given an object and {', '.join(parameters)}; parameters go with a name as text.")
        return builder.serve(part, kind)

    def available(self, kind: str | None = None) -> tuple[Row, ...]:
        """Return the rows by name: all, or those that ``get`` makes this kind of, lifted ones too."""
        if kind is None:
            return tuple(self.catalogue.rows.values())
        Builder(self.catalogue).known(kind)
        serving = {one.name for one in self.kinds.values() if one.name == kind or kind in one.lift}
        return tuple(row for row in self.catalogue.rows.values() if row.kind in serving)

    def expression_of(self, part: object) -> str:
        """Return the canonical text: ``get(expression_of(part), kind) == part``.

        Raises:
            NotExpressible: the part holds what no text stands for, such as a function.
        """
        from xaicore.registry.canonical import tree_of

        return unparse(tree_of(part, Builder(self.catalogue)))

    def arrays_of(self, part: object) -> Mapping[str, Array]:
        """Return the arrays inside a part by digest: pass them to ``get(..., arrays=)`` with its expression."""
        from xaicore.registry.canonical import arrays_of

        return arrays_of(part)

    def layer_readers(self) -> Mapping[str, object]:
        """Return the readers of third parties' layers by class path; a plugin that fails is in ``broken``."""
        found: dict[str, object] = {}
        for answer in self.catalogue.answers("xaicore_layer_readers", hooks.readers):
            twice = sorted(found.keys() & answer.keys())
            if twice:
                raise NameClash(f"Two plugins read the layer {twice[0]}. Uninstall one, or leave it out of {VARIABLE}.")
            found |= answer
        return found

    def commands(self) -> tuple[click.Command, ...]:
        """Return the commands of plugins; a plugin that fails is in ``broken``."""
        return tuple(one for answer in self.catalogue.answers("xaicore_commands", hooks.commands) for one in answer)


@cache
def default() -> Registry:
    """Return the registry of what is installed, built once; the variable XAICORE_PLUGINS selects families."""
    return Registry.from_entry_points(os.environ.get(VARIABLE))


def get(part: object, kind: str, *, arrays: Mapping[str, object] | None = None, **parameters: object) -> Any:
    """Return the part that an expression names.

    Args:
        part: An expression, ``lrp.epsilon(epsilon=0.25)``, or an object, which is checked.
        kind: "analyzer", "rule", "filter", ...; a part of another kind is lifted where that is declared.
        arrays: digest -> array, for ``array("sha256:...")`` in the expression.
        parameters: Further parameters of the name.

    Raises:
        NameMistake: ExpressionSyntax, UnknownName, UnknownParameter, ...; each says what to do.
    """
    return default().get(part, kind, arrays=arrays, **parameters)


def get_analyzer(part: object, **parameters: object) -> AnalyzerBase:
    """Return ``get(part, "analyzer", **parameters)``."""
    analyzer: AnalyzerBase = default().get(part, "analyzer", **parameters)  # type: ignore[arg-type]
    return analyzer


def get_rule(part: object, **parameters: object) -> Rule:
    """Return ``get(part, "rule", **parameters)``."""
    rule: Rule = default().get(part, "rule", **parameters)  # type: ignore[arg-type]
    return rule


def get_quadrature(part: object, **parameters: object) -> Quadrature:
    """Return ``get(part, "quadrature", **parameters)``."""
    quadrature: Quadrature = default().get(part, "quadrature", **parameters)  # type: ignore[arg-type]
    return quadrature


def get_cost(part: object, **parameters: object) -> CostFunction:
    """Return ``get(part, "cost", **parameters)``."""
    cost: CostFunction = default().get(part, "cost", **parameters)  # type: ignore[arg-type]
    return cost


def get_optimizer(part: object, **parameters: object) -> Optimizer:
    """Return ``get(part, "optimizer", **parameters)``."""
    optimizer: Optimizer = default().get(part, "optimizer", **parameters)  # type: ignore[arg-type]
    return optimizer


def get_filter(part: object, **parameters: object) -> Filter:
    """Return ``get(part, "filter", **parameters)``."""
    found: Filter = default().get(part, "filter", **parameters)  # type: ignore[arg-type]
    return found


def available(kind: str | None = None) -> tuple[Row, ...]:
    """Return the registered names: all, or those that serve as a kind, lifted ones too."""
    return default().available(kind)


def expression_of(part: object) -> str:
    """Return the canonical text of a part, ``get(expression_of(part), kind) == part``; else NotExpressible."""
    return default().expression_of(part)


def layer_readers() -> Mapping[str, object]:
    """Return how third parties' layers are read: class path -> reader."""
    return default().layer_readers()


def commands() -> tuple[click.Command, ...]:
    """Return the commands that plugins add to ``xaicore``."""
    return default().commands()
