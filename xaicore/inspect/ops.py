"""Operations on tensors that analysis needs and Keras does not have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from xaicore.errors import InvalidArgument, NotFinite
from xaicore.inspect.arguments import (
    a_tensor,
    a_text,
    a_whole,
    an_operation,
    either,
    numbers,
    optional,
    refuse,
    several,
    takes,
    tensors_listed,
)
from xaicore.inspect.patches import extract_conv_patches
from xaicore.inspect.untouched import new_name, own_nodes, untouched

__all__ = [
    "apply",
    "assert_finite",
    "broadcast_to_tensors",
    "extract_conv_patches",
    "gather",
    "gather_nd",
    "gradients",
    "is_not_finite",
    "to_floatx",
]


_one_or_several = either(several(a_tensor, "a list of tensors"), a_tensor)


def _ys(name: str, value: object) -> None:
    if not callable(value):
        tensors_listed(name, value)


def _indices(name: str, value: object) -> None:
    numbers(name, value)
    if not tf.convert_to_tensor(value).dtype.is_integer:
        raise refuse(name, value, "whole numbers")


@takes(x=numbers)
def to_floatx(x: object) -> tf.Tensor:
    """Return x as a tensor of Keras's default type, ``keras.config.floatx()``."""
    return tf.cast(tf.convert_to_tensor(x), keras.config.floatx())


@takes(Xs=tensors_listed, Ys=_ys, known_Ys=optional(several(numbers, "a list of tensors, one for each Y")))
def gradients(
    Xs: Sequence[tf.Tensor],  # noqa: N803  # as it is known
    Ys: Sequence[tf.Tensor] | Callable[..., object],  # noqa: N803
    known_Ys: Sequence[tf.Tensor] | None = None,  # noqa: N803
) -> list[tf.Tensor | None]:
    """Return the vector-Jacobian products ``sum over j of known_Y_j * dY_j / dX_i``, one for each X.

    They stop at the Xs: where one X is computed from another, both count as given.

    Args:
        Xs: Tensors.
        Ys: A function of the Xs that returns one tensor or a list; inside of a ``tf.function`` its tensors too.
        known_Ys: A list of one tensor for each Y, of its shape; None: ones.

    Returns:
        A list; None where the Ys do not depend on an X.

    Raises:
        InvalidArgument: known_Ys of another number or shape, whole numbers, which have no gradient, or eager tensors as
            Ys, which do not know what made them.
    """
    Xs = [tf.convert_to_tensor(x) for x in Xs]  # noqa: N806
    _refuse_whole("Xs", Xs)
    if callable(Ys):
        # Copies: a function that closes over another X meets the tensor itself, and the tape only the copy.
        copies = [tf.identity(x) for x in Xs]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(copies)
            ys = tf.nest.flatten(Ys(*copies))
        return tape.gradient(ys, copies, output_gradients=_cotangents(ys, known_Ys))  # type: ignore[no-any-return]
    if tf.executing_eagerly():
        raise InvalidArgument("Given eager tensors as Ys; expected a function of the Xs: gradients(Xs, function).")
    known = _cotangents(Ys, known_Ys)
    return tf.gradients(list(Ys), list(Xs), grad_ys=known, stop_gradients=list(Xs))  # type: ignore[no-any-return]


def _cotangents(ys: Sequence[tf.Tensor], known: Sequence[tf.Tensor] | None) -> list[tf.Tensor] | None:
    _refuse_whole("Ys", ys)
    if known is None:
        return None
    if len(known) != len(ys):
        raise InvalidArgument(f"Given {len(known)} known_Ys for {len(ys)} Ys; expected one for each, or None for ones.")
    given = [tf.convert_to_tensor(one) for one in known]
    for number, (one, y) in enumerate(zip(given, ys, strict=True)):
        if not y.shape.is_compatible_with(one.shape):
            raise InvalidArgument(
                f"Given known_Ys[{number}] of shape {tuple(one.shape)} for a Y of shape {tuple(y.shape)}; expected the "
                "same shape."
            )
    return [tf.cast(one, y.dtype) for one, y in zip(given, ys, strict=True)]


def _refuse_whole(name: str, tensors: Sequence[Any]) -> None:
    for number, one in enumerate(tensors):
        if not (tf.is_tensor(one) and (one.dtype.is_floating or one.dtype.is_complex)):
            of = one.dtype.name if tf.is_tensor(one) else type(one).__name__
            raise InvalidArgument(f"Given {name}[{number}] of {of}; expected a floating type: others have no gradient.")


