"""A Keras model read into a graph."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Mapping, Sequence

import keras
from keras import layers
from keras.src.backend import get_keras_mask  # no public name
from keras.src.models.functional import Functional  # no public name

from xaicore.errors import NoGraph, UnbuiltModel
from xaicore.inspect.arguments import a_mapping, a_model, optional, takes
from xaicore.inspect.inline import LOOPS, symbolic_calls
from xaicore.inspect.nodes import Graph, Ref, Site, Spec, Whole
from xaicore.inspect.opaque import fill, trace_opaque
from xaicore.inspect.stages import separable_stages
from xaicore.inspect.walk import Walk

# A subclass that brings a ``call`` of its own may compute anything.
_SEPARABLE = (layers.SeparableConv1D.call, layers.SeparableConv2D.call)


def check_model(model: object) -> keras.Model:
    """Return the model, or raise what is wrong with it."""
    a_model("model", model)
    assert isinstance(model, keras.Model)  # noqa: S101  # tells mypy what was checked
    if not model.built:
        raise UnbuiltModel(
            f"The model {model.name!r} has never been called, so its shapes are unknown. "
            "Call it once on data, `model(x[:1])`, or build it with `model.build(input_shape)`."
        )
    _check_layers(model)
    return model


def _check_layers(model: keras.Model) -> None:
    """Refuse a model that was built without its layers: reading it would make their weights."""
    if model._called:  # noqa: SLF001  # no public name; a layer that a call did not build is not used
        return
    every = model._flatten_layers()  # noqa: SLF001  # no public way that enters all layers
    idle = [x.name for x in every if not x.built and type(x).build is not layers.Layer.build]
    if idle:
        raise UnbuiltModel(
            f"The model {model.name!r} is built, and {len(idle)} of its layers are not ({', '.join(idle[:5])}): they "
            "have no weights yet, and explaining must not make them. Call it once on data, `model(x[:1])`."
        )


@takes(forward_kwargs=optional(a_mapping))
def read_graph(model: keras.Model, forward_kwargs: Mapping[str, object] | None = None) -> Graph:
    """Read a model into a graph.

    Args:
        model: A built Keras 3 model.
        forward_kwargs: Further arguments of a subclassed model's ``call``; those that are symbolic tensors are the last
            inputs of the graph, beyond those that have names.

    Raises:
        NotAKerasModel, LegacyKerasModel, UnbuiltModel: the model is no model, an old one, or has no shapes.
    """
    check_model(model)
    walk = Walk()
    function = function_of(model)
    if function is None:
        return _read_subclassed(model, dict(forward_kwargs or {}), walk)
    inputs = [walk.ref(t) for t in function.inputs]
    outputs = _walk_function(walk, function, inputs, "")
    structure = keras.tree.pack_sequence_as(function._inputs_struct, inputs)  # noqa: SLF001  # no public way
    returned = keras.tree.pack_sequence_as(function._outputs_struct, outputs)  # noqa: SLF001
    names = tuple(getattr(model, "output_names", None) or (f"output_{i}" for i in range(len(outputs))))
    return walk.graph(inputs, outputs, names=(input_names(function), names), structure=(structure, returned))


def input_names(function: keras.Function) -> tuple[str, ...]:
    """Return the names of the layers that bring in the inputs; a tensor's own name is new in each process."""
    return tuple(t._keras_history.operation.name for t in function.inputs)  # noqa: SLF001  # no public name


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
            path = prefix + node.operation.name
            refs = _walk_operation(walk, node.operation, args, kwargs, node.outputs, path, masked=masked)
            known.update({id(t): r for t, r in zip(node.outputs, refs, strict=True)})
    return [known[id(t)] for t in function.outputs]


def _walk_operation(
    walk: Walk,
    operation: keras.Operation,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    outputs: Sequence[keras.KerasTensor],
    path: str,
    *,
    masked: bool,
) -> list[Ref]:
    refs = _refs(args, kwargs)
    function = function_of(operation)
    if function is not None and refs:
        given = _in_order(function, args[0] if args else next(iter(kwargs.values())))
        found = _walk_function(walk, function, given, path + "/")
        walk.contain(operation, path, given, found)
        return found
    if type(operation).call in _SEPARABLE and refs:
        given = refs[:1]
        found = _walk_stages(walk, operation, given, path)
        walk.contain(operation, path, given, found)
        return found
    if not _is_composite(operation):
        return walk.add(operation, path, args, kwargs, outputs)
    # Keras hands a mask to the layer that is called, and symbolic calls of what is inside would not see it.
    inlined = _inline(walk, operation, args, kwargs, path + "/") if not masked else "it is called with a mask of Keras"
    if not isinstance(inlined, str):
        walk.contain(operation, path, refs, inlined)
        return inlined
    traced = trace_opaque(operation, path, args, kwargs, walk.specs)
    return walk.add(operation, path, args, kwargs, outputs, why=inlined, **traced.of_node)


