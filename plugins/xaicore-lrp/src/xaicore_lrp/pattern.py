"""PatternNet and PatternAttribution: what a neuron reacts to, learnt from data, in place of its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from xaicore.analyzer import AnalyzerBase
from xaicore.backward import Backward
from xaicore.errors import InvalidParameter, NotFitted
from xaicore.protocols import Effort, Relevance, Setting
from xaicore.relevance import Initial
from xaicore.relevance import initial as initial_relevance
from xaicore.values import Array, choice, flag, numeric_or_array, optional, site_text
from xaicore_lrp.setting import affine_form

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras
    import tensorflow as tf

    from xaicore.inspect.facts import Facts
    from xaicore.protocols import OpCall, Program, RuleMap, Step

    Step_ = Callable[[tf.Tensor], Relevance]


@attrs.frozen
class Pattern:
    """``R_j = sum_k A_jk f'(z_k) R_k``, with a pattern A in place of the weights; times W for PatternAttribution.

    f' is the derivative of the layer's own activation at the real pre-activation: Kindermans et al. 2018, section 4.

    Args:
        pattern: In the shape of the layer's kernel.
        times_weights: Put A * W, element by element, in place of W.

    Raises:
        InvalidParameter: when it meets a layer whose kernel has another shape.
    """

    setting: ClassVar[Setting] = Setting(applies="affine and contains_kernel", otherwise="gradient")

    pattern: float | Array = attrs.field(converter=numeric_or_array)
    times_weights: bool = attrs.field(default=False, converter=flag)

    def __call__(self, op: OpCall, *inputs: tf.Tensor) -> tuple[tf.Tensor, Step_]:
        """Return the output and what comes back: (batch, *outputs) -> Relevance of (batch, *features)."""
        import numpy as np
        import tensorflow as tf

        from xaicore.engine.vjp import vjp

        form, (x,) = affine_form(op, self), inputs
        pattern = tf.cast(tf.constant(np.asarray(self.pattern)), form.kernel.dtype)
        if pattern.shape.rank and pattern.shape != form.kernel.shape:
            raise InvalidParameter(
                f"Given a pattern of shape {tuple(pattern.shape)} for {str(op.site)!r}, whose kernel has the shape "
                f"{tuple(form.kernel.shape)}. Fit the analyzer on this model."
            )
        (output,), through = _activated(form, x)
        kernel = pattern * form.kernel if self.times_weights else pattern * tf.ones_like(form.kernel)
        _, pull = vjp(lambda x: form.apply(x, kernel), x)

        def backward(relevance: tf.Tensor) -> Relevance:
            return Relevance((pull(through(relevance)[0])[0],))

        return output, backward

    def effort(self, facts: Facts) -> Effort:  # noqa: ARG002  # other rules look at them
        """Return the passes of a gradient, with another kernel on the way back."""
        return Effort(passes=2.5, kernels=1)


def _activated(form: Any, x: tf.Tensor) -> tuple[tuple[tf.Tensor], Callable[[tf.Tensor], tuple[tf.Tensor, ...]]]:
    from xaicore.engine.vjp import vjp

    z = form.apply(x, form.kernel, form.bias)
    output, pull = vjp(form.activate, z)
    return (output,), pull


def _patterns(value: object) -> tuple[tuple[str, Array], ...]:
    """Take a mapping from sites to arrays, or pairs."""
    pairs = tuple(value.items()) if isinstance(value, Mapping) else value
    if not isinstance(pairs, tuple | list) or not all(isinstance(p, tuple | list) and len(p) == 2 for p in pairs):  # noqa: PLR2004
        raise InvalidParameter(f"Given patterns={value!r}; expected a mapping from sites to arrays.")
    return tuple((str(site), one if isinstance(one, Array) else Array(one)) for site, one in pairs)


@attrs.frozen(str=False)
class PatternAnalyzer(AnalyzerBase):
    """A backward pass with patterns in place of kernels: Kindermans et al. 2018.

    ``get_analyzer("lrp.pattern_net").fit(model, data)`` returns an analyzer that holds the patterns of this model.

    Args:
        times_weights: False: PatternNet, the signal that the output reacts to.  True: PatternAttribution, what each
            part of the signal contributed.
        patterns: Site -> array in the shape of the kernel; filled by ``fit``, which learns one for each call.  A site
            without a number stands for all calls of its layer that have no pattern of their own.
        pattern_type: "relu": learnt where the layer's activation is above zero (the paper's two-component estimator);
            "linear": from all samples.
        initial: Where relevance starts: "score", "one", a number, an array of the output's shape.
        score: "logit" strips a softmax or sigmoid head, "probability" keeps it.
        at: Site whose output is explained instead of the model's inputs.

    Raises:
        NotFitted: it has no patterns.
    """

    times_weights: bool = attrs.field(default=False, converter=flag)
    patterns: tuple[tuple[str, Array], ...] = attrs.field(default=(), converter=_patterns)
    pattern_type: str = attrs.field(default="relu", converter=choice("relu", "linear"))
    initial: Initial = attrs.field(default="score", converter=initial_relevance)
    score: str = attrs.field(default="logit", converter=choice("logit", "probability"))
    at: str | None = attrs.field(default=None, converter=optional(site_text))

    def fit(self, model: keras.Model, data: object, *, batch_size: int | None = None) -> PatternAnalyzer:
        """Return this analyzer with the patterns of a model, learnt in one pass over data.

        Args:
            model: A built Keras 3 model; it is only read.
            data: Whatever ``explain`` takes as x.
            batch_size: Samples per step.

        Raises:
            UnsupportedOperation: a kernel layer is neither Dense nor a convolution without groups.
        """
        from xaicore_lrp.fitting import fitted

        return attrs.evolve(self, patterns=fitted(model, data, self.pattern_type, batch_size))

    def rule_map(self) -> tuple[RuleMap, str]:
        """Return a rule per site; other operations get their gradient."""
        return self._backward().rule_map()

    @property
    def named(self) -> tuple[str, ...]:
        """Every site that has a pattern is to be met."""
        return self._backward().named

    def attribute(self, program: Program) -> Step:
        """Return the step: one forward, one backward."""
        return self._backward().attribute(program)

    def _backward(self) -> Backward:
        if not self.patterns:
            raise NotFitted(f"{self} holds no patterns. Learn them first: analyzer.fit(model, data).")
        from xaicore.inspect.conditions import At  # keras is imported only where a rule map is made

        # A site without a number is every call of a layer: what a call learnt for itself counts before it.
        ordered = sorted(self.patterns, key=lambda pair: not pair[0].endswith("]"))
        rules = tuple((str(At(site)), Pattern(pattern, self.times_weights)) for site, pattern in ordered)
        return Backward(rules=rules, initial=self.initial, score=self.score, at=self.at)
