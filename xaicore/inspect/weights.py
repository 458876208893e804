"""Layers and their weights: kernels, biases, copies."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers

from xaicore.errors import InvalidArgument, UnsupportedOperation
from xaicore.inspect.arguments import (
    a_flag,
    a_layer,
    a_text,
    an_operation,
    listed,
    optional,
    takes,
)
from xaicore.inspect.kinds import activation_of
from xaicore.inspect.layers import contains_bias

_NO_BIAS: dict[str, object] = {"use_bias": False, "bias_axes": None}  # how layers are told to have none


@takes(layer=a_layer)
def kernel(layer: keras.layers.Layer) -> np.ndarray:
    """Return the kernel of a layer: its one weight of rank 2 or more beside the bias, in the layout of Keras.

    Raises:
        UnsupportedOperation: The layer has none, or several (separable convolutions, recurrent layers, attention), or
            is quantised.
    """
    if getattr(layer, "quantization_mode", None) is not None:
        raise UnsupportedOperation(
            f"Given {named(layer)}, which is quantised ({layer.quantization_mode}): its kernel is packed integers; "
            "expected a layer as it was before."
        )
    found = [w for w in layer.weights if len(w.shape) > 1 and w is not getattr(layer, "bias", None)]
    if len(found) != 1:
        names = ", ".join(f"{w.name} {tuple(w.shape)}" for w in found) or "none"
        raise UnsupportedOperation(
            f"Given {named(layer)} with these weights of rank 2 or more: {names}; expected a layer with exactly one."
        )
    return np.asarray(found[0].numpy())


@takes(layer=an_operation)
def inbound_count(layer: keras.Operation) -> int:
    """Return how often a layer was called symbolically, in all models that it is part of."""
    return len(layer._inbound_nodes)  # noqa: SLF001  # no public name


@takes(layer=an_operation)
def outbound_count(layer: keras.Operation) -> int:
    """Return how many symbolic calls take an output of a layer, in all models that it is part of."""
    return len(layer._outbound_nodes)  # noqa: SLF001  # no public name


@takes(layer=a_layer, keep_bias=a_flag, name_template=optional(a_text), weights=optional(listed("a list of arrays")))
def copy_layer(
    layer: keras.layers.Layer,
    *,
    keep_bias: bool = True,
    name_template: str | None = None,
    weights: Sequence[np.ndarray] | None = None,
) -> keras.layers.Layer:
    """Return a new layer of the same configuration, built alike, with variables of its own and the same values.

    Args:
        layer: A built layer.
        keep_bias: Whether the copy has a bias where the layer has one.
        name_template: The copy's name, ``%s`` standing for the layer's; None: a new name by Keras.
        weights: Values in place of the layer's, in the order of the copy's ``weights``.

    Raises:
        InvalidArgument: keep_bias=False for a layer whose bias cannot be left out; weights of other shapes;
            a template without ``%s``.
    """
    return _copied(layer, {}, keep_bias=keep_bias, name_template=name_template, weights=weights)


@takes(layer=a_layer, keep_bias=a_flag, name_template=optional(a_text), weights=optional(listed("a list of arrays")))
def copy_layer_without_activation(
    layer: keras.layers.Layer,
    *,
    keep_bias: bool = True,
    name_template: str | None = None,
    weights: Sequence[np.ndarray] | None = None,
) -> keras.layers.Layer:
    """Return a copy of a layer that is linear up to its activation; the copy of an activation layer hands its input on.

    Arguments and errors are those of ``copy_layer``.

    Raises:
        UnsupportedOperation: A recurrent layer, whose activation is applied inside of it, at every step.
    """
    if isinstance(layer, layers.RNN | layers.Bidirectional):
        raise UnsupportedOperation(
            f"Given {named(layer)}, whose activation is applied at every step inside of it; expected a layer that "
            "ends in its activation."
        )
    only_activation = activation_of(layer) is layer
    if only_activation:  # ReLU, Softmax, LeakyReLU, PReLU: nothing but an activation
        return layers.Activation("linear", name=_new_name(layer, name_template), dtype=layer.dtype_policy)
    changed: dict[str, object] = {"activation": "linear"} if hasattr(layer, "activation") else {}
    return _copied(layer, changed, keep_bias=keep_bias, name_template=name_template, weights=weights)


def _copied(
    layer: keras.layers.Layer,
    changed: dict[str, object],
    *,
    keep_bias: bool,
    name_template: str | None,
    weights: Sequence[np.ndarray] | None,
) -> keras.layers.Layer:
    config = {**layer.get_config(), **changed, "name": _new_name(layer, name_template)}
    drop = contains_bias(layer) and not keep_bias
    key = next((name for name in _NO_BIAS if name in config), None)
    if drop and key is None:
        raise InvalidArgument(
            f"Given keep_bias=False for {named(layer)}, whose bias cannot be left out; expected a layer that can be "
            "built without, by `use_bias` or `bias_axes`."
        )
    if drop and key is not None:
        config[key] = _NO_BIAS[key]
    if weights is not None and not layer.built:
        raise InvalidArgument(f"Given weights for a copy of {named(layer)}, which is not built; build it first.")
    copy = type(layer).from_config(config)
    if layer.built:
        copy.build_from_config(layer.get_build_config())
        # The bias is not always the last of the weights, and that of a cell or projection is no attribute of the layer.
        own = getattr(layer, "bias", None)
        kept = [w.numpy() for w in layer.weights if not (drop and (w is own or w.name == "bias"))]
        _set(copy, layer, kept if weights is None else weights)
    return copy


def _new_name(layer: keras.layers.Layer, name_template: str | None) -> str | None:
    if name_template is None:
        return None  # Keras finds one
    if "%s" not in name_template:
        raise InvalidArgument(f"Given name_template={name_template!r}; expected text with %s for the layer's name.")
    return str(name_template % layer.name)


def _set(copy: keras.layers.Layer, layer: keras.layers.Layer, values: Sequence[np.ndarray]) -> None:
    expected = [tuple(w.shape) for w in copy.weights]
    given = [np.shape(value) for value in values]
    if given != expected:
        raise InvalidArgument(f"Given weights of shapes {given} for a copy of {named(layer)}; expected {expected}.")
    copy.set_weights([np.asarray(value) for value in values])


def named(layer: keras.Operation) -> str:
    """Return a layer as messages say it."""
    return f"the layer {layer.name!r} ({type(layer).__name__})"


def biases(layer: keras.layers.Layer) -> np.ndarray | None:
    """Return what a layer adds to each unit, whatever its input; None where it adds nothing.

    BatchNormalization: ``beta - gamma * mean / sqrt(variance + epsilon)`` with the layer's own epsilon.
    LayerNormalization and GroupNormalization: beta.  Others: their bias.
    """
    if isinstance(layer, layers.BatchNormalization):
        deviation = np.sqrt(layer.moving_variance.numpy() + layer.epsilon)
        gamma = layer.gamma.numpy() if layer.scale else 1.0
        return np.asarray((layer.beta.numpy() if layer.center else 0.0) - gamma * layer.moving_mean.numpy() / deviation)
    own = layer.beta if _is_normalization(layer) else getattr(layer, "bias", None)
    return None if own is None else np.asarray(own.numpy())


def _is_normalization(layer: keras.Operation) -> bool:
    return isinstance(layer, layers.LayerNormalization | layers.GroupNormalization)


def has_biases(layer: keras.Operation) -> bool:
    """Return whether a layer adds something of its own to each unit; see ``biases``."""
    if isinstance(layer, layers.BatchNormalization):
        return True
    return (layer.beta if _is_normalization(layer) else getattr(layer, "bias", None)) is not None
