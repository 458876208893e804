"""Arguments of the tools that look into models, checked where a user gives them: what was given, what was expected."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

import keras
import numpy as np
import tensorflow as tf

from xaicore.errors import InvalidArgument, LegacyKerasModel, NotAKerasModel

Check = Callable[[str, object], None]
P = ParamSpec("P")
R = TypeVar("R")

_SHOWN = 60  # characters of a value in a message


def takes(**checks: Check) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function check the arguments of these names before it runs; defaults are not checked."""

    def checked(function: Callable[P, R]) -> Callable[P, R]:
        names = list(inspect.signature(function).parameters)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            for name, value in (*zip(names, args, strict=False), *kwargs.items()):
                if name in checks:
                    checks[name](name, value)
            return function(*args, **kwargs)

        return call

    return checked


def refuse(name: str, value: object, expected: str) -> InvalidArgument:
    """Return the error of an argument that is something else than was expected."""
    text = repr(value) if not isinstance(value, keras.KerasTensor) else "a symbolic tensor"
    text = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    return InvalidArgument(f"Given {name}={text} ({type(value).__name__}); expected {expected}.")


def _of(classes: type | tuple[type, ...], expected: str) -> Check:
    def check(name: str, value: object) -> None:
        if not isinstance(value, classes):
            raise refuse(name, value, expected)

    return check


def optional(check: Check) -> Check:
    """Return a check that takes None too."""

    def checked(name: str, value: object) -> None:
        if value is not None:
            check(name, value)

    return checked


def several(check: Check, expected: str) -> Check:
    """Return a check of a list or tuple, entry by entry; a text is no list of its letters."""

    def checked(name: str, value: object) -> None:
        if not isinstance(value, list | tuple):
            raise refuse(name, value, expected)
        for number, one in enumerate(value):
            check(f"{name}[{number}]", one)

    return checked


def either(*checks: Check) -> Check:
    """Return a check that takes what one of them takes; the last one says what was expected."""

    def checked(name: str, value: object) -> None:
        for check in checks[:-1]:
            try:
                check(name, value)
            except InvalidArgument:
                continue
            return
        checks[-1](name, value)

    return checked


def a_model(name: str, value: object) -> None:
    """Refuse what is no Keras 3 model."""
    del name
    if isinstance(value, keras.Model):
        return
    if any(c.__module__.startswith(("tf_keras", "tensorflow.python.keras")) for c in type(value).__mro__):
        raise LegacyKerasModel(
            f"Given a model of tf_keras (Keras 2), {type(value).__qualname__}; expected a Keras 3 model. "
            "Save it with `model.save('model.h5')` and load it with `keras.models.load_model('model.h5')`."
        )
    raise NotAKerasModel(
        f"Given {type(value).__qualname__}; expected a Keras 3 model (Sequential, Functional, subclassed). "
        "A function on arrays becomes one by xaicore.black_box(function, inputs, outputs)."
    )


an_operation = _of(
    keras.Operation, "a layer, or an operation of keras.ops; `graph.find_layer(model, name)` finds the layer of a name"
)
a_layer = _of(keras.layers.Layer, "a layer; `graph.find_layer(model, name)` finds the layer of a name")
layers_listed = several(a_layer, "a list of layers")
a_symbol = _of(keras.KerasTensor, "a symbolic tensor, as in `model.inputs`")
symbols_listed = several(a_symbol, "a list of symbolic tensors, such as `model.outputs`")
a_flag = _of((bool, np.bool_), "True or False")
a_text = _of(str, "text")
a_whole = _of((int, np.integer), "a whole number")
a_mapping = _of(Mapping, "a mapping from names to values")
a_class = either(_of(type, "a class"), several(_of(type, "a class"), "a class, or a tuple of classes"))


def listed(expected: str) -> Check:
    """Return a check of a list or tuple of anything."""
    return several(lambda *_: None, expected)


def numbers(name: str, value: object) -> None:
    """Refuse what is no tensor of values, no array and no number."""
    expected = "numbers, as an array or a tensor that has values; on symbolic tensors of Keras use keras.ops"
    for one in keras.tree.flatten(value) if isinstance(value, list | tuple) else [value]:
        dtype = one.dtype if isinstance(one, tf.Tensor | tf.Variable | keras.Variable) else _dtype(one)
        known = None if dtype is None else tf.as_dtype(dtype)
        if known is None or not (known.is_floating or known.is_integer or known.is_bool):
            raise refuse(name, value, expected)


def _dtype(value: object) -> object:
    if value is None or isinstance(value, keras.KerasTensor | keras.Operation | str):
        return None
    try:
        found = np.asarray(value).dtype
    except (TypeError, ValueError):
        return None
    return found if found.kind in "biuf" or found.name == "bfloat16" else None


tensors_listed = several(numbers, "a list of tensors")
a_tensor = either(a_symbol, numbers)
