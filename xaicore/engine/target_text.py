"""The text grammar of targets: neurons and contrasts.  Text in, terms out; nothing is evaluated.

    target   := [output ":"] ("max" | "all" | whole number | sum)
    sum      := ["-"] term (("+" | "-") term)*
    term     := [number "*"] quantity ["[" whole number ("," whole number)* "]"]
    quantity := "logit" | "probability" | "output"

``logit[3]-logit[5]`` is a contrast, ``2*logit[0] - 0.5*logit[1]`` a weighted one, ``logit[4,5,1]`` a neuron of an
output of rank 4, ``head_b:1`` class 1 of the output named head_b.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import attrs

from xaicore.errors import TargetOutOfRange, TargetSyntax

QUANTITIES = ("logit", "probability", "output")
_EXAMPLES = "'max', 'all', '3', 'logit[3]-logit[5]', '2*logit[0] - 0.5*logit[1]', 'probability[1]', 'head_b:1'"
LARGEST = 2**31 - 1  # indices are int32
NEGATIVE = "Indices count from 0 and never from the end, because -1 is also a label that data sets use."
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign>[-+*\[\],]))"
)


@attrs.frozen
class Term:
    """One term of a contrast: weight * quantity[index]."""

    weight: float
    quantity: str
    index: tuple[int, ...]


def split_output(text: str) -> tuple[str | None, str]:
    """Return (name of the output or None, the rest): ``head_b:1`` -> ("head_b", "1")."""
    name, colon, rest = text.rpartition(":")
    if not colon:
        return None, text.strip()
    if not name.strip() or not rest.strip():
        raise TargetSyntax(f"Given target {text!r}; expected `output:target`, for example 'head_b:1'.")
    return name.strip(), rest.strip()


def whole(digits: str, text: str) -> int:
    """Return the whole number that digits of a target write; TargetOutOfRange where no output has so many entries."""
    if len(digits.lstrip("-0")) > len(str(LARGEST)):
        raise TargetOutOfRange(f"Given target {text[:40]!r}; indices are at most {LARGEST}.")
    return int(digits)


def parse_terms(text: str) -> tuple[Term, ...]:
    """Return the terms of a sum.

    Raises:
        TargetSyntax: The text is not of the grammar.
        TargetOutOfRange: An index is negative.
    """
    tokens = list(_tokens(text))
    terms: list[Term] = []
    at = 0
    while at < len(tokens) or not terms:
        sign = 1.0
        _, value, place = _peek(tokens, at, text)
        if value in {"+", "-"} and (terms or value == "-"):
            sign, at = (-1.0 if value == "-" else 1.0), at + 1
        elif terms:
            raise _mistake(text, place, "'+' or '-' between two terms")
        term, at = _term(tokens, at, text, sign)
        terms.append(term)
    return tuple(terms)


def _term(tokens: list[tuple[str, str, int]], at: int, text: str, weight: float) -> tuple[Term, int]:
    kind, value, place = _peek(tokens, at, text)
    if kind == "number":
        weight *= float(value)
        if not math.isfinite(weight):
            raise _mistake(text, place, "a finite number")
        _expect(tokens, at + 1, text, "*")
        at += 2
        kind, value, place = _peek(tokens, at, text)
    if kind != "name" or value not in QUANTITIES:
        raise _mistake(text, place, "one of " + ", ".join(QUANTITIES))
    index, at = _index(tokens, at + 1, text)
    return Term(weight, value, index), at


def _index(tokens: list[tuple[str, str, int]], at: int, text: str) -> tuple[tuple[int, ...], int]:
    if at >= len(tokens) or tokens[at][1] != "[":
        return (), at
    entries: list[int] = []
    while True:
        kind, value, place = _peek(tokens, at + 1, text)
        if value == "-":
            raise TargetOutOfRange(f"Given target {text!r} with a negative index. {NEGATIVE}")
        if kind != "number" or not value.isdigit():
            raise _mistake(text, place, "a whole number")
        entries.append(whole(value, text))
        kind, value, place = _peek(tokens, at + 2, text)
        if value == "]":
            return tuple(entries), at + 3
        _expect(tokens, at + 2, text, ",")
        at += 2


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield (kind, text, position) of each token."""
    place, end = 0, len(text.rstrip())
    while place < end:
        found = _TOKEN.match(text, place)
        if found is None:
            raise _mistake(text, place, "a number, a quantity or one of + - * [ , ]")
        kind = str(found.lastgroup)
        yield kind, found[kind], found.start(kind)
        place = found.end()


def _peek(tokens: list[tuple[str, str, int]], at: int, text: str) -> tuple[str, str, int]:
    return tokens[at] if at < len(tokens) else ("end", "", len(text))


def _expect(tokens: list[tuple[str, str, int]], at: int, text: str, wanted: str) -> None:
    _, value, place = _peek(tokens, at, text)
    if value != wanted:
        raise _mistake(text, place, f"'{wanted}'")


def _mistake(text: str, place: int, wanted: str) -> TargetSyntax:
    return TargetSyntax(
        f"Given target {text!r}; expected {wanted} at position {place}, before {text[place:]!r}. Examples: {_EXAMPLES}."
    )


def check_quantities(terms: tuple[Term, ...], score: str, text: str) -> None:
    """Raise where a term names another quantity than the one that the analyzer explains ("logit", "probability")."""
    for term in terms:
        if term.quantity not in {score, "output"}:
            raise TargetSyntax(
                f"Given target {text!r}; the analyzer explains the {score}. "
                f"Write '{score}[...]', or make the analyzer with score={term.quantity!r}."
            )
