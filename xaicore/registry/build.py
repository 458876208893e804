"""Trees of expressions -> objects."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from xaicore.errors import BrokenPlugin, InvalidDeclaration, InvalidParameter, UnknownName, UnknownParameter, WrongKind
from xaicore.expression import ArrayRef, Call, Node, Pipe, Scaled, Sum, Value, parse_value, unparse
from xaicore.registry import parts

if TYPE_CHECKING:
    from xaicore.registry.catalogue import Catalogue, Row


@attrs.frozen(eq=False)
class Builder:
    """Makes objects of names.

    Args:
        catalogue: The names.
        arrays: digest -> array, for ``array("sha256:...")``.
        within: Rows whose presets are being resolved, to see a row that holds itself.
    """

    catalogue: Catalogue
    arrays: Mapping[str, object] = attrs.field(factory=dict)
    within: tuple[str, ...] = ()

    def text(self, text: str, kind: str, given: Mapping[str, object]) -> Any:
        """Return the object that a text names, as a kind, with further parameters."""
        value = parse_value(text)
        if not isinstance(value, Node):
            raise InvalidParameter(f"Given {text!r}; expected the name of a part of kind {kind!r}.")
        return self.node(value, kind, given)

    def node(self, node: Node, kind: str, given: Mapping[str, object] | None = None) -> Any:
        """Return the object of a tree, as a kind."""
        self.known(kind)
        if isinstance(node, Call):
            return self.call(node, kind, given or {})
        if given:
            raise UnknownParameter(
                f"Given {', '.join(given)} beside {unparse(node)!r}, which is no single name; "
                "write parameters into the text, behind the name that they belong to."
            )
        match node:
            case Pipe():
                return self.pipe(node, kind)
            case Sum():
                path = self.algebra(node, kind, self.catalogue.kinds[kind].sum)
                return parts.load_class(path)(tuple(self.node(term, kind) for term in node.terms))
            case Scaled():
                path = self.algebra(node, kind, self.catalogue.kinds[kind].scaled)
                return parts.load_class(path)(node.factor, self.node(node.term, kind))

    def known(self, kind: str) -> None:
        """Raise UnknownName for a kind that nobody declares."""
        if kind not in self.catalogue.kinds:
            raise UnknownName(f"Given the kind {kind!r}; known kinds: {', '.join(self.catalogue.kinds) or 'none'}.")

    def algebra(self, node: Node, kind: str, path: str | None) -> str:
        """Return the class for ``+`` or ``*``, where the kind has one."""
        if path is None:
            able = [k.name for k in self.catalogue.kinds.values() if k.sum or k.scaled]
            where = f"they exist for {', '.join(able)}" if able else "no installed plugin brings a kind that has them"
            raise WrongKind(f"{unparse(node)!r}: `+` and `number *` do not exist for the kind {kind!r}; {where}.")
        return path

    def pipe(self, node: Pipe, kind: str) -> Any:
        """Return ``first | filter | ...``; a pipe of a pipe is one pipe."""
        pipe = self.catalogue.kinds[kind].pipe
        if pipe is None:
            raise WrongKind(f"{unparse(node)!r}: a pipe is an analyzer, and cannot serve as the kind {kind!r}.")
        cls = parts.load_class(pipe[0])
        first = self.node(node.first, kind)
        filters = tuple(self.node(one, pipe[1]) for one in node.filters)
        inner, follows = (field.name for field in attrs.fields(cls)[:2])
        if isinstance(first, cls):
            return cls(getattr(first, inner), (*getattr(first, follows), *filters))
        return cls(first, filters)

    def call(self, node: Call, kind: str, given: Mapping[str, object]) -> Any:
        """Return the object of a name with parameters; a lift's own parameters go to what it lifts to."""
        row = self.catalogue.find(node.name)
        cls = self.class_of(row)
        keywords = dict(node.keywords)
        twice = sorted(keywords.keys() & given.keys())
        if twice:
            raise UnknownParameter(f"{twice[0]!r} is given in {unparse(node)!r} and beside it. Give it once.")
        asked = parts.placed(cls, node.name, node.arguments, keywords | dict(given))
        if row.kind == kind:
            return self.construct(row, cls, asked, node.name)
        lift = self.catalogue.kinds[row.kind].lift.get(kind)
        if lift is None:
            raise WrongKind(
                f"{node.name!r} is of kind {row.kind!r}, and cannot serve as the kind {kind!r}.{self.near(row, kind)}"
            )
        outer = parts.load_class(lift[0])
        own = {key: value for key, value in asked.items() if key in parts.fields(cls)}
        rest = {key: value for key, value in asked.items() if key not in own}
        self.only(rest, {k: f for k, f in parts.fields(outer).items() if k != lift[1]}, node.name, cls, outer)
        lifted = self.values(outer, rest, node.name)
        return parts.make(outer, {lift[1]: self.construct(row, cls, own, node.name), **lifted}, node.name)

    def construct(self, row: Row, cls: type[Any], asked: Mapping[str, object], name: str) -> Any:
        """Return the row's object: its preset, and over it what is asked for."""
        self.only(asked, parts.fields(cls), name, cls)
        return parts.make(cls, {**self.preset(row, cls, asked), **self.values(cls, asked, name)}, name)

    def preset(self, row: Row, cls: type[Any], without: Mapping[str, object]) -> dict[str, object]:
        """Return the row's preset, texts for parts resolved, except for some parameters."""
        preset = {key: value for key, value in row.declaration.preset.items() if key not in without}
        unknown = [key for key in preset if key not in parts.fields(cls)]
        if unknown:
            raise InvalidDeclaration(f"The row {row.name} sets {unknown[0]!r}. {parts.parameters(row.name, cls)}")
        if row.name in self.within:
            raise InvalidDeclaration(f"The presets of {' -> '.join((*self.within, row.name))} hold each other.")
        return attrs.evolve(self, within=(*self.within, row.name)).values(cls, preset, row.name)

    def class_of(self, row: Row) -> type[Any]:
        """Import the class of a row; where that fails, the error names the distribution."""
        try:
            return parts.load_class(row.declaration.factory)
        except BrokenPlugin as error:
            message = f"{row.name} of {row.distribution} {row.version} cannot be used: {error}"
            raise BrokenPlugin(message) from error.__cause__

    def values(self, cls: type[Any], given: Mapping[str, object], name: str) -> dict[str, object]:
        """Return values with expressions resolved, each by the kind of its field."""
        known = parts.fields(cls)
        return {key: self.value(value, known[key], f"{name}({key}=...)") for key, value in given.items()}

    def value(self, value: object, field: parts.Field[Any], where: str) -> object:
        """Return a parameter's value; text for a field made by ``part`` is an expression."""
        kind = field.metadata.get("kind")
        if kind is None:
            return self.inside(value, None, where)
        if isinstance(value, str):
            value = parse_value(value)
        many = field.metadata.get("many") and isinstance(value, tuple | list | dict)
        if many:
            value = _parsed(value)
        number = field.metadata.get("literal") and not isinstance(value, str) and not self.kinds_of(value)
        if isinstance(value, Node) or many or number or (value is None and parts.default(field) is None):
            return self.inside(value, kind, where)
        if value is None or isinstance(value, bool | int | float | str | tuple | list | dict | ArrayRef):
            raise InvalidParameter(f"{where}: given {value!r:.60}; expected the name of a part of kind {kind!r}.")
        return self.serve(value, kind)

    def inside(self, value: Value, kind: str | None, where: str) -> object:
        """Return a value with the expressions and arrays in it resolved; text stays text."""
        if isinstance(value, Node):
            if kind is None:
                raise InvalidParameter(
                    f"{where}: given the name {unparse(value)}, where no part is expected; text is written in quotes."
                )
            return self.node(value, kind)
        if isinstance(value, ArrayRef):
            return self.array(value.digest)
        if type(value) in (list, tuple):
            assert isinstance(value, list | tuple)  # noqa: S101  # tells mypy what the line above has checked
            return type(value)(self.inside(item, kind, where) for item in value)
        if type(value) is dict:
            return {key: self.inside(item, kind, where) for key, item in value.items()}
        return value

    def array(self, digest: str) -> object:
        """Return the array of a digest."""
        from xaicore.values import Array

        if digest not in self.arrays:
            raise InvalidParameter(
                f'array("{digest}") stands for an array that is saved beside the expression, and it was not given. '
                "Load the saved file, or pass `arrays={digest: array}`."
            )
        found = self.arrays[digest]
        found = found if isinstance(found, Array) else Array(found)
        if found.digest != digest:
            raise InvalidParameter(f"The array given for {digest} has the content {found.digest}. Give the one saved.")
        return found

    def serve(self, part: object, kind: str) -> Any:
        """Return an object as a kind: itself, lifted, or refused."""
        self.known(kind)
        known = self.kinds_of(part)
        for one in (kind, *self.catalogue.kinds):
            lift = self.catalogue.kinds[one].lift.get(kind)
            fits = one in known if known else parts.satisfies(part, self.catalogue.kinds[one].protocol)
            if fits and one == kind:
                return part
            if fits and lift is not None:
                return parts.make(parts.load_class(lift[0]), {lift[1]: part}, type(part).__name__)
        what = f"is of kind {' and '.join(sorted(known))}" if known else "has not what the protocol asks for"
        raise WrongKind(
            f"Given {part!r:.80} ({type(part).__name__}), which {what}; "
            f"expected the kind {kind!r}, {self.catalogue.kinds[kind].protocol}, or its name as text."
        )

    def kinds_of(self, part: object) -> set[str]:
        """Return the kinds that rows, lifts and pipes give to the class of an object."""
        found = {
            row.kind for row in self.catalogue.rows.values() if parts.is_class(type(part), row.declaration.factory)
        }
        for kind in self.catalogue.kinds.values():
            found |= {to for to, (path, _) in kind.lift.items() if parts.is_class(type(part), path)}
            own = (kind.pipe[0] if kind.pipe else None, kind.sum, kind.scaled)
            found |= {kind.name for path in own if path is not None and parts.is_class(type(part), path)}
        return found

    def only(self, given: Mapping[str, object], known: Mapping[str, object], name: str, *classes: type[Any]) -> None:
        """Raise UnknownParameter for one that is not known, with the real ones."""
        unknown = [key for key in given if key not in known]
        if unknown:
            every = [key for cls in classes for key in parts.fields(cls)]
            near = difflib.get_close_matches(unknown[0], every, n=1)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            told = " ".join(parts.parameters(n, c) for n, c in zip((name, "the pass around it"), classes, strict=False))
            raise UnknownParameter(f"{name} has no parameter {unknown[0]!r}.{meant} {told}")

    def near(self, row: Row, kind: str) -> str:
        """Return a sentence with names of the kind that was expected."""
        names = [r.name for r in self.catalogue.rows.values() if r.kind == kind]
        close = difflib.get_close_matches(row.name, names, n=5, cutoff=0.0)
        return f" Names of this kind: {', '.join(close)}." if close else ""


def _parsed(value: Any) -> Any:
    """Return a container of parts with the text of each part parsed; the key of a pair or mapping stays text."""
    if isinstance(value, dict):
        return {key: parse_value(item) if isinstance(item, str) else item for key, item in value.items()}
    if not isinstance(value, tuple | list):
        return parse_value(value) if isinstance(value, str) else value
    pairs = [isinstance(item, tuple | list) and len(item) == 2 for item in value]  # noqa: PLR2004  # key and part
    return tuple(
        (item[0], _parsed(item[1])) if pair else parse_value(item) if isinstance(item, str) else item
        for item, pair in zip(value, pairs, strict=True)
    )
