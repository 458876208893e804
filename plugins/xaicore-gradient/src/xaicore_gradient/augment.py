"""Test-time augmentation: the mean over flipped and resized copies, each brought back to its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from xaicore.analyzer import AnalyzerBase
from xaicore.backward import Backward
from xaicore.declaration import part
from xaicore.errors import InvalidParameter
from xaicore.filters import Normalize, Part
from xaicore.nesting import nested
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

    The scores are means as well.  Attributions of a resized copy are interpolated back.  Those shaped like what is
    explained are shares, and scaled by the ratio of the numbers of positions, so that their sum stays; maps
    (``cam.gradcam``), and what a filter has normalized, are heights and stay as they are.  keras-explainable divides by
    N - 1 or N - 2 where it sums N.

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
        """Refuse inputs that cannot be mirrored or resized, and a site whose output has no such positions."""
        graph = program.graph
        for site in (getattr(one, "at", None) for one in nested(self.inner) if not one.maps):
            if site is not None:
                self._check_site(program, site)
        for name, key in zip(graph.input_names, graph.inputs, strict=False):  # beyond are a model's further arguments
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

    def _check_site(self, program: Program, site: str) -> None:
        graph = program.cut(site)[1].graph
        shape = graph.specs[graph.inputs[0]].shape
        if len(shape) not in {len(program.graph.specs[key].shape) for key in program.graph.inputs}:
            raise InvalidParameter(
                f"Given {self.inner}, which explains {site!r} of shape {shape}; expected the positions of an input, "
                "which are mirrored back. Name a site with as many axes as an input, or leave tta out."
            )

    def attribute(self, program: Program) -> Step:
        """Return the step: the inner one on every copy."""
        self.check_program(program)
        inner = self.inner.attribute(program)
        heights = any(one.maps or _normalizes(one) for one in nested(self.inner))

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
                    if scale != 1:
                        pairs = zip(back, maps[0], strict=True)  # the first is of the size that is wanted
                        back = tuple(_brought(a, like, heights=heights) for a, like in pairs)
                    maps.append(back)
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


def _normalizes(analyzer: object) -> bool:
    """Return whether filters leave nothing of how large attributions are."""
    return any(isinstance(one, Normalize) or one == Part("sign") for one in getattr(analyzer, "filters", ()))


def _brought(attributions: tf.Tensor, like: tf.Tensor, *, heights: bool) -> tf.Tensor:
    """Return attributions in the positions of another tensor: with their heights, or with their sum, edges aside."""
    import tensorflow as tf

    found = _to(attributions, tf.shape(like)[1:-1])
    if not heights:
        before, after = (tf.cast(tf.reduce_prod(tf.shape(t)[1:-1]), found.dtype) for t in (attributions, like))
        found *= before / after
    return tf.ensure_shape(found, like.shape)


def _to(tensor: tf.Tensor, sizes: tf.Tensor) -> tf.Tensor:
    """Return a tensor interpolated to other sizes, channel by channel."""
    import tensorflow as tf

    from xaicore.engine.resize import resize

    channels = tensor.shape[-1]
    apart = [resize(tensor[..., c], sizes, tf.TensorShape([None] * (tensor.shape.rank - 2))) for c in range(channels)]
    return tf.stack(apart, axis=-1)
