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

from xaicore.inspect import einsum
from xaicore.inspect.kinds import kind
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


@attrs.frozen
class Estimate:
    """What a plan will cost.

    head: in forward passes of the whole model, what runs before a cut.  loop: what is explained, there and back; None
    where sizes are not known before the run.
    by_site: the parts of loop.
    memory: bytes beside the model's own weights, at the peak: (fixed, per sample); None where loop is.
    """

    head: float
    loop: float | None
    by_site: Mapping[Site, float]
    memory: tuple[float, float] | None


def estimate(graph: Graph, whole: Graph, rules: Mapping[Site, Rule], facts: Mapping[Site, Facts]) -> Estimate:
    """Return what one backward pass over a graph costs, its forward included.

    Args:
        graph: What is explained; the rest of ``whole`` runs forward only.
        whole: The model, whose forward pass is the unit.
        rules: site -> rule; other operations get their gradient.
        facts: site -> facts.
    """
    specs = {**whole.specs, **graph.specs}
    inside = {node.site for node in graph.nodes}
    if any(n is None for node in whole.nodes for k in (*node.inputs, *node.outputs) for n in specs[k].shape[1:]):
        return Estimate(0, None, {}, None)
    works = {node.site: work(node, specs) for node in (*whole.nodes, *graph.nodes)}
    unit = sum(works[node.site].time for node in whole.nodes) or 1
    efforts = {node.site: _effort(rules.get(node.site), facts[node.site]) for node in graph.nodes}
    by_site = {site: _time(works[site], effort) / unit for site, effort in efforts.items()}
    head = whole.between(whole.inputs, graph.inputs).nodes  # what runs before a cut
    before = sum(works[node.site].time for node in head if node.site not in inside) / unit
    wide = {node.site: _bytes(specs[node.outputs[0]].dtype) for node in graph.nodes}  # of a number at a site
    fixed = sum(efforts[n.site].kernels * _kernel_size(n.operation) * wide[n.site] for n in graph.nodes)
    per_sample = sum(efforts[site].outputs * works[site].output * wide[site] for site in efforts)
    # What is made inside of an operation that runs whole is not known, nor what rules there cost.
    ruled_inside = any(one.site in rules for node in graph.nodes for one in node.inner)
    memory = None if any(node.inner for node in graph.nodes) else (fixed, per_sample)
    return Estimate(before, None if ruled_inside else sum(by_site.values()), by_site, memory)


def _bytes(dtype: str) -> int:
    """Return the bytes of a number: the last digits of a type's name are its bits."""
    bits = re.search(r"\d+$", dtype)
    return 1 if bits is None else int(bits[0]) // 8


def work(node: Node, specs: Mapping[int, Spec]) -> Work:
    """Return the work of one operation on one sample, all sizes known."""
    if kind(node.operation) in _FREE:
        return Work(0, 0, 0)
    given = [_sizes(specs[key]) for key in node.inputs]
    made = [_sizes(specs[key]) for key in node.outputs]
    output = sum(map(math.prod, made))
    flops = 2 * _multiplications(node.operation, given or made, made[0])
    return Work(flops, sum(map(math.prod, given)) + output, output)


def _sizes(spec: Spec) -> list[int]:
    """Return the sizes of one sample's axes."""
    return [n or 0 for n in spec.shape[1:]]


def _multiplications(operation: keras.Operation, given: Sequence[Sequence[int]], made: Sequence[int]) -> float:
    """Return how often numbers are multiplied: a kernel's size times the positions that it is put to.

    Attention: each query with each key, and the weights with the values.
    """
    if type(operation).__name__ == "DotProductAttention":
        return float(2 * math.prod(given[0]) * given[1][0])
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


def _effort(rule: Rule | None, facts: Facts) -> Effort:
    told = getattr(rule, "effort", None)
    return _GRADIENT if told is None else told(facts)


def _time(one: Work, effort: Effort) -> float:
    return effort.passes * one.time + effort.sweeps * FLOPS_PER_NUMBER * one.output
