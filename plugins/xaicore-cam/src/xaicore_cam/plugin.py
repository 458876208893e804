"""What this distribution hangs on xaicore's hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xaicore import hookimpl
from xaicore_cam.table import KINDS, ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xaicore.declaration import Declaration, Kind


@hookimpl
def xaicore_declarations() -> Mapping[str, Declaration]:
    """Return the rows of family ``cam``."""
    return ROWS


@hookimpl
def xaicore_kinds() -> tuple[Kind, ...]:
    """Return the kind of this family: weights of feature maps."""
    return KINDS
