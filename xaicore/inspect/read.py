"""A Keras model read into a graph."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping, Sequence

import keras
from keras import layers
from keras.src.backend import get_keras_mask  # no public name
from keras.src.models.functional import Functional  # no public name

from xaicore.errors import LegacyKerasModel, NoGraph, NotAKerasModel, UnbuiltModel
from xaicore.inspect.nodes import Graph, Ref, Spec, Walk
from xaicore.inspect.opaque import trace_opaque
from xaicore.inspect.stages import separable_stages
from xaicore.inspect.untouched import untouched

# These call their cell in a loop of the backend: one operation, whatever is inside.
_LOOPS = (layers.RNN, layers.Bidirectional, layers.TimeDistributed)
# Reading a subclassed model adds nodes to its layers and takes them back: one reader at a time.
_READING = threading.RLock()


def check_model(model: object) -> keras.Model:
    """Return the model, or raise what is wrong with it."""
    if isinstance(model, keras.Model):
        if not model.built:
            raise UnbuiltModel(
                f"The model {model.name!r} has never been called, so its shapes are unknown. "
                "Call it once on data, `model(x[:1])`, or build it with `model.build(input_shape)`."
            )
        return model
    if any(c.__module__.startswith(("tf_keras", "tensorflow.python.keras")) for c in type(model).__mro__):
        raise LegacyKerasModel(
            f"Given a model of tf_keras (Keras 2), {type(model).__qualname__}; expected a Keras 3 model. "
            "Save it with `model.save('model.h5')` and load it with `keras.models.load_model('model.h5')`."
        )
    raise NotAKerasModel(
        f"Given {type(model).__qualname__}; expected a Keras 3 model (keras.Model: Sequential, Functional, subclassed)."
    )


def read_graph(model: keras.Model, forward_kwargs: Mapping[str, object] | None = None) -> Graph:
    """Read a model into a graph.

    Args:
        model: A built Keras 3 model.
        forward_kwargs: Further arguments of a subclassed model's ``call``.

    Raises:
        NotAKerasModel, LegacyKerasModel, UnbuiltModel: the model is no model, an old one, or has no shapes.
    """
    check_model(model)
    walk = Walk()
    with _READING:
        function = function_of(model)
        if function is None:
            return _read_subclassed(model, dict(forward_kwargs or {}), walk)
        inputs = [walk.ref(t) for t in function.inputs]
        outputs = _walk_function(walk, function, inputs, "")
        structure = keras.tree.pack_sequence_as(function._inputs_struct, inputs)  # noqa: SLF001  # no public way
    names = tuple(getattr(model, "output_names", None) or (f"output_{i}" for i in range(len(outputs))))
    return _graph(walk, inputs, outputs, tuple(t.name for t in function.inputs), names, structure)


def _graph(
    walk: Walk,
    inputs: Sequence[Ref],
    outputs: Sequence[Ref],
    input_names: tuple[str, ...],
    output_names: tuple[str, ...],
    structure: object,
) -> Graph:
    keys = [r.key for r in inputs]
    return Graph(
        nodes=tuple(walk.nodes),
        inputs=tuple(keys),
        outputs=tuple(r.key for r in outputs),
        specs=dict(walk.specs),
        input_names=input_names,
        output_names=output_names,
        structure=structure,
    )


def function_of(operation: keras.Operation) -> keras.Function | None:
    """Return the operation as a Keras Function where it is one: a Functional or a built Sequential model.

    A subclass with a ``call`` of its own does something else than its graph.
    """
    if isinstance(operation, keras.Sequential) and type(operation).call is keras.Sequential.call:
        return operation._functional  # noqa: SLF001  # no public way
    if isinstance(operation, Functional) and type(operation).call is Functional.call:
        return operation
    return None


def _walk_function(walk: Walk, function: keras.Function, inputs: Sequence[Ref], prefix: str) -> list[Ref]:
    known = {id(t): r for t, r in zip(function.inputs, inputs, strict=True)}
    by_depth = function._nodes_by_depth  # noqa: SLF001  # the execution order has no public name
    for depth in sorted(by_depth, reverse=True):
        for node in by_depth[depth]:
            if not node.operation or node.is_input:
                continue
            args, kwargs = node.arguments.fill_in(known)
            masked = any(get_keras_mask(t) is not None for t in node.input_tensors)
            refs = _walk_operation(walk, node.operation, args, kwargs, node.outputs, prefix, masked=masked)
            known.update({id(t): r for t, r in zip(node.outputs, refs, strict=True)})
    return [known[id(t)] for t in function.outputs]


def _walk_operation(
    walk: Walk,
    operation: keras.Operation,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    outputs: Sequence[keras.KerasTensor],
    prefix: str,
    *,
    masked: bool,
) -> list[Ref]:
    path = prefix + operation.name
    function = function_of(operation)
    if function is not None:
        refs = _in_order(function, args[0] if args else next(iter(kwargs.values())))
        return _walk_function(walk, function, refs, path + "/")
    if isinstance(operation, layers.SeparableConv1D | layers.SeparableConv2D):
        for stage in separable_stages(operation):
            tensors = [_symbol(walk.specs[args[0].key])]  # type: ignore[attr-defined]
            made = [keras.KerasTensor(*_shape_of(stage, tensors[0]))]
            args = tuple(walk.add(stage, f"{path}/{stage.name}", args, {}, made))
        return list(args)  # type: ignore[arg-type]
    if _is_composite(operation):
        # Keras hands a mask to the layer that is called, and symbolic calls of what is inside would not see it.
        inlined = None if masked else _inline(walk, operation, args, kwargs, path + "/")
        if inlined is not None:
            return inlined
        inner, _ = trace_opaque(operation, path, args, kwargs, walk.specs)
        return walk.add(operation, path, args, kwargs, outputs, inner=inner)
    return walk.add(operation, path, args, kwargs, outputs)


def _in_order(function: keras.Function, given: object) -> list[Ref]:
    """Return the inputs of a nested model in its own order, whatever structure it was called with."""
    names = [t.name for t in function.inputs]
    if isinstance(given, Mapping) and set(names) <= set(given):
        return [given[name] for name in names]
    return keras.tree.flatten(given)  # type: ignore[no-any-return]


def _shape_of(stage: keras.layers.Layer, tensor: keras.KerasTensor) -> tuple[tuple[int | None, ...], str]:
    return tuple(stage.compute_output_shape(tensor.shape)), stage.compute_dtype


def _symbol(spec: Spec) -> keras.KerasTensor:
    return keras.Input(batch_shape=spec.shape, dtype=spec.dtype)


def _is_composite(operation: keras.Operation) -> bool:
    if not isinstance(operation, layers.Layer) or isinstance(operation, _LOOPS):
        return False
    # An activation given as a layer is part of its layer, not a layer inside it.
    own = [x for x in operation._layers if x is not getattr(operation, "activation", None)]  # noqa: SLF001
    return bool(own)


def _inline(
    walk: Walk,
    operation: keras.layers.Layer,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    prefix: str,
) -> list[Ref] | None:
    """Walk through a composite layer by calling it on symbolic tensors; None where it refuses them."""
    refs = [r for r in keras.tree.flatten((args, dict(kwargs))) if isinstance(r, Ref)]
    unique = list(dict.fromkeys(refs))
    symbols = {r: _symbol(walk.specs[r.key]) for r in unique}
    filled_args, filled_kwargs = keras.tree.map_structure(
        lambda leaf: symbols[leaf] if isinstance(leaf, Ref) else leaf, (args, dict(kwargs))
    )
    with untouched(operation):
        try:
            made = operation.call(*filled_args, **_inference(operation, filled_kwargs))
            function = keras.Function([symbols[r] for r in unique], made)
        except Exception:  # noqa: BLE001  # user code may raise anything on symbolic tensors; the caller falls back
            return None
        return _walk_function(walk, function, unique, prefix)


def _inference(operation: keras.layers.Layer, kwargs: dict[str, object]) -> dict[str, object]:
    """Add ``training=False`` where the layer's call takes it."""
    return {**kwargs, "training": False} if operation._call_has_training_arg else kwargs  # noqa: SLF001


