"""Objects -> trees of expressions: the one text of an object, from which an equal object is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import attrs

from xaicore.errors import NotExpressible, XaicoreError
from xaicore.expression import ArrayRef, Call, Node, Pipe, Scaled, Sum, Value
from xaicore.registry import parts
from xaicore.values import Array

if TYPE_CHECKING:
    from xaicore.registry.build import Builder
    from xaicore.registry.catalogue import Row


def tree_of(part: object, builder: Builder) -> Node:
    """Return the canonical tree of a part.

    Raises:
        NotExpressible: no row makes objects of its class, or a field holds what the grammar cannot write.
    """
    if isinstance(part, type) or not attrs.has(type(part)):
        raise NotExpressible(_refusal(part))
    return _algebraic(part, builder) or _lifted(part, builder) or _named(part, builder)


def arrays_of(part: object) -> dict[str, Array]:
    """Return the arrays inside a part by digest: what has to be saved beside its expression."""
    return {array.digest: array for array in _arrays(part)}


def _arrays(value: Any) -> Iterator[Array]:
    if isinstance(value, Array):
        yield value
    elif attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            yield from _arrays(getattr(value, field.name))
    elif isinstance(value, Mapping):
        yield from _arrays(tuple(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _arrays(item)


def _algebraic(part: Any, builder: Builder) -> Node | None:
    """Return pipes, sums and multiples."""
    for kind in builder.catalogue.kinds.values():
        for path, write in ((kind.pipe and kind.pipe[0], _pipe), (kind.sum, _sum), (kind.scaled, _scaled)):
            if path is not None and parts.is_class(type(part), path):
                values = [getattr(part, field.name) for field in attrs.fields(type(part))[:2]]
                return write(values, builder)
    return None


def _pipe(values: list[Any], builder: Builder) -> Node:
    first, *filters = (tree_of(part, builder) for part in (values[0], *values[1]))
    calls = tuple(one for one in filters if isinstance(one, Call))
    if not calls or len(calls) < len(filters) or isinstance(first, Pipe):
        raise NotExpressible(
            f"A pipe of {first} and {filters} has no text of its own. Build it with `analyzer | filter`."
        )
    return Pipe(first, calls)


def _sum(values: list[Any], builder: Builder) -> Node:
    terms = tuple(tree_of(term, builder) for term in values[0])
    if len(terms) < 2 or any(isinstance(term, Sum) for term in terms):  # noqa: PLR2004  # a sum has two terms
        raise NotExpressible(f"A sum of {len(terms)} terms, or of sums, has no text of its own. Build it with `+`.")
    return Sum(terms)


def _scaled(values: list[Any], builder: Builder) -> Node:
    factor = _value(values[0], builder)
    assert isinstance(factor, int | float)  # noqa: S101  # what a Scaled takes
    return Scaled(factor, tree_of(values[1], builder))


def _lifted(part: Any, builder: Builder) -> Call | None:
    """Return a lifted part as the expression of what is lifted, with the lift's own parameters behind."""
    for kind in builder.catalogue.kinds.values():
        for path, parameter in kind.lift.values():
            if not parts.is_class(type(part), path):
                continue
            inner = getattr(part, parts.fields(type(part))[parameter].name)
            if kind.name not in builder.kinds_of(inner):
                continue
            found = _keywords(part, {parameter: inner}, builder)
            if found is not None and not found.keys() & parts.fields(type(inner)).keys():
                call = tree_of(inner, builder)
                assert isinstance(call, Call)  # noqa: S101  # only kinds without algebra are lifted
                return attrs.evolve(call, keywords=(*call.keywords, *found.items()))
    return None


