"""The hooks of xaicore: what a plugin can implement.  Each is asked once, when its answer is first needed.

A plugin is a module named by an entry point in group ``xaicore``; it marks its functions with ``xaicore.hookimpl``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from xaicore.declaration import Declaration, Kind

hookspec = pluggy.HookspecMarker("xaicore")
hookimpl = pluggy.HookimplMarker("xaicore")


@hookspec
def xaicore_declarations() -> Mapping[str, Declaration]:  # type: ignore[empty-body]
    """Return the plugin's rows: full name ``family.member`` -> Declaration, names of its own family only."""


@hookspec
def xaicore_kinds() -> Iterable[Kind]:  # type: ignore[empty-body]
    """Return kinds of parts.  A kind that exists already, with the same protocol, gets further lifts by this."""


@hookspec
def xaicore_layer_readers() -> Mapping[str, object]:  # type: ignore[empty-body]
    """Return how to read layers: class path ``module:Class`` -> a function from the layer to its AffineForm.

    The function, or its import path as text; it is called inside the trace (``xaicore.inspect.affine``).  Or, for a
    layer that has no affine form, the kind of operation that rules shall take it for: "activation", "sum", ...
    """


@hookspec
def xaicore_commands() -> Iterable[object]:  # type: ignore[empty-body]
    """Return ``click.Command`` objects to add to the command ``xaicore``."""
