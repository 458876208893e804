"""The grammar of names: text -> tree -> text.  Pure functions on text; nothing is ever evaluated.

    expression = term { "|" call }            filters, left to right
    term       = factor { "+" factor }        costs
    factor     = [ number "*" ] ( call | "(" expression ")" )
    call       = name [ "(" value { "," value } { "," key "=" value } ")" ]
    name       = [ family "." ] member
    value      = number | text | True | False | None | list | tuple | dict | expression | array("sha256:...")

Python's own parser reads the text (``ast``), after a scan that lets only these tokens through and limits length, depth
and number of operators; then only nodes of this grammar are taken.
"""

from __future__ import annotations

import ast
import keyword
import math
import re
from typing import TypeAlias

import attrs

from xaicore.errors import ExpressionSyntax, NotExpressible

LONGEST = 20_000  # characters
DEEPEST = 40  # brackets in brackets; far below where Python's parser gives up
MOST_OPERATORS = 200  # each nests the tree once more
_SHOWN = 120  # characters of a text in an error

Value: TypeAlias = object  # None, bool, int, float, str, list, tuple, dict of values, or a Node


@attrs.frozen
class Call:
    """``name(argument, ..., key=argument, ...)``, or the name alone."""

    name: str
    arguments: tuple[Value, ...] = ()
    keywords: tuple[tuple[str, Value], ...] = ()


@attrs.frozen
class Pipe:
    """``first | filter | ...``."""

    first: Node
    filters: tuple[Call, ...]


@attrs.frozen
class Sum:
    """``term + term + ...``."""

    terms: tuple[Node, ...]


@attrs.frozen
class Scaled:
    """``factor * term``."""

    factor: int | float
    term: Node


@attrs.frozen
class ArrayRef:
    """``array("sha256:...")``: stands for an array that is stored elsewhere."""

    digest: str


