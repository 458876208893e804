"""Counterfactuals: the nearest input that a model puts into another class."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

import attrs

from xaicore.analyzer import AnalyzerBase
from xaicore.declaration import part
from xaicore.errors import InvalidParameter
from xaicore.protocols import Attribution, CostFunction, Optimizer
from xaicore.values import Array, integer, numeric_or_array, optional, real
from xaicore_cf.classes import Classes, require_class
from xaicore_cf.copies import Seen, best, spread, start
from xaicore_cf.costs import INPUTS, L2, NegativeLogLikelihood, reads
from xaicore_cf.optimizers import Adam
from xaicore_cf.samples import box_of, join, split
from xaicore_cf.search import Search

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.engine.program import Program
    from xaicore.engine.target import ParsedTarget, Target
    from xaicore.protocols import Step, Tensors
    from xaicore_cf.search import Look


def _weights(value: Any, instance: Any, field: Any) -> tuple[float, ...]:
    single: Any = real(above=0)
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not values or not all(isinstance(one, Real) for one in values):
        raise InvalidParameter(f"Given C={value!r:.80}; expected a positive number or a list of them.")
    return tuple(single(one, instance, field) for one in values)


def _features(value: Any) -> Array | None:
    if value is None:
        return None
    found = value if isinstance(value, Array) else Array(value)
    whole = found.data.dtype.kind in "iu" and found.data.size and found.data.min() >= 0
    if not whole and not (found.data.dtype == bool and found.data.any()):
        raise InvalidParameter(
            f"Given features={value!r:.80}; expected indices of the flattened sample that may change, from 0 and at "
            "least one, or booleans shaped like a sample with at least one True."
        )
    return found


@attrs.frozen(str=False)
class Counterfactual(AnalyzerBase):
    """The nearest input that the model puts into the target class, after Wachter, Mittelstadt and Russell 2017.

        min_x  C * cost(x, x_0) + prediction(f(x), t),   and of all x met on the way the valid one of smallest cost.

    A candidate is valid where the model predicts t for it, checked by the model on the very numbers that are returned.
    The target of ``explain`` is the class to reach: an integer, or one per sample; 0 or 1 where the output is one
    number; for a sigmoid on several labels, the label to set.  Numbers of a regression are no targets yet.

    Departures from the paper: C weighs the cost and not the prediction, all C are tried at the same time, and C is
    adapted in both directions.

    The result: ``attributions`` = counterfactual - x, ``scores`` the target's logit at x, and of every sample
    ``counterfactuals`` (like x; of a model with several inputs ``counterfactuals_<input>``), ``valid`` (bool; where it
    is False the candidate of smallest prediction cost is returned), ``distance`` (the cost of the counterfactual, C
    left out), ``iterations`` (until the last of its copies left the loop).

    Args:
        cost: Distance from the input.  prediction: What draws the output to the target.  optimizer: How to descend.
        C: Weights of the cost to begin with; each sample is searched once with each.
        growth: Factor on C for each iteration: times it where the candidate is valid, divided by it where not, less
            as the steps get smaller.  1 leaves C as it is.
        features: What may change: indices of the flattened sample (inputs one behind the other), or booleans like a
            sample.  The rest stays equal to the bit.
        low: Lower bound of the features that may change, a number or an array that broadcasts to a sample.
        high: Upper bound.
        margin: By how much the target's logit has to lead the others, so that rounding in another batch does not turn
            the prediction.
        tol: The probability of the target may miss 1 by this much; 1 asks for the prediction only.
        patience: How often a copy may leave the class without having come nearer in it; then its steps are halved.
        halvings: After this many a copy is done.
        max_iter: Most iterations.
        starts: How often each sample is searched with each C: first from x, then from ``x + noise * N(0, 1)``.
        noise: Standard deviation of the further starts, in units of the input.
        seed: With the sample's id and the number of the start it fixes the noise, whatever the batch.

    Raises:
        ClassNeeded, NotAClass: no class to reach in the target.
        FixedBatch: the model takes batches of one size only.
        InvalidParameter: a parameter does not fit the model, or ``cost`` does not read the inputs alone.
    """

    cost: CostFunction = part("cost", factory=L2)
    prediction: CostFunction = part("cost", factory=NegativeLogLikelihood)
    optimizer: Optimizer = part("optimizer", factory=Adam)
    C: tuple[float, ...] = attrs.field(
        default=(1.0, 0.1, 0.01), converter=attrs.Converter(_weights, takes_self=True, takes_field=True)
    )
    growth: float = attrs.field(default=1.05, converter=real(minimum=1))
    features: Array | None = attrs.field(default=None, converter=_features)
    low: float | Array | None = attrs.field(default=None, converter=optional(numeric_or_array))
    high: float | Array | None = attrs.field(default=None, converter=optional(numeric_or_array))
    margin: float = attrs.field(default=1e-3, converter=real(minimum=0))
    tol: float = attrs.field(default=1.0, converter=real(above=0, maximum=1))
    patience: int = attrs.field(default=2, converter=integer(minimum=1))
    halvings: int = attrs.field(default=10, converter=integer(minimum=1))
    max_iter: int = attrs.field(default=1000, converter=integer(minimum=1))
    starts: int = attrs.field(default=1, converter=integer(minimum=1))
    noise: float = attrs.field(default=0.1, converter=real(minimum=0))
    seed: int = attrs.field(default=0, converter=integer(minimum=0))

    def __attrs_post_init__(self) -> None:
        """Refuse costs in each other's place, and an empty box."""
        if reads(self.cost) != INPUTS:
            raise InvalidParameter(
                f"Given cost={self.cost}; expected a cost of the inputs alone, such as cf.l1 or cf.l2."
            )
        if "outputs" not in reads(self.prediction):
            raise InvalidParameter(
                f"Given prediction={self.prediction}; expected a cost of the outputs, such as cf.nll."
            )
        _check_bounds(self.low, self.high)

    @property
    def copies(self) -> int:
        """How often each sample is searched."""
        return self.starts * len(self.C)

    def passes(self, inner: float) -> float:
        """Return the passes of a search whose copies all stay to the end."""
        return 1 + self.max_iter * self.copies * inner

    def check_target(self, target: object, parsed: ParsedTarget) -> None:
        """Refuse a target that names no class to reach."""
        require_class(target, parsed)

    def attribute(self, program: Program) -> Step:
        """Return the step: one forward, and the search."""
        from xaicore.engine.target_read import Signed

        box = box_of(program.graph, self.features, self.low, self.high)
        classes = Classes.of(program)

        def step(inputs: Tensors, target: Target, ids: tf.Tensor) -> Attribution:
            x = join(inputs)
            given = spread(self, x, target.index)
            look = _look(self.prediction, program, classes, inputs, one_number=isinstance(target.spec.read, Signed))
            found = best(Search(self, box, look).run(start(self, given, box, ids), given), self.copies)
            nothing = target.index[:, 0]  # a distance reads no outputs
            distance = self.cost(found.kept, original=x, outputs=nothing, target=nothing)
            changed = split(found.kept, inputs)
            extras = {"valid": found.valid, "distance": distance, "iterations": found.steps}
            extras |= dict(zip(_names(program.graph.input_names), changed, strict=True))
            away = tuple(c - i for c, i in zip(changed, inputs, strict=True))
            return Attribution(away, target(program.outputs(inputs)), extras)

        return step


