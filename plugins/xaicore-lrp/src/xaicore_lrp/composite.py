"""Composites: which rule for which layer, by place, kind, or condition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from xaicore.analyzer import AnalyzerBase, at_site
from xaicore.backward import Backward, companions, warn_of_overflow
from xaicore.declaration import part
from xaicore.errors import ConflictingParameters, FoldingDiffers, InvalidParameter, LayerIndex, RuleCount, RuleNeverMet
from xaicore.relevance import Initial, sites
from xaicore.relevance import initial as initial_relevance
from xaicore.values import Array, choice, flag, integer, optional, real, site_text
from xaicore_lrp.forms import bound, box, changed_by, condition_text, rule_choice, takes
from xaicore_lrp.rules import BIAS, Bias, Epsilon

if TYPE_CHECKING:
    from xaicore.explanation import Explanation
    from xaicore.protocols import Attribution, Program, Rule, RuleMap, Step, Target, Tensor, Tensors


@attrs.frozen(str=False)
class Composite(AnalyzerBase):
    """Layer-wise relevance propagation with a rule per kind of layer: Lapuschkin et al. 2017; Kohlbrenner et al. 2020.

    The first of ``input``, ``until``, ``bn``, ``conv``, ``dense``, ``rule`` that an affine operation meets counts; the
    operations around them (activations, sums, average pooling) get what these rules want around them.

    Args:
        rule: Of every affine operation that no other field is for, batch normalization included.  Or a list, its k-th
            rule for the k-th kernel layer from the input on; or (condition, rule) pairs, of which the first that an
            operation meets counts; or a mapping from conditions (or layer classes) to rules.  None for a rule there is
            the gradient.
        input: Of kernel layers that the model's input reaches through padding, reshaping and rescaling only; (low,
            high) is the z^B rule with these bounds.
        conv: Of convolutions of any kind: depthwise, separable (each of its two stages), transposed.
        dense: Of Dense and EinsumDense.
        bn: Of batch normalization.
        input_where: Which of these kernel layers ``input`` is for, a condition: all of them by default.
        low, high: Bounds of the z^B rules among these, in place of their own.
        epsilon: Of the epsilon rules among these, in place of their own; the z rule stays one.
        bias: How the epsilon rules among these treat biases, see ``lrp.epsilon``.
        until_index, until_rule: A rule for the kernel layers up to and with this index, counted from the input, from 0.
        initial: Relevance of the explained output: "score" (its value), "one", a number; an array, of the whole output;
            or a mapping from sites to numbers or arrays.
        score: "logit" strips a softmax or sigmoid head, "probability" keeps it.
        on_unsupported: "raise" or "gradient", for operations that no rule is for.
        at: Site whose output is explained instead of the model's inputs.
        strict: Refuse a model where a rule that was given for a kind of layer acts nowhere.  Presets are not strict:
            they serve dense networks and convolutional ones, and the plan tells which of their rules acts where.
        stop_at: Sites that keep the relevance of their output and pass nothing on.
        layers: Sites whose relevance is kept, ``explanation.layers[site]``, in the shape of their output; "all".
        account: Keep what arrives at every site, passes it and is lost there: ``explanation.ledger``.
        fold: Fold batch normalization into the linear layer before or after it, where it can be.  Rules that tell
            exciting from inhibiting parts then see whole layers.  The score that comes out is compared with the
            model's, ``explanation.folding_error``, (batch,), |f - f'|.
        fold_tolerance: Largest |f - f'| for a score of size one or less, and relative to larger ones.

    Older spellings of the parameters: input_layer_rule, bn_layer_rule, until_layer_idx, until_layer_rule.

    Raises:
        InvalidParameter: an index without its rule, or the reverse; a rule map of another form.
        FoldingDiffers: the folded model computes something else.  NothingToFold: no normalization can be folded.
        ConflictingParameters: a list of rules, one per kernel layer, beside conv, dense or until_index.
        RuleCount: a list of another length than the model has kernel layers.
        LayerIndex: an index beyond the kernel layers.
        RuleNeverMet, SiteNeverMet, RuleTaken: where strict, a rule that acts nowhere, and why.
    """

    rule: Rule | tuple[Any, ...] = part("rule", default=Epsilon(epsilon=1e-6), converter=rule_choice, many=True)
    input: Rule | None = part("rule", default=None, converter=box, many=True, metadata={"also": ("input_layer_rule",)})
    input_where: str | None = attrs.field(default=None, converter=optional(condition_text))
    conv: Rule | None = part("rule", default=None)
    dense: Rule | None = part("rule", default=None)
    bn: Rule | None = part("rule", default=None, metadata={"also": ("bn_layer_rule",)})
    until_index: int | None = attrs.field(
        default=None, converter=optional(integer(minimum=0)), metadata={"also": ("until_layer_idx",)}
    )
    until_rule: Rule | None = part("rule", default=None, metadata={"also": ("until_layer_rule", "until_index_rule")})
    low: float | Array | None = attrs.field(default=None, converter=bound)
    high: float | Array | None = attrs.field(default=None, converter=bound)
    epsilon: float | None = attrs.field(default=None, converter=optional(real(above=0.0)))
    bias: Bias | None = attrs.field(default=None, converter=optional(BIAS))
    initial: Initial = attrs.field(default="score", converter=initial_relevance)
    score: str = attrs.field(default="logit", converter=choice("logit", "probability"))
    on_unsupported: str = attrs.field(default="raise", converter=choice("raise", "gradient"))
    at: str | None = attrs.field(default=None, converter=optional(site_text))
    strict: bool = attrs.field(default=True, converter=flag)
    stop_at: tuple[str, ...] = attrs.field(default=(), converter=sites)
    layers: tuple[str, ...] = attrs.field(default=(), converter=sites)
    account: bool = attrs.field(default=False, converter=flag)
    fold: bool = attrs.field(default=False, converter=flag, metadata={"also": ("fold_batch_normalization",)})
    fold_tolerance: float = attrs.field(default=1e-3, converter=real(above=0))

    def __attrs_post_init__(self) -> None:
        """Refuse an index without its rule."""
        if (self.until_index is None) != (self.until_rule is None):
            raise InvalidParameter(
                f"Given until_index={self.until_index!r} and until_rule={self.until_rule!r}: one needs the other."
            )
        self._refuse_unused()
        beside = {"conv": self.conv, "dense": self.dense, "until_index": self.until_rule}
        given = [name for name, rule in beside.items() if rule is not None]
        if self._listed and given:
            raise ConflictingParameters(
                f"Given a list of {len(self.rule)} rules, one for each kernel layer, and {', '.join(given)} for the "  # type: ignore[arg-type]
                "same layers. Leave one of them out, or give (condition, rule) pairs, of which the first counts."
            )

    def _refuse_unused(self) -> None:
        """Refuse a parameter of rules that none of the rules has."""
        rules = [rule for _, rule in self._placed() if rule is not None]
        for names in ({"low": self.low}, {"high": self.high}, {"epsilon": self.epsilon}, {"bias": self.bias}):
            if next(iter(names.values())) is not None and not any(takes(rule, next(iter(names))) for rule in rules):
                raise InvalidParameter(
                    f"Given {names!r}, and none of the rules takes it: low and high are for z^B, epsilon and bias for "
                    "epsilon rules. Leave it out, or give such a rule."
                )

    @property
    def _listed(self) -> bool:
        """Whether ``rule`` is a plain list, one rule for each kernel layer."""
        return isinstance(self.rule, tuple) and not isinstance(self.rule[0], tuple)

    @property
    def claims(self) -> frozenset[str]:
        """What all of its rules claim."""
        return self._backward().claims

    def rule_map(self) -> tuple[RuleMap, str]:
        """Return (condition, rule) pairs in order, and what operations get that nothing matches."""
        return self._backward().rule_map()

    @property
    def named(self) -> tuple[str, ...]:
        """Conditions of the rules that were given: each has to act somewhere, where ``strict``."""
        return self._given if self.strict else ()

    @property
    def noted(self) -> tuple[str, ...]:
        """Conditions whose rules may act nowhere, which the plan says: a preset's, and fields behind ``input``.

        The order of fields is ours, so that the only convolution may be the first layer; the order of pairs is the
        user's, and a pair that others leave nothing is a mistake.
        """
        return self._fields if self.strict else self._given

    @property
    def _fields(self) -> tuple[str, ...]:
        given = ((self._first, self.input), ("norm", self.bn), ("conv", self.conv), ("dense", self.dense))
        return tuple(condition for condition, rule in given if rule is not None)

    @property
    def _given(self) -> tuple[str, ...]:
        pairs = self.rule if isinstance(self.rule, tuple) and not self._listed else ()
        return (*self._fields, *(condition for condition, rule in pairs if rule is not None))

    def check_program(self, program: Program) -> None:
        """Refuse a list or an index that does not fit the model's kernel layers."""
        facts = _facts(program)
        if (self._listed or not isinstance(self.rule, tuple)) and not any(one.affine for one in facts):
            raise RuleNeverMet(
                "The rules are for affine operations (dense, convolution, batch normalization); the model has none. "
                "Give (condition, rule) pairs for the operations that are there."
            )
        # The stages of a separable convolution have one index.
        count = len({one.position for one in facts if one.contains_kernel})
        if self._listed and len(self.rule) != count:  # type: ignore[arg-type]
            given = len(self.rule)  # type: ignore[arg-type]
            raise RuleCount(f"Given a list of {given} rules; the model has {count} kernel layers, and each needs one.")
        if self.until_index is not None and self.until_index >= count:
            raise LayerIndex(
                f"Given until_index={self.until_index}; the model has {count} kernel layers, 0 to {count - 1}."
            )

    def warn_about(self, explanation: Explanation) -> None:
        """Warn of samples whose relevance is not finite."""
        warn_of_overflow(explanation)

    def prepared(self, program: Program) -> Program:
        """Return the program with batch normalization folded, where asked for."""
        return program.folded() if self.fold else program

    def attribute(self, program: Program) -> Step:
        """Return the step: one forward, one backward; one more forward where folding is checked."""
        if not self.fold or self.at is not None:
            return self._backward().attribute(program) if self.at is None else at_site(self, self.at, program)
        step = self._backward().attribute(self.prepared(program))

        def checked(inputs: Tensors, target: Target, ids: Tensor) -> Attribution:
            found = step(inputs, target, ids)
            error = folding_error(found.scores, target(program.outputs(inputs)), self.fold_tolerance)
            return found._replace(extras={**found.extras, "folding_error": error})

        return checked

    def _backward(self) -> Backward:
        rules = self._pairs()
        named = [rule for _, rule in rules if rule is not None]
        # Affine operations get what the fields name, and never a rule that another one brings with it.
        around = dict.fromkeys(pair for rule in named for pair in companions(rule) if pair[0] != "affine")
        return Backward(
            rules=(*rules, *around),
            initial=self.initial,
            score=self.score,
            on_unsupported=self.on_unsupported,
            at=self.at,
            stop_at=self.stop_at,
            layers=self.layers,
            account=self.account,
        )

    @property
    def _first(self) -> str:
        return "first" if self.input_where is None else condition_text(f"first and ({self.input_where})")

    def _pairs(self) -> list[tuple[str, Rule | None]]:
        changed = {"low": self.low, "high": self.high, "epsilon": self.epsilon, "bias": self.bias}
        given = {name: value for name, value in changed.items() if value is not None}
        pairs = [(c, rule if rule is None else changed_by(rule, given)) for c, rule in self._placed()]
        # Fields that are left out are None too; pairs that say None ask for the gradient.
        own = isinstance(self.rule, tuple) and not self._listed
        kept = len(self.rule) if own else 0  # type: ignore[arg-type]
        edge = len(pairs) - kept
        return [pair for i, pair in enumerate(pairs) if i >= edge or pair[1] is not None]

    def _placed(self) -> list[tuple[str, Rule | None]]:
        placed: list[tuple[str, Rule | None]] = [(self._first, self.input)]
        if self.until_index is not None:
            placed.append((f"contains_kernel and until({self.until_index})", self.until_rule))
        placed += [("norm", self.bn), ("conv", self.conv), ("dense", self.dense)]
        if not isinstance(self.rule, tuple):
            return [*placed, ("affine", self.rule)]
        if isinstance(self.rule[0], tuple):
            return [*placed, *self.rule]
        # In order: what an earlier index has taken is not asked again.
        kth = [(f"contains_kernel and until({k})", rule) for k, rule in enumerate(self.rule)]
        return [*placed, *kth, ("affine", Epsilon(epsilon=1e-6))]


def _facts(program: Program) -> Any:
    from xaicore.inspect.facts import facts_of

    return facts_of(program.graph).values()


def folding_error(folded: Tensor, own: Tensor, tolerance: float) -> Tensor:
    """Return |f - f'|, (batch,); the run fails where it is above the tolerance, see ``FoldingDiffers``."""
    import tensorflow as tf

    error = tf.abs(folded - own)
    bound = tf.constant(tolerance, own.dtype) * tf.maximum(tf.abs(own), 1)
    message = FoldingDiffers.__name__  # what the binding knows it by
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(error <= bound), [message, tf.reduce_max(error)])]):
        return tf.identity(error)
