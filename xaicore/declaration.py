"""What a plugin's tables are made of: rows of names, kinds of parts, and fields that hold parts."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs

from xaicore.errors import InvalidDeclaration

MEMBER = re.compile(r"[a-z][a-z0-9_]*")
_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
# Older systems had capitals behind the dot: `lrp.z_IB`.
_FULL = re.compile(r"[a-z][a-z0-9_]*\.[A-Za-z][A-Za-z0-9_]*")


def is_bare(name: object) -> bool:
    """Tell whether a text can stand alone in an expression: lower case, ``[a-z][a-z0-9_]*``, nothing reserved."""
    return (
        isinstance(name, str) and bool(MEMBER.fullmatch(name)) and not keyword.iskeyword(name) and name not in _RESERVED
    )


_RESERVED = frozenset({"array"})  # array("sha256:...") stands for an array that was saved beside an expression


def _path(_: object, field: attrs.Attribute[str], value: Any) -> None:
    if not isinstance(value, str) or not _PATH.fullmatch(value):
        raise InvalidDeclaration(
            f"Given {field.name}={value!r}; expected an import path as text, 'package.module:Class'."
        )


def _frozen_preset(preset: Any) -> Mapping[str, object]:
    if not isinstance(preset, Mapping) or not all(isinstance(key, str) and key.isidentifier() for key in preset):
        raise InvalidDeclaration(f"Given preset={preset!r}; expected a dict from names of parameters to values.")
    return MappingProxyType(dict(preset))


def _short(_: object, __: object, value: Any) -> None:
    if value is not None and not is_bare(value):
        raise InvalidDeclaration(
            f"Given short={value!r}; expected lower-case letters, digits and underscores, no word of Python, or None."
        )


def _texts(values: Any) -> tuple[str, ...]:
    if isinstance(values, str):
        raise InvalidDeclaration(f"Given the text {values!r}; expected a tuple of texts. Write ({values!r},).")
    return tuple(values)


def _names(_: object, __: object, values: tuple[Any, ...]) -> None:
    for value in values:
        if not is_bare(value) and not (isinstance(value, str) and _FULL.fullmatch(value)):
            raise InvalidDeclaration(
                f"Given the alias {value!r}; expected `name` or `family.name` in lower case, a member as it was."
            )


@attrs.frozen
class Declaration:
    """One row of a plugin's table: one name.

    Args:
        kind: What the part is: "analyzer", "rule", "filter", ...
        factory: Import path of its attrs class, "package.module:Class"; imported only when the name is used.
        preset: Parameters that the name sets.  Text for a field made by ``part`` is an expression.
        summary: One sentence.
        cites: Keys of publications.
        short: A bare name that stands for the row, unique over all distributions.
        aliases: Further names, bare or of the own family, there also in an older spelling with capitals; looked up
            after all others, never printed.
        formula: One line of text.

    Raises:
        InvalidDeclaration: a field breaks the rules above.
    """

    kind: str
    factory: str = attrs.field(validator=_path)
    preset: Mapping[str, object] = attrs.field(factory=dict, converter=_frozen_preset, hash=False)
    summary: str = ""
    cites: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    short: str | None = attrs.field(default=None, validator=_short)
    aliases: tuple[str, ...] = attrs.field(default=(), converter=_texts, validator=_names)
    formula: str = ""


def _lift(lift: Mapping[str, Any]) -> Mapping[str, tuple[str, str]]:
    for target, value in lift.items():
        match value:
            case (str(path), str()) if _PATH.fullmatch(path):
                continue
        raise InvalidDeclaration(
            f"Given the lift {target!r}: {value!r}; expected ('package.module:Class', the parameter that takes it)."
        )
    return MappingProxyType({target: (path, parameter) for target, (path, parameter) in lift.items()})


@attrs.frozen
class Kind:
    """A kind of part.

    Args:
        name: "rule".
        protocol: Import path of the protocol that its parts satisfy.
        lift: Makes the kind serve as another: kind asked for -> (class, its parameter that takes the part).
        pipe: What ``part | other`` makes: (class of two fields, the part and a tuple; kind of what follows).
        sum: Class that ``a + b`` makes; its first field takes a tuple of terms.
        scaled: Class that ``number * a`` makes; its first two fields take the number and the part.
    """

    name: str
    protocol: str = attrs.field(validator=_path)
    lift: Mapping[str, tuple[str, str]] = attrs.field(factory=dict, converter=_lift, hash=False)
    pipe: tuple[str, str] | None = None
    sum: str | None = None
    scaled: str | None = None


def part(kind: str, *, many: bool | None = None, literal: bool = False, **field: Any) -> Any:
    """Make an attrs field whose value is itself a named part; text for it is an expression of this kind.

    Args:
        kind: Kind of the part.
        many: Whether the field takes a tuple, list or dict with parts inside (text stands for a part there too, except
            for the first of a pair and the key of a dict); by default, whether its default is one.
        literal: Whether the field's converter takes numbers and arrays too.
        field: Keyword arguments of ``attrs.field``.
    """
    several = isinstance(field.get("default"), tuple | list | dict) if many is None else many
    own = {"kind": kind, "many": several, "literal": literal}
    return attrs.field(metadata={**field.pop("metadata", {}), **own}, **field)
