"""Conditions on operations as values.  Their text, and what it may be made of, is told in ``conditions``."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import attrs

from xaicore.errors import InvalidCondition
from xaicore.inspect.kind_names import LAYER_NAMES, OPERATION_NAMES  # the names alone: a condition needs no Keras

if TYPE_CHECKING:
    from xaicore.inspect.facts import Facts
    from xaicore.inspect.nodes import Site

KINDS = frozenset({*LAYER_NAMES, *OPERATION_NAMES.values(), "other"})
GROUPS = {"pool": frozenset({"average_pooling", "max_pooling"}), "add": frozenset({"sum"})}
FLAGS = frozenset({"affine", "relu", "first", "last", "contains_kernel", "any"})
WORDS = KINDS | FLAGS | GROUPS.keys()

PLAIN = re.compile(r"[^\s()\"'\\]+")
# Words that join conditions, which no site can be called by without saying `site`.
_JOINING = frozenset({"and", "or", "not", "before"})


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


def _known_word(word: object) -> str:
    if not isinstance(word, str) or word not in WORDS:
        raise InvalidCondition(f"Given Is({word!r}); expected a kind, a group or a flag: {', '.join(sorted(WORDS))}.")
    return word


def _pattern(pattern: object) -> str:
    if not isinstance(pattern, str) or not pattern.strip():
        raise InvalidCondition(f"Given At({pattern!r}); expected the text of a site, with * and ? for any letters.")
    return pattern


def _class_name(given: object) -> str:
    name = given.__name__ if isinstance(given, type) else given
    if not isinstance(name, str) or not name.isidentifier():
        raise InvalidCondition(f"Given OfClass({given!r}); expected a layer class, or its name such as 'Conv2D'.")
    return name


def _index(index: object) -> int:
    if isinstance(index, bool) or not hasattr(index, "__index__") or int(index) < 0:
        raise InvalidCondition(f"Given Until({index!r}); expected the index of a kernel layer, 0 for the first.")
    return int(index)


def _condition(given: object) -> Condition:
    if isinstance(given, str):
        from xaicore.inspect.conditions import parse  # which is written with the classes here

        return parse(given)
    if not isinstance(given, Condition):
        raise InvalidCondition(f"Given {given!r} in a condition; expected a condition, or its text.")
    return given


def _several(terms: Iterable[object], join: type[All | Some]) -> tuple[Condition, ...]:
    flat = tuple(x for one in terms for x in _terms(_condition(one), join))
    if len(flat) < 2:  # noqa: PLR2004  # one term is that term
        raise InvalidCondition(f"Given {join.__name__} of {len(flat)} terms; expected two or more.")
    return flat


def _terms_of_all(terms: Iterable[object]) -> tuple[Condition, ...]:
    return _several(terms, All)


def _terms_of_some(terms: Iterable[object]) -> tuple[Condition, ...]:
    return _several(terms, Some)


@attrs.frozen(str=False)
class Is(Condition):
    """A kind, a group of kinds, or a flag.

    Raises:
        InvalidCondition: There is none of this name.
    """

    word: str = attrs.field(converter=_known_word)

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
    """A site pattern; the name of a layer that is read as stages is for all of them."""

    pattern: str = attrs.field(converter=_pattern)

    def __call__(self, site: Site, facts: Facts) -> bool:
        """Return whether the site's text, or its path for every call, fits."""
        # `[` would open a set of characters: sites use it for the number of a call.
        pattern = self.pattern.replace("[", "[[]")
        sites = (site,) if facts.whole is None else (site, facts.whole)
        return any(fnmatch.fnmatchcase(text, pattern) for one in sites for text in (str(one), one.path))

    def __str__(self) -> str:
        if PLAIN.fullmatch(self.pattern):
            return f"site({self.pattern})" if self.pattern in WORDS | _JOINING else self.pattern
        escaped = re.sub(r"([\\\"])", r"\\\1", self.pattern)
        return f'site("{escaped}")'


@attrs.frozen(str=False)
class OfClass(Condition):
    """A layer class, or its name; subclasses count."""

    name: str = attrs.field(converter=_class_name)

    def __call__(self, site: Site, facts: Facts) -> bool:  # noqa: ARG002
        """Return whether the operation is of this class."""
        return self.name in facts.classes

    def __str__(self) -> str:
        return f"class({self.name})"


@attrs.frozen(str=False)
class Until(Condition):
    """Everything that runs no later than the kernel layer (dense, convolution) of this index, counted from 0."""

    index: int = attrs.field(converter=_index)

    def __call__(self, site: Site, facts: Facts) -> bool:  # noqa: ARG002
        """Return whether the operation runs up to and with that layer, or between it and the next one."""
        return facts.position <= self.index

    def __str__(self) -> str:
        return f"until({self.index})"


@attrs.frozen(str=False)
class Before(Condition):
    """What hands its output, perhaps reshaped, to an operation that meets another condition."""

    following: Condition = attrs.field(converter=_condition)

    def __call__(self, site: Site, facts: Facts) -> bool:  # noqa: ARG002
        """Return whether one of the next operations meets the condition; an operation's own activation is one."""
        return any(self.following(*one) for one in facts.followers)

    def __str__(self) -> str:
        return f"before({self.following})"


@attrs.frozen(str=False)
class Not(Condition):
    """What does not meet another condition."""

    term: Condition = attrs.field(converter=_condition)

    def __call__(self, site: Site, facts: Facts) -> bool:
        """Return the opposite."""
        return not self.term(site, facts)

    def __str__(self) -> str:
        return f"not {_inside(self.term, All | Some)}"


@attrs.frozen(str=False)
class All(Condition):
    """What meets every term, of two or more."""

    terms: tuple[Condition, ...] = attrs.field(converter=_terms_of_all)

    def __call__(self, site: Site, facts: Facts) -> bool:
        """Return whether all hold."""
        return all(term(site, facts) for term in self.terms)

    def __str__(self) -> str:
        return " and ".join(_inside(term, Some) for term in self.terms)


@attrs.frozen(str=False)
class Some(Condition):
    """What meets at least one term, of two or more."""

    terms: tuple[Condition, ...] = attrs.field(converter=_terms_of_some)

    def __call__(self, site: Site, facts: Facts) -> bool:
        """Return whether one holds."""
        return any(term(site, facts) for term in self.terms)

    def __str__(self) -> str:
        return " or ".join(map(str, self.terms))


def _terms(condition: Condition, join: type[All | Some]) -> tuple[Condition, ...]:
    return condition.terms if isinstance(condition, join) else (condition,)


def _inside(condition: Condition, weaker: object) -> str:
    return f"({condition})" if isinstance(condition, weaker) else str(condition)  # type: ignore[arg-type]
