"""The kind of an operation: which rules and conditions it meets.

The table is ``xaicore.inspect.kind_names``.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import layers
from keras.src.applications.convnext import LayerScale, StochasticDepth  # no public name
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer  # likewise

from xaicore import registry
from xaicore.errors import InvalidDeclaration
from xaicore.inspect.functions import canonical
from xaicore.inspect.kind_names import LAYER_NAMES, OPERATION_NAMES

# Layers of keras.applications that have no public name.
_OWN = {"rescaling": (LayerScale,), "identity": (StochasticDepth,), "sum": (CustomScaleLayer,)}
# Pooling layers that an older Keras lacks are left out.
LAYERS: tuple[tuple[str, tuple[type, ...]], ...] = tuple(
    (kind, (*(getattr(layers, name) for name in names if hasattr(layers, name)), *_OWN.get(kind, ())))
    for kind, names in LAYER_NAMES.items()
)
OPERATIONS = OPERATION_NAMES
# Kinds whose gradient only moves relevance to the inputs that it came from.
ROUTING = frozenset({"routing", "max_pooling", "identity"})

_ELEMENTWISE = ("elu", "selu", "celu", "gelu", "silu", "leaky_relu", "tanh", "softsign", "mish", "log_sigmoid")
_NONNEGATIVE_OPERATIONS = frozenset(
    {"Sigmoid", "Softplus", "HardSigmoid", "Softmax", "Exp", "Square", "Sqrt", "Absolute", "Abs"}
    | {"SparsePlus", "SparseSigmoid", "Sparsemax", "Squareplus"}
)
_NONNEGATIVE = ("relu", "relu6", "sigmoid", "softplus", "exponential", "hard_sigmoid", "softmax")


def _named(names: tuple[str, ...]) -> tuple[Callable[..., object], ...]:
    return tuple(keras.activations.get(name) for name in names)


def kind(operation: keras.Operation) -> str:
    """Return the kind of an operation, "other" where no table knows it."""
    told = kind_told(operation)
    if told is not None:
        return told
    if isinstance(operation, layers.Activation):
        return _activation_kind(canonical(operation.activation))
    if isinstance(operation, layers.Layer):
        found = next((name for name, classes in LAYERS if isinstance(operation, classes)), "other")
    else:
        found = OPERATIONS.get(type(operation).__name__, "other")
    if found not in {"routing", "interpolation"} or not hasattr(operation, "interpolation"):
        return found
    # A number of the output is a mean of some of the input's, or one of them.
    return "routing" if operation.interpolation == "nearest" else "interpolation"


def told_of(operation: keras.Operation) -> object:
    """Return what a plugin says of the class of an operation, hook ``xaicore_layer_readers``; None where none does."""
    return registry.layer_readers().get(f"{type(operation).__module__}:{type(operation).__qualname__}")


def kind_told(operation: keras.Operation) -> str | None:
    """Return the kind that a plugin gives to the class of an operation.

    Raises:
        InvalidDeclaration: it is no kind, or one whose weights have to be read.
    """
    told = told_of(operation)
    if not isinstance(told, str) or ":" in told:
        return None
    known = sorted({*(name for name, _ in LAYERS), *OPERATIONS.values(), "softmax"} - {"conv", "dense", "norm"})
    if told not in known:
        raise InvalidDeclaration(
            f"A plugin gives the kind {told!r} to {type(operation).__qualname__}; expected one of {', '.join(known)}, "
            "or a reader of its weights, a function from the layer to its AffineForm."
        )
    return told


def is_padding(operation: keras.Operation) -> bool:
    """Return whether an operation puts numbers of its own around its input."""
    padding = (layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D)
    return isinstance(operation, padding) or type(operation).__name__ == "Pad"


def _activation_kind(function: object) -> str:
    if function is keras.activations.linear:
        return "identity"
    if isinstance(function, layers.Layer):
        return kind(function)
    return "softmax" if function in _named(("softmax", "log_softmax")) else "activation"


def activation_of(operation: keras.Operation) -> object:
    """Return the activation function of an operation: a function, a layer, or None where it is linear.

    An activation layer is its own activation.
    """
    if kind(operation) in {"activation", "softmax"} and not isinstance(operation, layers.Activation):
        return operation
    function = canonical(getattr(operation, "activation", None))
    return None if function is keras.activations.linear else function


def is_relu(activation: object) -> bool:
    """Return whether an activation (see ``activation_of``) is max(z, 0), cut at the top or not.

    By identity and by instance: a ReLU layer given as ``activation=`` has no name to go by.
    """
    if _has_slope(activation):
        return not activation.negative_slope and not activation.threshold  # type: ignore[attr-defined]
    if type(activation).__name__ in {"Relu", "Relu6"} and isinstance(activation, keras.Operation):
        return True
    return activation in _named(("relu", "relu6"))


def _has_slope(activation: object) -> bool:
    """Return whether an activation is a ReLU with slope, threshold and maximum, as a layer or an operation."""
    return isinstance(activation, keras.Operation) and (
        isinstance(activation, layers.ReLU) or type(activation).__name__ == "ReLU"
    )


def is_unbounded_relu(activation: object) -> bool:
    """Return whether an activation is exactly max(z, 0)."""
    if _has_slope(activation):
        return is_relu(activation) and activation.max_value is None  # type: ignore[attr-defined]
    return type(activation).__name__ == "Relu" or activation is keras.activations.relu


def is_nonnegative(activation: object) -> bool:
    """Return whether an activation never returns a negative number."""
    if is_relu(activation) or isinstance(activation, layers.Softmax):
        return True
    if isinstance(activation, keras.Operation):
        return type(activation).__name__ in _NONNEGATIVE_OPERATIONS
    return activation in _named(_NONNEGATIVE)


def is_bounded(activation: object) -> bool:
    """Return whether an activation stays between two numbers, the lower of them zero: what gates are made of."""
    if _has_slope(activation):
        return is_relu(activation) and activation.max_value is not None  # type: ignore[attr-defined]
    if isinstance(activation, keras.Operation):
        return type(activation).__name__ in {"Sigmoid", "HardSigmoid", "SparseSigmoid", "Softmax", "Sparsemax", "Relu6"}
    return activation in _named(("sigmoid", "hard_sigmoid", "softmax", "relu6"))


def head_kind(activation: object) -> str | None:
    """Return "softmax" or "sigmoid" where an activation is the head of a classifier, else None."""
    for name in ("softmax", "sigmoid"):
        if activation is keras.activations.get(name) or type(activation).__name__.lower() == name:
            return name
    return None
