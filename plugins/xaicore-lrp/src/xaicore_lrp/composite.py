"""Composites: one rule for the first layer, one for convolutions, one for dense layers, one for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from xaicore.analyzer import AnalyzerBase
from xaicore.backward import Backward, companions
from xaicore.declaration import part
from xaicore.values import choice, optional, text
from xaicore_lrp.rules import Epsilon

if TYPE_CHECKING:
    from xaicore.protocols import Program, Rule, RuleMap, Step


@attrs.frozen(str=False)
class Composite(AnalyzerBase):
    """Layer-wise relevance propagation with a rule per kind of layer: Lapuschkin et al. 2017; Kohlbrenner et al. 2020.

    The first of ``input``, ``conv``, ``dense``, ``rule`` that an affine operation meets counts; the operations around
    them (activations, sums, average pooling) get what these rules want around them.

    Args:
        rule: Of every affine operation that no other field is for, batch normalization included.
        input: Of kernel layers that the model's input reaches through padding, reshaping and rescaling only.
        conv: Of convolutions of any kind: depthwise, separable (each of its two stages), transposed.
        dense: Of Dense and EinsumDense.
        initial: Relevance of the explained output: "score" (its value) or "one".
        score: "logit" strips a softmax or sigmoid head, "probability" keeps it.
        on_unsupported: "raise" or "gradient", for operations that no rule is for.
        at: Site whose output is explained instead of the model's inputs.
    """

    rule: Rule = part("rule", default=Epsilon(epsilon=1e-6))
    input: Rule | None = part("rule", default=None)
    conv: Rule | None = part("rule", default=None)
    dense: Rule | None = part("rule", default=None)
    initial: str = attrs.field(default="score", converter=choice("one", "score"))
    score: str = attrs.field(default="logit", converter=choice("logit", "probability"))
    on_unsupported: str = attrs.field(default="raise", converter=choice("raise", "gradient"))
    at: str | None = attrs.field(default=None, converter=optional(text))

    @property
    def claims(self) -> frozenset[str]:
        """What all of its rules claim."""
        return self._backward().claims

    def rule_map(self) -> tuple[RuleMap, str]:
        """Return (condition, rule) pairs in order, and what operations get that nothing matches."""
        return self._backward().rule_map()

    @property
    def named(self) -> tuple[str, ...]:
        """Conditions of the rules that were given: each has to be met by an operation."""
        given = (("first", self.input), ("conv", self.conv), ("dense", self.dense))
        return tuple(condition for condition, rule in given if rule is not None)

    def attribute(self, program: Program) -> Step:
        """Return the step: one forward, one backward."""
        return self._backward().attribute(program)

    def _backward(self) -> Backward:
        given = (("first", self.input), ("conv", self.conv), ("dense", self.dense), ("affine", self.rule))
        rules = [(condition, rule) for condition, rule in given if rule is not None]
        around = dict.fromkeys(pair for _, rule in rules for pair in companions(rule))
        return Backward(
            rules=(*rules, *around),
            initial=self.initial,
            score=self.score,
            on_unsupported=self.on_unsupported,
            at=self.at,
        )
