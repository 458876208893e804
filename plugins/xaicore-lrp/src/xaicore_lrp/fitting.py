"""Patterns learnt from data: statistics of what goes into neurons and what comes out, in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import keras
import numpy as np
import tensorflow as tf

from xaicore.analyzer import AnalyzerBase
from xaicore.binding import bind
from xaicore.errors import UnsupportedOperation
from xaicore.inspect.affine import read_affine
from xaicore.inspect.execution import flat_graph
from xaicore.inspect.facts import Facts, facts_of
from xaicore.inspect.kinds import activation_of, head_kind
from xaicore.inspect.neurons import neuronwise_io
from xaicore.inspect.running import run
from xaicore.protocols import Attribution
from xaicore.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from xaicore.inspect.nodes import Graph, Node
    from xaicore.protocols import Program, Step

_THROUGH = frozenset({"identity", "norm", "sum"})  # shapes stay, and signs are set after them


@attrs.frozen(eq=False)
class Moments:
    """Sums over the rows of one layer: of 1; and of m, x m, x y m and y, m the mask of the neurons that are active."""

    rows: np.ndarray
    counts: np.ndarray
    x: np.ndarray
    xy: np.ndarray
    y: np.ndarray


def fitted(
    model: keras.Model, data: object, pattern_type: str, batch_size: int | None
) -> tuple[tuple[str, np.ndarray], ...]:
    """Return site -> pattern for every kernel layer of a model.

        A = (E[x y | m] - E[x | m] E[y]) / (w^T of the same)    per neuron, y = w^T x without bias,

    E[. | m] over the rows where the neuron is active: Kindermans et al. 2018, eq. 9.  A neuron that never is, or whose
    denominator is zero, keeps a denominator of one.
    """
    graph = flat_graph(model)
    facts = facts_of(graph)
    nodes = [node for node in graph.nodes if facts[node.site].contains_kernel]
    for node in nodes:
        _check(node)
    statistics = tf.function(lambda inputs: _batch(graph, nodes, facts, inputs, pattern_type), autograph=False)
    sums: list[Moments] | None = None
    bound = bind(_Inputs(), model)
    for batch in open_source(bound, _unlabelled(data, len(graph.inputs)), 0, batch_size).batches:
        found = [Moments(*map(np.asarray, one)) for one in statistics(tuple(map(tf.constant, batch.inputs)))]
        sums = found if sums is None else [_added(a, b) for a, b in zip(sums, found, strict=True)]
    return tuple(_pattern(node, one) for node, one in zip(nodes, sums or (), strict=True))


def _unlabelled(data: object, inputs: int) -> object:
    """Return data without labels and weights, which datasets for training hold behind the inputs."""
    spec = getattr(data, "element_spec", None)
    if not isinstance(spec, tuple) or len(spec) == inputs > 1:
        return data
    return data.map(lambda *parts: parts[0])  # type: ignore[attr-defined]  # a tf.data.Dataset


@attrs.frozen(str=False)
class _Inputs(AnalyzerBase):
    """Explains nothing: it stands for the model where data are checked."""

    def attribute(self, program: Program) -> Step:
        """Return a step that hands its inputs back."""
        return lambda inputs, target, ids: Attribution(inputs, target(program.outputs(inputs)))  # noqa: ARG005


def _check(node: Node) -> None:
    layer = node.operation
    convolution = isinstance(layer, keras.layers.Conv1D | keras.layers.Conv2D | keras.layers.Conv3D)
    if not (convolution or isinstance(layer, keras.layers.Dense)) or getattr(layer, "groups", 1) != 1:
        raise UnsupportedOperation(
            f"Patterns are learnt for Dense layers and convolutions without groups; {str(node.site)!r} is a "
            f"{type(layer).__name__}."
        )


def _batch(
    graph: Graph, nodes: Sequence[Node], facts: Mapping[object, Facts], inputs: tuple[tf.Tensor, ...], pattern_type: str
) -> list[tuple[tf.Tensor, ...]]:
    """Return the sums of one batch, one tuple per kernel layer."""
    values = dict(zip(graph.inputs, inputs, strict=True))
    with keras.StatelessScope():
        for node in graph.nodes:
            values.update(zip(node.outputs, run(node, [values[key] for key in node.inputs]), strict=True))
    return [_sums(node, graph, facts, values, pattern_type) for node in nodes]


def _sums(
    node: Node, graph: Graph, facts: Mapping[object, Facts], values: Mapping[int, tf.Tensor], pattern_type: str
) -> tuple[tf.Tensor, ...]:
    x = values[node.inputs[0]]
    form = read_affine(node.operation)
    linear = form.apply(x, form.kernel)  # type: ignore[union-attr]  # every layer with a kernel is affine
    active = _activation(node, graph, facts) if pattern_type == "relu" else None
    # The output of the activation has the shape of y; above zero it lets y pass.
    both = neuronwise_io(node.operation, Xs=[x], Ys=[linear])
    # Sums of products of numbers far from zero, from which as large ones are taken later: not in float32.
    rows, y = (tf.cast(one, tf.float64) for one in (both.inputs, both.outputs))
    mask = tf.ones_like(y)
    if active is not None:
        after = neuronwise_io(node.operation, Xs=[x], Ys=[values[active]], return_i=False).outputs
        mask = tf.cast(after > 0, y.dtype)
    count = tf.cast(tf.shape(y)[0], y.dtype)
    products = [mask, y * mask]
    x_m, xy_m = (tf.matmul(rows, one, transpose_a=True) for one in products)
    return count, tf.reduce_sum(mask, 0), x_m, xy_m, tf.reduce_sum(y, 0)


def _activation(node: Node, graph: Graph, facts: Mapping[object, Facts]) -> int | None:
    """Return the output of the first activation after a layer, its own counts; None where there is none."""
    if _has_activation(node):
        return node.outputs[0]
    key = node.outputs[0]
    while True:
        after = graph.consumers(key)
        if len(after) != 1:
            return None
        (node,) = after
        kind = facts[node.site].kind
        if kind == "activation":
            return node.outputs[0]
        if kind not in _THROUGH:
            return None
        (key,) = node.outputs


def _has_activation(node: Node) -> bool:
    """Return whether a layer ends in an activation that is no head."""
    own = activation_of(node.operation)
    return own is not None and head_kind(own) is None


def _added(a: Moments, b: Moments) -> Moments:
    return Moments(*(x + y for x, y in zip(attrs.astuple(a), attrs.astuple(b), strict=True)))


def _pattern(node: Node, sums: Moments) -> tuple[str, np.ndarray]:
    counts = np.maximum(sums.counts, 1)
    covariance = sums.xy / counts - (sums.x / counts) * (sums.y / sums.rows)
    weights = np.asarray(node.operation.kernel, np.float64)
    scale = np.einsum("jk,jk->k", weights.reshape(covariance.shape), covariance)
    pattern = covariance / np.where(scale == 0, 1, scale)
    return str(node.site), pattern.reshape(weights.shape).astype(node.operation.kernel.dtype)
