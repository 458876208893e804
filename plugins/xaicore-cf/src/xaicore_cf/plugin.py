"""What this distribution hangs on xaicore's hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xaicore import hookimpl
from xaicore_cf.table import KINDS, ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xaicore.declaration import Declaration, Kind


@hookimpl
def xaicore_declarations() -> Mapping[str, Declaration]:
    """Return the rows of family ``cf``."""
    return ROWS


@hookimpl
def xaicore_kinds() -> tuple[Kind, ...]:
    """Return that costs can be weighted and added: ``2*cf.l1 + cf.l2``."""
    return KINDS
