"""What this distribution hangs on xaicore's hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xaicore import hookimpl
from xaicore_perturbation.table import ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xaicore.declaration import Declaration


@hookimpl
def xaicore_declarations() -> Mapping[str, Declaration]:
    """Return the rows of family ``perturbation``."""
    return ROWS
