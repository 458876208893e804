"""Analyzers without rules: one tape over the whole model, the sign of the input, and what asks nothing of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from xaicore.analyzer import AnalyzerBase
from xaicore.backward import Backward
from xaicore.declaration import part
from xaicore.errors import IntegerInput, InvalidParameter
from xaicore.nesting import nested
from xaicore.protocols import Analyzer, Attribution
from xaicore.stand_ins import check_stand_in
from xaicore.values import Array, choice, integer, numeric_or_array, real

if TYPE_CHECKING:
    from xaicore.engine.target import Target
    from xaicore.protocols import Program, Step, Tensor, Tensors


@attrs.frozen(str=False)
class TapeGradient(AnalyzerBase):
    """``a_i = df/dx_i`` by one GradientTape over the model as it is: Simonyan et al. 2013, eq. 3.

    No graph is walked and no rule is met: the oracle of all that does.

    Args:
        score: "logit" strips a softmax or sigmoid head, "probability" keeps it.
    """

    score: str = attrs.field(default="logit", converter=choice("logit", "probability"))

    def attribute(self, program: Program) -> Step:
        """Return the step: one forward, one backward."""

        def step(inputs: Tensors, target: Target, ids: Tensor) -> Attribution:  # noqa: ARG001  # nothing is random here
            import tensorflow as tf

            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(inputs)
                scores = target(program.outputs(inputs))
            zero = tf.UnconnectedGradients.ZERO
            return Attribution(tuple(tape.gradient(scores, list(inputs), unconnected_gradients=zero)), scores)

        return step


@attrs.frozen(str=False)
class TimesSign(AnalyzerBase):
    """``a_i = s_i A_i``, s_i = -1 where x_i < mu, else +1: SIGN, Gumpfer et al. 2023, eq. 10, around any analyzer.

    What the input is worth by its sign alone: zeros and small inputs count like large ones.

    Args:
        inner: Any analyzer whose attributions are shaped like the inputs; the gradient by default.
        mu: Where the sign changes: a number, or an array that broadcasts to one sample.
    """

    inner: Analyzer = part("analyzer", factory=Backward)
    mu: float | Array = attrs.field(default=0.0, converter=numeric_or_array)

    def check_program(self, program: Program) -> None:
        """Refuse an inner analyzer of another tensor than the inputs, and a mu that does not fit them."""
        sites = [one.at for one in nested(self.inner) if getattr(one, "at", None) is not None and not one.maps]
        if sites:
            raise InvalidParameter(
                f"Given inner={self.inner}, which explains {sites[0]!r}; expected attributions of the inputs, whose "
                "signs they are multiplied with. Leave at= out."
            )
        graph = program.graph
        if isinstance(self.mu, Array):
            check_stand_in(
                self.mu,
                graph.input_names,
                [graph.specs[key] for key in graph.inputs[: len(graph.input_names)]],
                what="mu",
            )

    def attribute(self, program: Program) -> Step:
        """Return the inner step with a sign for each input."""
        inner = self.inner.attribute(program)

        def step(inputs: Tensors, target: Target, ids: Tensor) -> Attribution:
            import numpy as np
            import tensorflow as tf

            found = inner(inputs, target, ids)
            pairs = self._pairs(inputs, found.attributions)
            signed = tuple(tf.where(x < tf.constant(np.asarray(self.mu), x.dtype), -a, a) for x, a in pairs)
            return Attribution(signed, found.scores)

        return step

    def _pairs(self, inputs: Tensors, attributions: Tensors) -> list[tuple[Tensor, Tensor]]:
        """Return inputs beside their attributions, or beside a map that lies over the one input."""
        given, found = ([tuple(t.shape[1:]) for t in tensors] for tensors in (inputs, attributions))
        if len(found) != len(given) or not all(map(_covers, found, given)):
            raise InvalidParameter(
                f"Given inner={self.inner}, which returns {', '.join(map(str, found))} for samples of "
                f"{', '.join(map(str, given))}; expected attributions that are shaped like the inputs."
            )
        return list(zip(inputs, attributions, strict=True))


def _covers(found: tuple[int | None, ...], given: tuple[int | None, ...]) -> bool:
    """Return whether attributions may be multiplied with an input: the same shape, or one channel for all."""
    return len(found) == len(given) and all(f in {g, 1, None} or g is None for f, g in zip(found, given, strict=True))


@attrs.frozen(str=False)
class InputItself(AnalyzerBase):
    """``a = x + sigma e``, e ~ N(0, 1): the input, or noise upon it.  What a map has to be better than.

    Args:
        noise: sigma, absolute; 0 is the input itself.
        seed: With the sample's id it fixes the noise, whatever the batch.
        score: "logit" strips a softmax or sigmoid head, "probability" keeps it.
    """

    asks_model: ClassVar[bool] = False

    noise: float = attrs.field(default=0.0, converter=real(minimum=0))
    seed: int = attrs.field(default=0, converter=integer(minimum=0))
    score: str = attrs.field(default="logit", converter=choice("logit", "probability"))

    def passes(self, inner: float) -> float:
        """Return half of what is inside, which a forward pass is of a gradient."""
        return inner / 2

    def attribute(self, program: Program) -> Step:
        """Return the step: one forward, for the score."""

        def step(inputs: Tensors, target: Target, ids: Tensor) -> Attribution:
            from xaicore.engine.random import normal

            if not all(x.dtype.is_floating for x in inputs):
                raise IntegerInput("An integer input has no noise upon it; explain the output of its embedding, at=.")
            scores = target(program.outputs(inputs))
            if not self.noise:
                return Attribution(tuple(inputs), scores)
            import tensorflow as tf

            draws = (
                normal(ids, seed=self.seed, draw=0, stream=i, shape=tf.shape(x)[1:], dtype=x.dtype)
                for i, x in enumerate(inputs)
            )
            noisy = (x + self.noise * tf.reshape(e, tf.shape(x)) for x, e in zip(inputs, draws, strict=True))
            return Attribution(tuple(noisy), scores)

        return step