def _names(inputs: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names under which the counterfactuals of the inputs are found."""
    return ("counterfactuals",) if len(inputs) == 1 else tuple(f"counterfactuals_{name}" for name in inputs)


def _look(prediction: CostFunction, program: Program, classes: Classes, inputs: Tensors, *, one_number: bool) -> Look:
    """Return the function (x, original, index) -> what the model says at x: one forward and one backward sweep."""

    def look(x: tf.Tensor, original: tf.Tensor, index: tf.Tensor) -> Seen:
        import tensorflow as tf

        def slope(outputs: tf.Tensor) -> tf.Tensor:
            """Return the gradient of the prediction cost by the outputs: what the backward sweep brings to x."""
            with tf.GradientTape() as tape:
                tape.watch(outputs)
                logits, target = classes(outputs, index, one_number=one_number)
                cost = prediction(x, original=original, outputs=tf.cast(logits, x.dtype), target=target)
            return tape.gradient(cost, outputs, unconnected_gradients=tf.UnconnectedGradients.ZERO)

        pulled = program.pull(split(x, inputs), lambda outputs: outputs, initial=slope)
        logits, target = classes(pulled.scores, index, one_number=one_number)
        return Seen(tf.cast(logits, x.dtype), target, tf.cast(join(pulled.relevance), x.dtype))

    return look


def _check_bounds(low: float | Array | None, high: float | Array | None) -> None:
    import numpy as np

    for name, bound in (("low", low), ("high", high)):
        if bound is not None and np.isnan(np.asarray(bound)).any():
            raise InvalidParameter(f"Given {name} with NaN; expected numbers, infinite ones where there is no bound.")
    if low is None or high is None:
        return
    try:
        crossed = np.asarray(low) > np.asarray(high)
    except ValueError as error:
        raise InvalidParameter(f"Given low and high of shapes that do not fit together ({error}).") from error
    if crossed.any():
        raise InvalidParameter("Given low above high somewhere; expected low <= high for every feature.")
