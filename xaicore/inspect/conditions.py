"""Conditions on operations, as text: what a rule map is keyed by.

    condition := term ("or" term)*        term := factor ("and" factor)*        factor := ["not"] word
    word := a kind ("conv", "dense", "norm", ...) | "affine" | "relu" | "first" | "last" | "any" | a site pattern

A site pattern is a site's text with ``*`` and ``?``: ``block*/conv1``, ``tower/shared[1]``.
"""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from xaicore.inspect.kinds import LAYERS, OPERATIONS

if TYPE_CHECKING:
    from xaicore.inspect.facts import Facts
    from xaicore.inspect.graph import Site

KINDS = frozenset({name for name, _ in LAYERS} | set(OPERATIONS.values()) | {"other"})
FLAGS = frozenset({"affine", "relu", "first", "last", "any"})


def matches(condition: str, site: Site, facts: Facts) -> bool:
    """Return whether an operation meets a condition."""
    terms = [term.split(" and ") for term in condition.split(" or ")]
    return any(all(_factor(word.strip(), site, facts) for word in term) for term in terms)


def _factor(word: str, site: Site, facts: Facts) -> bool:
    if word.startswith("not "):
        return not _factor(word[4:].strip(), site, facts)
    if word == "any":
        return True
    if word in FLAGS:
        return bool(getattr(facts, word))
    if word in KINDS:
        return facts.kind == word
    # `[` would open a set of characters: sites use it for the number of a call.
    pattern = word.replace("[", "[[]")
    return fnmatch.fnmatchcase(str(site), pattern) or fnmatch.fnmatchcase(site.path, pattern)


def is_site_pattern(condition: str) -> bool:
    """Return whether a condition names sites rather than properties."""
    return condition not in FLAGS | KINDS and " " not in condition
