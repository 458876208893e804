"""Layers read into affine forms: ``y = activation(x W + b)``, with any W and b in place of the layer's own.

No convolution is written again.  The layer's own ``call`` runs on a twin: a second object of the same class
that shares every attribute but kernel, bias and activation.  The user's layer is only read.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import keras
import tensorflow as tf
from keras import layers

from xaicore.errors import InvalidDeclaration
from xaicore.inspect.kinds import activation_of, is_relu, is_unbounded_relu, kind_told, told_of
from xaicore.registry.parts import load

_WITH_KERNEL: tuple[type, ...] = (
    layers.Dense,
    layers.EinsumDense,
    layers.Conv1D,
    layers.Conv2D,
    layers.Conv3D,
    layers.Conv1DTranspose,
    layers.Conv2DTranspose,
    layers.Conv3DTranspose,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
)
# Layers whose kernel has its input channels on the axis before the last, and sums over them.
_JOINABLE = (layers.Dense, layers.Conv1D, layers.Conv2D, layers.Conv3D)

Linear = Callable[[tf.Tensor, tf.Tensor, "tf.Tensor | None"], tf.Tensor]


@attrs.frozen(eq=False)
class AffineForm:
    """One layer as ``activation(apply(x, kernel, bias))``.

    kernel, bias: tensors of the trace (bias may be None).
    map: (x, W, b or None) -> z, the layer's linear map with these weights.
    activation: z -> y, None where the layer is linear.
    relu: whether the activation is max(z, 0), cut at the top or not; unbounded: exactly max(z, 0).
    join: (channel axis of x, input-channel axis of W) where x and W may be concatenated along them:
        ``apply([x1, x2], [W1; W2]) = apply(x1, W1) + apply(x2, W2)``; None where the layer does not allow it.
    """

    kernel: tf.Tensor
    bias: tf.Tensor | None
    map: Linear
    activation: Callable[[tf.Tensor], tf.Tensor] | None = None
    relu: bool = False
    unbounded: bool = False
    join: tuple[int, int] | None = None

    def apply(self, x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None = None) -> tf.Tensor:
        """Return the linear map of x with the given kernel and, where given, bias."""
        return self.map(x, kernel, bias)

    def activate(self, z: tf.Tensor) -> tf.Tensor:
        """Return the layer's output from its pre-activation."""
        return z if self.activation is None else self.activation(z)


def twin(operation: keras.Operation, **attributes: object) -> keras.Operation:
    """Return a second object of the operation's class that shares all attributes but the given ones.

    Attributes are set past Keras' ``__setattr__``, which would track them on the trackers that the two share.
    """
    other: keras.Operation = object.__new__(type(operation))
    other.__dict__.update(operation.__dict__)
    other.__dict__.update(attributes)
    return other


def third_party_reader(operation: keras.Operation) -> Callable[[keras.Operation], AffineForm] | None:
    """Return how a plugin reads the class of an operation (hook ``xaicore_layer_readers``), None where none does.

    The class counts, not its bases: a subclass may compute anything.
    """
    reader = told_of(operation)
    if reader is None or kind_told(operation) is not None:
        return None
    return load(reader) if isinstance(reader, str) else reader  # type: ignore[return-value]


def is_affine(operation: keras.Operation) -> bool:
    """Return whether ``read_affine`` can read the operation; needs no trace."""
    if third_party_reader(operation) is not None:
        return True
    if getattr(operation, "quantization_mode", None) is not None:
        return False  # its weights are packed integers and its `quantized_call` never meets `call`
    if isinstance(operation, layers.BatchNormalization):
        return type(operation).call is layers.BatchNormalization.call
    # A subclass that brings a `call` of its own may compute anything.
    own = {getattr(c, "call", None) for c in _WITH_KERNEL}
    return isinstance(operation, _WITH_KERNEL) and getattr(type(operation), "call", None) in own


def read_affine(operation: keras.Operation) -> AffineForm | None:
    """Read an operation into its affine form, or return None where it has none.  Call it inside the trace."""
    reader = third_party_reader(operation)
    if reader is not None:
        return _checked(reader(operation), operation)
    if not is_affine(operation):
        return None
    if isinstance(operation, layers.BatchNormalization):
        return _read_batch_normalization(operation)
    dtype = operation.compute_dtype
    layer = getattr(operation, "unfolded", operation)  # see xaicore.inspect.folding: its kernel cannot be set
    attribute = "_kernel" if "_kernel" in layer.__dict__ else "kernel"

    def linear(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None) -> tf.Tensor:
        changed = {attribute: kernel, "bias": bias, "use_bias": bias is not None, "lora_enabled": False}
        other = twin(layer, **changed, activation=keras.activations.linear)
        return type(layer).call(other, x)

    bias = getattr(operation, "bias", None)
    activation = activation_of(operation)
    return AffineForm(
        kernel=tf.cast(tf.convert_to_tensor(operation.kernel), dtype),
        bias=None if bias is None else tf.cast(tf.convert_to_tensor(bias), dtype),
        map=linear,
        activation=activation,  # type: ignore[arg-type]  # a function or a layer: both are callables of z
        relu=is_relu(activation),
        unbounded=is_unbounded_relu(activation),
        join=_joinable(operation),
    )


def _checked(form: object, operation: keras.Operation) -> AffineForm:
    """Return what a plugin's reader made of a layer, if it is an affine form."""
    if not isinstance(form, AffineForm):
        raise InvalidDeclaration(
            f"The reader of {type(operation).__qualname__} returned {form!r:.60}; expected an AffineForm."
        )
    return form


def _joinable(operation: keras.Operation) -> tuple[int, int] | None:
    if not isinstance(operation, _JOINABLE) or getattr(operation, "groups", 1) != 1:
        return None
    channels_first = getattr(operation, "data_format", None) == "channels_first"
    return (1 if channels_first else -1, -2)


def _read_batch_normalization(layer: layers.BatchNormalization) -> AffineForm:
    """``y = k x + c`` with ``k = gamma / sqrt(variance + epsilon)``, ``c = beta - k mean``: Ioffe and Szegedy 2015."""
    # BatchNormalization computes in float32 at least, whatever the policy says.
    dtype = keras.backend.result_type(layer.compute_dtype, "float32")

    def value(variable: object) -> tf.Tensor:
        return tf.cast(tf.convert_to_tensor(variable), dtype)

    scale = tf.math.rsqrt(value(layer.moving_variance) + tf.constant(layer.epsilon, dtype))
    if layer.scale:
        scale = scale * value(layer.gamma)
    shift = -scale * value(layer.moving_mean)
    if layer.center:
        shift = shift + value(layer.beta)
    axis = layer.axis

    def linear(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None) -> tf.Tensor:
        shape = [1] * len(x.shape)
        shape[axis] = -1
        z = x * tf.cast(tf.reshape(kernel, shape), x.dtype)
        return z if bias is None else z + tf.cast(tf.reshape(bias, shape), x.dtype)

    return AffineForm(kernel=scale, bias=shift, map=linear)
