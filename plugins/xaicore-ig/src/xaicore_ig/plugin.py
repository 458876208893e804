"""What this distribution hangs on xaicore's hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xaicore import hookimpl
from xaicore_ig.table import KINDS, ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xaicore.declaration import Declaration, Kind


@hookimpl
def xaicore_declarations() -> Mapping[str, Declaration]:
    """Return the rows of family ``ig``."""
    return ROWS


@hookimpl
def xaicore_kinds() -> tuple[Kind, ...]:
    """Return that a quadrature serves as an analyzer: the integral that it approximates."""
    return KINDS
