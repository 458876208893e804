"""Which layer a class activation map is taken at, by position and shape alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xaicore.errors import InvalidParameter
from xaicore.inspect.facts import facts_of
from xaicore.inspect.kinds import activation_of, kind

if TYPE_CHECKING:
    from xaicore.inspect.nodes import Graph, Node, Spec

# What may stand between and behind pooling and the dense layer; a softmax is stripped before.
_AFTER = frozenset({"identity", "routing"})
# What puts entries onto other axes; the number of axes may be the same by chance.
_MOVING = frozenset({
    *("Permute", "Reshape", "Flatten", "RepeatVector", "Transpose", "Moveaxis", "Swapaxes", "Ravel", "Squeeze"),
    *("ExpandDims", "Stack", "Tile", "Repeat", "BroadcastTo", "Rot90", "DotProductAttention"),
})  # fmt: skip
_POOLING = frozenset({"average_pooling", "max_pooling"})


def chosen(graph: Graph) -> str:
    """Return the last site whose output has the positions of an input, more than one of them, and is not pooled.

    Pooling only coarsens what the site before it holds.

    Raises:
        InvalidParameter: there is none.
    """
    facts, layouts = facts_of(graph), layouts_of(graph)
    for node in reversed(graph.nodes):
        spec = graph.specs[node.outputs[0]]
        extended = any(n != 1 for n in spec.shape[1:-1]) and not is_integer(spec)
        if extended and facts[node.site].kind not in _POOLING and layouts.get(node.outputs[0]) == "last":
            return str(node.site)
    raise InvalidParameter(
        f"No layer returns feature maps with the positions of an input ({_inputs(graph)}), channels last. Name the "
        "site whose output to take: at=, one that `get_analyzer('gradient').plan(model)` lists."
    )


def check(graph: Graph, site: str) -> None:
    """Raise InvalidParameter for a site whose output has no position axes, or its channels first."""
    node = graph.node(site)
    shape = graph.specs[node.outputs[0]].shape
    first = layouts_of(graph).get(node.outputs[0]) == "first"
    if not shape[1:-1] or is_integer(graph.specs[node.outputs[0]]) or first:
        raise InvalidParameter(
            f"Given at={site!r}, whose output has the shape {shape}; expected feature maps, "
            "(batch, *positions, channels), of a floating type, channels last."
        )


def check_head(graph: Graph, site: str) -> None:
    """Raise InvalidParameter unless the maps of a site go through global average pooling and one linear dense layer.

    Only then is a dense layer's weight what a whole feature map is worth.
    """
    maps = graph.node(site).outputs[0]
    after = graph.between((maps,), graph.outputs).nodes
    used = [node for node in after if kind(node.operation) != "identity"]
    pooled = bool(used) and _pools_all(graph, used[0])
    rest = [node for node in used[1:] if kind(node.operation) not in _AFTER]
    linear = [kind(node.operation) for node in rest] == ["dense"] and activation_of(rest[0].operation) is None
    if not (pooled and linear):
        names = ", ".join(_described(node) for node in after) or "nothing"
        raise InvalidParameter(
            f"The maps of {site!r} go through {names}; expected global average pooling and one dense layer without "
            "activation, whose weights `cam.cam` takes. `cam.gradcam` takes the gradient's mean for any head."
        )


def _pools_all(graph: Graph, node: Node) -> bool:
    """Return whether an operation takes the mean over all positions, and keeps the channels."""
    if kind(node.operation) != "average_pooling":
        return False
    given, found = (graph.specs[keys[0]].shape for keys in (node.inputs, node.outputs))
    size = getattr(node.operation, "pool_size", None)  # a window may leave out what a stride does not reach
    covers = size is None or all(n is not None and p >= n for n, p in zip(given[1:-1], size, strict=True))
    return covers and all(n == 1 for n in found[1:-1]) and found[-1] == given[-1] and not _channels_first(node)


def _described(node: Node) -> str:
    """Return an operation's class, and its activation where it has one."""
    activation = activation_of(node.operation)
    name = type(node.operation).__name__
    return name if activation in {None, node.operation} else f"{name} ({getattr(activation, '__name__', activation)})"


def seen_input(graph: Graph, site: str) -> int:
    """Return the index of the input that a site sees, whose size the map gets.

    Raises:
        InvalidParameter: no input that the site depends on has its position axes, or several of different sizes.
    """
    key = graph.node(site).outputs[0]
    shape = graph.specs[key].shape
    fitting = {
        index: _positions(graph.specs[one])
        for index, one in enumerate(graph.inputs)
        if len(_positions(graph.specs[one])) == len(shape[1:-1]) and key in graph.dependents((one,))
    }
    if layouts_of(graph).get(key) != "last":
        fitting = {}  # as many axes, by chance
    if len(set(fitting.values())) != 1:
        raise InvalidParameter(
            f"The output of {site!r}, {shape}, belongs to {len(fitting)} of the inputs ({_inputs(graph)}), so that "
            "the size of the map is not known. Name a site that sees one input with positions, or pass upsample=False."
        )
    return next(iter(fitting))


def _positions(spec: Spec) -> tuple[int | None, ...]:
    """Return the position axes of an input: all but batch and channels; symbols have no channels."""
    return spec.shape[1:] if is_integer(spec) else spec.shape[1:-1]


def is_integer(spec: Spec) -> bool:
    """Return whether an input holds symbols, which have no channels and no scale."""
    return "float" not in spec.dtype


def layouts_of(graph: Graph) -> dict[int, str]:
    """Return for each tensor "last" where its positions are those of an input, channels last; "first" for the others.

    What an operation has moved to other axes, such as tokens or the heads of attention, is in neither state.
    """
    starts = {key: "last" for key in graph.inputs if _positions(graph.specs[key])}
    found = starts | {key: "first" for node in graph.nodes if _channels_first(node) for key in node.inputs[:1]}
    for node in graph.nodes:
        layout = "first" if _channels_first(node) else _layout(graph, node, found)
        if layout is not None:
            found.update((key, found.get(key, layout)) for key in node.outputs)
    return found


def _layout(graph: Graph, node: Node, known: dict[int, str]) -> str | None:
    """Return the layout that an operation hands on: that of an input with as many axes, unless it moves them."""
    if type(node.operation).__name__ in _MOVING:
        return None
    rank = len(graph.specs[node.outputs[0]].shape)
    more = kind(node.operation) == "embedding"  # symbols get an axis of channels
    kept = {known[key] for key in node.inputs if key in known and len(graph.specs[key].shape) + more == rank}
    return "first" if "first" in kept else "last" if kept else None


def _channels_first(node: Node) -> bool:
    return getattr(node.operation, "data_format", None) == "channels_first"


def _inputs(graph: Graph) -> str:
    return ", ".join(f"{n!r} {graph.specs[k].shape}" for n, k in zip(graph.input_names, graph.inputs, strict=True))
