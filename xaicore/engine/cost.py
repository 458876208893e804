"""What a plan will cost, before anything runs: in forward passes of the model, and in memory.

An operation's forward takes ``flops + 30 * numbers``: 2 flops per multiplication of its kernel, and the numbers that it
reads and writes.  A core does some 30 flops in the time that one number takes from memory and back; it is
the one machine-dependent figure here, and where kernels are large it hardly counts.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import attrs
from keras import layers

from xaicore.engine.estimates import Estimate
from xaicore.engine.lengths import PROBE, at_probe, is_free
from xaicore.inspect import einsum
from xaicore.inspect.kinds import activation_of, kind
from xaicore.inspect.linear import multiplications, product_of
from xaicore.protocols import Effort

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import keras

    from xaicore.inspect.facts import Facts
    from xaicore.inspect.nodes import Graph, Node, Site, Spec
    from xaicore.protocols import Rule

FLOPS_PER_NUMBER = 30
# What moves no number that it does not have to: their gradient is a view, or fused into its neighbour.
_FREE = frozenset({"identity"})
_GRADIENT = Effort()
_OF_LINEAR = Effort(outputs=0)
_LINEAR = frozenset({"conv", "dense", "norm", "sum", "average_pooling", "routing", "identity", "rescaling"})


@attrs.frozen
class Work:
    """One operation on one sample: multiplications of a kernel and additions; numbers read and written; its output."""

    flops: float
    moved: float
    output: float

    @property
    def time(self) -> float:
        """In flops."""
        return self.flops + FLOPS_PER_NUMBER * self.moved


def estimate(graph: Graph, whole: Graph, rules: Mapping[Site, Rule], facts: Mapping[Site, Facts]) -> Estimate:
    """Return what one backward pass over a graph costs, its forward included.

    Args:
        graph: What is explained; the rest of ``whole`` runs forward only.
        whole: The model, whose forward pass is the unit.
        rules: site -> rule; other operations get their gradient.
        facts: site -> facts.
    """
    nodes = (*whole.nodes, *graph.nodes)
    specs = at_probe(whole, nodes, {**whole.specs, **graph.specs})
    free = any(is_free(whole.specs[key]) for key in whole.inputs)
    if specs is None:
        lengths = f"a length of {PROBE}" if free else "those of the inputs"
        why = f"not known, some sizes are free and do not follow from {lengths}"
        return Estimate(0, None, {}, None, {node.site: why for node in graph.nodes})
    works = {site: one for node in nodes for site, one in _works(node, specs).items()}
    unit = sum(one.time for node in whole.nodes for one in _known(node, works)) or 1
    inside = {node.site for node in graph.nodes}
    sites = [site for node in graph.nodes for site in (*(one.site for one in node.inner), node.site)]
    called = {node.site: node.operation for node in graph.nodes}
    called |= {one.site: one.operation for node in graph.nodes for one in node.inner}
    efforts = {site: _effort(called[site], rules.get(site), facts[site]) for site in sites}
    unknown = {site for site in sites if works[site] is None}
    by_site = {site: _time(one, efforts[site]) / unit for site in sites if (one := works[site]) is not None}
    head = whole.between(whole.inputs, graph.inputs).nodes  # what runs before a cut
    before = sum(one.time for node in head if node.site not in inside for one in _known(node, works)) / unit
    # What is made inside of an operation that runs whole is not known.
    memory = None if free or any(node.inner for node in graph.nodes) else _memory(graph, specs, works, efforts, rules)
    uncounted = {site: why for node in graph.nodes for site, why in _uncounted(node, works).items()}
    loop = None if unknown else sum(by_site.values())
    return Estimate(before, loop, by_site, memory, uncounted, PROBE if free else None)


def _memory(
    graph: Graph,
    specs: Mapping[int, Spec],
    works: Mapping[Site, Work | None],
    efforts: Mapping[Site, Effort],
    rules: Mapping[Site, Rule],
) -> tuple[float, float]:
    """Return (fixed, per sample) bytes at the peak of the way back.

    At an operation it holds what is kept of those before it, and on the way through it the relevance of its output,
    that of its output before its activation or the quotient of a rule, and that of its input; for each of the parts of
    a rule that keeps them apart.
    """
    fixed = kept = peak = 0.0
    weighed = {key for node in graph.nodes if _keeps_input(rules.get(node.site)) for key in node.inputs}
    for node in graph.nodes:
        one, effort = works[node.site], efforts[node.site]
        if not weighed.isdisjoint(node.outputs) and kind(node.operation) not in _FREE:
            effort = attrs.evolve(effort, outputs=max(1.0, effort.outputs))
        wide = _bytes(specs[node.outputs[0]].dtype)  # of a number
        fixed += effort.kernels * _kernel_size(node.operation) * wide
        if one is not None:
            kept += effort.outputs * one.output * wide
            peak = max(peak, kept + max(1, effort.outputs - 1) * (one.output + one.moved) * wide)
    return fixed, peak


def _works(node: Node, specs: Mapping[int, Spec]) -> dict[Site, Work | None]:
    """Return the work of an operation, and of the layers inside of one that runs whole; None where it is not known."""
    works: dict[Site, Work | None] = {node.site: work(node, specs)}
    for one in node.inner:
        known = not one.looped and one.made and not any(map(is_free, (*one.given, *one.made)))
        works[one.site] = _work_of(one.operation, one.given, one.made) if known else None
    return works


def _known(node: Node, works: Mapping[Site, Work | None]) -> list[Work]:
    found = (works[site] for site in (node.site, *(one.site for one in node.inner)))
    return [one for one in found if one is not None]


def _uncounted(node: Node, works: Mapping[Site, Work | None]) -> dict[Site, str]:
    """Return by site what an estimate leaves out."""
    found = {}
    for one in node.inner:
        if works[one.site] is None:
            why = "it is called in a loop, how often is not known" if one.looped else "its sizes depend on the data"
            found[one.site] = f"not known, {why}"
    if node.inner:
        found[node.site] = "without what it computes between the layers inside, which nothing is known of"
    elif _is_unknown(node.operation):
        found[node.site] = "without what it does with its weights, which nothing is known of"
    return found


def _is_unknown(operation: keras.Operation) -> bool:
    """Return whether an operation has matrices, and no table knows what it does with them."""
    known = kind(operation) != "other" or isinstance(operation, layers.RNN | layers.Bidirectional)
    return not known and any(len(w.shape) > 1 for w in getattr(operation, "weights", ()))


def _bytes(dtype: str) -> int:
    """Return the bytes of a number: the last digits of a type's name are its bits."""
    bits = re.search(r"\d+$", dtype)
    return 1 if bits is None else int(bits[0]) // 8


