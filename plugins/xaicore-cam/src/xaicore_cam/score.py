"""Score-CAM: feature maps as masks, weighted by the score of what they leave; no gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import attrs

from xaicore.analyzer import AnalyzerBase
from xaicore.errors import InvalidParameter
from xaicore.protocols import Attribution
from xaicore.stand_ins import check_stand_in, filled
from xaicore.values import Array, choice, flag, numeric_or_array, optional, site_text

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.engine.copies import Repeat
    from xaicore.engine.program import Program
    from xaicore.engine.target import Target
    from xaicore.inspect.nodes import Graph
    from xaicore.protocols import Step, Tensors

# (sample for each row, channel for each row) -> masks (rows, *positions, 1)
Mask = Callable[["tf.Tensor", "tf.Tensor"], "tf.Tensor"]


@attrs.frozen(str=False)
class ScoreCam(AnalyzerBase):
    """Score-CAM: Wang et al. 2020, definitions 3 and 4.

        M = max(sum_k softmax_k(f(x * m_k) - f(b)) A_k, 0)

    m_k is the k-th feature map, upsampled to the input and scaled to [0, 1] per sample; a constant map is 0.  What a
    mask takes away is replaced by the baseline b.  The map is (batch, *spatial, 1), in the size of the input.

    Args:
        at: Site whose output gives A; None as in ``cam.gradcam``.
        baseline: What stands for what is masked: a number, or an array that broadcasts to a sample; 0 in the paper.
        weights: "softmax" over channels as in the paper; "increase", f(x * m_k) - f(b) itself; "score", f(x * m_k).
        normalize: Scale maps "after" they are upsampled, as in the paper, or "before".
        summed: "maps" A_k as in the paper, or "masks" m_k, as keras-explainable sums them.
        relu: Keep what speaks for the output alone, as in the paper; False keeps both signs.
        score: "logit" strips a softmax or sigmoid head; "probability" keeps it.
    """

    maps: ClassVar[bool] = True
    needs_gradient: ClassVar[bool] = False

    at: str | None = attrs.field(default=None, converter=optional(site_text))
    baseline: float | Array = attrs.field(default=0.0, converter=numeric_or_array)
    weights: str = attrs.field(default="softmax", converter=choice("softmax", "increase", "score"))
    normalize: str = attrs.field(default="after", converter=choice("after", "before"))
    summed: str = attrs.field(default="maps", converter=choice("maps", "masks"))
    relu: bool = attrs.field(default=True, converter=flag)
    score: str = attrs.field(default="logit", converter=choice("logit", "probability"))

    def explained_site(self, program: Program) -> str:
        """Return the site whose feature maps are taken."""
        from xaicore_cam.layer import check, chosen

        if self.at is None:
            return chosen(program.graph)
        check(program.graph, self.at)
        return self.at

    def passes(self, inner: float) -> float:  # noqa: ARG002  # no gradient is taken
        """Return a hundred forward passes: how many channels there are is known with the model."""
        return 100.0

    def check_program(self, program: Program) -> None:
        """Refuse an input that cannot be masked, and a baseline that does not fit it."""
        _check_masked(program.graph, self.explained_site(program), self.baseline)

    def attribute(self, program: Program) -> Step:
        """Return the step: two forwards, and one for each channel."""
        from xaicore_cam.layer import seen_input

        site = self.explained_site(program)
        _check_masked(program.graph, site, self.baseline)
        seen = seen_input(program.graph, site)
        head, _ = program.cut(site)

        def step(inputs: Tensors, target: Target, ids: tf.Tensor) -> Attribution:
            import tensorflow as tf

            from xaicore.engine.loops import accumulate
            from xaicore.engine.resize import resize

            x, maps = inputs[seen], head(inputs)[0]
            sizes = slice(1, x.shape.rank - 1)
            fixed = target.anchor(program.outputs(inputs))
            mask = self._masks(maps, lambda m: resize(m, tf.shape(x)[sizes], x.shape[sizes]))
            weights = self._weights(program, inputs, (seen, maps.shape[-1]), (fixed, ids), mask)
            if self.summed == "masks":
                samples = tf.range(tf.shape(maps)[0])
                (found,) = accumulate(
                    maps.shape[-1],
                    lambda k: (_along(weights[:, k], x) * mask(samples, tf.fill(tf.shape(samples), k)),),
                )
            else:
                found = tf.reduce_sum(_along(weights, maps, 2) * maps, axis=-1)
                found = resize(found, tf.shape(x)[sizes], x.shape[sizes])[..., None]
            found = tf.nn.relu(found) if self.relu else found
            return Attribution((found,), fixed(program.outputs(inputs)))

        return step

    def _masks(self, maps: tf.Tensor, upsampled: Callable[[tf.Tensor], tf.Tensor]) -> Mask:
        import tensorflow as tf

        rank = maps.shape.rank
        channels_first = tf.transpose(maps, [0, rank - 1, *range(1, rank - 1)])

        def mask(samples: tf.Tensor, k: tf.Tensor) -> tf.Tensor:
            chosen = tf.gather_nd(channels_first, tf.stack([samples, k], axis=1))
            if self.normalize == "before":
                return upsampled(_unit(chosen))[..., None]
            return _unit(upsampled(chosen))[..., None]

        return mask

    def _weights(
        self,
        program: Program,
        inputs: Tensors,
        sizes: tuple[int, int],
        fixed: tuple[Target, tf.Tensor],
        mask: Mask,
    ) -> tf.Tensor:
        """Return the weight of every channel, (batch, channels).  sizes: index of the masked input, channels."""
        import tensorflow as tf

        from xaicore.engine.copies import weighted_sum

        (seen, channels), (target, ids) = sizes, fixed
        samples = tf.range(tf.shape(ids)[0])
        (other,) = filled(self.baseline, (inputs[seen],))

        def masked(repeat: Repeat, k: tf.Tensor, ids: tf.Tensor) -> Tensors:  # noqa: ARG001  # nothing is random here
            x = repeat(inputs[seen])
            kept = other + mask(repeat(samples), k) * (x - other)
            return tuple(kept if i == seen else repeat(t) for i, t in enumerate(inputs))

        def places(repeat: Repeat, k: tf.Tensor, ids: tf.Tensor) -> Tensors:  # noqa: ARG001  # as above
            return (tf.one_hot(k, channels),)

        def scores(program: Program) -> Step:
            def step(inputs: Tensors, target: Target, ids: tf.Tensor) -> Attribution:  # noqa: ARG001  # as above
                found = target(program.outputs(inputs))
                return Attribution((tf.reshape(found, [-1, 1]),), found)

            return step

        (found,) = weighted_sum(scores, program, target, ids, tf.ones([channels]), masked, scale=places)
        if self.weights == "softmax":
            return tf.nn.softmax(found)  # f(b) is the same for all channels
        if self.weights == "score":
            return found
        nothing = tuple(tf.zeros_like(t) + other if i == seen else t for i, t in enumerate(inputs))
        return found - target(program.outputs(nothing))[:, None]


def _check_masked(graph: Graph, site: str, baseline: object) -> None:
    """Refuse an input that the maps of a site cannot mask, and a baseline that does not fit it."""
    from xaicore_cam.layer import is_integer, seen_input

    seen = seen_input(graph, site)
    name, spec = graph.input_names[seen], graph.specs[graph.inputs[seen]]
    if is_integer(spec):
        raise InvalidParameter(
            f"The maps would mask the input {name!r}, which holds {spec.dtype}; Score-CAM expects numbers that can be "
            "scaled. `cam.gradcam` takes the gradient at the maps themselves."
        )
    check_stand_in(baseline, (name,), (spec,))


def _along(weights: tf.Tensor, like: tf.Tensor, axes: int = 1) -> tf.Tensor:
    """Return weights (batch,) or (batch, channels) with axes of length 1 between, broadcasting to a tensor."""
    import tensorflow as tf

    shape = tf.shape(weights)
    ones = [1] * (like.shape.rank - axes)
    return tf.reshape(weights, tf.concat([shape[:1], ones, shape[1:]], 0))


def _unit(maps: tf.Tensor) -> tf.Tensor:
    """Return maps scaled to [0, 1], each by its own smallest and largest entry; 0 where it is constant."""
    import tensorflow as tf

    over = list(range(1, maps.shape.rank))
    low, high = (reduce(maps, over, keepdims=True) for reduce in (tf.reduce_min, tf.reduce_max))
    return tf.math.divide_no_nan(maps - low, high - low)
