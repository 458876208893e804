"""Conditions on operations, as values and as text: what a rule map is keyed by.

    condition := term ("or" term)*        term := factor ("and" factor)*        factor := "not" factor | word
    word := a kind | a flag | class(Conv2D) | until(3) | before(condition) | a site pattern | site(a site pattern)
          | "(" condition ")"

A kind is what ``xaicore.inspect.kinds`` tells ("conv", "dense", "norm", ...), or one of the groups "pool" and "add".
"add" is every sum: Add, Subtract and Average, and what ``keras.ops`` has of them; ``class(Add)`` is the layer alone.
A flag is "affine", "relu", "first", "last", "contains_kernel" or "any".
A site pattern is a site's text with ``*`` and ``?``: ``block*/conv1``, ``tower/shared[1]``.  Where a layer has the name
of a kind or flag, such as "dense", the word is the kind, and ``site(dense)`` is the layer; a name with blanks,
parentheses or quotes is quoted, ``site("my layer")``, with a backslash before quotes and backslashes.
Values combine with ``&``, ``|`` and ``~``; ``str`` of a value is text that parses to an equal one.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from xaicore.errors import InvalidCondition
from xaicore.inspect.condition_values import (
    FLAGS,
    GROUPS,
    KINDS,
    PLAIN,
    WORDS,
    All,
    At,
    Before,
    Condition,
    Is,
    Not,
    OfClass,
    Some,
    Until,
)

__all__ = [
    "All",
    "At",
    "Before",
    "Condition",
    "Is",
    "Not",
    "OfClass",
    "Some",
    "Until",
    "is_site_pattern",
    "matches",
    "parse",
]

if TYPE_CHECKING:
    from collections.abc import Callable

    from xaicore.inspect.facts import Facts
    from xaicore.inspect.nodes import Site

_QUOTED = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
_TOKEN = re.compile(rf"\s*((?:class|until|site)\(\s*(?:{_QUOTED}|[^()\"']*)\s*\)|[()]|{_QUOTED}|[^\s()\"']+)")
_CALL = re.compile(rf"(class|until|site)\(\s*({_QUOTED}|[^()\"']*?)\s*\)")


@functools.lru_cache(maxsize=1024)
def parse(text: str) -> Condition:
    """Return the condition of a text; raises InvalidCondition."""
    tokens, end = [], 0
    while found := _TOKEN.match(text, end):
        tokens.append(found[1])
        end = found.end()
    if text[end:].strip() or not tokens:
        raise _wrong(text, "cannot be read")
    try:
        condition = _alternatives(tokens, text)
    except RecursionError:
        raise _wrong(text[:50] + "...", "is nested too deeply") from None
    if tokens:
        raise _wrong(text, f"has {tokens[0]!r} where a condition ends")
    return condition


def matches(condition: str | Condition, site: Site, facts: Facts) -> bool:
    """Return whether an operation meets a condition."""
    return (parse(condition) if isinstance(condition, str) else condition)(site, facts)


def is_site_pattern(condition: str) -> bool:
    """Return whether a condition names sites rather than properties."""
    return isinstance(parse(condition), At)


def _alternatives(tokens: list[str], text: str) -> Condition:
    return _joined(tokens, text, "or", lambda: _joined(tokens, text, "and", lambda: _factor(tokens, text), All), Some)


def _joined(
    tokens: list[str], text: str, word: str, read: Callable[[], Condition], join: type[All | Some]
) -> Condition:
    del text  # the errors of the factors name it
    terms = [read()]
    while tokens and tokens[0] == word:
        tokens.pop(0)
        terms.append(read())
    return terms[0] if len(terms) == 1 else join(tuple(terms))


def _factor(tokens: list[str], text: str) -> Condition:
    if not tokens or tokens[0] in {"and", "or", ")"}:
        raise _wrong(text, f"has {tokens[0]!r} where a word is expected" if tokens else "ends too early")
    first = tokens.pop(0)
    if first == "not":
        return Not(_factor(tokens, text))
    if first == "before":
        if not tokens or tokens[0] != "(":
            raise _wrong(text, "has 'before' without a condition in parentheses")
        return Before(_factor(tokens, text))
    if first != "(":
        return _word(first, text)
    inside = _alternatives(tokens, text)
    if not tokens or tokens.pop(0) != ")":
        raise _wrong(text, "has a '(' that is not closed")
    return inside


def _word(token: str, text: str) -> Condition:
    if token[0] in "\"'":  # as in before("softmax")
        return _word(_unquoted(token), text) if PLAIN.fullmatch(_unquoted(token)) else At(_unquoted(token))
    call = _CALL.fullmatch(token)
    if call is None:
        return Is(token) if token in WORDS else At(token)
    name, argument = call[1], _unquoted(call[2])
    if not argument.strip():
        raise _wrong(text, f"has {token!r} without a name")
    if name == "site":
        return At(argument)
    if name == "class" and argument.isidentifier():
        return OfClass(argument)
    if name == "until" and argument.isdecimal():
        return Until(int(argument))
    expected = "an index is expected, 0 for the first kernel layer" if name == "until" else "a class is expected"
    raise _wrong(text, f"has {token!r}, where {expected}")


def _unquoted(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL) if quoted else text


def _wrong(text: str, why: str) -> InvalidCondition:
    return InvalidCondition(
        f"The condition {text!r} {why}. Expected words joined by and, or, not: a kind ({', '.join(sorted(KINDS))}, "
        f"{', '.join(GROUPS)}), a flag ({', '.join(sorted(FLAGS))}), class(Conv2D), until(3), before(softmax), "
        "or a site pattern such as block*/conv1, site(dense) for a layer that has the name of a kind."
    )
