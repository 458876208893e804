"""Print constraints.txt: name==version of everything that xaicore and its extras need, as installed here.

Run in the oldest Python that is supported (3.11): a version that installs there installs in the later ones.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata

from packaging.requirements import Requirement

EXTRAS = ("cli", "demo", "test", "dev", "docs")
OWN = re.compile(r"xaicore(-|$)")
LEFT_OUT = {"setuptools"}  # no one version of it serves Python 3.11 to 3.13 and the tools that bring it


def canonical(name: str) -> str:
    """Return the name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(name: str, extras: tuple[str, ...], found: dict[str, set[str]]) -> None:
    """Add the distribution, and everything that it needs with these extras, to what was found."""
    known = found.setdefault(canonical(name), set())
    new = {"", *extras} - known
    known |= new
    for text in metadata.requires(name) or () if new else ():
        requirement = Requirement(text)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in new):
            needed(requirement.name, tuple(requirement.extras), found)


def main() -> None:
    """Print the lines, sorted."""
    found: dict[str, set[str]] = {}
    needed("xaicore", EXTRAS, found)
    names = sorted(n for n in found if not OWN.match(n) and n not in LEFT_OUT)
    sys.stdout.writelines(f"{name}=={metadata.version(name)}\n" for name in names)


if __name__ == "__main__":
    main()
