"""Further arguments of a model's ``call``: values that are part of the model, and arrays with a row for each sample."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from xaicore.errors import InvalidArgument
from xaicore.inspect.inputs import InputSpec
from xaicore.inspect.read import function_of


def split_forwarded(
    model: keras.Model, given: Mapping[str, object] | None
) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    """Return the arguments that are values, and those that have a row for each sample, sorted by name.

    Arrays of fractions come in the dtype that the model computes in.

    Raises:
        InvalidArgument: The model is a graph of its inputs, which takes no further arguments; or its ``call`` does not
            take one of them; or it is ``training``, which is always false.
    """
    given = _checked(model, given)
    if given and function_of(model) is not None:
        raise InvalidArgument(
            f"Given forward_kwargs with {', '.join(given)}; the model {model.name!r} is a graph of its inputs and "
            "takes nothing else. Make them inputs of the model, or subclass keras.Model."
        )
    arrays = {name: _array(value, model) for name, value in sorted(given.items()) if _has_rows(value)}
    return {name: value for name, value in given.items() if name not in arrays}, arrays


def _checked(model: keras.Model, given: object) -> dict[str, object]:
    """Return the arguments as a dict of names that the model's ``call`` takes."""
    if given is not None and not (isinstance(given, Mapping) and all(isinstance(name, str) for name in given)):
        raise InvalidArgument(f"Given forward_kwargs={given!r:.60}; expected a dict: name of an argument -> value.")
    named: dict[str, object] = dict(given or {})
    if "training" in named:
        raise InvalidArgument(
            f"Given forward_kwargs with training={named['training']!r}; a model is explained as it predicts, with "
            "training=False. Leave it out."
        )
    takes = inspect.signature(model.call).parameters
    others = [name for name in named if name not in takes]
    if others and function_of(model) is None and not any(p.kind is p.VAR_KEYWORD for p in takes.values()):
        raise InvalidArgument(
            f"Given forward_kwargs with {', '.join(others)}; `call` of {type(model).__name__} takes {', '.join(takes)}."
        )
    return named


def symbols_of(specs: Sequence[InputSpec]) -> dict[str, object]:
    """Return symbolic tensors that stand for arrays in the model's graph."""
    return {spec.name: keras.KerasTensor(spec.shape, spec.dtype) for spec in specs}


def specs_of(arrays: Mapping[str, np.ndarray]) -> tuple[InputSpec, ...]:
    """Return name, shape of a sample and dtype of each array."""
    return tuple(InputSpec(name, (None, *a.shape[1:]), a.dtype.name) for name, a in arrays.items())


def check_lengths(arrays: Mapping[str, np.ndarray], samples: int, *, least: bool = False) -> None:
    """Raise InvalidArgument unless every array has as many rows as there are samples.

    least: there may be more samples to come.
    """
    for name, array in arrays.items():
        if len(array) < samples or (len(array) != samples and not least):
            some = "at least " if least else ""
            raise InvalidArgument(
                f"Given forward_kwargs[{name!r}] of shape {array.shape} and {some}{samples} samples; expected a row "
                "for each. A value for all samples is a number, text or None."
            )


def _has_rows(value: object) -> bool:
    return (isinstance(value, np.ndarray) or tf.is_tensor(value)) and np.ndim(value) > 0  # type: ignore[arg-type]


def _array(value: Any, model: keras.Model) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise InvalidArgument(f"Given an array of dtype {array.dtype} in forward_kwargs; expected numbers or booleans.")
    return array.astype(model.compute_dtype) if array.dtype.kind == "f" else array
