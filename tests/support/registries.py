"""Registries of plugins that are made up in a test."""

from __future__ import annotations

import types

import xaicore.table
from xaicore.hookspecs import hookimpl
from xaicore.registry import Registry


def plugin(rows=None, kinds=(), **hooks):
    """Return a module with these rows."""
    module = types.ModuleType("made_up")
    module.xaicore_declarations = hookimpl(lambda: rows or {})
    module.xaicore_kinds = hookimpl(lambda: kinds)
    for name, function in hooks.items():
        setattr(module, name, hookimpl(function))
    return module


def registry(**modules):
    return Registry.from_modules({"filter": xaicore.table, **modules})
