"""SmoothGrad, SquareGrad and VarGrad: moments of what an analyzer says about noisy copies of the input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from xaicore.analyzer import AnalyzerBase, at_site
from xaicore.backward import Backward
from xaicore.declaration import part
from xaicore.errors import IntegerInput
from xaicore.protocols import Analyzer, Attribution
from xaicore.values import choice, integer, optional, real, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from xaicore.engine.copies import Repeat
    from xaicore.engine.target import Target
    from xaicore.protocols import Program, Step, Tensor, Tensors


@attrs.frozen(str=False)
class SmoothGrad(AnalyzerBase):
    """A moment of the inner attributions over n noisy copies of the input: Smilkov et al. 2017, section 3.

        "mean"      a = 1/n sum_k A_k,   A_k = A(x + sigma e_k),   e_k ~ N(0, 1) per entry
        "square"    a = 1/n sum_k A_k^2                         SquareGrad: Hooker et al. 2019, section 3
        "variance"  a = 1/n sum_k (A_k - mean_k A_k)^2          VarGrad: Adebayo et al. 2018, section 3

    The scores are those of the input as it is, and "max" is decided there.  What the inner analyzer returns besides,
    such as a residual, speaks of the noisy copies and is left out.  With noise=0 the mean is the inner one.
    Nested in itself, it needs two seeds, or both levels draw the same noise.

    Args:
        inner: Any analyzer; the gradient by default.
        n: Number of copies.
        moment: Which one, see above.
        noise: Noise level; the paper finds 0.1 to 0.2 of the range good.
        noise_scale: "relative" as in the paper, sigma = noise * (largest - smallest entry) of each sample and input;
            "absolute", sigma = noise.
        seed: With the sample's id and the number of the copy it fixes the noise, whatever the batch.
        at: Site whose output gets the noise and is explained, instead of the model's inputs.
    """

    inner: Analyzer = part("analyzer", factory=Backward)
    n: int = attrs.field(default=32, converter=integer(minimum=1))
    noise: float = attrs.field(default=0.1, converter=real(minimum=0))
    noise_scale: str = attrs.field(default="relative", converter=choice("relative", "absolute"))
    seed: int = attrs.field(default=0, converter=integer(minimum=0))
    moment: str = attrs.field(default="mean", converter=choice("mean", "square", "variance"))
    at: str | None = attrs.field(default=None, converter=optional(text))

    def passes(self, inner: float) -> float:
        """Return one forward and the inner passes n times."""
        if self.noise == 0 and self.moment == "mean":
            return inner
        return 1 + (self.n + (self.moment == "variance")) * inner

    def attribute(self, program: Program) -> Step:
        """Return the step: one forward, and the inner step n times."""
        if self.at is not None:
            return at_site(self, self.at, program)
        inner = self.inner.attribute(program)
        if self.noise == 0 and self.moment == "mean":
            return inner

        def step(inputs: Tensors, target: Target, ids: Tensor) -> Attribution:
            import tensorflow as tf

            from xaicore.engine.copies import weighted_sum

            sigmas = self._sigmas(inputs)
            outputs = program.outputs(inputs)
            fixed = target.anchor(outputs)
            scores = fixed(outputs)

            def noisy(repeat: Repeat, k: Tensor, ids: Tensor) -> Tensors:
                pairs = zip(inputs, sigmas, strict=True)
                return tuple(self._noisy(i, repeat(x), s, repeat, k, ids) for i, (x, s) in enumerate(pairs))

            weights = tf.fill([self.n], tf.constant(1 / self.n, scores.dtype))
            if self.moment != "variance":
                power = self.inner.attribute if self.moment == "mean" else _squares(self.inner, None)
                return Attribution(weighted_sum(power, program, fixed, ids, weights, noisy), scores)
            # Around what the inner analyzer says of the input itself: the difference of two large numbers would lose
            # the digits of a small variance.
            centre = inner(inputs, fixed, ids).attributions
            sums = weighted_sum(_squares(self.inner, centre), program, fixed, ids, weights, noisy)
            half = len(sums) // 2
            return Attribution(tuple(s - m**2 for m, s in zip(sums[:half], sums[half:], strict=True)), scores)

        return step

    def _sigmas(self, inputs: Tensors) -> tuple[Tensor | None, ...]:
        """Return the standard deviation for each input, (batch, 1, ...); None for integers, which get no noise."""
        import tensorflow as tf

        if not any(x.dtype.is_floating for x in inputs):
            kinds = ", ".join(x.dtype.name for x in inputs)
            raise IntegerInput(f"All inputs are integers ({kinds}); give at= to smoothgrad itself, to add noise there.")

        def sigma(x: Tensor) -> Tensor:
            level = tf.constant(self.noise, x.dtype)
            if self.noise_scale == "absolute":
                return level
            axes = list(range(1, x.shape.rank))
            return level * (tf.reduce_max(x, axes, keepdims=True) - tf.reduce_min(x, axes, keepdims=True))

        return tuple(sigma(x) if x.dtype.is_floating else None for x in inputs)

    def _noisy(self, stream: int, x: Tensor, sigma: Tensor | None, repeat: Repeat, k: Tensor, ids: Tensor) -> Tensor:
        from xaicore.engine.random import normal

        if sigma is None:
            return x
        import tensorflow as tf

        shape = x.shape[1:] if x.shape[1:].is_fully_defined() else tf.shape(x)[1:]
        scale = sigma if sigma.shape.rank == 0 else repeat(sigma)
        return x + scale * normal(ids, seed=self.seed, draw=k, stream=stream, shape=shape, dtype=x.dtype)


def _squares(inner: Analyzer, centre: Tensors | None) -> Callable[[Program], Step]:
    """Return what makes the step of squared attributions; with a centre, of differences from it and their squares.

    centre: one row per sample, where the step gets one row per copy.
    """

    def attribute(program: Program) -> Step:
        step = inner.attribute(program)

        def squared(inputs: Tensors, target: Target, ids: Tensor) -> Attribution:
            import tensorflow as tf

            found = step(inputs, target, ids)
            if centre is None:
                return found._replace(attributions=tuple(a**2 for a in found.attributions))
            copies = tf.shape(ids)[0] // tf.shape(centre[0])[0]
            pairs = zip(found.attributions, centre, strict=True)
            differences = tuple(a - tf.repeat(c, copies, axis=0) for a, c in pairs)
            return found._replace(attributions=(*differences, *(d**2 for d in differences)))

        return squared

    return attribute