Node: TypeAlias = Call | Pipe | Sum | Scaled

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<string>'(?:[^'\\\n\r]|\\['"\\nrtxuU])*'|"(?:[^"\\\n\r]|\\['"\\nrtxuU])*")
    |(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<mark>[()\[\]{},:=.|+*-])""",
    re.VERBOSE,
)
_MARK = "_PYTHONS"  # put behind a member that is a word of Python (`lrp.pass`), so that the parser takes it for a name
_LITERALS = frozenset({"True", "False", "None"})
_OPENING, _CLOSING, _OPERATORS = frozenset("([{"), frozenset(")]}"), frozenset("|+*-")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def parse(text: str) -> Node:
    """Return the tree of an expression.

    Raises:
        ExpressionSyntax: the text is none, or is longer or deeper than the limits.
    """
    value = parse_value(text)
    if isinstance(value, Node):
        return value
    raise _wrong(text, f"this is {_described(value)}", "a name, such as `lrp.epsilon`, or a call, pipe or sum of names")


def parse_value(text: str) -> Value:
    """Return what may stand as an argument: an expression, or a literal.  Raises like ``parse``."""
    if not isinstance(text, str):
        raise ExpressionSyntax(f"Given {_described(text)}; expected an expression as text, such as 'lrp.epsilon'.")
    prepared = _scan(text)
    try:
        return _Reader(text, prepared).value(ast.parse(prepared, mode="eval").body)
    except ExpressionSyntax:
        raise
    except SyntaxError as error:
        raise _wrong(text, error.msg, "an expression") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise _wrong(text, f"Python's parser gives up ({error})", "an expression") from None


def unparse(value: Value) -> str:  # one case per form of the grammar
    """Return the text of a tree; ``parse_value`` gives an equal tree back.

    Numbers print as ``repr`` does, infinity as 1e999, keys of a dict in order of their text.

    Raises:
        NotExpressible: a value that the grammar cannot write, NaN among them.
    """
    match value:
        case Call():
            given = [*map(unparse, value.arguments), *(f"{key}={unparse(v)}" for key, v in value.keywords)]
            return f"{value.name}({', '.join(given)})" if given else value.name
        case Pipe():
            return " | ".join([_grouped(value.first, Pipe), *map(unparse, value.filters)])
        case Sum():
            return " + ".join(_grouped(term, Pipe, Sum) for term in value.terms)
        case Scaled():
            return f"{unparse(value.factor)} * {_grouped(value.term, Pipe, Sum, Scaled)}"
        case ArrayRef():
            return f'array("{value.digest}")'
        case list():
            return f"[{', '.join(map(unparse, value))}]"
        case tuple():
            return f"({', '.join(map(unparse, value))}{',' if len(value) == 1 else ''})"
        case dict():
            return f"{{{', '.join(sorted(f'{unparse(k)}: {unparse(v)}' for k, v in value.items()))}}}"
    return _literal(value)


def _literal(value: object) -> str:
    if value is None or type(value) in (bool, str):
        return repr(value)
    if type(value) is int and abs(value) < 10**1000:
        return repr(value)
    if type(value) is float and not math.isnan(value):
        return repr(value) if math.isfinite(value) else f"{'-' if value < 0 else ''}1e999"
    raise NotExpressible(
        f"Given {_described(value)}; an expression holds None, True, numbers, text, and lists of them."
    )


def _grouped(node: Node, *looser: type) -> str:
    return f"({unparse(node)})" if isinstance(node, looser) else unparse(node)


def _scan(text: str) -> str:
    """Return the text for Python's parser: only tokens of the grammar, one line, within the limits."""
    if len(text) > LONGEST:
        raise _wrong(text, f"it has {len(text)} characters", f"at most {LONGEST}")
    pieces: list[str] = []
    depth, operators, position, before = 0, 0, 0, ""
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise _wrong(text, f"{text[position]!r} at position {position} is not understood", "an expression")
        piece, kind = found[0], found.lastgroup
        depth += (piece in _OPENING) - (piece in _CLOSING)
        operators += piece in _OPERATORS
        if not 0 <= depth <= DEEPEST or operators > MOST_OPERATORS:
            raise _wrong(text, _limit(depth), "an expression")
        if kind in ("string", "number", "word") and pieces and (pieces[-1][-1].isalnum() or pieces[-1][-1] in "_'\""):
            raise _wrong(text, f"{piece[:20]!r} at position {position} follows on {pieces[-1][-20:]!r}", "a comma")
        if kind == "word" and (keyword.iskeyword(piece) or piece.endswith(_MARK)) and piece not in _LITERALS:
            if before != "." or piece.endswith(_MARK):
                raise _wrong(text, f"the word {piece!r} at position {position} is no name", "an expression")
            piece += _MARK
        pieces.append(" " if kind == "space" else piece)
        before = before if kind == "space" else piece
        position = found.end()
    return "".join(pieces).strip()


def _limit(depth: int) -> str:
    if depth < 0:
        return "a bracket is closed that was not opened"
    return "it is nested too deep" if depth > DEEPEST else f"it has more than {MOST_OPERATORS} operators"


class _Reader:
    """Takes the nodes of the grammar and no others."""

    def __init__(self, text: str, prepared: str) -> None:
        self.text, self.prepared = text, prepared

    def value(self, node: ast.expr) -> Value:  # one case per form of the grammar
        match node:
            case ast.Constant(value=None | bool() | int() | float() | str() as constant):
                return constant
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                if not isinstance(number, bool):
                    return -number
            case ast.List():
                return [self.value(item) for item in node.elts]
            case ast.Tuple():
                return tuple(self.value(item) for item in node.elts)
            case ast.Dict():
                return self.dictionary(node)
            case ast.Call(func=ast.Name(id="array")):
                return self.array(node)
            case ast.Name() | ast.Attribute() | ast.Call():
                return self.call(node)
            case ast.BinOp(op=ast.BitOr()):
                return self.pipe(node)
            case ast.BinOp(op=ast.Add()):
                return self.sum(node)
            case ast.BinOp(op=ast.Mult()):
                return self.scaled(node)
        raise self.wrong(node, "an expression")

    def expression(self, node: ast.expr) -> Node:
        value = self.value(node)
        if isinstance(value, Node):
            return value
        raise self.wrong(node, "a name or a call")

    def call(self, node: ast.expr) -> Call:
        match node:
            case ast.Call():
                keywords = tuple((self.key(k, node), self.value(k.value)) for k in node.keywords)
                twice = {key for key, _ in keywords if [k for k, _ in keywords].count(key) > 1}
                if twice:
                    raise _wrong(self.text, f"{min(twice)!r} is given twice", "each parameter once")
                return Call(self.name(node.func), tuple(self.value(a) for a in node.args), keywords)
            case ast.Name() | ast.Attribute():
                return Call(self.name(node))
        raise self.wrong(node, "a name or a call")

    def key(self, given: ast.keyword, node: ast.expr) -> str:
        if given.arg is None:
            raise self.wrong(node, "parameters written out")
        return given.arg

    def name(self, node: ast.expr) -> str:
        match node:
            case ast.Name(id=member) if member != "array":
                return member
            case ast.Attribute(value=ast.Name(id=family), attr=member) if family != "array":
                return f"{family}.{member.removesuffix(_MARK)}"
        raise self.wrong(node, "a name, `member` or `family.member`")

    def pipe(self, node: ast.BinOp) -> Pipe:
        first, *filters = self.chain(node, ast.BitOr)
        before = self.expression(first)
        calls = tuple(self.call(one) for one in filters)
        if isinstance(before, Pipe):
            return Pipe(before.first, (*before.filters, *calls))
        return Pipe(before, calls)

    def sum(self, node: ast.BinOp) -> Sum:
        terms = [self.expression(term) for term in self.chain(node, ast.Add)]
        return Sum(tuple(part for term in terms for part in (term.terms if isinstance(term, Sum) else (term,))))

    def scaled(self, node: ast.BinOp) -> Scaled:
        factor = self.value(node.left)
        if type(factor) not in (int, float):
            raise self.wrong(node, "`number * name`")
        assert isinstance(factor, int | float)  # noqa: S101  # tells mypy what the line above has checked
        return Scaled(factor, self.expression(node.right))

    def chain(self, node: ast.expr, operator: type[ast.operator]) -> list[ast.expr]:
        """Return the operands of ``a . b . c``, which Python nests to the left, without recursion."""
        operands: list[ast.expr] = []
        while isinstance(node, ast.BinOp) and isinstance(node.op, operator):
            operands.append(node.right)
            node = node.left
        return [node, *reversed(operands)]

    def dictionary(self, node: ast.Dict) -> dict[object, Value]:
        found: dict[object, Value] = {}
        for given, item in zip(node.keys, node.values, strict=True):
            key = None if given is None else self.value(given)
            if type(key) not in (bool, int, float, str):
                raise self.wrong(node, "keys that are text or numbers")
            if key in found:
                raise _wrong(self.text, f"the key {key!r} is given twice", "each key once")
            found[key] = self.value(item)
        return found

    def array(self, node: ast.Call) -> ArrayRef:
        match node:
            case ast.Call(args=[ast.Constant(value=str() as digest)], keywords=[]) if _DIGEST.fullmatch(digest):
                return ArrayRef(digest)
        raise self.wrong(node, 'array("sha256:<64 hexadecimal digits>")')

    def wrong(self, node: ast.expr, expected: str) -> ExpressionSyntax:
        place = (ast.get_source_segment(self.prepared, node) or "").replace(_MARK, "")
        return _wrong(self.text, f"{place[:60]!r} is outside the grammar", expected)


def _wrong(text: str, problem: str, expected: str) -> ExpressionSyntax:
    shown = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 20]}...{text[-17:]}"
    return ExpressionSyntax(
        f"{shown!r} cannot be read: {problem}. Expected {expected}. "
        "Examples: lrp.epsilon(epsilon=0.25), smoothgrad(lrp.epsilon, n=8) | absmax."
    )


def _described(value: object) -> str:
    try:
        shown = f"{value!r:.60}"
    except ValueError:  # Python prints no integer of more than 4300 digits
        shown = "a very large number"
    return f"{shown} ({type(value).__name__})"
