"""One activation under many names: ``keras.ops.softmax`` and ``tf.nn.softmax`` are ``keras.activations.softmax``."""

from __future__ import annotations

import functools
from collections.abc import Callable

import keras
import tensorflow as tf

# Names of functions that compute the same in all modules that have them.  `gelu` does not: it is approximate in some.
SAME = (
    *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "silu", "mish"),
    *("sigmoid", "hard_sigmoid", "log_sigmoid", "softmax", "log_softmax", "softplus", "softsign", "tanh"),
)
MODULES = (keras.ops, keras.ops.nn, tf.nn, tf)
_OTHER_NAMES = {"exponential": (keras.ops.exp, tf.exp), "silu": (keras.ops.swish, tf.nn.swish)}


@functools.cache
def _known() -> dict[int, Callable[..., object]]:
    """Return the id of each function -> the activation of Keras that it is."""
    found = {}
    for name in (*SAME, *_OTHER_NAMES):
        activation = getattr(keras.activations, name)
        same = [getattr(module, name) for module in MODULES if hasattr(module, name)] if name in SAME else []
        found.update({id(function): activation for function in (*same, *_OTHER_NAMES.get(name, ()))})
    return found


def canonical(function: object) -> object:
    """Return the function of ``keras.activations`` that computes what a function computes; else what is given."""
    return _known().get(id(function), function)