def work(node: Node, specs: Mapping[int, Spec]) -> Work:
    """Return the work of one operation on one sample, all sizes known."""
    given, made = ([specs[key] for key in keys] for keys in (node.inputs, node.outputs))
    product = product_of(node)
    if product is None:
        return _work_of(node.operation, given, made)
    plain = _work_of(node.operation, given, made)
    return attrs.evolve(plain, flops=2 * multiplications(product, _sizes(given[0]), _sizes(made[0])))


def _work_of(operation: keras.Operation, of_given: Sequence[Spec], of_made: Sequence[Spec]) -> Work:
    if kind(operation) in _FREE:
        return Work(0, 0, 0)
    given, made = list(map(_sizes, of_given)), list(map(_sizes, of_made))
    output = sum(map(math.prod, made))
    flops = 2 * _multiplications(operation, given or made, made[0])
    return Work(flops, sum(map(math.prod, given)) + output, output)


def _sizes(spec: Spec) -> list[int]:
    """Return the sizes of one sample's axes."""
    return [n or 0 for n in spec.shape[1:]]


def _multiplications(operation: keras.Operation, given: Sequence[Sequence[int]], made: Sequence[int]) -> float:
    """Return how often numbers are multiplied: a kernel's size times the positions that it is put to.

    Attention: each query with each key, and the weights with the values.
    Recurrent layers: each matrix, at each step.
    """
    if isinstance(operation, layers.RNN | layers.Bidirectional):
        return float(given[0][0] * sum(math.prod(w.shape) for w in operation.weights if len(w.shape) > 1))
    if type(operation).__name__ == "DotProductAttention":
        return float(2 * math.prod(given[0]) * given[1][0])
    if type(operation).__name__ == "Matmul":
        return float(math.prod(made) * given[0][-1])
    if isinstance(operation, layers.EinsumDense):
        letters = einsum.sizes(operation, (1, *given[0]))
        if letters is not None:
            return float(math.prod(n or 1 for n in letters.values()))
    if kind(operation) not in {"conv", "dense"}:
        return 0
    shape = given[0] if "Transpose" in type(operation).__name__ else made
    channels_first = getattr(operation, "data_format", None) == "channels_first"
    return float(_kernel_size(operation) * math.prod(shape[1:] if channels_first else shape[:-1]))


def _kernel_size(operation: object) -> int:
    kernel = getattr(getattr(operation, "unfolded", operation), "kernel", None)  # a folded one would be computed
    return 0 if kernel is None else math.prod(kernel.shape)


def _effort(operation: keras.Operation, rule: Rule | None, facts: Facts) -> Effort:
    told = getattr(rule, "effort", None)
    if told is not None:
        return told(facts)  # type: ignore[no-any-return]
    # The gradient of a linear map by its input needs nothing of what went through it.
    return _OF_LINEAR if facts.kind in _LINEAR and activation_of(operation) is None else _GRADIENT


def _keeps_input(rule: Rule | None) -> bool:
    """Return whether the relevance that a rule gives is a multiple of its input."""
    return rule is not None and rule.setting.weighted


def _time(one: Work, effort: Effort) -> float:
    return effort.passes * one.time + effort.sweeps * FLOPS_PER_NUMBER * one.output
