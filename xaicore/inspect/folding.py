"""Batch normalization folded into the linear layer before or after it, on a graph: the model is only read.

At inference ``y = k x + c`` per channel, with ``k = gamma / sqrt(variance + epsilon)`` and ``c = beta - k mean``.

    before:  k (x W + b) + c = x (W k) + (k b + c)          the layer, then its normalization
    after:   (k x + c) W + b = x (k W) + (c W + b)          the normalization, then a layer without padding

An EinsumDense takes scales along the axis of its kernel that has the letter of what is normalized.

Kernel and bias are computed where they are used, from the variables, so that they are those of the model as it is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs
import keras
import tensorflow as tf
from keras import layers

from xaicore.inspect import einsum
from xaicore.inspect.affine import is_affine, read_affine, third_party_reader, twin
from xaicore.inspect.kinds import activation_of

if TYPE_CHECKING:
    from xaicore.inspect.nodes import Graph, Node, Site

_PLAIN = (layers.Dense, layers.Conv1D, layers.Conv2D, layers.Conv3D)
_TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
_DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)


@attrs.frozen(eq=False)
class Fold:
    """A layer and the normalization that goes into it.

    before: whether the layer comes before the normalization.  rank: axes of what is normalized.
    """

    layer: keras.layers.Layer
    norm: keras.layers.BatchNormalization
    before: bool
    rank: int

    @property
    def kernel(self) -> tf.Tensor:
        """The folded kernel."""
        scale, _ = self._scale_and_shift()
        return self._kernel * self._along(scale)

    @property
    def bias(self) -> tf.Tensor:
        """The folded bias, (outputs,); of an EinsumDense, in a shape that broadcasts to its output."""
        scale, shift = self._scale_and_shift()
        own = getattr(self.layer, "bias", None)
        bias = 0.0 if own is None else tf.cast(tf.convert_to_tensor(own), shift.dtype)
        if isinstance(self.layer, layers.EinsumDense):
            return self._bias_by_letters(scale, shift, bias)
        if self.before:
            return scale * bias + shift
        # What the layer makes of an input of c everywhere: the kernel summed over positions, times c.
        weighted = self._kernel * self._along(shift)
        spatial = list(range(len(weighted.shape) - 2))
        summed = tf.reduce_sum(weighted, spatial)
        inputs = 1 if isinstance(self.layer, _TRANSPOSED) else 0
        flat = tf.reshape(summed, [-1]) if isinstance(self.layer, _DEPTHWISE) else tf.reduce_sum(summed, inputs)
        return flat + bias

    def _bias_by_letters(self, scale: tf.Tensor, shift: tf.Tensor, bias: tf.Tensor | float) -> tf.Tensor:
        letters = einsum.letters(self.layer)
        assert letters is not None  # noqa: S101  # what has none is not folded
        if self.before:
            return letters.spread(scale, self._letter) * bias + letters.spread(shift, self._letter)
        kept = "".join(letter for letter in letters.output if letter in letters.kernel)
        weighted = tf.einsum(f"{letters.kernel},{self._letter}->{kept}", self._kernel, shift)
        return letters.spread(weighted, kept) + bias

    @property
    def _letter(self) -> str:
        """The letter of the axis that is normalized."""
        letters = einsum.letters(self.layer)
        return "" if letters is None else letters.of(self.norm.axis, self.rank, before=self.before)

    @property
    def _kernel(self) -> tf.Tensor:
        return tf.convert_to_tensor(self.layer.kernel)

    def _scale_and_shift(self) -> tuple[tf.Tensor, tf.Tensor]:
        form = read_affine(self.norm)
        kernel = self._kernel
        return tf.cast(form.kernel, kernel.dtype), tf.cast(form.bias, kernel.dtype)  # type: ignore[union-attr]

    def _along(self, values: tf.Tensor) -> tf.Tensor:
        """Return per-channel values in the shape that meets the kernel: (..., inputs, outputs) and its variants."""
        shape = [1] * len(self.layer.kernel.shape)
        if isinstance(self.layer, layers.EinsumDense):
            letters = einsum.letters(self.layer)
            shape[letters.kernel.index(self._letter)] = -1  # type: ignore[union-attr]  # see above
            return tf.reshape(values, shape)
        if isinstance(self.layer, _DEPTHWISE):
            # Outputs are inputs times multipliers, the input slowest.
            size = list(self.layer.kernel.shape[-2:]) if self.before else [-1, 1]
            return tf.reshape(values, shape[:-2] + size)
        # Transposed kernels are (..., outputs, inputs).
        shape[-1 if self.before != isinstance(self.layer, _TRANSPOSED) else -2] = -1
        return tf.reshape(values, shape)


def folded_layer(fold: Fold) -> keras.layers.Layer:
    """Return an object of the layer's class, its variables shared, whose kernel and bias are the folded ones."""
    made = twin(fold.layer, use_bias=True, _fold=fold)
    # Past Keras: an instance gets another class without its constructor.
    object.__setattr__(made, "__class__", _class_of(type(fold.layer)))  # type: ignore[arg-type]  # a class
    return made


