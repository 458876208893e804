"""Layers called without effects: no variable changes, no loss is added or forgotten."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras
from keras.src.backend.common import global_state  # no public name

_CONTEXT = "current_call_ctx"


class _InferenceCall:
    """Stands for the call of an outer layer, at inference: Keras forgets a layer's losses where there is none."""

    entry_layer = None

    def __init__(self) -> None:
        self._values: dict[str, object] = {}

    def get_value(self, arg_name: str, default: object = None) -> object:
        """Return what the outer call was given."""
        return False if arg_name == "training" else self._values.get(arg_name, default)

    def set_value(self, arg_name: str, value: object) -> None:
        """Keep what a call was given for the calls inside of it."""
        self._values[arg_name] = value


@contextlib.contextmanager
def quiet(scope: keras.StatelessScope | None = None) -> Iterator[keras.StatelessScope]:
    """Let layers be called, in this thread, as parts of a call at inference that changes nothing.

    Law: values of variables, seeds of random numbers and ``losses`` are those of before.

    scope: the scope that answers for the variables; None: a new one.
    """
    before = global_state.get_global_attribute(_CONTEXT)
    global_state.set_global_attribute(_CONTEXT, _InferenceCall())
    try:
        with scope or keras.StatelessScope() as entered:
            yield entered
    finally:
        global_state.set_global_attribute(_CONTEXT, before)
