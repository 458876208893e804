"""One backward pass: gradient, guided backpropagation, deconvolution, every LRP rule and composite are rows of it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import attrs

from xaicore.analyzer import AnalyzerBase, at_site
from xaicore.declaration import part
from xaicore.errors import InvalidParameter, OverflowWarning
from xaicore.filters import Channels, Part
from xaicore.protocols import Attribution
from xaicore.relevance import Initial, extras_of, sites, start_of, wanted
from xaicore.relevance import initial as initial_relevance
from xaicore.values import choice, flag, optional, site_text

_PAIR = 2
_LISTED = 5  # samples in a warning

if TYPE_CHECKING:
    from xaicore.explanation import Explanation
    from xaicore.protocols import Filter, Program, Pull, Rule, RuleMap, Step, Tensor, Tensors


def _rules(value: object) -> object:
    """Return a rule as it is, and pairs of condition and rule as tuples; refuse everything else."""
    if not isinstance(value, list | tuple):
        return _checked(value)
    wrong = [pair for pair in value if not (isinstance(pair, list | tuple) and len(pair) == _PAIR)]
    if wrong:
        raise InvalidParameter(f"Given rules={value!r}; expected a rule, or pairs of a condition and a rule or None.")
    return tuple((_condition(condition), None if rule is None else _checked(rule)) for condition, rule in value)


def _condition(given: object) -> str:
    """Return a condition as canonical text; raises InvalidCondition."""
    from xaicore.inspect.conditions import parse  # keras is imported only where a rule map is made

    return str(parse(str(given)))


def _checked(rule: object) -> object:
    if not (callable(rule) and hasattr(rule, "setting")):
        raise InvalidParameter(f"Given {rule!r} as a rule; expected an object such as get_rule('lrp.epsilon').")
    return rule


@attrs.frozen(str=False)
class Backward(AnalyzerBase):
    """Relevance of the inputs by one backward pass under rules.

        R_i = sum_j J~_ji R_j   from the explained output to the inputs,

    where J~ is the Jacobian for operations without a rule, and what the rule puts in its place for the others.
    Without rules it is the gradient, Simonyan et al. 2013, eq. 3.

    Args:
        rules: A rule, which brings its own surroundings (``Rule.setting``), or pairs of condition and rule
            (None for the gradient) of which the first that an operation meets counts.
        initial: Relevance of the explained output: "one", "score" (its value), a number, None as the rule says.  Or an
            array, of the whole output, whatever the target; or a mapping from sites to numbers or arrays, of what
            these return.  Arrays are of one sample, or have a row for each.
        times_input: Multiply the result with the input (Shrikumar et al. 2016).
        score: "logit" strips a softmax or sigmoid head, "probability" keeps it.
        on_unsupported: "raise" or "gradient", for operations that no rule is for; None as the rule says.
        at: Site whose output is explained instead of the model's inputs.
        stop_at: Sites that keep the relevance of their output and pass nothing on.
        layers: Sites whose relevance is kept, ``explanation.layers[site]``, in the shape of their output; "all".
        account: Keep what arrives at every site, passes it and is lost there: ``explanation.ledger``.
        absolute: Return sizes, |R|; the same as ``| abs``, as older libraries ask for it.
        square: Return R^2; likewise ``| square``.
        reduce: "mean" or "max" over channels, after these: one map, (batch, *spatial, 1).  Simonyan et al. take
            absolute and "max".
    """

    rules: Rule | tuple[tuple[str, Rule | None], ...] = part("rule", default=(), converter=_rules)
    initial: Initial | None = attrs.field(default=None, converter=initial_relevance)
    times_input: bool = attrs.field(default=False, converter=flag)
    score: str = attrs.field(default="logit", converter=choice("logit", "probability"))
    on_unsupported: str | None = attrs.field(default=None, converter=optional(choice("raise", "gradient")))
    at: str | None = attrs.field(default=None, converter=optional(site_text))
    stop_at: tuple[str, ...] = attrs.field(default=(), converter=sites)
    layers: tuple[str, ...] = attrs.field(default=(), converter=sites)
    account: bool = attrs.field(default=False, converter=flag)
    absolute: bool = attrs.field(default=False, converter=flag)
    square: bool = attrs.field(default=False, converter=flag)
    reduce: str = attrs.field(default="none", converter=choice("none", "mean", "max"))

    @property
    def claims(self) -> frozenset[str]:
        """What the rule claims, as long as relevance starts from the score and nothing is put in a rule's stead."""
        if isinstance(self.rules, tuple):
            # A gradient in a rule's stead claims nothing.
            sets = [frozenset() if rule is None else rule.setting.claims for _, rule in self.rules]
            claims = frozenset.intersection(*sets) if sets else frozenset()
        else:
            claims = self.rules.setting.claims
        whole = self._initial == "score" and not self.times_input and not self.stop_at
        return claims if whole and not self._filters else frozenset()

    @property
    def _filters(self) -> tuple[Filter, ...]:
        sizes = (Part("absolute"),) if self.absolute else ()
        squares = (Part("square"),) if self.square else ()
        return (*sizes, *squares, *(() if self.reduce == "none" else (Channels(self.reduce),)))

    @property
    def _initial(self) -> Initial:
        if self.initial is not None or isinstance(self.rules, tuple):
            return self.initial or "one"
        return self.rules.setting.initial

    def rule_map(self) -> tuple[RuleMap, str]:
        """Return (condition, rule) pairs in order, and what operations get that nothing matches."""
        if isinstance(self.rules, tuple):
            otherwise = "unsupported" if self.on_unsupported == "raise" else "gradient"
            return self.rules, otherwise
        setting = self.rules.setting
        chosen = {"raise": "unsupported", "gradient": "gradient", None: setting.otherwise}[self.on_unsupported]
        return ((setting.applies, self.rules), *companions(self.rules)), chosen

    @property
    def named(self) -> tuple[str, ...]:
        """Conditions whose rules have to act: the rule that is given alone, and those that name sites."""
        from xaicore.inspect.conditions import is_site_pattern

        if not isinstance(self.rules, tuple):
            return (self.rules.setting.applies,)
        pairs = self.rules
        return tuple(condition for condition, rule in pairs if rule is not None and is_site_pattern(condition))

    def warn_about(self, explanation: Explanation) -> None:
        """Warn of samples whose relevance is not finite."""
        warn_of_overflow(explanation)

    def attribute(self, program: Program) -> Step:
        """Return the step: one forward, one backward."""
        if self.at is not None:
            return at_site(self, self.at, program)
        rules, otherwise = self.rule_map()
        start, starts = start_of(self._initial, program)
        ruled = program.with_rules(rules, otherwise=otherwise, starts=starts) if rules else program
        residual = "conservation" in self.claims
        how = {"taps": wanted(self.layers, ruled), "stops": wanted(self.stop_at, ruled), "sinks": self.account}

        def step(inputs: Tensors, target: object, ids: Tensor) -> Attribution:
            pull = ruled.pull(inputs, target, initial=start(ids), **how)  # type: ignore[arg-type]
            found = pull.relevance
            if self.times_input:
                found = tuple(r * x for r, x in zip(found, inputs, strict=True))
            for one in self._filters:
                found = tuple(map(one, found))
            extras = {"residual": _gap(found, pull)} if residual else {}
            return Attribution(found, pull.scores, {**extras, **extras_of(pull)})

        return step


