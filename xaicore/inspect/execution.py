"""The calls of a model in the order in which it makes them, as entries that can be looked at and run again."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import attrs
import keras
import tensorflow as tf
from keras import layers

from xaicore.errors import InvalidArgument, NoGraph
from xaicore.inspect.arguments import a_flag, a_model, a_text, takes
from xaicore.inspect.inputs import InputSpec, read_inputs
from xaicore.inspect.mermaid import escaped
from xaicore.inspect.quiet import quiet
from xaicore.inspect.read import function_of, read_graph
from xaicore.inspect.running import run
from xaicore.inspect.structure import transform

if TYPE_CHECKING:
    from xaicore.inspect.nodes import Graph, Node


_WIDE = 4096  # characters of a line of a table that is not for a screen


@attrs.frozen(eq=False)
class Execution:
    """One call of one layer or operation.

    nid: its number, from 0 in the order of execution; None for an InputLayer.
    layer: the Keras layer or operation.  site: where it is called, as text.
    Xs, Ys: the tensors that it takes and returns.  A tensor is the same object wherever it occurs in one graph.
    Xs_nids, Xs_layers: for each X the entry, and the layer, that made it; None for an input of the model.
    Ys_nids, Ys_layers: for each Y the entries, and the layers, that take it.
    """

    nid: int | None
    layer: keras.Operation
    site: str
    Xs: tuple[keras.KerasTensor, ...] = attrs.field(repr=False)
    Ys: tuple[keras.KerasTensor, ...] = attrs.field(repr=False)
    Xs_nids: tuple[int | None, ...] = ()
    Ys_nids: tuple[tuple[int, ...], ...] = ()
    Xs_layers: tuple[keras.Operation | None, ...] = attrs.field(default=(), repr=False)
    Ys_layers: tuple[tuple[keras.Operation, ...], ...] = attrs.field(default=(), repr=False)


def flat_graph(model: keras.Model) -> Graph:
    """Return the graph of a model.

    Raises:
        NoGraph: The model's own ``call`` cannot be turned into operations.
    """
    graph = read_graph(model)
    for node in graph.nodes:
        if node.operation is model:
            raise NoGraph(
                f"The model {model.name!r} ({type(model).__name__}) has a `call` that does not run on symbolic "
                "tensors; expected keras.layers and keras.ops only, no TensorFlow operations, no branches on values. "
                f"Of it: {node.why}."
            )
    return graph


@takes(model=a_model, keep_input_layers=a_flag)
def execution_trace(model: keras.Model, *, keep_input_layers: bool = True) -> tuple[Execution, ...]:
    """Return an entry for each call that the outputs of a model depend on, in the order of execution.

    Nested models and layers made of layers are entered; a shared layer has an entry per call; separable convolutions
    are their two linear stages.  Nothing of the model is changed.

    Args:
        model: A built model.
        keep_input_layers: Whether the inputs come first, as entries without a number.

    Raises:
        NoGraph: The model's own ``call`` cannot be turned into operations.
    """
    graph = flat_graph(model)
    trace = entries_of(model, graph, tensors_of(graph))
    return trace if keep_input_layers else tuple(e for e in trace if e.nid is not None)


def tensors_of(graph: Graph) -> dict[int, keras.KerasTensor]:
    """Return a symbolic tensor for each of a graph."""
    return {k: keras.KerasTensor(s.shape, s.dtype, name=f"tensor_{k}") for k, s in graph.specs.items()}


def entries_of(model: keras.Model, graph: Graph, tensors: Mapping[int, keras.KerasTensor]) -> tuple[Execution, ...]:
    """Return the entries of a graph, those of its inputs first."""
    nodes = graph.between(graph.inputs, graph.outputs).nodes
    made = {key: nid for nid, node in enumerate(nodes) for key in node.outputs}
    taken: dict[int, list[int]] = {}
    for nid, node in enumerate(nodes):
        for key in dict.fromkeys(node.inputs):
            taken.setdefault(key, []).append(nid)

    def entry(nid: int | None, layer: keras.Operation, site: str, ins: Sequence[int], outs: Sequence[int]) -> Execution:
        before = tuple(made.get(key) for key in ins)
        after = tuple(tuple(taken.get(key, ())) for key in outs)
        return Execution(
            *(nid, layer, site, tuple(tensors[k] for k in ins), tuple(tensors[k] for k in outs), before, after),
            Xs_layers=tuple(None if n is None else nodes[n].operation for n in before),
            Ys_layers=tuple(tuple(nodes[n].operation for n in some) for some in after),
        )

    return (
        *(
            entry(None, _input_layer(model, name, tensors[key]), name, (), (key,))
            for name, key in zip(graph.input_names, graph.inputs, strict=True)
        ),
        *(entry(nid, n.operation, str(n.site), n.inputs, n.outputs) for nid, n in enumerate(nodes)),
    )


def _input_layer(model: keras.Model, name: str, tensor: keras.KerasTensor) -> keras.layers.Layer:
    """Return the model's own InputLayer; a subclassed model has none, and gets one to be shown by."""
    own = (op for op in getattr(function_of(model), "operations", ()) if isinstance(op, layers.InputLayer))
    found = next((layer for layer in own if layer.name == name), None)
    return found or layers.InputLayer(batch_shape=tensor.shape, dtype=tensor.dtype, name=name.replace("/", "_"))


