"""What each neuron of a layer reads and gives."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import keras
from keras import layers

from xaicore.errors import InvalidArgument, UnsupportedOperation
from xaicore.inspect.arguments import a_flag, a_layer, a_tensor, a_whole, optional, refuse, takes
from xaicore.inspect.kinds import kind
from xaicore.inspect.patches import extract_conv_patches
from xaicore.inspect.untouched import untouched
from xaicore.inspect.weights import inbound_count, named


def _one(name: str, value: object) -> None:
    if not isinstance(value, list | tuple) or len(value) != 1:
        raise refuse(name, value, "a list of one tensor")
    a_tensor(name, value[0])


@attrs.frozen
class NeuronwiseIO:
    """inputs: (rows, what one neuron reads).  outputs: (rows, neurons).  None where not asked for."""

    inputs: object
    outputs: object


@takes(layer=a_layer, Xs=optional(_one), Ys=optional(_one), node_index=a_whole, return_i=a_flag, return_o=a_flag)
def neuronwise_io(
    layer: keras.layers.Layer,
    *,
    Xs: Sequence[object] | None = None,  # noqa: N803  # as it is known
    Ys: Sequence[object] | None = None,  # noqa: N803
    node_index: int = 0,
    return_i: bool = True,
    return_o: bool = True,
) -> NeuronwiseIO:
    """Return what the neurons of a layer read and give, one row per place where the kernel is applied.

    ``outputs = activation(inputs @ kernel.reshape(-1, neurons) + bias)``, row by row.
    Dense: rows are samples and positions.  Convolutions: rows are samples and output positions, columns the patch.

    Args:
        layer: A Dense layer, or a Conv1D, Conv2D or Conv3D without groups.
        Xs: Its input as a list of one tensor; None: the symbolic one of its call number node_index.
        Ys: Its output, likewise.
        node_index: Which symbolic call of the layer, from 0.
        return_i: Whether inputs are wanted.
        return_o: Whether outputs are wanted.

    Raises:
        UnsupportedOperation: Another layer.
        InvalidArgument: Neither is wanted, or there is no such call.
    """
    convolution = isinstance(layer, layers.Conv1D | layers.Conv2D | layers.Conv3D)
    if not (convolution or isinstance(layer, layers.Dense)) or getattr(layer, "groups", 1) != 1:
        raise UnsupportedOperation(
            f"Given {named(layer)} of kind {kind(layer)!r}; expected a Dense layer or a convolution without groups."
        )
    if not (return_i or return_o):
        raise InvalidArgument("Given return_i=False and return_o=False; expected at least one of them to be True.")
    inputs, outputs = None, None
    if return_i:
        (x,) = _call(layer, node_index).input_tensors if Xs is None else Xs
        with untouched(x):
            inputs = _patches(layer, x) if convolution else _rows(x)
    if return_o:
        (y,) = _call(layer, node_index).outputs if Ys is None else Ys
        with untouched(y):
            outputs = _rows(_channels_last(layer, y) if convolution else y)
    return NeuronwiseIO(inputs, outputs)


def _call(layer: keras.layers.Layer, node_index: int) -> keras.Operation:
    if not 0 <= node_index < inbound_count(layer):
        raise InvalidArgument(
            f"Given node_index={node_index} of {named(layer)}, which was called {inbound_count(layer)} times; "
            "expected the number of a call from 0, or tensors as Xs and Ys."
        )
    return layer._inbound_nodes[node_index]  # noqa: SLF001  # no public name


def _patches(layer: keras.layers.Layer, x: object) -> object:
    return _rows(
        extract_conv_patches(
            _channels_last(layer, x), layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding
        )
    )


def _channels_last(layer: keras.layers.Layer, x: object) -> object:
    return keras.ops.moveaxis(x, 1, -1) if layer.data_format == "channels_first" else x


def _rows(x: object) -> object:
    return keras.ops.reshape(x, (-1, x.shape[-1]))  # type: ignore[attr-defined]