@takes(x=numbers)
def is_not_finite(x: object) -> tf.Tensor:
    """Return where x is NaN or infinite, as booleans of its shape."""
    values = tf.convert_to_tensor(x)
    if not values.dtype.is_floating:  # whole numbers are finite
        return tf.zeros_like(values, tf.bool)
    return tf.logical_not(tf.math.is_finite(values))


@takes(x=numbers, name=a_text)
def assert_finite(
    x: Any,  # a tensor or an array
    name: str = "tensor",
) -> tf.Tensor:
    """Return x, or raise if any of its numbers is NaN or infinite.

    Args:
        x: A tensor or array.
        name: What to call it in the message.

    Raises:
        NotFinite: Eagerly.  In a ``tf.function``, TensorFlow's InvalidArgumentError with the name in its message.
    """
    x = tf.convert_to_tensor(x)
    if not x.dtype.is_floating:  # whole numbers are finite
        return x
    if not tf.executing_eagerly():
        return tf.debugging.assert_all_finite(x, f"{name} is not finite")
    wrong = np.argwhere(is_not_finite(x).numpy())
    if len(wrong):
        raise NotFinite(
            f"Given {name} of shape {tuple(x.shape)} with {len(wrong)} numbers that are NaN or infinite, the first at "
            f"{tuple(map(int, wrong[0]))}; expected finite numbers."
        )
    return x


@takes(x=numbers, axis=a_whole, indices=_indices)
def gather(x: object, axis: int, indices: object) -> tf.Tensor:
    """Return the entries of x at the indices along an axis.

    Raises:
        InvalidArgument: Eagerly, an axis or an index that x has not.
    """
    return _gathered(lambda: tf.gather(x, indices, axis=axis), x, f"axis={axis}, indices", indices)


@takes(x=numbers, indices=_indices)
def gather_nd(x: object, indices: object) -> tf.Tensor:
    """Return the entries of x at the indices, whose last axis holds coordinates.

    Raises:
        InvalidArgument: Eagerly, coordinates that x has not.
    """
    return _gathered(lambda: tf.gather_nd(x, indices), x, "indices", indices)


def _gathered(find: Callable[[], tf.Tensor], x: object, name: str, indices: object) -> tf.Tensor:
    try:
        return find()
    except (tf.errors.InvalidArgumentError, ValueError):
        shape = tuple(tf.convert_to_tensor(x).shape)
        raise refuse(name, indices, f"places in x, whose shape is {shape}") from None


@takes(layer=an_operation, inputs=_one_or_several)
def apply(layer: keras.Operation, inputs: object) -> list[object]:
    """Return the outputs of a layer as a list, called on one tensor, or on a list of several.

    On symbolic tensors a built layer is stood for by a twin, which shares its variables and has a new name: the layer
    gets no node.  A layer that is not built yet is built, as by Keras.

    Args:
        layer: A layer that takes one tensor, or a list of them.
        inputs: A tensor, or a list or tuple of tensors; a list of one is the tensor in it.
    """
    given = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    plain = given if len(given) > 1 else given[0]
    symbolic = any(isinstance(x, keras.KerasTensor) for x in given)
    if not symbolic or not getattr(layer, "built", True):
        return keras.tree.flatten(layer(plain))  # type: ignore[no-any-return]
    with untouched(layer, *given):
        return keras.tree.flatten(own_nodes(layer, **new_name(layer, "applied"))(plain))  # type: ignore[no-any-return]


def broadcast_to_tensors(arrays: Any, tensors: Any) -> Any:  # nests of tensors have no type
    """Return arrays broadcast to the shapes of tensors, free axes counting as 1; lists pair by pair.

    Raises:
        InvalidArgument: Another number of arrays than tensors, or shapes that do not broadcast.
    """
    if isinstance(tensors, list | tuple):
        if not isinstance(arrays, list | tuple) or len(arrays) != len(tensors):
            given = f"{len(arrays)} arrays" if isinstance(arrays, list | tuple) else type(arrays).__name__
            raise InvalidArgument(f"Given {given} for {len(tensors)} tensors; expected a list of one for each.")
        return [broadcast_to_tensors(array, tensor) for array, tensor in zip(arrays, tensors, strict=True)]
    if not hasattr(tensors, "shape"):
        raise refuse("tensors", tensors, "a tensor, or a list of them")
    numbers("arrays", arrays)
    shape = tuple(1 if size is None else size for size in tensors.shape)
    try:
        return np.broadcast_to(arrays, shape)
    except ValueError:
        raise InvalidArgument(
            f"Given an array of shape {np.shape(arrays)}; expected one that broadcasts to {shape}."
        ) from None
