"""Ablation: what the output loses when a feature or a group of features is replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from xaicore.protocols import Attribution
from xaicore_perturbation.groups import checked, read_groups, taken
from xaicore_perturbation.masked import Copies, Perturbation, decided

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.engine.copies import Repeat
    from xaicore.engine.program import Program
    from xaicore.engine.target import Target
    from xaicore.protocols import Step, Tensors


@attrs.frozen(str=False)
class Ablation(Perturbation):
    """``a_i = f(x) - f(x with the group of i replaced)``: Zeiler and Fergus 2014, with any groups.

    Args:
        groups: Which features go together: integers that broadcast to a sample, a tuple of these for several inputs.
            None: every feature alone, which takes a forward pass each.
    """

    groups: Any = attrs.field(default=None, converter=taken, validator=checked)

    def passes(self, inner: float) -> float:  # noqa: ARG002  # no gradient is taken
        """Return a hundred forward passes: how many groups there are is known with the model."""
        return 100.0

    def check_program(self, program: Program) -> None:
        """Refuse groups that do not fit."""
        read_groups(self.groups, program.graph, self.sizes(program))

    def attribute(self, program: Program) -> Step:
        """Return the step: one forward, and one for each group."""
        groups = read_groups(self.groups, program.graph, self.sizes(program))

        def step(inputs: Tensors, target: Target, ids: tf.Tensor) -> Attribution:
            fixed, scores = decided(program, inputs, target)

            def keep(repeat: Repeat, k: tf.Tensor, ids: tf.Tensor) -> Tensors:  # noqa: ARG001  # nothing is random
                return tuple(1 - off for off in groups.off(k))

            without = Copies(self, program, inputs, fixed, ids, groups.count, keep).scores()
            return Attribution(groups.spread(scores[:, None] - without), scores)

        return step