def _walk_stages(walk: Walk, operation: keras.layers.Layer, given: list[Ref], path: str) -> list[Ref]:
    """Walk through the linear stages of a separable convolution."""
    whole = Whole(Site(path, sum(one.site.path == path for one in walk.containers)), operation)
    for stage in separable_stages(operation):
        tensor = _symbol(walk.specs[given[0].key])
        made = [keras.KerasTensor(stage.compute_output_shape(tensor.shape), stage.compute_dtype)]
        given = walk.add(stage, f"{path}/{stage.name}", tuple(given), {}, made, whole=whole)
    return given


def _refs(args: tuple[object, ...], kwargs: Mapping[str, object]) -> list[Ref]:
    return [r for r in keras.tree.flatten((args, dict(kwargs))) if isinstance(r, Ref)]


def _in_order(function: keras.Function, given: object) -> list[Ref]:
    """Return the inputs of a nested model in its own order, whatever structure it was called with."""
    names = [t.name for t in function.inputs]
    if isinstance(given, Mapping) and set(names) <= set(given):
        return [given[name] for name in names]
    return keras.tree.flatten(given)  # type: ignore[no-any-return]


def _symbol(spec: Spec) -> keras.KerasTensor:
    return keras.Input(batch_shape=spec.shape, dtype=spec.dtype)


def _is_composite(operation: keras.Operation) -> bool:
    if not isinstance(operation, layers.Layer) or isinstance(operation, LOOPS):
        return False
    # An activation given as a layer is part of its layer, not a layer inside it.
    own = [x for x in operation._layers if x is not getattr(operation, "activation", None)]  # noqa: SLF001
    return bool(own)


def _inline(
    walk: Walk, operation: keras.layers.Layer, args: tuple[object, ...], kwargs: Mapping[str, object], prefix: str
) -> list[Ref] | str:
    """Walk through a composite layer by calling it on symbolic tensors; where it refuses them, return why."""
    symbols = {r: _symbol(walk.specs[r.key]) for r in _refs(args, kwargs)}
    filled_args, filled_kwargs = fill(args, kwargs, {r.key: symbol for r, symbol in symbols.items()})
    found = symbolic_calls(operation, filled_args, filled_kwargs)
    if isinstance(found, str):
        return found
    known: dict[int, Ref] = {id(symbol): r for r, symbol in symbols.items()}
    for call in found.calls:
        given = call.fill(known)
        refs = _walk_operation(walk, call.operation, *given, call.outputs, prefix + call.name, masked=call.masked)
        known.update({id(t): r for t, r in zip(call.outputs, refs, strict=True)})
    walk.returned = keras.tree.map_structure(lambda t: known[id(t)], found.returned)
    return [known[id(t)] for t in found.outputs]


def _check_arguments(model: keras.Model, forward_kwargs: Mapping[str, object]) -> None:
    """Refuse a model that takes its inputs one by one: what is explained is one argument."""
    takes = [p for p in inspect.signature(model.call).parameters.values() if p.kind is not p.VAR_KEYWORD]
    needed = [p.name for p in takes[1:] if p.default is p.empty and p.kind is not p.VAR_POSITIONAL]
    missing = [name for name in needed if name not in forward_kwargs]
    if missing:
        raise NoGraph(
            f"`call` of the model {model.name!r} ({type(model).__name__}) needs {', '.join(missing)} beside "
            f"{takes[0].name!r}; what is explained is one argument. Let `call` take one tuple, list or dict of all "
            "inputs, or pass forward_kwargs for what is not to be explained."
        )


def _read_subclassed(model: keras.Model, forward_kwargs: dict[str, object], walk: Walk) -> Graph:
    _check_arguments(model, forward_kwargs)
    inputs_struct, names = _inputs_of_subclassed(model)
    structure = keras.tree.map_structure(walk.ref, inputs_struct)
    inputs = keras.tree.flatten(structure)
    forward_kwargs = {
        name: walk.ref(value) if isinstance(value, keras.KerasTensor) else value
        for name, value in forward_kwargs.items()
    }
    inputs += [value for value in forward_kwargs.values() if isinstance(value, Ref)]
    outputs = _inline(walk, model, (structure,), forward_kwargs, "")
    if isinstance(outputs, str):
        traced = trace_opaque(model, model.name, (structure,), forward_kwargs, walk.specs)
        # A cache that is keyed weakly by the model must not hold the model.
        more = {**traced.of_node, "why": outputs, "reference": weakref.ref(model)}
        outputs = walk.add(model, model.name, (structure,), forward_kwargs, traced.outputs, **more)
        walk.returned = keras.tree.map_structure(outputs.__getitem__, traced.returned)
    output_names = tuple(f"output_{i}" for i in range(len(outputs)))
    return walk.graph(inputs, outputs, names=(names, output_names), structure=(structure, walk.returned))


def _inputs_of_subclassed(model: keras.Model) -> tuple[object, tuple[str, ...]]:
    function = model._functional if isinstance(model, keras.Sequential) else model  # noqa: SLF001  # no public way
    if isinstance(function, Functional):  # with a ``call`` of its own around its graph
        fresh = [keras.KerasTensor(t.shape, t.dtype) for t in function.inputs]
        return keras.tree.pack_sequence_as(function._inputs_struct, fresh), input_names(function)  # noqa: SLF001
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