def companions(rule: Rule) -> RuleMap:
    """Return the rules that a rule wants around it, resolved by name."""
    from xaicore.registry import get_rule  # names are resolved by the registry alone

    return tuple((c, None if name is None else get_rule(name)) for c, name in rule.setting.companions)


def _gap(relevance: Tensors, pull: Pull) -> Tensor:
    """Return sum of attributions minus score, (batch,)."""
    import tensorflow as tf

    sums = [tf.reduce_sum(tf.cast(r, pull.scores.dtype), axis=list(range(1, len(r.shape)))) for r in relevance]
    return tf.add_n(sums) - pull.scores


def warn_of_overflow(explanation: Explanation) -> None:
    """Warn of samples whose relevance is not finite, which a picture would show as nothing."""
    import numpy as np

    finite = [np.isfinite(one).reshape(len(one), -1).all(1) for one in explanation.arrays]
    wrong = np.flatnonzero(~np.all(finite, axis=0))
    if len(wrong):
        listed = ", ".join(str(explanation.ids[i]) for i in wrong[:_LISTED])
        more = ", ..." if len(wrong) > _LISTED else ""
        warnings.warn(
            f"Relevance of {len(wrong)} of {len(explanation)} samples is not finite ({listed}{more}): it grew past the "
            "largest number of its type. Rules that leave biases out divide by what nearly cancels, most of all before "
            "a normalization. Keep the bias, take a larger epsilon, or explain the model in float64.",
            OverflowWarning,
            stacklevel=2,
        )
