"""A layer made of layers, or a subclassed model, called on symbolic tensors: which operations it consists of.

A deep twin of it is called, so that nothing of the user's meets a symbolic tensor.  What is computed of variables alone
has to be a part of the graph too: computed once, it would stay what it was when the variables change.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import keras
import tensorflow as tf
from keras import layers
from keras.src.backend import get_keras_mask  # no public name
from keras.src.backend.common.variables import Variable  # likewise

from xaicore.inspect.einsum import output_shape
from xaicore.inspect.quiet import quiet
from xaicore.inspect.symbols import Names, Reads, VariableValue, symbol_of
from xaicore.inspect.twins import Twins, deep_twin
from xaicore.inspect.untouched import own_nodes

# These call their cell in a loop of the backend: one operation, whatever is inside.
LOOPS = (layers.RNN, layers.Bidirectional, layers.TimeDistributed)
_READABLE = 200  # letters of a foreign error's text that are told


@attrs.frozen(eq=False)
class Call:
    """One symbolic call: of which operation, under which name, on what, and what it returned.

    fill: known tensors by id -> (args, kwargs).  masked: a tensor that it takes carries a mask of Keras.
    """

    operation: keras.Operation
    name: str
    fill: Callable[[Mapping[int, object]], tuple[tuple[object, ...], dict[str, object]]]
    outputs: Sequence[keras.KerasTensor]
    masked: bool = False


@attrs.frozen(eq=False)
class Calls:
    """What a layer consists of: its calls in order, and what it returns, flat and as it is."""

    calls: tuple[Call, ...]
    outputs: tuple[keras.KerasTensor, ...]
    returned: object


class _Refused(Exception):
    """The layer cannot be turned into calls; never leaves this file."""


def symbolic_calls(
    operation: keras.layers.Layer, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> Calls | str:
    """Return the calls that a layer consists of, or why there are none.

    Args:
        operation: A layer with layers inside, or a model; only read.
        args: What it is called on: symbolic tensors, and anything else.
        kwargs: Likewise.
    """
    # First with variables as they are: rules see `x * variable` as a constant factor.  Where a value is read, again
    # with a symbolic tensor in the place of each variable that the layers made of layers hold themselves.
    refused = ""
    for whole in (False, True):
        try:
            return _Attempt.of(operation, symbols=whole).calls(args, dict(kwargs))
        except _Refused as refusal:
            refused = refused or str(refusal)
    return refused


@attrs.frozen(eq=False)
class _Attempt:
    """One try: the twins, and what made the symbolic tensors that no symbolic call made, by id."""

    twins: Twins
    made: dict[int, Call] = attrs.field(factory=dict)
    kept: list[object] = attrs.field(factory=list)  # what ids stand for has to live on

    @classmethod
    def of(cls, operation: keras.layers.Layer, *, symbols: bool) -> _Attempt:
        stands: dict[int, tuple[Variable, keras.KerasTensor]] = {}

        def changes(one: keras.Operation) -> dict[str, object]:
            own: dict[str, object] = {"add_loss": _no_loss} if isinstance(one, layers.Layer) else {}
            held = one.__dict__.items() if symbols and _is_made_of_layers(one) else ()
            for name, value in held:
                if isinstance(value, Variable):
                    own[name] = stands.setdefault(id(value), (value, symbol_of(value)))[1]
            return own

        self = cls(deep_twin(operation, changes))
        for variable, symbol in stands.values():
            value = VariableValue(variable)
            self.made[id(symbol)] = Call(value, value.name, lambda _: ((), {}), (symbol,))
        for made in self.twins.by_original.values():
            if isinstance(made, layers.Layer) and (isinstance(made, LOOPS) or not _is_made_of_layers(made)):
                made.__dict__["call"] = self._on_constants(made)
            if isinstance(made, layers.EinsumDense) and made.built:
                made.__dict__["compute_output_shape"] = functools.partial(output_shape, made)
        return self

    def _on_constants(self, made: keras.layers.Layer) -> Callable[..., object]:
        """Return a call that gives symbolic tensors where a layer with variables is called on constants alone."""
        own, original = made.call, self.twins.originals[id(made)]

        def call(*args: object, **kwargs: object) -> object:
            flat = keras.tree.flatten((args, kwargs))
            if not original.variables or not tf.executing_eagerly() or any(_is_symbolic(x) for x in flat):
                return own(*args, **kwargs)
            with keras.StatelessScope():
                found = own(*args, **kwargs)
            symbols = keras.tree.map_structure(symbol_of, found)
            outputs = keras.tree.flatten(symbols)
            self.kept.append(outputs)
            once = Call(original, original.name, lambda _: (args, kwargs), outputs)
            self.made.update({id(tensor): once for tensor in outputs})
            return symbols

        return call

    def calls(self, args: tuple[object, ...], kwargs: dict[str, object]) -> Calls:
        """Call the twin and return what was called."""
        operation = self.twins.operation
        if operation._call_has_training_arg:  # noqa: SLF001  # no public name
            kwargs = {**kwargs, "training": False}
        reads = Reads()
        with quiet(reads):
            try:
                made = operation.call(*args, **kwargs)
            except Exception as error:  # noqa: BLE001  # user code may raise anything on symbolic tensors
                raise _Refused(self._why(error)) from None
        outputs = keras.tree.flatten(made)
        if reads.read:
            names = ", ".join(sorted(v.path for v in reads.read.values()))
            raise _Refused(f"it computes with the value of {names} apart from its input")
        if not outputs or not all(isinstance(y, keras.KerasTensor) for y in outputs):
            raise _Refused("it returns something else than tensors that depend on its input")
        given = {id(x) for x in keras.tree.flatten((args, kwargs)) if isinstance(x, keras.KerasTensor)}
        return Calls(tuple(self._in_order(outputs, given)), tuple(outputs), made)

    def _in_order(self, outputs: Sequence[keras.KerasTensor], given: set[int]) -> Iterator[Call]:
        """Follow tensors back to what is given, and yield the calls on the way, each after those that it needs."""
        names = Names({op.name for op in self.twins.originals.values()})
        done: set[int] = set()
        stack: list[tuple[keras.KerasTensor, bool]] = [(y, False) for y in reversed(outputs)]
        while stack:
            tensor, ready = stack.pop()
            node = None if id(tensor) in self.made else _node_of(tensor)
            call = self.made.get(id(tensor))
            key = id(node if call is None else call)
            if id(tensor) in given or key in done:
                continue
            if node is None and call is None:
                raise _Refused("it returns a tensor that comes from outside of it")
            if node is not None and not ready:
                stack.append((tensor, True))
                stack += [(x, False) for x in reversed(node.input_tensors)]
                continue
            done.add(key)
            yield call if node is None else self._call_of(node, names)  # type: ignore[misc]  # one of the two is there

    def _call_of(self, node: Any, names: Names) -> Call:
        own = self.twins.originals.get(id(node.operation))
        name = names.of(node.operation) if own is None else own.name
        masked = any(get_keras_mask(x) is not None for x in node.input_tensors)
        if own is None and any("shape" in key and _is_open(value) for key, value in node.operation.__dict__.items()):
            raise _Refused(f"{name!r} in it asks for a shape with the number of samples, which a graph does not know")
        # An operation that is made in the call is kept without its nodes, which by way of the twins hold the model.
        operation = own_nodes(node.operation) if own is None else own
        return Call(operation, name, node.arguments.fill_in, node.outputs, masked)

    def _why(self, error: Exception) -> str:
        """Return what an error of somebody's code says, and the innermost layer that it was raised in."""
        where, trace = self.twins.operation, error.__traceback__
        while trace is not None:
            one = trace.tb_frame.f_locals.get("self")
            where = one if id(one) in self.twins.originals else where
            trace = trace.tb_next
        text = re.sub(r"\s+", " ", str(error)).strip()
        text = text if len(text) <= _READABLE else text[:_READABLE] + "..."
        return f"{where.name!r} refuses symbolic tensors: {type(error).__name__}: {text}"


def _node_of(tensor: keras.KerasTensor) -> Any:
    """Return the node of Keras that made a tensor, None where there is none."""
    history = getattr(tensor, "_keras_history", None)
    if history is None or history.operation is None:
        return None
    nodes = history.operation._inbound_nodes  # noqa: SLF001  # no public name
    node = nodes[history.node_index] if 0 <= history.node_index < len(nodes) else None
    return node if node is not None and any(y is tensor for y in node.outputs) else None


def _is_open(shape: object) -> bool:
    return isinstance(shape, list | tuple) and None in shape


def _is_made_of_layers(operation: keras.Operation) -> bool:
    # An activation given as a layer is part of its layer, not a layer inside it.
    inside = getattr(operation, "_layers", ())
    return any(x is not getattr(operation, "activation", None) for x in inside)


def _is_symbolic(value: object) -> bool:
    return isinstance(value, keras.KerasTensor) or (isinstance(value, tf.Tensor) and not hasattr(value, "numpy"))


def _no_loss(loss: object) -> None:
    """Take the place of ``add_loss``: a symbolic tensor has no value that could be added."""
    del loss
