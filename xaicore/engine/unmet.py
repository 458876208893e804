"""Rules that act nowhere: each that a user named is an error that says why, those of a preset are a note."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from xaicore.errors import RuleNeverMet, RuleTaken, SiteNeverMet
from xaicore.inspect.conditions import is_site_pattern, matches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xaicore.inspect.facts import Facts
    from xaicore.inspect.nodes import Site
    from xaicore.protocols import Rule, RuleMap


@attrs.define(eq=False)
class Conditions:
    """What came of the conditions of a rule map.

    matched: condition -> the conditions that took operations which meet it.  acted: those whose rule acts somewhere.
    """

    matched: dict[str, set[str]] = attrs.field(factory=dict)
    acted: set[str] = attrs.field(factory=set)

    def met(self, rules: RuleMap, site: Site, facts: Facts) -> tuple[str, Rule | None] | None:
        """Return the first pair whose condition an operation meets and whose rule can act on it."""
        found: tuple[str, Rule | None] | None = None
        for condition, rule in rules:
            if not matches(condition, site, facts):
                continue
            can_act = rule is None or applies(rule, site, facts)
            if can_act and found is None:
                found = (condition, rule)
            self.matched.setdefault(condition, set()).add(found[0] if can_act and found is not None else "")
        if found is not None:
            self.acted.add(found[0])
        return found

    def refuse(self, required: Sequence[str], yielding: Sequence[str], operations: Sequence[str]) -> None:
        """Raise for a condition that was required and whose rule acts nowhere; those that yield may be taken."""
        for condition in required:
            taken = self.matched.get(condition, set()) - {""}
            if condition not in self.acted and not (taken and condition in yielding):
                raise self._error(condition, operations)

    def notes(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """Return a sentence for each condition whose rule acts nowhere."""
        return tuple(f"The rule for {c!r} acts nowhere in this model." for c in wanted if c not in self.acted)

    def _error(self, condition: str, operations: Sequence[str]) -> RuleNeverMet:
        listed = "Operations: " + ", ".join(dict.fromkeys(operations)) + "."
        if condition not in self.matched:
            if is_site_pattern(condition):
                return SiteNeverMet(
                    f"No operation of the model meets the rule given for {condition!r}. It names no site: see "
                    f"`analyzer.plan(model)`. {listed}"
                )
            return RuleNeverMet(
                f"No operation of the model meets the rule given for {condition!r}. Leave the rule out, or name it for "
                f"operations that are there. {listed}"
            )
        takers = sorted(self.matched[condition] - {"", condition})
        if takers:
            return RuleTaken(
                f"The rule given for {condition!r} acts nowhere: what meets it got the rule for "
                f"{', '.join(map(repr, takers))}, which comes earlier. The first that an operation meets counts: "
                "change their order, or leave one out."
            )
        return RuleNeverMet(
            f"The rule given for {condition!r} can act on none of the operations that meet it. Name another rule for "
            f"them; `xaicore show RULE` tells what a rule acts on. {listed}"
        )


def applies(rule: Rule, site: Site, facts: Facts) -> bool:
    """Return whether a rule can act on an operation at all."""
    return matches(rule.setting.applies, site, facts)
