"""Where all information of a model passes through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xaicore.inspect.arguments import a_flag, a_model, takes
from xaicore.inspect.execution import Execution, entries_of, flat_graph, tensors_of

if TYPE_CHECKING:
    import keras


@takes(model=a_model, keep_input_layers=a_flag)
def bottleneck_nodes(model: keras.Model, *, keep_input_layers: bool = True) -> tuple[Execution, ...]:
    """Return the entries that all information passes through: whatever runs later depends on the inputs by them alone.

    A single input is one, whether or not it branches; with ``keep_input_layers`` its entry is returned too.
    """
    found = [e for e, live in _live(model) if live <= {id(y) for y in e.Ys}]
    return tuple(e for e in found if keep_input_layers or e.nid is not None)


@takes(model=a_model)
def bottleneck_tensors(model: keras.Model) -> tuple[keras.KerasTensor, ...]:
    """Return the tensors that all information passes through, in the order in which they are made."""
    passed = _live(model)
    tensors = {id(t): t for e, _ in passed for t in (*e.Xs, *e.Ys)}
    single = [next(iter(live)) for _, live in passed if len(live) == 1]
    return tuple(tensors[key] for key in dict.fromkeys(single))


def _live(model: keras.Model) -> list[tuple[Execution, set[int]]]:
    """Return each entry from the last input on, with the tensors (by id) that are made and still needed after it."""
    graph = flat_graph(model)
    tensors = tensors_of(graph)
    trace = entries_of(model, graph, tensors)
    needed = {id(tensors[key]) for key in graph.outputs}
    after: list[tuple[Execution, set[int]]] = []
    for one in reversed(trace):
        after.append((one, set(needed)))
        needed = (needed - {id(y) for y in one.Ys}) | {id(x) for x in one.Xs}
    return after[::-1][len(graph.inputs) - 1 :]
