"""What an operation is given, as a site of its own: the tensors as they enter this one operation, and no other."""

from __future__ import annotations

from typing import Any

import attrs
import keras

from xaicore.inspect.nodes import Graph, Node, Ref, Site

SUFFIX = ":inputs"


class PassOn(keras.Operation):  # type: ignore[misc]  # Keras has no types
    """Returns the tensors that it is given."""

    def call(self, *tensors: Any) -> Any:
        """Return one tensor as it is, several as a list."""
        return tensors[0] if len(tensors) == 1 else list(tensors)

    def compute_output_spec(self, *tensors: Any) -> Any:
        """Return shapes and dtypes."""
        return self.call(*tensors)


def is_entry(site: str) -> bool:
    """Return whether a text names what an operation is given, such as ``conv3:inputs``."""
    return site.endswith(SUFFIX)


def with_entry(graph: Graph, site: str) -> Graph:
    """Return the graph with a node at ``conv3:inputs`` before ``conv3``, through which all go that it is given.

    Whatever else takes the same tensors, such as a branch around the operation, takes them as before.

    Raises:
        UnknownSite: There is no such operation.
    """
    node = graph.stages(site.removesuffix(SUFFIX))[0]
    given = tuple(dict.fromkeys(node.inputs))
    first = max(graph.specs) + 1
    fresh = {key: first + i for i, key in enumerate(given)}

    def renamed(arguments: object) -> Any:
        return keras.tree.map_structure(lambda one: Ref(fresh[one.key]) if isinstance(one, Ref) else one, arguments)

    operation = PassOn()
    entry = Node(
        site=Site(site),
        reference=lambda: operation,
        args=tuple(Ref(key) for key in given),
        kwargs={},
        outputs=tuple(fresh.values()),
    )
    after = attrs.evolve(node, args=renamed(node.args), kwargs=renamed(dict(node.kwargs)))
    nodes = tuple(one for old in graph.nodes for one in ((entry, after) if old is node else (old,)))
    return attrs.evolve(graph, nodes=nodes, specs={**graph.specs, **{n: graph.specs[k] for k, n in fresh.items()}})
