"""Versions of what a result depends on."""

from __future__ import annotations

import platform
from importlib import metadata

STANDS_ON = ("xaicore", "keras", "tensorflow", "numpy")


def versions() -> dict[str, str]:
    """Return Python's version and that of each distribution that numbers depend on, plugins included."""
    found = {"python": platform.python_version()}
    for name in (*STANDS_ON, *plugin_distributions()):
        found[name] = version_of(name)
    return found


def version_of(distribution: str) -> str:
    """Return the version of a distribution, or "not installed"."""
    try:
        return str(metadata.version(distribution))
    except metadata.PackageNotFoundError:
        return "not installed"


def plugin_distributions() -> tuple[str, ...]:
    """Return the distributions that have an entry point in group ``xaicore``, without xaicore itself."""
    points = metadata.entry_points(group="xaicore")
    names = {point.dist.name for point in points if point.dist is not None}
    return tuple(sorted(names - {"xaicore"}))
