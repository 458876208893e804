"""Layer objects that stand for sites: where in a graph they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from xaicore.errors import UnknownLayer
from xaicore.values import LayerText

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras

    from xaicore.inspect.nodes import Graph


def path_of(text: LayerText, graph: Graph) -> str:
    """Return the text of the site whose output a layer object returns, found by the object and not by its name.

    Raises:
        UnknownLayer: The model does not call this layer, or calls it several times, or it is no single operation.
    """
    layer = text.layer()
    if layer is None:
        raise UnknownLayer(
            f"Given the layer {text} as a site; it is gone since. Give the layer anew, or the site's text."
        )
    found = [str(node.site) for node in graph.nodes if node.operation is layer] or _inside(layer, graph)
    if len(found) == 1:
        return found[0]
    if found:
        raise UnknownLayer(
            f"Given the layer {text} as a site; the model calls it {len(found)} times. Give the text of one call: "
            f"{', '.join(map(repr, found))}."
        )
    same = [str(site) for site in graph.sites if str(text) in str(site).split("/")]
    hint = f"Sites with its name, which belong to other objects or are parts of it: {', '.join(same)}. " if same else ""
    raise UnknownLayer(
        f"Given the layer {text} ({type(layer).__name__}) as a site; no operation of this model is this object. {hint}"
        "Take the layer from the model itself, or give the text of a site; `analyzer.plan(model)` lists them."
    )


def _inside(layer: keras.Operation, graph: Graph) -> list[str]:
    """Return, for a nested model or a layer made of layers, the sites that compute what its calls return."""
    ends = [call.outputs[0] for call in graph.containers if call.operation is layer and len(call.outputs) == 1]
    return [str(node.site) for key in ends for node in graph.nodes if key in node.outputs]


def with_paths(analyzer: Any, read: Callable[[], Graph]) -> Any:
    """Return an analyzer, and what is inside of it, with the path in a model in the place of each layer object.

    read: gives the model's graph; called only where there is a layer object.
    """
    if not attrs.has(type(analyzer)):
        return analyzer
    changed: dict[str, Any] = {}
    for field in attrs.fields(type(analyzer)):
        value = getattr(analyzer, field.name)
        new = path_of(value, read()) if isinstance(value, LayerText) else with_paths(value, read)
        if new is not value:
            changed[field.alias] = new
    return attrs.evolve(analyzer, **changed) if changed else analyzer
