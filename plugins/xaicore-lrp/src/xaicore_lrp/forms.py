"""The forms in which a composite takes its rules, and the parameters that it hands on to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from xaicore.errors import InvalidParameter
from xaicore.values import convert_by, numeric_or_array
from xaicore_lrp.box import ZBox
from xaicore_lrp.rules import Epsilon

if TYPE_CHECKING:
    from xaicore.protocols import Rule

_PAIR = 2


def _is_rule(value: object) -> bool:
    return callable(value) and hasattr(value, "setting")


def _is_choice(value: object) -> bool:
    return value is None or _is_rule(value)


def rule_choice(value: Any) -> Any:
    """Take a rule, a list of rules, (condition, rule) pairs, or a mapping from conditions to rules."""
    if _is_rule(value):
        return value
    pairs = tuple(value.items()) if isinstance(value, dict) else tuple(value) if isinstance(value, tuple | list) else ()
    if pairs and all(map(_is_rule, pairs)):
        return pairs
    if not pairs or not all(isinstance(p, tuple | list) and len(p) == _PAIR and _is_choice(p[1]) for p in pairs):
        raise InvalidParameter(
            f"Given rule={value!r}; expected a rule, a list of rules (one per kernel layer, from the input on), "
            "(condition, rule) pairs, or a mapping from conditions to rules; None is the gradient."
        )
    return tuple((condition_text(key), rule) for key, rule in pairs)


def condition_text(key: object) -> str:
    """Return a condition as canonical text; a layer class stands for itself."""
    from xaicore.inspect.conditions import parse  # keras is imported only where a rule map is made

    return str(parse(f"class({key.__name__})" if isinstance(key, type) else str(key)))


def box(value: Any) -> Any:
    """Take (low, high) for the z^B rule with these bounds."""
    if isinstance(value, tuple | list) and len(value) == _PAIR:
        return ZBox(low=value[0], high=value[1])
    if value is not None and not _is_rule(value):
        raise InvalidParameter(f"Given input={value!r}; expected a rule, or the bounds (low, high) of the z^B rule.")
    return value


bound = attrs.Converter(
    lambda value, field: None if value is None else convert_by(numeric_or_array, value, field), takes_field=True
)


def takes(rule: object, name: str) -> bool:
    """Return whether a composite's parameter of this name is for a rule."""
    if name in {"low", "high"}:
        return isinstance(rule, ZBox)
    return isinstance(rule, Epsilon) and (name == "bias" or rule.epsilon is not None)


def changed_by(rule: Rule, given: dict[str, Any]) -> Rule:
    """Return a rule with those of the composite's parameters that are for it."""
    found = {name: value for name, value in given.items() if takes(rule, name)}
    return attrs.evolve(rule, **found) if found else rule  # type: ignore[misc]  # every rule is an attrs class
