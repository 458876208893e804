"""DeepLIFT's rescale rule: differences to a reference, shared out by slopes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from xaicore.analyzer import AnalyzerBase, at_site
from xaicore.errors import UnsupportedOperation
from xaicore.protocols import Attribution, Effort, Relevance, Setting
from xaicore.stand_ins import StandIn, check_stand_in, filled, stand_in
from xaicore.values import choice, optional, real, site_text

if TYPE_CHECKING:
    from collections.abc import Callable

    import tensorflow as tf

    from xaicore.engine.target import Target
    from xaicore.inspect.facts import Facts
    from xaicore.protocols import OpCall, Program, Step, Tensors

    Backward = Callable[[tf.Tensor], Relevance]

# What the rule is for; the gradient of these is their slope everywhere.
_NONLINEAR = "affine or activation or max_pooling"
_LINEAR = "routing or identity or sum or average_pooling or interpolation or rescaling"


@attrs.frozen
class Slope:
    """``m_z = m_y (y - y') / (z - z')`` at a nonlinearity, ``m_x = m_z W`` at a linear map: Shrikumar et al. 2017.

    The first half of a batch is the samples, the second half, in the same order, their references (primed).
    Where |z - z'| < ``near`` the slope is the gradient.  Of max-pooling, the change of the output goes to the entries
    that are largest in the sample and in the reference, each its part.

    Args:
        near: Smallest difference that is divided by.
    """

    setting: ClassVar[Setting] = Setting(applies=_NONLINEAR, initial="one", otherwise="unsupported")

    near: float = attrs.field(default=1e-7, converter=real(minimum=0))

    def __call__(self, op: OpCall, *inputs: tf.Tensor) -> tuple[tf.Tensor, Backward]:
        """Return the output and relevance: multipliers of the output -> Relevance, multipliers of every input."""
        from xaicore.engine.vjp import vjp

        if op.facts.kind == "max_pooling":
            return self._pooled(op, *inputs)
        form = op.affine
        if form is None:
            output, pull = self._bent(op.forward, *inputs)
            return output, lambda m: Relevance((pull(m),))
        z, back = vjp(lambda x: form.apply(x, form.kernel, form.bias), *inputs)
        if form.activation is None:
            return z, lambda m: Relevance(back(m))
        output, pull = self._bent(form.activate, z)
        return output, lambda m: Relevance(back(pull(m)))

    def effort(self, facts: Facts) -> Effort:  # noqa: ARG002  # the same everywhere
        """Return a gradient's passes of twice the batch."""
        return Effort(passes=4, sweeps=8, outputs=4)

    def _bent(
        self, function: Callable[..., tf.Tensor], z: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        import tensorflow as tf

        from xaicore.engine.vjp import vjp

        output, pull = vjp(function, z)
        before, after = _difference(z), _difference(output)
        flat = tf.abs(before) < tf.constant(self.near, z.dtype)
        slope = _twice(after / tf.where(flat, tf.ones_like(before), before))

        def backward(m: tf.Tensor) -> tf.Tensor:
            return tf.where(_twice(flat), pull(m)[0], m * slope)

        return output, backward  # type: ignore[return-value]  # a function of one tensor returns one

    def _pooled(self, op: OpCall, x: tf.Tensor) -> tuple[tf.Tensor, Backward]:
        import tensorflow as tf

        from xaicore.engine.vjp import vjp

        output, pull = vjp(op.forward, x)
        mine, other = tf.split(output, 2)
        largest = tf.maximum(mine, other)
        before = _difference(x)
        flat = tf.abs(before) < tf.constant(self.near, x.dtype)

        def backward(m: tf.Tensor) -> Relevance:
            here = m[: tf.shape(mine)[0]]
            # At the sample's largest entry what it adds over the reference, at the reference's what it falls short of.
            (parts,) = pull(tf.concat([here * (largest - other), here * (mine - largest)], 0))
            change = tf.add_n(tf.split(parts, 2)) / tf.where(flat, tf.ones_like(before), before)
            return Relevance((tf.where(_twice(flat), pull(m)[0], _twice(change)),))

        return output, backward  # type: ignore[return-value]  # as above


@attrs.frozen(str=False)
class DeepLift(AnalyzerBase):
    """DeepLIFT with the rescale rule: Shrikumar, Greenside and Kundaje 2017, section 3.5.1.

        a_i = m_i (x_i - x'_i),   m_i the product of slopes (y - y') / (z - z') and weights on all ways to the output

    The attributions sum to f(x) - f(x') (their summation to delta, eq. 1); ``residual`` is what is missing.

    Args:
        baseline: The reference x': a number, or an array that broadcasts to one sample; a tuple of these, one for each
            of several inputs.
        at: Site whose output is explained instead of the model's inputs; the reference is given there.
        near: Differences below this are met by the gradient.
        score: "logit" strips a softmax or sigmoid head, "probability" keeps it.

    Raises:
        UnsupportedOperation: the model multiplies activations, normalises by sample or does anything else that has no
            slope of its own.
    """

    baseline: StandIn = attrs.field(default=0.0, converter=stand_in)
    at: str | None = attrs.field(default=None, converter=optional(site_text))
    near: float = attrs.field(default=1e-7, converter=real(minimum=0))
    score: str = attrs.field(default="logit", converter=choice("logit", "probability"))

    @property
    def claims(self) -> frozenset[str]:
        """Completeness, called summation to delta there."""
        return frozenset({"completeness"})

    def passes(self, inner: float) -> float:
        """Return the passes of a batch and its references."""
        return 2 * inner

    def check_program(self, program: Program) -> None:
        """Refuse operations without a slope of their own, by name, and a reference that does not fit."""
        graph = program.graph
        if self.at is None:
            names, keys = graph.input_names, graph.inputs
        else:
            keys = program.tensors_at(self.at)
            names = (self.at,) * len(keys)
        check_stand_in(self.baseline, names, [graph.specs[key] for key in keys])
        self._ruled(program if self.at is None else program.cut(self.at)[1])

    def _ruled(self, program: Program) -> Program:
        ruled = program.with_rules([(_NONLINEAR, Slope(near=self.near)), (_LINEAR, None)], otherwise="unsupported")
        opaque = [str(node.site) for node in program.graph.nodes if node.inner]
        if opaque:
            raise UnsupportedOperation(f"DeepLIFT has no rule for {', '.join(opaque[:3])}, which hides what is inside.")
        return ruled

    def attribute(self, program: Program) -> Step:
        """Return the step: one sweep over the batch and its references."""
        if self.at is not None:
            return at_site(self, self.at, program)
        self._ruled(program)

        def step(inputs: Tensors, target: Target, ids: tf.Tensor) -> Attribution:  # noqa: ARG001  # nothing is random
            import tensorflow as tf

            references = tuple(tf.zeros_like(x) + r for x, r in zip(inputs, filled(self.baseline, inputs), strict=True))
            fixed = target.anchor(program.outputs(inputs))
            both = attrs.evolve(fixed, index=None if fixed.index is None else _twice(fixed.index))
            ruled = self._ruled(program.given(tuple(map(_twice, program.context))))
            pairs = zip(inputs, references, strict=True)
            pull = ruled.pull(tuple(tf.concat(pair, 0) for pair in pairs), both)
            mine, other = tf.split(pull.scores, 2)
            found = tuple(
                tf.split(m, 2)[0] * (x - r) for m, x, r in zip(pull.relevance, inputs, references, strict=True)
            )
            total = tf.add_n([tf.reduce_sum(a, list(range(1, a.shape.rank))) for a in found])
            return Attribution(found, mine, {"residual": total - (mine - other)})

        return step


def _difference(tensor: tf.Tensor) -> tf.Tensor:
    """Return the samples minus their references."""
    import tensorflow as tf

    mine, other = tf.split(tensor, 2)
    return mine - other


def _twice(tensor: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    return tf.concat([tensor, tensor], 0)
