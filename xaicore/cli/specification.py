"""What a YAML file asks for: read without running anything of it, every mistake with file, line and key."""

from __future__ import annotations

import pathlib
import re
from typing import TYPE_CHECKING, Any

import attrs

from xaicore.errors import InvalidSpecification, XaicoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import cattrs
    import yaml

# What plain YAML resolves to; a date, a set or an object of Python is none of what is asked for.
_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map"))

Target = int | str | tuple[int, ...] | None


@attrs.frozen
class Data:
    """What is explained.

    files: one array file, one table, or pictures.  preprocess: for pictures, columns: for a table, reference: a table
    or an array of data that methods learn from, as ``xaicore explain`` has them.
    """

    files: tuple[str, ...]
    preprocess: str | None = None
    columns: str | None = None
    reference: str | None = None


@attrs.frozen
class Specification:
    """One run: a model, data, a target, analyzers.

    Paths are relative to the folder of the file.  analyzers: expressions.  target, head, batch_size, labels: as the
    options of ``xaicore explain``.  output: a folder inside the folder of the file.
    """

    model: str
    data: Data
    analyzers: tuple[str, ...]
    target: Target = None
    head: int | str | None = None
    labels: str | None = None
    output: str = "results"
    batch_size: int | None = None


@attrs.frozen
class Source:
    """A file as it was read: its values, and the line of each key (``$.analyzers[1]`` -> 7)."""

    path: pathlib.Path
    values: object
    lines: dict[str, int]

    def mistake(self, key: str, message: str) -> InvalidSpecification:
        """Return the error of one key, with the line of it or of the nearest key around it."""
        near = key
        while near not in self.lines:
            near = re.sub(r"(\.[^.\[\]]+|\[\d+\])$", "", near)
        return InvalidSpecification(f"{self.path}:{self.lines[near]}: {key.removeprefix('$').lstrip('.')}: {message}")


def read(path: pathlib.Path) -> tuple[Specification, Source]:
    """Return what a file asks for, checked as far as it can be without a model.

    Raises:
        InvalidSpecification: the file is missing or no YAML, a key is unknown, missing or of another type, an
            expression names nothing, or the output lies outside of the file's folder.
    """
    source = _source(path)
    found = _structured(source)
    for number, expression in enumerate(found.analyzers):
        _check_analyzer(source, f"$.analyzers[{number}]", expression, found.data.reference)
    if not found.analyzers:
        raise source.mistake("$.analyzers", "given an empty list; expected at least one expression.")
    folder = path.resolve().parent
    if not (folder / found.output).resolve().is_relative_to(folder):
        raise source.mistake("$.output", f"given {found.output!r}, outside of {folder}; expected a folder inside it.")
    return found, source


def _source(path: pathlib.Path) -> Source:
    import yaml

    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise InvalidSpecification(f"Cannot read {path}: {error}. Expected a YAML file in UTF-8.") from error
    lines: dict[str, int] = {}
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        for event in yaml.parse(text, yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):  # a few of them can stand for millions of values
                begin = event.start_mark
                line = begin.line + 1 if begin is not None else 1
                raise InvalidSpecification(f"{path}:{line}: aliases (*name) are not taken; write the value out.")
        root = loader.get_single_node()
        if root is None:
            raise InvalidSpecification(f"{path}:1: the file is empty; expected the keys {_keys(Specification)}.")
        values = _value(loader, root, "$", lines, path)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark is not None else ""
        said = getattr(error, "problem", None) or " ".join(str(error).split())
        raise InvalidSpecification(f"{path}{where}: no safe YAML: {said}") from error
    except RecursionError:
        raise InvalidSpecification(f"{path}: nested too deeply; a list of lists is as deep as it gets.") from None
    finally:
        if loader is not None:
            loader.dispose()
    return Source(path, values, lines)


