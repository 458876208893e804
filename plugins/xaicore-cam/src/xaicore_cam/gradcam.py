"""Class activation maps: feature maps, weighted by what the output makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from xaicore.analyzer import AnalyzerBase
from xaicore.declaration import part
from xaicore.errors import InvalidParameter
from xaicore.protocols import Attribution
from xaicore.values import choice, flag, optional, site_text
from xaicore_cam.weights import HeadWeights, MeanGradient, Weights

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.engine.program import Program
    from xaicore.engine.target import Target
    from xaicore.protocols import Step, Tensors


@attrs.frozen(str=False)
class GradCam(AnalyzerBase):
    """A class activation map: Selvaraju et al. 2017, eqs. 1 and 2, and its relatives.

        M = max(sum_k w_k A_k, 0),   w_k = mean over positions of df/dA_k,

    or what ``weights`` makes of A and df/dA; A the feature maps (batch, *positions, k) that a site returns.  The map is
    (batch, *spatial, 1), interpolated linearly to the size of the input that the site sees (pixel centres aligned, as
    TensorFlow's bilinear resize).

    Args:
        weights: What the feature maps are worth.
        at: Site whose output gives A.  None: the last one with the axes of an input, more than one position, and no
            pooling; the plan and the coverage tell which it is.
        relu: Keep what speaks for the output alone, as in the paper; False keeps both signs.
        upsample: Interpolate to the size of the input; False leaves the map in the size of A.
        score: "logit" strips a softmax or sigmoid head, as in the paper; "probability" keeps it.

    Raises:
        InvalidParameter: no site fits, or the site's output has no positions; the message names what there is.
    """

    maps: ClassVar[bool] = True

    weights: Weights = part("weights", factory=MeanGradient)
    at: str | None = attrs.field(default=None, converter=optional(site_text))
    relu: bool = attrs.field(default=True, converter=flag)
    upsample: bool = attrs.field(default=True, converter=flag)
    score: str = attrs.field(default="logit", converter=choice("logit", "probability"))

    def explained_site(self, program: Program) -> str:
        """Return the site whose feature maps are taken."""
        from xaicore_cam.layer import check, chosen

        if self.at is None:
            return chosen(program.graph)
        check(program.graph, self.at)
        return self.at

    def check_program(self, program: Program) -> None:
        """Refuse a head that has no weights of its own, where these are asked for."""
        from xaicore_cam.layer import check_head

        if not isinstance(self.weights, HeadWeights):
            return
        if self.score != "logit":
            raise InvalidParameter(
                f"Given score={self.score!r}; expected 'logit': the weights of a head are those of its logits. "
                "`cam.gradcam` explains probabilities too."
            )
        check_head(program.graph, self.explained_site(program))

    def attribute(self, program: Program) -> Step:
        """Return the step: one forward, and the gradient back to the site."""
        from xaicore_cam.layer import seen_input

        site = self.explained_site(program)
        seen = seen_input(program.graph, site) if self.upsample else None
        head, tail = program.cut(site)

        def step(inputs: Tensors, target: Target, ids: tf.Tensor) -> Attribution:  # noqa: ARG001  # nothing is random
            import tensorflow as tf

            from xaicore.engine.resize import resize

            maps, *around = head(inputs)
            pull = tail.given(tuple(around)).pull((maps,), target)
            found = self.weights(maps, pull.relevance[0])
            if self.relu:
                found = tf.nn.relu(found)
            if seen is not None:
                sizes = slice(1, found.shape.rank)  # an input of symbols has no axis of channels
                found = resize(found, tf.shape(inputs[seen])[sizes], inputs[seen].shape[sizes])
            return Attribution((found[..., None],), pull.scores)

        return step
