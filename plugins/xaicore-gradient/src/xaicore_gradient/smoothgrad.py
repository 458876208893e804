"""SmoothGrad, SquareGrad and VarGrad: moments of what an analyzer says about noisy copies of the input."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import attrs

from xaicore.analyzer import AnalyzerBase, at_site
from xaicore.backward import Backward
from xaicore.declaration import part
from xaicore.errors import IntegerInput, InvalidParameter, ToleranceWarning
from xaicore.protocols import Analyzer, Attribution
from xaicore.values import choice, flag, integer, optional, real, site_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from xaicore.engine.copies import Change, Repeat
    from xaicore.engine.target import Target
    from xaicore.explanation import Explanation
    from xaicore.protocols import Program, Step, Tensor, Tensors

_ROUND = 16  # copies between two looks at the error


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
        antithetic: Copies in pairs, one with the noise added and one with it taken away: what is odd in the noise
            cancels, so that the mean of a nearly linear model needs fewer copies.
        error: Report how far the mean may be off, for the moment "mean": the extra ``error``, (batch,), is the sum over
            entries of the standard error of the mean, relative to the sum of their sizes.
        tolerance: Stop a sample when its error is at most this, after rounds of 16 copies.  n, rounded up to whole
            rounds, is the most then; the extra ``copies``, (batch,), tells how many it took.  A sample that is above it
            after all of them keeps what it has, with a warning.
    """

    inner: Analyzer = part("analyzer", factory=Backward)
    n: int = attrs.field(default=32, converter=integer(minimum=1))
    noise: float = attrs.field(default=0.1, converter=real(minimum=0))
    noise_scale: str = attrs.field(default="relative", converter=choice("relative", "absolute"))
    seed: int = attrs.field(default=0, converter=integer(minimum=0))
    moment: str = attrs.field(default="mean", converter=choice("mean", "square", "variance"))
    at: str | None = attrs.field(default=None, converter=optional(site_text))
    antithetic: bool = attrs.field(default=False, converter=flag)
    error: bool = attrs.field(default=False, converter=flag)
    tolerance: float | None = attrs.field(default=None, converter=optional(real(above=0)))

    def __attrs_post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.moment != "mean" and (self.error or self.tolerance is not None):
            raise InvalidParameter(
                f"Given moment={self.moment!r} with error or tolerance, which are of the mean; expected moment='mean' "
                "(smoothgrad), or neither of them."
            )
        if self.antithetic and (self.error or self.tolerance is not None):
            raise InvalidParameter(
                "Given antithetic=True with error or tolerance: copies of a pair depend on each other, and the "
                "standard error is that of copies that do not. Leave one of them out."
            )
        if self.antithetic and self.n % 2:
            raise InvalidParameter(f"Given n={self.n} with antithetic=True; expected an even number of copies.")

    def warn_about(self, explanation: Explanation) -> None:
        """Warn of samples whose error is above the tolerance."""
        error = explanation.extras.get("error")  # an analyzer around this one may leave it out
        missed = 0 if error is None or self.tolerance is None else int((error > self.tolerance).sum())
        if missed:
            warnings.warn(
                f"{missed} of {len(explanation)} explanations are above the tolerance {self.tolerance:g} after "
                f"{int(explanation['copies'].max())} copies. Raise n or the tolerance; see explanation.error.",
                ToleranceWarning,
                stacklevel=2,
            )

    def passes(self, inner: float) -> float:
        """Return one forward and the inner passes n times."""
        if self.noise == 0 and self.moment == "mean":
            return inner
        return 1 + (self.n + (self.moment == "variance")) * inner

    def copies(self, inner: int) -> int:
        """Return n, or the copies of one round, times those inside."""
        if self.noise == 0 and self.moment == "mean":
            return inner
        return (self.n if self.tolerance is None else min(self.n, _ROUND)) * inner

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

            outputs = program.outputs(inputs)
            fixed = target.anchor(outputs)
            scores = fixed(outputs)
            noisy = self._copies(inputs)
            if self.error or self.tolerance is not None:
                return self._with_error(program, inputs, fixed, ids, scores)
            weights = tf.constant([1 / self.n] * self.n, scores.dtype)
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

    def _copies(self, inputs: Tensors, first: Tensor | int = 0) -> Change:
        """Return what makes the copies of a batch, numbered from ``first``."""
        sigmas = self._sigmas(inputs)

        def noisy(repeat: Repeat, k: Tensor, ids: Tensor) -> Tensors:
            pairs = zip(inputs, sigmas, strict=True)
            return tuple(self._noisy(i, repeat(x), s, repeat, k + first, ids) for i, (x, s) in enumerate(pairs))

        return noisy

    def _with_error(
        self, program: Program, inputs: Tensors, target: Target, ids: Tensor, scores: Tensor
    ) -> Attribution:
        """Return the mean, what it may be off by, and how many copies it took."""
        import tensorflow as tf

        from xaicore.engine.copies import weighted_sum
        from xaicore.engine.refine import refine

        size = self.n if self.tolerance is None else min(self.n, _ROUND)
        rounds = -(-self.n // size)
        ones = tf.ones([size], scores.dtype)

        def one(number: Tensor, active: Tensor, sums: Tensors) -> tuple[Tensors, Tensors, Tensor]:
            def some(tensors: Tensors) -> Tensors:
                return tuple(tf.gather(t, active) for t in tensors)

            index = target.index
            own = attrs.evolve(target, index=None if index is None else tf.gather(index, active))
            inside = program.given(some(program.context))
            copies = self._copies(some(inputs), number * size)
            terms = weighted_sum(_and_squares(self.inner), inside, own, tf.gather(ids, active), ones, copies)
            added = tuple(s + tf.cast(t, s.dtype) for s, t in zip(sums, terms, strict=True))
            count = tf.fill(tf.shape(active), (number + 1) * size)
            means, error = _mean_and_error(added, (number + 1) * size)
            going = error > (0.0 if self.tolerance is None else self.tolerance)
            return added, (*means, error, count), going

        like = self.inner.attribute(program)(inputs, target, ids).attributions  # for shapes; pruned from the trace
        zeros = tuple(map(tf.zeros_like, like))
        batch = tf.shape(ids)
        results = (*zeros, tf.zeros(batch, scores.dtype), tf.zeros(batch, tf.int32))
        *means, error, count = refine(rounds, (*zeros, *zeros), results, one)
        extras = {"error": error} if self.tolerance is None else {"error": error, "copies": count}
        return Attribution(tuple(means), scores, extras)

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
        draw = k // 2 if self.antithetic else k
        noise = scale * normal(ids, seed=self.seed, draw=draw, stream=stream, shape=shape, dtype=x.dtype)
        if not self.antithetic:
            return x + noise
        sign = tf.cast(1 - 2 * (k % 2), x.dtype)
        return x + tf.reshape(sign, [-1] + [1] * (x.shape.rank - 1)) * noise


def _and_squares(inner: Analyzer) -> Callable[[Program], Step]:
    """Return what makes the step of attributions and their squares."""

    def attribute(program: Program) -> Step:
        step = inner.attribute(program)

        def both(inputs: Tensors, target: Target, ids: Tensor) -> Attribution:
            found = step(inputs, target, ids)
            return found._replace(attributions=(*found.attributions, *(a**2 for a in found.attributions)))

        return both

    return attribute


def _mean_and_error(sums: Tensors, count: Tensor) -> tuple[Tensors, Tensor]:
    """Return the means of copies, and the sum of their standard errors relative to their L1 norm.

    sums: of attributions, then of their squares.
    """
    import tensorflow as tf

    half = len(sums) // 2
    n = tf.cast(count, sums[0].dtype)
    means = tuple(s / n for s in sums[:half])
    # Rounding may leave a small negative number of a variance of zero.
    spreads = [tf.nn.relu(q / n - m**2) / tf.maximum(n - 1, 1) for m, q in zip(means, sums[half:], strict=True)]
    error = tf.add_n([_summed(tf.sqrt(v)) for v in spreads])
    return means, tf.math.divide_no_nan(error, tf.add_n([_summed(tf.abs(m)) for m in means]))


def _summed(tensor: Tensor) -> Tensor:
    import tensorflow as tf

    return tf.reduce_sum(tensor, list(range(1, tensor.shape.rank)))


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