def _value(loader: yaml.SafeLoader, node: yaml.Node, key: str, lines: dict[str, int], path: pathlib.Path) -> object:
    """Return the value of a node, and note the line of it and of all below."""
    import yaml

    lines[key] = node.start_mark.line + 1
    if node.tag not in _TAGS:
        raise InvalidSpecification(f"{path}:{lines[key]}: no safe YAML: the tag {node.tag!r} is not taken.")
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, child, f"{key}[{i}]", lines, path) for i, child in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return loader.construct_object(node)
    found: dict[str, object] = {}
    for name, child in node.value:
        text, line = loader.construct_object(name), name.start_mark.line + 1
        if not isinstance(text, str):
            raise InvalidSpecification(f"{path}:{line}: given the key {text!r}; expected text.")
        if text in found:
            raise InvalidSpecification(f"{path}:{line}: the key {text!r} is there twice; leave one of them out.")
        found[text] = _value(loader, child, f"{key}.{text}", lines, path)
        lines[f"{key}.{text}"] = line
    return found


def _structured(source: Source) -> Specification:
    import cattrs

    if not isinstance(source.values, dict):
        raise InvalidSpecification(f"{source.path}:1: expected the keys {_keys(Specification)}.")
    try:
        return _converter().structure(source.values, Specification)
    except cattrs.BaseValidationError as error:
        raise InvalidSpecification("\n".join(map(str, _mistakes(source, error)))) from error


def _mistakes(source: Source, error: BaseException) -> Iterator[InvalidSpecification]:
    """Yield the mistakes that cattrs found, each at its key."""
    import cattrs

    def told(exception: BaseException, kind: type | None) -> str:
        if isinstance(exception, cattrs.ForbiddenExtraKeysError):
            return f"unknown key {', '.join(sorted(exception.extra_fields))}; known keys: {_keys(exception.cl)}."
        if isinstance(exception, KeyError):
            return "missing; it is needed."
        if isinstance(exception, AttributeError) and kind is Data:  # no mapping
            return f"expected the keys {_keys(Data)}."
        return str(exception) if isinstance(exception, TypeError) else f"expected {kind}: {exception}"

    for line in cattrs.transform_error(error, format_exception=told):
        message, _, key = line.rpartition(" @ ")
        unknown = re.match(r"unknown key ([^,;]+)", message)
        yield source.mistake(f"{key}.{unknown[1]}" if unknown else key, message)


def _keys(cls: type[Any]) -> str:
    return ", ".join(field.name for field in attrs.fields(cls))


def _converter() -> cattrs.Converter:
    """Return a converter that takes each value for what it is: cattrs' own makes 50 of "50" and True of "no"."""
    import cattrs

    converter = cattrs.Converter(forbid_extra_keys=True)
    optional_text, whole = "text", "an integer"
    converter.register_structure_hook(str, _only((str,), optional_text))  # a predicate would come after cattrs' own
    converter.register_structure_hook_func(lambda t: t == str | None, _only((str, type(None)), optional_text))
    converter.register_structure_hook_func(lambda t: t == int | None, _only((int, type(None)), whole))
    converter.register_structure_hook_func(
        lambda t: t == int | str | None, _only((int, str, type(None)), f"{whole} or text")
    )
    converter.register_structure_hook_func(lambda t: t == Target, _target)
    converter.register_structure_hook_func(lambda t: t == tuple[str, ...], _texts)
    return converter


def _only(types: tuple[type, ...], expected: str) -> Any:
    def hook(value: object, _: object) -> object:
        if isinstance(value, bool) or not isinstance(value, types):
            raise TypeError(f"given {value!r}; expected {expected}.")
        return _printable(value)

    return hook


def _printable(value: object) -> object:
    """Return a value; no path and no name holds a NUL character, which YAML can write."""
    if isinstance(value, str) and "\0" in value:
        raise TypeError(f"given {value!r}, which holds a NUL character; expected text.")
    return value


def _texts(value: object, _: object) -> tuple[str, ...]:
    """Take one text for a list of one."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise TypeError(f"given {value!r}; expected a list of texts.")
    for one in values:
        _printable(one)
    return tuple(values)


def _target(value: object, _: object) -> Target:
    if isinstance(value, list) and value and all(isinstance(n, int) and not isinstance(n, bool) for n in value):
        return tuple(value)
    if isinstance(value, bool) or not (value is None or isinstance(value, int | str)):
        raise TypeError(f"given {value!r}; expected an integer, a list of one integer per sample, or text.")
    return value  # text that is no target is told with the model's classes


def _check_analyzer(source: Source, key: str, expression: str, reference: str | None) -> None:
    from xaicore.cli.reference import check

    try:
        check(expression, reference)
    except XaicoreError as error:
        raise source.mistake(key, str(error)) from error
