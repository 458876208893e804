"""Conditions on operations, as values and as text: what a rule map is keyed by.

    condition := term ("or" term)*        term := factor ("and" factor)*        factor := "not" factor | word
    word := a kind | a flag | class(Conv2D) | until(3) | before(softmax) | a site pattern | site(a site pattern)
          | "(" condition ")"

A kind is what ``xaicore.inspect.kinds`` tells ("conv", "dense", "norm", ...), or one of the groups "pool" and "add".
A flag is "affine", "relu", "first", "last", "contains_kernel" or "any".
A site pattern is a site's text with ``*`` and ``?``: ``block*/conv1``, ``tower/shared[1]``.  Where a layer has the name
of a kind or flag, such as "dense", the word is the kind, and ``site(dense)`` is the layer.
Values combine with ``&``, ``|`` and ``~``; ``str`` of a value is text that parses to an equal one.
"""

from __future__ import annotations

import fnmatch
import functools
import re
from typing import TYPE_CHECKING

import attrs

from xaicore.errors import InvalidCondition
from xaicore.inspect.kinds import LAYERS, OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from xaicore.inspect.facts import Facts
    from xaicore.inspect.nodes import Site

KINDS = frozenset({name for name, _ in LAYERS} | set(OPERATIONS.values()) | {"other"})
GROUPS = {"pool": frozenset({"average_pooling", "max_pooling"}), "add": frozenset({"sum"})}
FLAGS = frozenset({"affine", "relu", "first", "last", "contains_kernel", "any"})
WORDS = KINDS | FLAGS | GROUPS.keys()

_TOKEN = re.compile(r"\s*(?:((?:class|until|before|site)\([^()]*\))|([()])|([^\s()]+))")
_CALL = re.compile(r"(class|until|before|site)\(\s*[\"']?([^()\"']*?)[\"']?\s*\)")


class Condition:
    """Base of conditions: they combine with ``&``, ``|`` and ``~``."""

    def __call__(self, site: Site, facts: Facts) -> bool:
        """Return whether an operation meets the condition."""
        raise NotImplementedError

    def __and__(self, other: Condition) -> Condition:
        return All((*_terms(self, All), *_terms(other, All)))

    def __or__(self, other: Condition) -> Condition:
        return Some((*_terms(self, Some), *_terms(other, Some)))

    def __invert__(self) -> Condition:
        return Not(self)


@attrs.frozen(str=False)
class Is(Condition):
    """A kind, a group of kinds, or a flag."""

    word: str

    def __call__(self, site: Site, facts: Facts) -> bool:  # noqa: ARG002  # one signature for all conditions
        """Return whether the operation is of this kind, or the flag is set."""
        if self.word == "any":
            return True
        if self.word in FLAGS:
            return bool(getattr(facts, self.word))
        return facts.kind in GROUPS.get(self.word, {self.word})

    def __str__(self) -> str:
        return self.word


@attrs.frozen(str=False)
class At(Condition):
    """A site pattern."""

    pattern: str

    def __call__(self, site: Site, facts: Facts) -> bool:  # noqa: ARG002
        """Return whether the site's text, or its path for every call, fits."""
        # `[` would open a set of characters: sites use it for the number of a call.
        pattern = self.pattern.replace("[", "[[]")
        return fnmatch.fnmatchcase(str(site), pattern) or fnmatch.fnmatchcase(site.path, pattern)

    def __str__(self) -> str:
        return f"site({self.pattern})" if self.pattern in WORDS else self.pattern


@attrs.frozen(str=False)
class OfClass(Condition):
    """A layer class by name; subclasses count."""

    name: str

    def __call__(self, site: Site, facts: Facts) -> bool:  # noqa: ARG002
        """Return whether the operation is of this class."""
        return self.name in facts.classes

    def __str__(self) -> str:
        return f"class({self.name})"


@attrs.frozen(str=False)
class Until(Condition):
    """Everything that runs no later than the kernel layer (dense, convolution) of this index, counted from 0."""

    index: int

    def __call__(self, site: Site, facts: Facts) -> bool:  # noqa: ARG002
        """Return whether the operation runs up to and with that layer, or between it and the next one."""
        return facts.position <= self.index

    def __str__(self) -> str:
        return f"until({self.index})"


@attrs.frozen(str=False)
class Before(Condition):
    """What hands its output, perhaps reshaped, to an operation that meets another condition."""

    following: Condition

    def __call__(self, site: Site, facts: Facts) -> bool:  # noqa: ARG002
        """Return whether one of the next operations meets the condition; an operation's own activation is one."""
        return any(self.following(*one) for one in facts.followers)

    def __str__(self) -> str:
        return f"before({self.following})"


@attrs.frozen(str=False)
class Not(Condition):
    """What does not meet another condition."""

    term: Condition

    def __call__(self, site: Site, facts: Facts) -> bool:
        """Return the opposite."""
        return not self.term(site, facts)

    def __str__(self) -> str:
        return f"not {_inside(self.term, All | Some)}"


@attrs.frozen(str=False)
class All(Condition):
    """What meets every term."""

    terms: tuple[Condition, ...]

    def __call__(self, site: Site, facts: Facts) -> bool:
        """Return whether all hold."""
        return all(term(site, facts) for term in self.terms)

    def __str__(self) -> str:
        return " and ".join(_inside(term, Some) for term in self.terms)


@attrs.frozen(str=False)
class Some(Condition):
    """What meets at least one term."""

    terms: tuple[Condition, ...]

    def __call__(self, site: Site, facts: Facts) -> bool:
        """Return whether one holds."""
        return any(term(site, facts) for term in self.terms)

    def __str__(self) -> str:
        return " or ".join(map(str, self.terms))


@functools.lru_cache(maxsize=1024)
def parse(text: str) -> Condition:
    """Return the condition of a text; raises InvalidCondition."""
    tokens, end = [], 0
    while found := _TOKEN.match(text, end):
        tokens.append(found[0].strip())
        end = found.end()
    if text[end:].strip() or not tokens:
        raise _wrong(text, "cannot be read")
    condition = _alternatives(tokens, text)
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
    if first != "(":
        return _word(first, text)
    inside = _alternatives(tokens, text)
    if not tokens or tokens.pop(0) != ")":
        raise _wrong(text, "has a '(' that is not closed")
    return inside


def _word(token: str, text: str) -> Condition:
    call = _CALL.fullmatch(token)
    if call is None:
        return Is(token) if token in WORDS else At(token)
    name, argument = call[1], call[2]
    if name == "until":
        if not argument.isdecimal():
            raise _wrong(text, f"has {token!r}, where an index is expected, 0 for the first kernel layer")
        return Until(int(argument))
    if not argument:
        raise _wrong(text, f"has {token!r} without a name")
    if name == "site":
        return At(argument)
    return OfClass(argument) if name == "class" else Before(_word(argument, text))


def _wrong(text: str, why: str) -> InvalidCondition:
    return InvalidCondition(
        f"The condition {text!r} {why}. Expected words joined by and, or, not: a kind ({', '.join(sorted(KINDS))}, "
        f"{', '.join(GROUPS)}), a flag ({', '.join(sorted(FLAGS))}), class(Conv2D), until(3), before(softmax), "
        "or a site pattern such as block*/conv1, site(dense) for a layer that has the name of a kind."
    )


def _terms(condition: Condition, join: type[All | Some]) -> tuple[Condition, ...]:
    return condition.terms if isinstance(condition, join) else (condition,)


def _inside(condition: Condition, weaker: object) -> str:
    return f"({condition})" if isinstance(condition, weaker) else str(condition)  # type: ignore[arg-type]
