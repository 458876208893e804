"""Between functions and analyzers: a user's function as an analyzer, an analyzer as a step of a user's function."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np
import tensorflow as tf

from xaicore.analyzer import AnalyzerBase
from xaicore.engine.target import Target
from xaicore.errors import InputShape, InputStructure, InvalidArgument, TargetType
from xaicore.protocols import Attribution

if TYPE_CHECKING:
    import keras

    from xaicore.binding import Bound
    from xaicore.engine.target import ParsedTarget, TargetSpec
    from xaicore.protocols import Program, Step, Tensor, Tensors

Method = Callable[..., Any]
_SEVERAL = 2  # axes of targets (batch, k)


def _frozen(value: Any) -> Any:
    """Return what tells values apart, lists and dicts among them."""
    if isinstance(value, dict):
        return dict, tuple((key, _frozen(one)) for key, one in value.items())
    return (type(value), tuple(map(_frozen, value))) if isinstance(value, list | tuple) else value


@attrs.frozen(str=False)
class MethodOf(AnalyzerBase):
    """A function that explains a Keras model, compiled and streamed as an analyzer is.

    It gets the model itself, the batch as the model takes it, int32 indices (batch, 1) of the units to explain, and
    ``params``; it returns scores (batch, 1) and maps (batch, *positions, 1) or (batch, *anything, 1), tensors.
    It is traced once, and traced again for other params or another function.
    """

    maps: ClassVar[bool] = True

    function: Method
    model: weakref.ref[keras.Model] = attrs.field(repr=False)
    params: tuple[tuple[str, Any], ...] = attrs.field(default=(), eq=_frozen)

    def check_target(self, target: object, parsed: ParsedTarget) -> None:
        """Refuse targets that are no index of a unit."""
        if parsed.index.shape[-1] > 1:  # (batch, targets, axes of an index)
            raise TargetType(
                f"Given target={target!r} to the function {self.function!r}, which takes indices of units; expected an "
                "integer, integers, or 'all'."
            )

    def attribute(self, program: Program) -> Step:
        """Return the step: a call of the function."""

        def step(inputs: Tensors, target: Target, ids: Tensor) -> Attribution:
            fixed = target.anchor(program.outputs(inputs))
            given = inputs[0] if len(inputs) == 1 else list(inputs)
            units = tf.zeros([tf.shape(ids)[0], 1], tf.int32) if fixed.index is None else fixed.index
            scores, maps = _pair(self.function, self.function(self.model(), given, units, **dict(self.params)))
            return Attribution((maps[..., 0],), tf.reshape(scores, [-1]))

        return step


def _pair(function: Method, found: Any) -> tuple[Tensor, Tensor]:
    """Return what a function returned, scores and maps."""
    if not (isinstance(found, tuple | list) and len(found) == len(("scores", "maps"))):
        raise InvalidArgument(
            f"The function {function!r} returned {type(found).__name__}; expected (scores, maps): scores (batch, 1), "
            "maps with a last axis of length 1."
        )
    return found[0], found[1]


def method_of(function: Method, model: keras.Model, params: dict[str, Any]) -> MethodOf:
    """Return the analyzer of a function.

    Raises:
        InvalidArgument: a parameter cannot be hashed, so that a trace could not be found again; or the function does
            not take what it is called with.
    """
    try:
        inspect.signature(function).bind(model, None, None, **params)
    except TypeError as error:
        called = ", ".join(("model", "inputs", "indices", *(f"{name}=" for name in params)))
        raise InvalidArgument(f"The function {function!r} cannot be called with ({called}): {error}.") from None
    except ValueError:
        pass  # functions written in C may tell nothing of what they take
    try:
        hash(_frozen(params))
    except TypeError as error:
        raise InvalidArgument(
            f"Given {params!r} for {function!r}; expected values that can be hashed, or lists and dicts of them "
            f"({error})."
        ) from None
    return MethodOf(function, weakref.ref(model), tuple(sorted(params.items())))


# AutoGraph, which rewrites the functions that a user's own function calls, has nothing to do in here.
@tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
def step_of(analyzer: AnalyzerBase, model: keras.Model, inputs: Any, y: Any) -> tuple[Any, Any]:
    """Return (scores, attributions) of one batch; see ``xaicore.explain_step``."""
    bound = analyzer.bind(model)
    tensors = _tensors(bound, inputs)
    batch = tf.shape(tensors[0])[0]
    spec, index, many = _target_of(bound, y, tensors[0])
    ids = tf.range(batch, dtype=tf.int64)
    each = [
        bound.step(tensors, Target(spec, index[:, k] if spec.needs_index else None), ids) for k in range(index.shape[1])
    ]
    scores = tf.stack([one.scores for one in each], 1) if many else each[0].scores
    maps = [tf.stack(same, 1) if many else same[0] for same in zip(*(one.attributions for one in each), strict=True)]
    return scores, maps[0] if len(maps) == 1 else maps


def _tensors(bound: Bound, inputs: Any) -> tuple[tf.Tensor, ...]:
    """Return the inputs as tensors, in the model's order."""
    given = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
    if len(given) != len(bound.input_specs):
        names = ", ".join(spec.name for spec in bound.input_specs)
        raise InputStructure(f"Given {len(given)} tensors; expected {len(bound.input_specs)}, in this order: {names}.")
    try:
        tensors = tuple(tf.convert_to_tensor(x) for x in given)
    except (TypeError, ValueError) as error:
        kinds = ", ".join(type(x).__name__ for x in given)
        raise InputStructure(
            f"Given {kinds}, of which there is no tensor ({error}); expected the tensors of one batch. "
            "`xaicore.explain` takes datasets and generators."
        ) from None
    for tensor, spec in zip(tensors, bound.input_specs, strict=True):
        if not tensor.shape.is_compatible_with((None, *spec.shape[1:])):
            expected = ("batch", *spec.shape[1:])
            raise InputShape(
                f"Given a tensor of shape {tensor.shape} for the input {spec.name!r}; expected {expected}."
            )
    return tuple(tf.cast(t, s.dtype) for t, s in zip(tensors, bound.input_specs, strict=True))


