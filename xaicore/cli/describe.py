"""What is to be said of one name: parameters, formula, publication, origin."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

import attrs

from xaicore.errors import XaicoreError
from xaicore.inspect.kind_names import BY_A_CONSTANT, LAYER_NAMES, OPERATION_NAMES, STAGED
from xaicore.registry import default, parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from xaicore.protocols import RuleMap, Setting
    from xaicore.registry import Row


_KERNEL = ("conv", "dense")
# What operations get that no rule is for.
_REST = {"unsupported": "refused, unless on_unsupported='gradient'", "gradient": "their gradient"}
# Words of conditions that stand for several kinds.
_AFFINE = {"affine": (*_KERNEL, "norm"), "contains_kernel": _KERNEL, "first": _KERNEL, "relu": ("activation",)}


@attrs.frozen
class Description:
    """What `xaicore show` prints.

    signature: the name with its parameters and their values where none is given.
    above: parameters that it also takes where it serves as another kind: (kind, parameters).
    documentation: what the author wrote about the part.
    covers: (label, text): of a rule, what it acts on, and what acts around it where it alone is named; of an analyzer
        made of several, which acts where.
    """

    row: Row
    signature: str
    above: tuple[tuple[str, str], ...]
    documentation: str
    covers: tuple[tuple[str, str], ...] = ()

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
            *self.covers,
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
    setting = getattr(factory, "setting", None)
    covers = tuple(_rules(name) if setting is None else _covers(setting))
    return Description(row, f"{row.name}({own})", above, inspect.getdoc(factory) or "", covers)


def _covers(setting: Setting) -> Iterator[tuple[str, str]]:
    """Yield what a rule acts on, by condition and by layer, and its companions."""
    yield "acts on", setting.applies
    kinds = [kind for word in re.findall(r"\w+", setting.applies) for kind in _AFFINE.get(word, (word,))]
    names = [name for kind in kinds for name in LAYER_NAMES.get(kind, ())]
    if "conv" in kinds:
        names += [f"{name} (each of its two stages)" for name in STAGED]
    yield "layers", ", ".join(dict.fromkeys(names))
    operations = [name for name, kind in OPERATION_NAMES.items() if kind in kinds]
    if "dense" in kinds:
        operations += [f"{name} (by a constant)" for name in BY_A_CONSTANT]
    yield "keras.ops", ", ".join(operations)
    by_rule: dict[str, list[str]] = {}
    for condition, rule in setting.companions:
        by_rule.setdefault(rule or "the gradient", []).append(condition)
    yield "around it", "; ".join(f"{rule} on {', '.join(conditions)}" for rule, conditions in by_rule.items())
    yield "others", _REST[setting.otherwise]


def _rules(name: str) -> Iterator[tuple[str, str]]:
    """Yield which rules an analyzer is made of, in the order in which they are asked."""
    try:
        mapped: Callable[[], tuple[RuleMap, str]] = default().get(name, "analyzer").rule_map
        rules, otherwise = mapped()
    except (XaicoreError, AttributeError):  # of another kind, without rules, or of nothing yet: it has to learn first
        return
    if rules:
        yield "rules", "; ".join(f"{'the gradient' if r is None else _text(r)} on {where}" for where, r in rules)
        yield "others", _REST[otherwise]


def _text(rule: object) -> str:
    try:
        return default().expression_of(rule)
    except XaicoreError:  # no plugin declares it
        return repr(rule)


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
