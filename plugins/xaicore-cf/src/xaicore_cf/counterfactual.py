"""Counterfactuals: the nearest input that a model puts into another class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from xaicore.analyzer import AnalyzerBase
from xaicore.declaration import part
from xaicore.values import Array, choice, flag, integer, numeric_or_array, optional, real
from xaicore_cf import features as said
from xaicore_cf.classes import other, require_class, same
from xaicore_cf.costs import leaves
from xaicore_cf.data import samples
from xaicore_cf.errors import CounterfactualNotFound, NotTold
from xaicore_cf.host import is_hosted
from xaicore_cf.norms import L2
from xaicore_cf.optimizers import Adam
from xaicore_cf.outcomes import Logistic
from xaicore_cf.predictions import predicted
from xaicore_cf.settings import predicate, refuse_at_odds, weights

if TYPE_CHECKING:
    import keras

    from xaicore.engine.program import Program
    from xaicore.engine.target import ParsedTarget
    from xaicore.explanation import Explanation
    from xaicore.protocols import CostFunction, Optimizer, Step
    from xaicore_cf.schedules import Schedule


@attrs.frozen(str=False)
class Counterfactual(AnalyzerBase):
    """The nearest input that the model puts into the target class, after Wachter, Mittelstadt and Russell 2017.

        min_x  C * cost(x, x_0) + prediction(f(x), t),   and of all x met on the way the valid one of smallest cost.

    A candidate is valid where the model predicts t for it, checked by the model on the very numbers that are returned.
    The target of ``explain`` is the class to reach: an integer, or one per sample; 0 or 1 where the output is one
    number; for a sigmoid on several labels, the label to set; "other" for any class but the predicted one, "same" for
    the predicted one.  For a regression, ``prediction=cf.interval(low=, high=)`` and the index of the output; a
    probability to reach is ``cf.squared_error(value=)`` with ``tol``; any other condition is ``done``.

    Departures from the paper: C weighs the cost and not the prediction, all C are tried at the same time, and C is
    adapted in both directions, but by optimizers of the host, which keep it and then look between the sample and the
    nearest valid point that they have met.

    The result: ``attributions`` = counterfactual - x (pertinent positives: - baseline), ``scores`` the target's score
    at x, and of every sample ``counterfactuals`` (like x; of a model with several inputs ``counterfactuals_<input>``),
    ``outputs`` (what the model predicts for them), ``valid`` (where it is False the candidate of smallest prediction
    cost is returned), ``already`` (valid before anything changed, or, of
    pertinent positives, the baseline is; it is returned unchanged, within bounds or not), ``distance`` (the cost,
    C left out), ``l1`` and ``l2`` (sum of |changes|, root of their sum of squares), ``C`` (in force where it was met),
    ``iterations`` (until the last of its copies left the loop; of the host, how often a copy asked the model).
    With n above 1 these have an axis of n behind the sample's, the nearest first, but for ``already``, ``C`` and
    ``iterations``; attributions are those of the first.

    Args:
        cost: Distance from the input.  prediction: What draws the output to the target.  optimizer: How to descend.
        C: Weights of the cost to begin with; each sample is searched once with each.
        schedule: How C changes, such as cf.bisection; None: with every iteration, see ``growth``.
        growth: Factor on C for each iteration: times it where the candidate is valid, divided by it where not, less
            as the steps get smaller.  1 leaves C as it is.
        features: What may change: indices of the flattened sample (inputs one behind the other), names, or booleans
            like a sample.  The rest stays equal to the bit.
        bounds: (low, high) of the features that may change: numbers, arrays that broadcast to a sample, or None.
        monotone: {feature: 1} may only grow, {feature: -1} only shrink.
        categories: Lists of features of which one is 1 and the others are 0, in the sample and in the counterfactual.
        integers: Features that change by whole numbers, or {feature: step} by multiples of a step.
        names: Of the features of the flattened sample; the name of an input stands for all of its features.
        n: Counterfactuals of each sample, found together.  diversity: What keeps them apart; None: cf.diversity.
        restore: Whether small changes are taken back after the search, the smallest first, while the counterfactual
            stays valid: those below what deviates little in the ``reference``, or all of them without one.  What is
            returned is valid and sparser, and may by other costs than cf.l1 and cf.lmad be alike or farther.
        pertinent: "positive": between the baseline and x, near the baseline: what of x suffices.  "negative": only away
            from the baseline: what has to be absent.  Dhurandhar et al. 2018.
        baseline: The value of a feature that says nothing, a number or what broadcasts to a sample.
        plausibility: A cost of which a valid candidate may have ``threshold`` at most, such as cf.density; it draws
            nothing: for that it is a part of ``cost`` too.
        threshold: See ``plausibility``.
        done: Instead of the class: a function of the model's outputs (batch, ...) -> bool (batch,), tensors.
        outputs_are: "logits", "probabilities", or "labels" (0 and 1), of a model without a softmax or sigmoid at its
            end.  None: logits; a black box whose outputs may be either is refused.
        margin: By how much the target's logit has to lead the others, so that rounding in another batch does not turn
            the prediction.
        tol: The probability of the target may miss 1, or the value to reach, by this much.  None: the target has to be
            predicted; a value below 1 may be missed by 0.05.
        patience: How often a copy may leave the class without having come nearer in it; then its steps are halved.
        halvings: After this many a copy is done.
        max_iter: Most iterations.
        starts: How often each sample is searched with each C: first from x, then from ``x + noise * N(0, 1)``.
        noise: Standard deviation of the further starts, in units of the input.
        seed: With the sample's id and the number of the start it fixes the noise, whatever the batch.
        reference: Data for costs that know data and have none of their own, (m, *features); ``labels`` their classes.
            ``fit(model, data)`` gives both.
        raise_on_failure: Raise CounterfactualNotFound, which holds the result, where a sample has no valid one.

    Raises:
        ClassNeeded, NotAClass: no class to reach in the target.
        FixedBatch: the model takes batches of one size only.
        UnknownFeature: a name is none of a feature.
        InvalidParameter: a parameter does not fit the model, or ``cost`` does not read the inputs alone.
    """

    own_targets: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"other": other, "same": same}

    cost: CostFunction = part("cost", factory=L2)
    prediction: CostFunction = part("cost", factory=Logistic)
    optimizer: Optimizer = part("optimizer", factory=Adam)
    C: tuple[float, ...] = attrs.field(
        default=(1.0, 0.1, 0.01), converter=attrs.Converter(weights, takes_self=True, takes_field=True)
    )
    schedule: Schedule | None = part("schedule", default=None)
    growth: float = attrs.field(default=1.05, converter=real(minimum=1))
    features: Array | tuple[int | str, ...] | None = attrs.field(default=None, converter=said.free)
    bounds: tuple[float | Array | None, float | Array | None] = attrs.field(default=None, converter=said.bounds)
    monotone: tuple[tuple[int | str, int], ...] = attrs.field(default=(), converter=said.directions)
    categories: tuple[tuple[int | str, ...], ...] = attrs.field(default=(), converter=said.groups)
    integers: tuple[tuple[int | str, float], ...] = attrs.field(default=(), converter=said.steps)
    names: tuple[str, ...] = attrs.field(default=(), converter=said.names)
    n: int = attrs.field(default=1, converter=integer(minimum=1))
    diversity: CostFunction | None = part("cost", default=None)
    restore: bool = attrs.field(default=False, converter=flag)
    pertinent: str | None = attrs.field(default=None, converter=optional(choice("positive", "negative")))
    baseline: float | Array = attrs.field(default=0.0, converter=numeric_or_array)
    plausibility: CostFunction | None = part("cost", default=None)
    threshold: float = attrs.field(default=0.0, converter=real())
    done: Callable[[Any], Any] | None = attrs.field(default=None, converter=predicate)
    outputs_are: str | None = attrs.field(default=None, converter=optional(choice("logits", "probabilities", "labels")))
    margin: float = attrs.field(default=1e-3, converter=real(minimum=0))
    tol: float | None = attrs.field(default=None, converter=optional(real(above=0, maximum=1)))
    patience: int = attrs.field(default=2, converter=integer(minimum=1))
    halvings: int = attrs.field(default=10, converter=integer(minimum=1))
    max_iter: int = attrs.field(default=1000, converter=integer(minimum=1))
    starts: int = attrs.field(default=1, converter=integer(minimum=1))
    noise: float = attrs.field(default=0.1, converter=real(minimum=0))
    seed: int = attrs.field(default=0, converter=integer(minimum=0))
    reference: Array | None = attrs.field(default=None, converter=optional(samples))
    labels: Array | None = attrs.field(default=None, converter=optional(Array))
    raise_on_failure: bool = attrs.field(default=False, converter=flag)

    def __attrs_post_init__(self) -> None:
        """Refuse costs in each other's place, and copies that would be the same."""
        refuse_at_odds(self)

    @property
    def compiled(self) -> bool:
        """Whether the search is a loop of tensors; with an optimizer of the host it runs as Python does."""
        return not is_hosted(self.optimizer)

    @property
    def searches(self) -> int:
        """How often each sample is searched."""
        return self.starts * len(self.C) * self.n

    @property
    def needs_gradient(self) -> bool:
        """Whether the model has to have a gradient."""
        return bool(getattr(self.optimizer, "uses_gradient", True))

    def fit(self, model: keras.Model, data: Any) -> Counterfactual:
        """Return the search with data for its costs, and the classes that the model predicts for them.

        Args:
            model: The model that is to be explained.
            data: Samples as the model takes them, (m, *features).

        Raises:
            InputMistake: the model does not take such data.
        """
        import numpy as np

        from xaicore.inspect.inputs import check_inputs

        bound = self.bind(model)
        arrays = check_inputs(bound.input_specs, bound.input_structure, data).leaves
        flat = np.concatenate([one.reshape(len(one), -1) for one in arrays], axis=1)
        outputs = predicted(model, bound.input_structure, arrays)
        if outputs is None or outputs.ndim != 2:  # noqa: PLR2004  # (m, classes)
            return attrs.evolve(self, reference=flat)
        classes = (outputs[:, 0] > self._middle(model)).astype(int) if outputs.shape[1] == 1 else outputs.argmax(1)
        return attrs.evolve(self, reference=flat, labels=classes)

    def _middle(self, model: keras.Model) -> float:
        """Return where the two classes of one number meet: 1/2 of probabilities, else 0."""
        from xaicore.inspect.head import head_node
        from xaicore.inspect.read import read_graph

        said = self.outputs_are in {"probabilities", "labels"}
        return 0.5 if said or head_node(read_graph(model, {})) is not None else 0.0

    def passes(self, inner: float) -> float:
        """Return the passes of a search whose copies all stay to the end."""
        return 1 + self.max_iter * self.searches * inner

    def check_target(self, target: object, parsed: ParsedTarget) -> None:
        """Refuse a target that names no class to reach."""
        require_class(target, parsed, numbers=self.numbers)

    @property
    def numbers(self) -> bool:
        """Whether the outputs are numbers as they are, and no logits."""
        return any(getattr(one, "numbers", False) for one in leaves(self.prediction))

    def warn_about(self, explanation: Explanation) -> None:
        """Raise CounterfactualNotFound where that is asked for and a sample has no valid counterfactual."""
        if "valid" not in explanation.extras:  # inside of another analyzer, which made means of the changes
            if self.raise_on_failure:
                raise NotTold(
                    "Given raise_on_failure=True for a search inside of another analyzer, which averages changes and "
                    "keeps none of the counterfactuals; expected the search alone. Leave raise_on_failure away, or "
                    "explain with the search itself."
                )
            return
        valid = explanation["valid"]
        if self.raise_on_failure and not valid.all():
            lost = (~valid).reshape(len(valid), -1).any(1).nonzero()[0]
            raise CounterfactualNotFound(
                f"{len(lost)} of {len(valid)} samples have no valid counterfactual ({', '.join(map(str, lost[:8]))}, "
                "...). The error's `explanation` holds the best effort. Free more features, widen bounds, take smaller "
                "C, more iterations, or several starts.",
                explanation,
            )

    def attribute(self, program: Program) -> Step:
        """Return the step: one forward, and the search."""
        from xaicore_cf.steps import step_of

        return step_of(self, program)
