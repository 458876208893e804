"""A model as a function: one sweep forward over its graph, one sweep back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs
import tensorflow as tf

from xaicore.engine.execute import Ran, Ruled, run_gradient, run_rule
from xaicore.engine.plan import Plan, decide
from xaicore.engine.shadow import run_opaque
from xaicore.engine.sweep import Sweep, or_zeros
from xaicore.engine.visits import Visits
from xaicore.engine.vjp import vjp
from xaicore.errors import IntegerInput, InvalidParameter, NothingToFold
from xaicore.inspect.apart import activations_apart
from xaicore.inspect.entry import is_entry, with_entry
from xaicore.inspect.folding import fold_batch_normalization, folded_sites
from xaicore.inspect.layers import is_batch_normalization_layer
from xaicore.inspect.quiet import quiet
from xaicore.inspect.running import run
from xaicore.protocols import Initial, Pull, RuleMap, Tensors

if TYPE_CHECKING:
    from xaicore.engine.target import Target
    from xaicore.inspect.nodes import Graph, Node

Head = Callable[[Tensors], Tensors]


@attrs.frozen(eq=False)
class Program:
    """An immutable view of a model: one output, rules chosen or not, perhaps cut.

    graph: the operations that compute the one output from the inputs.
    whole: the graph of the whole model, which the facts about its operations come from.
    plan: what every operation gets in ``pull``; None for the plain gradient.
    context: values of the last inputs of the graph, which are not explained (what runs around a cut).
    at_most: most samples that are given at once; None for any number.  Copies of few samples need no loop.
    visited: filled with the sites that a trace meets; all views of one program share it.
    """

    graph: Graph
    whole: Graph
    plan: Plan | None = None
    context: Tensors = ()
    at_most: int | None = None
    visited: Visits = attrs.field(factory=Visits, repr=False)

    def outputs(self, inputs: Tensors) -> tf.Tensor:
        """Return the output, (batch, *shape)."""
        return self.values(inputs)[self.graph.outputs[0]]

    def values(self, inputs: Tensors) -> dict[int, tf.Tensor]:
        """Return the value of every tensor of the graph, by its key."""
        values = self._values(inputs)
        with quiet():
            for node in self.graph.nodes:
                self.visited.met(node)
                _store(values, node, run(node, [values[k] for k in node.inputs]))
        return values

    def apart(self) -> Program:
        """Return the program with activations as operations of their own.  Law: the same outputs, to the bit."""
        return attrs.evolve(self, graph=activations_apart(self.graph), whole=activations_apart(self.whole))

    def pull(
        self,
        inputs: Tensors,
        target: Target,
        *,
        initial: Initial = "one",
        taps: Sequence[str] = (),
        stops: Sequence[str] = (),
        sinks: bool = False,
    ) -> Pull:
        """Return the scores and what the backward sweep brings to the inputs and to the tapped sites.

        See ``xaicore.protocols.Program.pull``.
        """
        tapped: dict[int, list[str]] = {}
        for site in taps:  # a layer and its last stage are two names of one tensor
            tapped.setdefault(self._output_of(site), []).append(site)
        halted = {key for site in stops for key in self.graph.node(site).outputs}
        with quiet():
            values, records = self._forward(inputs, sinks=sinks)
            output = values[self.graph.outputs[0]]
            scores, pullback = vjp(target, output)
            relevance = (
                {self._output_of(site): _like(value, values[self._output_of(site)]) for site, value in initial.items()}
                if isinstance(initial, Mapping)
                else {self.graph.outputs[0]: pullback(_start(initial, scores))[0]}
            )
            sweep = Sweep(tapped, halted, scores if sinks else None)
            sweep.run(records, relevance)
        explained = self.graph.inputs[: len(inputs)]
        for key in explained:
            if relevance.get(key) is None and not (halted or isinstance(initial, Mapping)) and self.graph.reaches(key):
                raise IntegerInput(
                    f"No gradient comes back to the input {self._name(key)!r}, though the output depends on it: it is "
                    "rounded, looked up, compared or computed outside of TensorFlow on the way. Perturbations need no "
                    "gradient; or explain the output of the operation that does this: "
                    f"at= one of {', '.join(str(n.site) for n in self.graph.nodes[:5])}, ..."
                )
        # What the output does not depend on has no relevance.
        found = tuple(or_zeros(relevance.get(k), x) for k, x in zip(explained, inputs, strict=True))
        return Pull(scores, found, sweep.total, sweep.kept, sweep.ledger)

    def _output_of(self, site: str) -> int:
        return self.graph.node(site).outputs[0] if site else self.graph.outputs[0]

    def _name(self, key: int) -> str:
        graph = self.whole
        return graph.input_names[graph.inputs.index(key)] if key in graph.inputs else f"tensor {key}"

    def with_rules(self, rules: RuleMap, *, otherwise: str = "gradient", starts: Sequence[str] = ()) -> Program:
        """Return the program with rules; see ``plan.decide`` for the arguments and errors."""
        return attrs.evolve(self, plan=decide(self.graph, self.whole, rules, otherwise=otherwise, starts=starts))

    def cut(self, site: str) -> tuple[Head, Program]:
        """Return (head, tail): head maps inputs to the site's output and what runs around it; tail goes on from there.

        ``conv3:inputs`` stands for what ``conv3`` is given, as it enters this operation alone.

        Law: ``tail.outputs(head(inputs)) == outputs(inputs)``.  Nothing is rebuilt; what the tail does not need is
        not traced.  ``tail.given(around)`` fixes what runs around, so that the site's output alone is explained.
        """
        graph = self._graph_at(site)
        keys = self.tensors_at(site)
        frontier = (*keys, *graph.frontier(keys))
        first = graph.between(graph.inputs, frontier)

        def head(inputs: Tensors) -> Tensors:
            values = self._values(inputs)
            self.visited.sites.add(site)  # which may be an input
            with quiet():
                for node in first.nodes:
                    self.visited.met(node)
                    _store(values, node, run(node, [values[k] for k in node.inputs]))
            return tuple(values[k] for k in frontier)

        return head, attrs.evolve(self, graph=graph.between(frontier, graph.outputs), context=())

    def tensors_at(self, site: str) -> tuple[int, ...]:
        """Return the keys of what a site returns, or of the input of this name: the first tensors of a cut's head."""
        graph = self._graph_at(site)
        named = site in graph.input_names
        return (graph.inputs[graph.input_names.index(site)],) if named else graph.node(site).outputs

    def _graph_at(self, site: str) -> Graph:
        return with_entry(self.graph, site) if is_entry(site) else self.graph

    def folded(self) -> Program:
        """Return the program with batch normalization folded into the linear layers beside it, where it can be.

        Law: ``folded().outputs(x)`` is ``outputs(x)`` up to rounding.

        Raises:
            NothingToFold: none of those there are can be; what was asked for would silently be something else.
        """
        graph = fold_batch_normalization(self.graph)
        there = any(is_batch_normalization_layer(node.operation) for node in self.graph.nodes)
        if there and not folded_sites(graph):
            raise NothingToFold(
                "Asked to fold batch normalization; the part of the model that is explained has none beside a linear "
                "layer that could take it: see `analyzer.plan(model)` without fold. Leave fold out."
            )
        return attrs.evolve(self, graph=graph, whole=fold_batch_normalization(self.whole, folded_sites(graph)))

    def given(self, context: Tensors) -> Program:
        """Return the program with the last of its inputs fixed."""
        return attrs.evolve(self, context=context)

    def _values(self, inputs: Tensors) -> dict[int, tf.Tensor]:
        return dict(zip(self.graph.inputs, (*inputs, *self.context), strict=True))

    def _forward(self, inputs: Tensors, *, sinks: bool) -> tuple[dict[int, tf.Tensor], list[tuple[Node, Ran]]]:
        values = self._values(inputs)
        explained = set(self.graph.inputs[: len(inputs)])
        records = []
        for node in self.graph.nodes:
            tensors = _distinct([values[k] for k in node.inputs])
            self.visited.met(node)
            if not explained & set(node.inputs):
                _store(values, node, run(node, tensors))
                continue
            explained |= set(node.outputs)
            ran = self._run(node, tensors, sinks=sinks)
            _store(values, node, ran[0])
            records.append((node, ran))
        return values, records

    def _run(self, node: Node, tensors: Sequence[tf.Tensor], *, sinks: bool) -> Ran:
        if self.plan is None:
            return run_gradient(node, tensors)
        if any(inner.site in self.plan.rules for inner in node.inner):
            return run_opaque(node, self.plan, tensors, sinks=sinks)
        rule = self.plan.rules.get(node.site)
        if rule is None:
            return run_gradient(node, tensors, sinks=sinks)
        return run_rule(node, Ruled(rule, node.site, node.operation, self.plan.facts[node.site], sinks), tensors)


def _store(values: dict[int, tf.Tensor], node: Node, outputs: Sequence[tf.Tensor]) -> None:
    values.update(zip(node.outputs, outputs, strict=True))


def _distinct(tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Return tensors none of which is another: a tape would count the gradient of one that is taken twice twice."""
    seen: set[int] = set()
    result = []
    for tensor in tensors:
        result.append(tf.identity(tensor) if id(tensor) in seen else tensor)
        seen.add(id(tensor))
    return result


def _like(value: object, tensor: tf.Tensor) -> tf.Tensor:
    """Return what is given for one sample, or for each unit, broadcast to a tensor (batch, ...)."""
    return tf.broadcast_to(tf.cast(tf.convert_to_tensor(value), tensor.dtype), tf.shape(tensor))


def _start(initial: Initial, scores: tf.Tensor) -> tf.Tensor:
    if callable(initial):
        return initial(scores)
    if initial not in {"one", "score"}:
        raise InvalidParameter(f"Given initial={initial!r}; expected 'one', 'score', a function of scores, a mapping.")
    return tf.ones_like(scores) if initial == "one" else scores
