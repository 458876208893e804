"""Explains the predictions of Keras 3 models.

    analyzer = xaicore.get_analyzer("lrp.alpha2beta1")
    explanation = analyzer.explain(model, x, target=3)

Nothing is imported before it is used: neither this import nor looking names up imports TensorFlow.
"""

from __future__ import annotations

import importlib
import typing

if typing.TYPE_CHECKING:
    from xaicore import errors
    from xaicore.api import explain, explain_step, load, partial_explain
    from xaicore.explanation import Explanation
    from xaicore.hookspecs import hookimpl
    from xaicore.inspect.black_box import black_box
    from xaicore.registry import (
        available,
        get,
        get_analyzer,
        get_cost,
        get_filter,
        get_optimizer,
        get_quadrature,
        get_rule,
    )

__version__ = "0.1.0"

__all__ = [
    "Explanation",
    "__version__",
    "available",
    "black_box",
    "errors",
    "explain",
    "explain_step",
    "get",
    "get_analyzer",
    "get_cost",
    "get_filter",
    "get_optimizer",
    "get_quadrature",
    "get_rule",
    "hookimpl",
    "load",
    "partial_explain",
]

_ELSEWHERE = {
    "Explanation": "explanation",
    "black_box": "inspect.black_box",
    "explain": "api",
    "explain_step": "api",
    "hookimpl": "hookspecs",
    "load": "api",
    "partial_explain": "api",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'xaicore' has no attribute {name!r}; it has {', '.join(__all__)}")
    if name == "errors":
        return importlib.import_module("xaicore.errors")
    found: object = getattr(importlib.import_module(f"xaicore.{_ELSEWHERE.get(name, 'registry')}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return the public names, imported or not."""
    return sorted({*globals(), *__all__})