def _named(part: Any, builder: Builder) -> Call:
    """Return the call of the row that says most.

    Rows of the class's own distribution before others, short names before long ones.
    """
    found = []
    for row in builder.catalogue.rows.values():
        if parts.is_class(type(part), row.declaration.factory):
            preset = _preset(part, row, builder)
            keywords = None if preset is None else _keywords(part, preset, builder)
            if preset is not None and keywords is not None:
                order = (not _at_home(row, builder), -len(preset), len(keywords), len(row.name), row.name)
                found.append((order, row.name, keywords))
    if not found:
        raise NotExpressible(_refusal(part))
    _, name, keywords = min(found, key=lambda one: one[0])
    return Call(name, (), tuple(keywords.items()))


def _at_home(row: Row, builder: Builder) -> bool:
    """Tell whether the plugin brings the class too; then the text does not change with what else is installed."""
    module = builder.catalogue.found.plugins[row.name.partition(".")[0]].module
    package = getattr(module, "__name__", "").partition(".")[0]
    return row.declaration.factory.partition(":")[0].partition(".")[0] == package


def _preset(part: Any, row: Row, builder: Builder) -> dict[str, object] | None:
    """Return the row's preset where the object's fields have it, None where one differs."""
    known = parts.fields(type(part))
    try:
        preset = builder.preset(row, type(part), {})
        base = _made(type(part), preset)
    except XaicoreError:  # the row is wrong, or a part that it names is not installed
        return None
    for key, value in preset.items():
        own = getattr(part, known[key].name)
        if not (_same(own, value) or (base is not None and _same(own, getattr(base, known[key].name)))):
            return None
    return preset


def _keywords(part: Any, preset: Mapping[str, object], builder: Builder) -> dict[str, Value] | None:
    """Return the shortest parameters that, with the preset, make an equal object; None where none do."""
    known = parts.fields(type(part))
    values = {key: getattr(part, field.name) for key, field in known.items()}
    base = _made(type(part), preset)
    plain = {key: parts.default(field) for key, field in known.items()}
    based = plain if base is None else {key: getattr(base, field.name) for key, field in known.items()}
    choices: tuple[Callable[[str], bool], ...] = (
        lambda key: not _same(values[key], based[key]),
        lambda key: key not in preset and not _same(values[key], plain[key]),
        lambda key: key not in preset,
    )
    for chosen in choices:
        given = {key: value for key, value in values.items() if chosen(key)}
        if _same(_made(type(part), {**preset, **given}), part):
            return {key: _value(value, builder) for key, value in given.items()}
    return None


def _made(cls: type[Any], given: Mapping[str, object]) -> Any:
    """Return an object, or None where the class refuses: rows need not stand without parameters."""
    try:
        return cls(**given)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, XaicoreError):
        return None


def _same(one: object, other: object) -> bool:
    """Tell whether two values are equal and say so in one word; arrays that answer per entry are not."""
    try:
        return one is other or bool(one == other)
    except (TypeError, ValueError):
        return False


def _value(value: object, builder: Builder) -> Value:  # one case per form of the grammar
    """Return a field's value as a tree."""
    match value:
        case None | bool() | str():
            return value
        case Integral():
            return int(value)
        case Real():
            return float(value)
        case Array():
            return ArrayRef(value.digest)
        case list():
            return [_value(item, builder) for item in value]
        case tuple():
            return tuple(_value(item, builder) for item in value)
        case Mapping():
            return {key: _value(item, builder) for key, item in value.items()}
    return tree_of(value, builder)


def _refusal(part: object) -> str:
    what = f"{part!r:.80} ({type(part).__name__})"
    if attrs.has(type(part)):
        return (
            f"{what} cannot be written as an expression: no row of an installed plugin makes an equal object. "
            "Declare its class in a plugin's table to give it a name."
        )
    if callable(part):
        return f"{what} is a function, and cannot be written as an expression. Use a named part in its place."
    if hasattr(part, "__array__"):
        return f"{what} is an array that can change; put it into xaicore.values.Array, which has a text."
    return f"{what} cannot be written as an expression; that holds None, True, numbers, text, lists, and named parts."