@takes(model=a_model, keep_input_layers=a_flag)
def execution_graph(model: keras.Model, *, keep_input_layers: bool = True) -> Mapping[int | None, object]:
    """Return number -> entry; with ``keep_input_layers`` None -> the tuple of the inputs' entries.

    Arguments and errors are those of ``execution_trace``.
    """
    trace = execution_trace(model, keep_input_layers=keep_input_layers)
    inputs = tuple(e for e in trace if e.nid is None)
    numbered: dict[int | None, object] = {e.nid: e for e in trace if e.nid is not None}
    return {None: inputs, **numbered} if keep_input_layers else numbered


@takes(model=a_model)
def trace_execution(
    model: keras.Model,
) -> tuple[
    tuple[keras.Operation, ...],
    tuple[tuple[keras.Operation, tuple[keras.KerasTensor, ...], tuple[keras.KerasTensor, ...]], ...],
    tuple[keras.KerasTensor, ...],
]:
    """Return (layers, each once; (layer, Xs, Ys) in the order of execution; the model's outputs).

    Raises:
        NoGraph: The model's own ``call`` cannot be turned into operations.
    """
    graph = flat_graph(model)
    tensors = tensors_of(graph)
    trace = entries_of(model, graph, tensors)
    calls = tuple((e.layer, e.Xs, e.Ys) for e in trace if e.nid is not None)
    return tuple(dict.fromkeys(e.layer for e in trace)), calls, tuple(tensors[key] for key in graph.outputs)


@takes(model=a_model)
def replay(model: keras.Model, x: object) -> object:
    """Return the outputs of a model, one call after the other in the order of ``execution_trace``.

    The numbers are those of ``model(x, training=False)``, bit by bit.

    Args:
        model: A built model.
        x: Its inputs as arrays, in any structure that it takes.

    Returns:
        A tensor, or several in the structure in which the model returns them.

    Raises:
        InputMistake: Arrays of another number or shape, or no numbers.
    """
    graph = flat_graph(model)
    order = {key: i for i, key in enumerate(graph.inputs)}
    structure = transform(graph.structure, lambda ref: order[ref.key])  # type: ignore[attr-defined]  # a Ref
    known = zip(graph.input_names, (graph.specs[key] for key in graph.inputs), strict=True)
    specs = [InputSpec(name, spec.shape, spec.dtype) for name, spec in known]
    given = read_inputs(specs, structure, x).leaves
    values = {
        key: tf.convert_to_tensor(leaf, graph.specs[key].dtype) for key, leaf in zip(graph.inputs, given, strict=True)
    }
    with quiet():
        for node in graph.between(graph.inputs, graph.outputs).nodes:
            values.update(_ran(node, values))
    return keras.tree.map_structure(lambda ref: values[ref.key], graph.returned)


def _ran(node: Node, values: Mapping[int, tf.Tensor]) -> dict[int, tf.Tensor]:
    return dict(zip(node.outputs, run(node, [values[key] for key in node.inputs]), strict=True))


@takes(model=a_model, format=a_text)
def print_execution_graph(model: keras.Model, *, format: str = "table") -> str:  # noqa: A002  # of Keras's own plots
    """Print the calls of a model, and return what was printed.

    Args:
        model: A built model.
        format: "table", or "mermaid" for a flow chart.

    Raises:
        InvalidArgument: Another format.
    """
    if format not in {"table", "mermaid"}:
        raise InvalidArgument(f"Given format={format!r}; expected 'table' or 'mermaid'.")
    trace = execution_trace(model)
    text = _mermaid(trace) if format == "mermaid" else _table(trace)
    print(text)  # noqa: T201  # what it is for
    return text


def _table(trace: Sequence[Execution]) -> str:
    from rich.console import Console  # slow to import, and only shown here
    from rich.table import Table

    table = Table("nid", "site", "layer", "from", "shape", box=None)
    for one in trace:
        before = ", ".join("input" if n is None else str(n) for n in one.Xs_nids)
        shapes = ", ".join(str(tuple(y.shape)) for y in one.Ys)
        table.add_row("" if one.nid is None else str(one.nid), one.site, type(one.layer).__name__, before, shapes)
    file = io.StringIO()
    # Names are no markup, and are printed in full, whatever the width of a screen.
    Console(file=file, width=_WIDE, markup=False, emoji=False, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in file.getvalue().rstrip().splitlines())


def _mermaid(trace: Sequence[Execution]) -> str:
    names = {id(y): f"i{i}" if e.nid is None else f"n{e.nid}" for i, e in enumerate(trace) for y in e.Ys}
    boxes = [f'    {names[id(e.Ys[0])]}["{escaped(e.site)}<br/>{type(e.layer).__name__}"]' for e in trace]
    arrows = [f"    {names[id(x)]} --> {names[id(e.Ys[0])]}" for e in trace for x in e.Xs]
    return "\n".join(["flowchart TD", *boxes, *dict.fromkeys(arrows)])
