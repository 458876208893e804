"""Operations that cannot be turned into a graph: which of their layers are called, and in which order.

Such an operation (a ``call`` with raw TensorFlow or with Python branches on tensors) is run as it is.
The layers inside are met by shadowing their ``call`` on the instance, for one trace and one thread only.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs
import keras
import tensorflow as tf

from xaicore.errors import NoGraph
from xaicore.inspect.nodes import Inner, Ref, Spec
from xaicore.inspect.quiet import quiet
from xaicore.inspect.walk import Walk

# A wrapper takes the operation, its own call, and the arguments of this call.
Wrapper = Callable[..., object]

_ACTIVE: contextvars.ContextVar[object] = contextvars.ContextVar("xaicore_shadow", default=None)
# Operations of TensorFlow that are heads of classifiers, and those that only reshape what they are given.
_ENDS = {"Softmax": "softmax", "Sigmoid": "sigmoid", "LogSoftmax": "softmax"}
_SAME = frozenset({"Identity", "Reshape", "Squeeze", "ExpandDims", "Cast", "EnsureShape", "StopGradient", "Transpose"})
# Two traces must not shadow one layer at a time: the first to end would restore what the other still needs.
_SHADOWING = threading.RLock()


@contextlib.contextmanager
def shadowed(operations: Sequence[keras.Operation], wrapper: Wrapper) -> Iterator[None]:
    """Let ``wrapper(operation, call, *args, **kwargs)`` answer calls of the operations, in this context only.

    Law: another thread that calls an operation meanwhile, or a function traced there, meets its own call.
    The instances are as they were afterwards.
    """
    token = object()

    def shadow(operation: keras.Operation) -> Callable[..., object]:
        own = operation.call

        def call(*args: object, **kwargs: object) -> object:
            if _ACTIVE.get() is token:
                return wrapper(operation, own, *args, **kwargs)
            return own(*args, **kwargs)

        return call

    with _SHADOWING:
        before = [(x, x.__dict__.get("call")) for x in operations]
        active = _ACTIVE.set(token)
        try:
            # Past Keras' `__setattr__`, which would track the function.
            for operation, _ in before:
                operation.__dict__["call"] = shadow(operation)
            yield
        finally:
            _ACTIVE.reset(active)
            for operation, call in before:
                if call is None:
                    operation.__dict__.pop("call", None)
                else:
                    operation.__dict__["call"] = call


def leaves(operation: keras.Operation) -> list[keras.Operation]:
    """Return the layers inside an operation that hold no layers themselves, each once."""
    every = operation._flatten_layers(include_self=False, recursive=True)  # noqa: SLF001  # no public way
    unique = {id(x): x for x in every if x is not getattr(operation, "activation", None)}
    return [x for x in unique.values() if not x._layers]  # noqa: SLF001


@attrs.frozen(eq=False)
class Traced:
    """What a run of an operation tells: see ``nodes.Node``.

    outputs: shapes and dtypes.  returned: the structure that holds them, with their numbers.
    """

    inner: tuple[Inner, ...]
    outputs: list[keras.KerasTensor]
    end: str = ""
    tail: int | None = None
    returned: object = 0

    @property
    def of_node(self) -> dict[str, object]:
        """What a node of the operation keeps."""
        return {"inner": self.inner, "end": self.end, "tail": self.tail}


def trace_opaque(
    operation: keras.Operation,
    path: str,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    specs: Mapping[int, Spec],
) -> Traced:
    """Run an operation once in a graph that is thrown away; return the calls inside, and what it ends in."""
    inside = leaves(operation)
    walk = Walk()
    inner: list[Inner] = []
    outer: list[object] = []
    returned: dict[object, int] = {}  # tensor -> the call that it comes from

    def record(layer: keras.Operation, call: Callable[..., object], *a: object, **k: object) -> object:
        looped = tf.compat.v1.get_default_graph() is not outer[0]
        number, site = len(inner), walk.site(f"{path}/{layer.name}")
        inner.append(Inner(site, layer, looped))
        found = call(*a, **k)
        inner[number] = Inner(site, layer, looped, _specs((a, k)), _specs(found))
        if isinstance(found, tf.Tensor) and not looped:
            returned[found.ref()] = number
        return found

    refs = [r for r in keras.tree.flatten((args, dict(kwargs))) if isinstance(r, Ref)]

    def run(*tensors: tf.Tensor) -> object:
        outer.append(tf.compat.v1.get_default_graph())
        filled_args, filled_kwargs = fill(args, kwargs, dict(zip((r.key for r in refs), tensors, strict=True)))
        with shadowed(inside, record), quiet():
            return operation(*filled_args, **filled_kwargs)

    signature = [tf.TensorSpec(specs[r.key].shape, specs[r.key].dtype) for r in refs]
    try:
        concrete = tf.function(run, autograph=False, input_signature=signature).get_concrete_function()
    except Exception as error:
        raise NoGraph(
            f"{path!r} ({type(operation).__name__}) could not be run on symbolic tensors of shapes "
            f"{[s.shape for s in signature]}: {type(error).__name__}: {error}"
        ) from error
    outputs = keras.tree.flatten(concrete.structured_outputs)
    specs_out = [keras.KerasTensor(tuple(t.shape), dtype=t.dtype.name) for t in outputs]
    end, tail = _end_of(concrete.outputs[0], returned) if len(outputs) == 1 and concrete.outputs else ("", None)
    returned_as = keras.tree.pack_sequence_as(concrete.structured_outputs, range(len(outputs)))
    return Traced(tuple(inner), specs_out, end, tail, returned_as)


def _specs(nested: object) -> tuple[Spec, ...]:
    """Return shapes and dtypes of the tensors in a nest that hold numbers of each sample."""
    tensors = (x for x in keras.tree.flatten(nested) if isinstance(x, tf.Tensor) and x.shape.rank)
    return tuple(Spec(tuple(x.shape), x.dtype.name) for x in tensors)


def _end_of(tensor: tf.Tensor, returned: Mapping[object, int]) -> tuple[str, int | None]:
    """Return the activation that a tensor of a graph comes from, reshapes aside, and the call that it comes from."""
    tail: int | None = None
    while True:
        tail = returned.get(tensor.ref()) if tail is None else tail
        kind = tensor.op.type
        if kind in _ENDS:
            return _ENDS[kind], tail
        if "Call" in kind or kind in {"If", "While", "StatelessIf", "StatelessWhile"}:
            return "unknown", tail
        if kind not in _SAME or not tensor.op.inputs:
            return "", tail
        tensor = tensor.op.inputs[0]


def fill(
    args: tuple[object, ...], kwargs: Mapping[str, object], values: Mapping[int, object]
) -> tuple[tuple[object, ...], dict[str, object]]:
    """Put tensors in the place of the ``Ref`` among arguments."""
    return keras.tree.map_structure(  # type: ignore[no-any-return]
        lambda leaf: values[leaf.key] if isinstance(leaf, Ref) else leaf, (args, dict(kwargs))
    )