def _target_of(bound: Bound, y: Any, like: tf.Tensor) -> tuple[TargetSpec, tf.Tensor, bool]:
    """Return the target's static part, its indices (batch, k, m), and whether there are several for each sample.

    like: a tensor with a row for each sample.
    """
    batch = tf.shape(like)[0]
    if tf.is_tensor(y) and not hasattr(y, "numpy"):  # its numbers are not known before the run
        _check_symbolic(y)
        rows = y[..., None] if y.shape.rank < _SEVERAL else y
        index = tf.broadcast_to(tf.cast(rows, tf.int32), [batch, rows.shape[-1]])[..., None]
        return bound.parse_target(0, 1).spec, index, y.shape.rank == _SEVERAL
    value = y.numpy() if tf.is_tensor(y) else y
    one_for_all = value is None or isinstance(value, str) or callable(value) or np.ndim(value) == 0
    known = like.shape[0] if like.shape[0] is not None else 1 if one_for_all else len(value)
    parsed = bound.parse_target(value, known)
    index = tf.constant(parsed.index)
    if one_for_all and known:
        index = tf.repeat(index[:1], batch, axis=0)
    return parsed.spec, tf.ensure_shape(index, [None, *parsed.index.shape[1:]]), parsed.many


def _check_symbolic(y: tf.Tensor) -> None:
    if not y.dtype.is_integer or y.shape.rank is None or y.shape.rank > _SEVERAL or None in y.shape[1:]:
        raise TargetType(
            f"Given y, a tensor of {y.dtype.name} of shape {y.shape}; expected integers of shape (), (batch,), or "
            "(batch, k) with a known k."
        )
