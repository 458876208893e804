"""The classes behind names: import paths, parameters, and which objects serve as which kind."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import attrs

from xaicore.errors import (
    BrokenPlugin,
    InvalidDeclaration,
    InvalidParameter,
    MissingParameter,
    UnknownParameter,
    XaicoreError,
)

Field = attrs.Attribute  # of a part's class: name, alias (the parameter), default, metadata


def load(path: str) -> Any:
    """Import ``package.module:Class``.

    Raises:
        BrokenPlugin: the import fails; its error is the cause.
    """
    module, _, name = path.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for one in name.split("."):
            found = getattr(found, one)
    except (Exception, SystemExit) as error:
        raise BrokenPlugin(f"{path} cannot be imported: {type(error).__name__}: {error}.") from error
    return found


def load_class(path: str) -> type[Any]:
    """Import the attrs class of a row."""
    found = load(path)
    if not isinstance(found, type) or not attrs.has(found):
        raise InvalidDeclaration(f"{path} is {found!r:.60}; expected an attrs class, so that its parameters are known.")
    return found


def is_class(cls: type, path: str) -> bool:
    """Tell whether a class is what an import path names; nothing is imported where the name alone differs."""
    return path.rpartition(":")[2].rpartition(".")[2] == cls.__name__ and load(path) is cls


def fields(cls: type[Any]) -> dict[str, Field[Any]]:
    """Return parameter -> attrs field, in order of definition."""
    return {field.alias or field.name: field for field in attrs.fields(cls) if field.init}


def make(cls: type[Any], given: Mapping[str, object], name: str) -> Any:
    """Call the class.

    Raises:
        MissingParameter: a parameter without a default is not given.
        InvalidParameter: it refuses a value.
    """
    known = fields(cls)
    missing = [key for key, field in known.items() if field.default is attrs.NOTHING and key not in given]
    if missing:
        raise MissingParameter(f"{name} needs {', '.join(missing)}. {parameters(name, cls)}")
    try:
        return cls(**given)
    except InvalidParameter as error:
        raise type(error)(f"{name}: {error} {parameters(name, cls)}") from error
    except XaicoreError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        problem = f"{name} refuses its parameters: {type(error).__name__}: {error}."
        raise InvalidParameter(f"{problem} {parameters(name, cls)}") from error


def parameters(name: str, cls: type[Any]) -> str:
    """Return a sentence with all parameters and their defaults."""
    if not fields(cls):
        return f"{name} has no parameters."
    shown = []
    for key, field in fields(cls).items():
        value = default(field)
        text = type(value).__name__ if attrs.has(type(value)) else repr(value)
        shown.append(key if value is attrs.NOTHING else f"{key}={text}")
    return f"Parameters of {name}: {', '.join(shown)}."


def default(field: Field[Any]) -> Any:
    """Return a field's default, attrs.NOTHING where there is none that stands alone."""
    value: Any = field.default
    if isinstance(value, attrs.Factory):  # type: ignore[arg-type]  # a class at run time, a function to mypy
        return attrs.NOTHING if value.takes_self else value.factory()
    return value


def placed(
    cls: type[Any], name: str, arguments: tuple[object, ...], keywords: Mapping[str, object]
) -> dict[str, object]:
    """Return positional and keyword arguments by parameter.

    Raises:
        UnknownParameter: too many, or one given twice.
    """
    positional = [key for key, field in fields(cls).items() if not field.kw_only]
    if len(arguments) > len(positional):
        raise UnknownParameter(
            f"{name} takes at most {len(positional)} arguments by position, given {len(arguments)}. "
            f"{parameters(name, cls)}"
        )
    found = dict(zip(positional, arguments, strict=False))
    twice = sorted(found.keys() & keywords.keys())
    if twice:
        raise UnknownParameter(f"{name} is given {twice[0]!r} by position and by name. {parameters(name, cls)}")
    return found | renamed(cls, keywords)


def renamed(cls: type[Any], keywords: Mapping[str, object]) -> dict[str, object]:
    """Return keywords with older spellings (metadata ``also`` of a field) by the parameter's name.

    Raises:
        UnknownParameter: a parameter is given under two names.
    """
    older = {old: key for key, field in fields(cls).items() for old in field.metadata.get("also", ())}
    found: dict[str, object] = {}
    for key, value in keywords.items():
        name = older.get(key, key)
        if name in found:
            raise UnknownParameter(f"{name!r} is given twice, under its own name and as {key!r}. Give it once.")
        found[name] = value
    return found


def satisfies(part: object, protocol: str) -> bool:
    """Tell whether an object has all that a protocol names; for parts that no row knows."""
    cls: type[Any] = load(protocol)
    members = {*cls.__annotations__, *(m for m in vars(cls) if m == "__call__" or not m.startswith("_"))}
    return not isinstance(part, type) and all(hasattr(part, member) for member in members)
