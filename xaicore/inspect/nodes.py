"""One graph for every model: operations in execution order, each at its site.

Nothing else walks a model.  Nested models are entered, shared layers appear once per call,
subclassed models and composite layers are turned into operations by calling them on symbolic tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs
import keras

from xaicore.errors import UnknownSite


@attrs.frozen(order=True)
class Site:
    """Where an operation is called: the names on the way to it, and which call of it this is."""

    path: str
    call: int = 0

    def __str__(self) -> str:
        """Return ``backbone/conv3``, or ``tower/shared[1]`` for the second call."""
        return f"{self.path}[{self.call}]" if self.call else self.path


@attrs.frozen
class Ref:
    """Stands for a tensor in the arguments of a node."""

    key: int


@attrs.frozen
class Spec:
    """Shape (None where free) and dtype of a tensor."""

    shape: tuple[int | None, ...]
    dtype: str


@attrs.frozen(eq=False)
class Inner:
    """A layer called inside of an operation that could not be turned into a graph.

    looped: called in a loop or function of the backend, where no rule can reach it.
    given, made: the tensors that it takes and returns, with the sizes that are known before a run.
    """

    site: Site
    operation: keras.Operation
    looped: bool
    given: tuple[Spec, ...] = ()
    made: tuple[Spec, ...] = ()


@attrs.frozen(eq=False)
class Whole:
    """One call of a layer that stands in the graph as stages, such as a separable convolution."""

    site: Site
    operation: keras.Operation


@attrs.frozen(eq=False)
class Node:
    """One call of one operation.

    args, kwargs: its arguments, tensors replaced by ``Ref``.
    outputs: keys of the tensors that it returns.
    inner: calls of the layers inside, in order, where the operation could not be turned into a graph.
    why: then, why not.  end: "softmax" or "sigmoid" where that is what such an operation does last, reshapes aside,
        "unknown" where it cannot be seen.  tail: which of the calls inside returns what it returns, reshaped perhaps.
    folded: sites of operations whose work this one does too (see ``xaicore.inspect.folding``).
    whole: the layer that this is a stage of: its name, class and index among kernel layers are the user's.
    """

    site: Site
    reference: Callable[[], keras.Operation]
    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    outputs: tuple[int, ...]
    inner: tuple[Inner, ...] = ()
    folded: tuple[Site, ...] = ()
    why: str = ""
    end: str = ""
    tail: int | None = None
    whole: Whole | None = None

    @property
    def operation(self) -> keras.Operation:
        """The Keras layer or operation."""
        return self.reference()

    @property
    def inputs(self) -> tuple[int, ...]:
        """Keys of the tensors among the arguments, once per occurrence."""
        return tuple(r.key for r in keras.tree.flatten((self.args, dict(self.kwargs))) if isinstance(r, Ref))


@attrs.frozen(eq=False)
class Container:
    """One call of a nested model, or of a layer made of layers: what stands in the graph as the operations inside.

    inputs, outputs: keys of the tensors that it takes and returns, in its own order.
    """

    site: Site
    operation: keras.Operation
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@attrs.frozen(eq=False)
class Graph:
    """The operations of a model, in execution order.

    inputs, outputs: keys of tensors.  specs: key -> shape and dtype.
    input_names, output_names: as the model names them.  output_aliases: other names of each output.
    structure: the structure in which the model takes its inputs, holding ``Ref``.
    containers: calls of what the operations are inside of, in the order in which they return.
    returned: the structure in which the model returns its outputs, holding ``Ref``.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    specs: Mapping[int, Spec]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    structure: object = None
    containers: tuple[Container, ...] = ()
    returned: object = None
    output_aliases: tuple[tuple[str, ...], ...] = ()

    @property
    def sites(self) -> tuple[Site, ...]:
        """All sites in execution order, those inside of opaque operations too."""
        return tuple(s for n in self.nodes for s in (*(i.site for i in n.inner), n.site))

    def node(self, site: str) -> Node:
        """Return the node of a site given as text, the last stage where it names a layer of stages.

        Raises:
            UnknownSite: there is none.
        """
        return self.stages(site)[-1]

    def stages(self, site: str) -> tuple[Node, ...]:
        """Return the node of a site given as text, or the stages of the layer that it names; raises UnknownSite."""
        for node in self.nodes:
            if str(node.site) == site:
                return (node,)
        found = tuple(node for node in self.nodes if node.whole is not None and str(node.whole.site) == site)
        if not found:
            raise UnknownSite(unknown_site(site, (str(n.site) for n in self.nodes)))
        return found

    def between(self, inputs: Sequence[int], outputs: Sequence[int]) -> Graph:
        """Return the part that computes the outputs, given the inputs."""
        needed, kept = set(outputs), []
        for node in reversed(self.nodes):
            open_outputs = set(node.outputs) - set(inputs)
            if open_outputs & needed:
                kept.append(node)
                needed |= set(node.inputs)
        return attrs.evolve(self, nodes=tuple(reversed(kept)), inputs=tuple(inputs), outputs=tuple(outputs))

    def frontier(self, keys: Sequence[int]) -> tuple[int, ...]:
        """Return the tensors that the outputs need beside the given ones: what runs around a cut."""
        tail, made = self.between(keys, self.outputs), set(keys)
        dependent = tail.dependents(keys)
        # What depends on no input has no sample on its first axis; the tail computes it itself.
        moving = self.dependents(self.inputs)
        around: list[int] = []
        for node in tail.nodes:
            if dependent & set(node.outputs):
                around += [k for k in node.inputs if k in moving and k not in dependent | made and k not in around]
        return tuple(around)

    def dependents(self, keys: Iterable[int]) -> set[int]:
        """Return the given tensors and all that depend on them."""
        found = set(keys)
        for node in self.nodes:
            if found & set(node.inputs):
                found |= set(node.outputs)
        return found

    def reaches(self, key: int) -> bool:
        """Return whether an output depends on a tensor."""
        return not self.dependents((key,)).isdisjoint(self.outputs)

    def consumers(self, key: int) -> tuple[Node, ...]:
        """Return the nodes that take a tensor."""
        return tuple(node for node in self.nodes if key in node.inputs)


def unknown_site(site: str, sites: Iterable[str]) -> str:
    """Return the message for a site that is not there, with the nearest ones."""
    import difflib  # only where something went wrong

    known = list(sites)
    near = difflib.get_close_matches(site, known, n=3, cutoff=0.3) or known[:5]
    return (
        f"The model has no site {site!r}. Nearest sites: {', '.join(near)}. `analyzer.plan(model)` lists all of them."
    )