def _read_subclassed(model: keras.Model, forward_kwargs: dict[str, object], walk: Walk) -> Graph:
    inputs_struct, names = _inputs_of_subclassed(model)
    structure = keras.tree.map_structure(walk.ref, inputs_struct)
    inputs = keras.tree.flatten(structure)
    outputs = _inline(walk, model, (structure,), forward_kwargs, "")
    if outputs is None:
        inner, made = trace_opaque(model, model.name, (structure,), forward_kwargs, walk.specs)
        # A cache that is keyed weakly by the model must not hold the model.
        reference = weakref.ref(model)
        outputs = walk.add(model, model.name, (structure,), forward_kwargs, made, inner=inner, reference=reference)
    output_names = tuple(f"output_{i}" for i in range(len(outputs)))
    return _graph(walk, inputs, outputs, names, output_names, structure)


def _inputs_of_subclassed(model: keras.Model) -> tuple[object, tuple[str, ...]]:
    shapes = getattr(model, "_build_shapes_dict", None)
    if not shapes:
        raise UnbuiltModel(
            f"The subclassed model {model.name!r} does not know the shapes of its inputs. "
            "Call it once on data, `model(x[:1])`, before explaining it."
        )
    if len(shapes) > 1:
        raise NoGraph(
            f"The model {model.name!r} takes {len(shapes)} tensors ({', '.join(sorted(shapes))}); expected one "
            "argument that holds all inputs. Let `call` take one tuple, list or dict."
        )
    (shape,) = shapes.values()
    struct = keras.tree.map_shape_structure(
        lambda s: keras.KerasTensor((None, *tuple(s)[1:]), dtype=model.input_dtype), shape
    )
    flat = keras.tree.flatten_with_path(struct)
    names = tuple("/".join(str(p) for p in path) or "input" for path, _ in flat)
    return struct, names
