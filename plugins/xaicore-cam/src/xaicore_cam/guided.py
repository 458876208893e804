"""Guided Grad-CAM: a coarse map and a sharp one, multiplied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from xaicore.analyzer import AnalyzerBase
from xaicore.declaration import part
from xaicore.errors import InvalidParameter
from xaicore.nesting import nested
from xaicore.protocols import Analyzer, Attribution
from xaicore_cam.gradcam import GradCam

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.engine.target import Target
    from xaicore.protocols import Program, Step, Tensors


@attrs.frozen(str=False)
class GuidedCam(AnalyzerBase):
    """``a = M * B``, M a class activation map, B what another analyzer gives: Selvaraju et al. 2017, section 3.1.

    The paper's B is guided backpropagation.

    Args:
        cam: The map; it is upsampled.
        inner: What it is multiplied with, shaped like the input.

    Raises:
        InvalidParameter: the model has several inputs, of which a map belongs to one; or the map is not upsampled.
    """

    inner: Analyzer = part("analyzer")
    cam: Analyzer = part("analyzer", factory=GradCam)

    def passes(self, inner: float) -> float:
        """Return the inner passes, and a forward and half a gradient for the map."""
        return inner + 2

    def check_program(self, program: Program) -> None:
        """Refuse what has no map for every input."""
        count = len(program.graph.inputs)
        if count != 1:
            raise InvalidParameter(
                f"Given a model with {count} inputs; expected one, since a class activation map belongs to one input. "
                "Take cam.gradcam and gradient.guided_backprop apart, and multiply what belongs together."
            )
        if not all(getattr(one, "upsample", True) for one in nested(self.cam)):
            raise InvalidParameter(f"Given cam={self.cam}, in the size of the feature maps; expected upsample=True.")
        for name, analyzer in (("cam", self.cam), ("inner", self.inner)):
            sites = [one.at for one in nested(analyzer) if getattr(one, "at", None) is not None and not one.maps]
            if sites:
                raise InvalidParameter(
                    f"Given {name}={analyzer}, which explains {sites[0]!r}; expected attributions of the input, which "
                    "a map lies over. Leave at= out; that of the map itself says where its feature maps are."
                )
        for one in (self.cam, self.inner):
            check = getattr(one, "check_program", None)
            if check is not None:
                check(program)

    def attribute(self, program: Program) -> Step:
        """Return the product of both steps, input by input."""
        steps = [one.attribute(program) for one in (self.cam, self.inner)]

        def step(inputs: Tensors, target: Target, ids: tf.Tensor) -> Attribution:
            (map_,), sharp = steps[0](inputs, target, ids).attributions, steps[1](inputs, target, ids)
            return Attribution(tuple(map_ * a for a in sharp.attributions), sharp.scores)

        return step
