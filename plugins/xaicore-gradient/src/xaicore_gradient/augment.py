"""Test-time augmentation: the mean over flipped and resized copies, each brought back to its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from xaicore.analyzer import AnalyzerBase
from xaicore.backward import Backward
from xaicore.declaration import part
from xaicore.errors import InvalidParameter
from xaicore.protocols import Analyzer, Attribution
from xaicore.values import flag, real

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.engine.target import Target
    from xaicore.protocols import Program, Step, Tensors

_POSITIONS = 3  # axes of what has positions: batch, positions, channels


def _scales(value: Any, instance: Any, field: Any) -> Any:
    one: Any = real(above=0)
    given = value if isinstance(value, tuple | list) else (value,)
    return tuple(one(v, instance, field) for v in given)


@attrs.frozen(str=False)
class Augmented(AnalyzerBase):
    """``a = 1/N sum_k T_k^-1 A(T_k x)``, T_k: as it is, mirrored, resized, resized and mirrored.

    The scores are means as well.  Attributions of a resized copy are interpolated back and scaled by the ratio of the
    numbers of positions, so that their sum stays.  keras-explainable divides by N - 1 or N - 2 where it sums N.

    Args:
        inner: Any analyzer; the gradient by default.
        scales: Sizes relative to the input's; they need a model that takes any size.
        flip: Mirror along the last axis of positions.
    """

    inner: Analyzer = part("analyzer", factory=Backward)
    scales: tuple[float, ...] = attrs.field(
        default=(), converter=attrs.Converter(_scales, takes_self=True, takes_field=True)
    )
    flip: bool = attrs.field(default=True, converter=flag)

    def passes(self, inner: float) -> float:
        """Return the inner passes for every copy, by its number of positions."""
        return (1 + sum(s**2 for s in self.scales)) * (1 + self.flip) * inner

    def check_program(self, program: Program) -> None:
        """Refuse inputs that cannot be mirrored or resized."""
        graph = program.graph
        for name, key in zip(graph.input_names, graph.inputs, strict=True):
            shape = graph.specs[key].shape
            if len(shape) < _POSITIONS:
                raise InvalidParameter(
                    f"Given the input {name!r} of shape {shape}; expected positions, (batch, *positions, channels)."
                )
            if self.scales and any(n is not None for n in shape[1:-1]):
                raise InvalidParameter(
                    f"Given scales={self.scales} and the input {name!r} of the fixed shape {shape}; expected a model "
                    "that takes any size, or scales=()."
                )

    def attribute(self, program: Program) -> Step:
        """Return the step: the inner one on every copy."""
        self.check_program(program)
        inner = self.inner.attribute(program)

        def step(inputs: Tensors, target: Target, ids: tf.Tensor) -> Attribution:
            import tensorflow as tf

            fixed = target.anchor(program.outputs(inputs))
            maps, scores = [], []
            for scale in (1.0, *self.scales):
                sized = inputs if scale == 1 else tuple(_scaled(x, scale) for x in inputs)
                for mirrored in (False, True)[: 1 + self.flip]:
                    given = tuple(map(_mirrored, sized)) if mirrored else sized
                    found = inner(given, fixed, ids)
                    back = tuple(map(_mirrored, found.attributions)) if mirrored else found.attributions
                    like = inputs if len(back) == len(inputs) else (inputs[0],) * len(back)
                    maps.append(back if scale == 1 else tuple(_brought(a, x) for a, x in zip(back, like, strict=True)))
                    scores.append(found.scores)
            share = 1 / len(maps)
            mean = tuple(tf.add_n(same) * tf.constant(share, same[0].dtype) for same in zip(*maps, strict=True))
            return Attribution(mean, tf.add_n(scores) * tf.constant(share, scores[0].dtype))

        return step


def _mirrored(tensor: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    return tf.reverse(tensor, [tensor.shape.rank - 2])


def _scaled(x: tf.Tensor, scale: float) -> tf.Tensor:
    import tensorflow as tf

    sizes = tf.cast(tf.round(tf.cast(tf.shape(x)[1:-1], tf.float32) * scale), tf.int32)
    return _to(x, tf.maximum(sizes, 1))


def _brought(attributions: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Return attributions in the positions of another tensor, with the sum that they had, edges aside."""
    import tensorflow as tf

    before, after = (tf.cast(tf.reduce_prod(tf.shape(t)[1:-1]), attributions.dtype) for t in (attributions, like))
    found = _to(attributions, tf.shape(like)[1:-1]) * (before / after)
    return tf.ensure_shape(found, [*like.shape[:-1], attributions.shape[-1]])


def _to(tensor: tf.Tensor, sizes: tf.Tensor) -> tf.Tensor:
    """Return a tensor interpolated to other sizes, channel by channel."""
    import tensorflow as tf

    from xaicore.engine.resize import resize

    channels = tensor.shape[-1]
    apart = [resize(tensor[..., c], sizes, tf.TensorShape([None] * (tensor.shape.rank - 2))) for c in range(channels)]
    return tf.stack(apart, axis=-1)
