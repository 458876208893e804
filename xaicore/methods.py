"""Between functions and analyzers: a user's function as an analyzer, an analyzer as a step of a user's function."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import tensorflow as tf

from xaicore.analyzer import AnalyzerBase
from xaicore.engine.target import Target
from xaicore.errors import InvalidArgument, TargetType
from xaicore.protocols import Attribution
from xaicore.registry import get_analyzer

if TYPE_CHECKING:
    import keras

    from xaicore.engine.target import ParsedTarget
    from xaicore.protocols import Program, Step, Tensor, Tensors

Method = Callable[..., Any]


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
    params: tuple[tuple[str, Any], ...] = ()

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
            scores, maps = self.function(self.model(), given, units, **dict(self.params))
            return Attribution((maps[..., 0],), tf.reshape(scores, [-1]))

        return step


def method_of(function: Method, model: keras.Model, params: dict[str, Any]) -> MethodOf:
    """Return the analyzer of a function.

    Raises:
        InvalidArgument: a parameter cannot be hashed, so that a trace could not be found again.
    """
    try:
        hash(tuple(params.values()))
    except TypeError as error:
        raise InvalidArgument(
            f"Given {params!r} for {function!r}; expected values that can be hashed ({error})."
        ) from None
    return MethodOf(function, weakref.ref(model), tuple(sorted(params.items())))


# AutoGraph, which rewrites the functions that a user's own function calls, has nothing to do in here.
@tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
def step_of(method: Any, model: keras.Model, inputs: Any, y: Any) -> tuple[Any, Any]:
    """Return (scores, attributions) of one batch; see ``xaicore.explain_step``."""
    bound = get_analyzer(method).bind(model)
    tensors = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
    batch = tf.shape(tensors[0])[0]
    index = tf.broadcast_to(tf.cast(y, tf.int32), [batch])[:, None]
    target = Target(bound.parse_target(0, 1).spec, index)
    found = bound.step(tensors, target, tf.range(batch, dtype=tf.int64))
    maps = list(found.attributions)
    return found.scores, maps[0] if len(maps) == 1 else maps
