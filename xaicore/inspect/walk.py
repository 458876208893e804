"""The state of one walk through a model, which ends as its graph."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence

import attrs
import keras

from xaicore.inspect.nodes import Container, Graph, Node, Ref, Site, Spec
from xaicore.inspect.outputs import output_names


@attrs.define(eq=False)
class Walk:
    """The state of one walk through a model: numbers tensors, counts the calls of each path.

    returned: the structure that the layer of layers returned which was walked through last.
    """

    nodes: list[Node] = attrs.field(factory=list)
    specs: dict[int, Spec] = attrs.field(factory=dict)
    calls: collections.Counter[str] = attrs.field(factory=collections.Counter)
    containers: list[Container] = attrs.field(factory=list)
    returned: object = None

    def ref(self, tensor: keras.KerasTensor) -> Ref:
        """Number a new tensor."""
        ref = Ref(len(self.specs))
        self.specs[ref.key] = Spec(tuple(tensor.shape), keras.backend.standardize_dtype(tensor.dtype))
        return ref

    def site(self, path: str) -> Site:
        """Return the site of the next call of a path."""
        self.calls[path] += 1
        return Site(path, self.calls[path] - 1)

    def add(
        self,
        operation: keras.Operation,
        path: str,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        outputs: Sequence[keras.KerasTensor],
        **more: object,
    ) -> list[Ref]:
        """Append a node and return its outputs."""
        refs = [self.ref(t) for t in outputs]
        keys = tuple(r.key for r in refs)
        reference = more.pop("reference", None) or (lambda: operation)
        self.nodes.append(Node(self.site(path), reference, args, dict(kwargs), keys, **more))  # type: ignore[arg-type]
        return refs

    def contain(self, operation: keras.Operation, path: str, inputs: Sequence[Ref], outputs: Sequence[Ref]) -> None:
        """Note that a container was walked through."""
        call = sum(one.site.path == path for one in self.containers)
        keys = (tuple(r.key for r in inputs), tuple(r.key for r in outputs))
        self.containers.append(Container(Site(path, call), operation, *keys))

    def graph(
        self,
        inputs: Sequence[Ref],
        outputs: Sequence[Ref],
        *,
        names: tuple[tuple[str, ...], tuple[str, ...]],
        structure: tuple[object, object],
    ) -> Graph:
        """Return what was walked through.

        names, structure: of the inputs, and of the outputs.
        """
        made = {key: str(node.site) for node in self.nodes for key in node.outputs}
        own = output_names(structure[1], names[1])
        aliases = zip(own, names[1], (made.get(r.key) for r in outputs), strict=True)
        return Graph(
            nodes=tuple(self.nodes),
            inputs=tuple(r.key for r in inputs),
            outputs=tuple(r.key for r in outputs),
            specs=dict(self.specs),
            input_names=names[0],
            output_names=own,
            output_aliases=tuple(tuple(a for a in (layer, site) if a and a != name) for name, layer, site in aliases),
            structure=structure[0],
            containers=tuple(self.containers),
            returned=structure[1],
        )