@functools.cache  # a class for each class of Keras
def _class_of(base: type) -> type:
    """Return a subclass of a layer's class that takes kernel and bias from its fold."""
    names = {
        "kernel": property(lambda self: self._fold.kernel),
        "bias": property(lambda self: self._fold.bias),
        "unfolded": property(lambda self: self._fold.layer),
        "__doc__": f"{base.__name__} with a batch normalization in its weights.",
    }
    return type(base.__name__, (base,), names)


def fold_batch_normalization(graph: Graph, only: frozenset[Site] | None = None) -> Graph:
    """Return the graph with every batch normalization folded that can be.

    It goes into the layer before it where that layer is linear and nothing else takes its output, else into the layer
    after it where that one alone takes its output and makes the same of a constant at every place.  Others stay.

    Args:
        graph: Of a model.
        only: Sites of the normalizations that may be folded; None: all.
    """
    for node in graph.nodes:
        foldable = isinstance(node.operation, layers.BatchNormalization) and is_affine(node.operation)
        if foldable and (only is None or node.site in only):
            graph = _before(graph, node) or _after(graph, node) or graph
    return graph


def folded_sites(graph: Graph) -> frozenset[Site]:
    """Return the sites that were folded into others."""
    return frozenset(site for node in graph.nodes for site in node.folded)


def _before(graph: Graph, norm: Node) -> Graph | None:
    maker = next((n for n in graph.nodes if norm.inputs[0] in n.outputs), None)
    kinds = (*_PLAIN, *_TRANSPOSED, *_DEPTHWISE, layers.EinsumDense)
    if maker is None or not _foldable(maker, kinds) or not _same_axis(graph, norm, maker, before=True):
        return None
    alone = len(graph.consumers(maker.outputs[0])) == 1 and maker.outputs[0] not in graph.outputs
    if not alone or activation_of(maker.operation) is not None:
        return None
    made = _made(graph, maker, norm, before=True)
    return _replaced(graph, maker, attrs.evolve(made, outputs=norm.outputs), norm)


def _after(graph: Graph, norm: Node) -> Graph | None:
    (key,) = norm.outputs
    taker, *more = graph.consumers(key) or (None,)
    kinds = (*_PLAIN, *_TRANSPOSED, *_DEPTHWISE, layers.EinsumDense)
    if taker is None or more or key in graph.outputs or not _foldable(taker, kinds):
        return None
    operation = taker.operation
    grouped = getattr(operation, "groups", 1) != 1 and not isinstance(operation, _DEPTHWISE)
    if grouped or not _is_even(operation) or not _same_axis(graph, norm, taker, before=False):
        return None
    rename = {key: norm.inputs[0]}
    args, kwargs = keras.tree.map_structure(
        lambda leaf: attrs.evolve(leaf, key=rename.get(leaf.key, leaf.key)) if hasattr(leaf, "key") else leaf,
        (taker.args, dict(taker.kwargs)),
    )
    made = _made(graph, taker, norm, before=False)
    return _replaced(graph, taker, attrs.evolve(made, args=args, kwargs=kwargs), norm)


def _foldable(node: Node, classes: tuple[type, ...]) -> bool:
    operation = node.operation
    if not isinstance(operation, classes) or node.folded:
        return False
    return is_affine(operation) and third_party_reader(operation) is None


def _is_even(layer: keras.layers.Layer) -> bool:
    """Return whether an input of c everywhere makes the same of each place: no padding, or a kernel of one place.

    A transposed convolution puts fewer or more of its kernel's places on some outputs than on others.
    """
    single = all(size == 1 for size in getattr(layer, "kernel_size", ()))
    if isinstance(layer, _TRANSPOSED):
        return single and all(step == 1 for step in layer.strides)
    return single or getattr(layer, "padding", "valid") == "valid"


def _same_axis(graph: Graph, norm: Node, node: Node, *, before: bool) -> bool:
    """Return whether the axis that is normalized is the layer's axis of channels."""
    layer, rank = node.operation, len(graph.specs[norm.inputs[0]].shape)
    if isinstance(layer, layers.EinsumDense):
        letters = einsum.letters(layer)
        return letters is not None and letters.foldable(letters.of(norm.operation.axis, rank, before=before), before)
    channels = 1 if getattr(layer, "data_format", None) == "channels_first" else rank - 1
    return bool(norm.operation.axis % rank == channels)


def _made(graph: Graph, node: Node, norm: Node, *, before: bool) -> Node:
    fold = Fold(node.operation, norm.operation, before, len(graph.specs[norm.inputs[0]].shape))
    layer = folded_layer(fold)
    reference: Callable[[], Any] = lambda: layer  # noqa: E731  # as nodes have it
    return attrs.evolve(node, reference=reference, folded=(*node.folded, norm.site))


def _replaced(graph: Graph, old: Node, new: Node, gone: Node) -> Graph:
    """Return the graph with a node replaced, in the place of the later of the two, and one left out."""
    place = max(graph.nodes.index(old), graph.nodes.index(gone))
    nodes = [new if i == place else node for i, node in enumerate(graph.nodes) if i == place or node not in (old, gone)]
    return attrs.evolve(graph, nodes=tuple(nodes))
