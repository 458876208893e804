"""What was planned, and what ran: the sites that a trace meets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from xaicore.errors import PlanBroken
from xaicore.inspect.apart import layer_of

if TYPE_CHECKING:
    from xaicore.engine.plan import Plan
    from xaicore.inspect.nodes import Graph, Node

_SHOWN = 5  # sites in a message


class Visits:
    """The sites that traces met.  A plain class: TensorFlow looks into attrs classes that a function is given."""

    def __init__(self) -> None:
        """Start with none, and none expected."""
        self.sites: set[str] = set()
        self.planned: frozenset[str] | None = None
        self.before: frozenset[str] = frozenset()

    def met(self, node: Node) -> None:
        """Note that an operation runs, with the layers inside of it and those that were folded into it."""
        self.sites.update(map(str, (node.site, *(inner.site for inner in node.inner), *node.folded)))

    def expect(self, plan: Plan, graph: Graph) -> None:
        """Expect the sites of a plan; what runs before a site that is explained has no row there."""
        self.planned = frozenset(row.site for row in plan.rows)
        if any(row.action == "explained" for row in plan.rows):
            inner = (str(one.site) for node in graph.nodes for one in node.inner)
            self.before = frozenset((*(str(node.site) for node in graph.nodes), *inner)) - self.planned

    def check(self) -> None:
        """Compare what ran with what was planned.

        Raises:
            PlanBroken: a site of the plan did not run, or one ran that is not in it.
        """
        if self.planned is None or self.planned == self.sites:
            return
        idle = self.planned - self.sites
        # An activation may run apart from its layer: what is left out of a path ends between the two.
        more = {site for site in self.sites - self.before if layer_of(site) not in self.planned} - self.planned
        if idle or more:
            parts = [(idle, "planned and did not run"), (more, "ran and not planned")]
            told = "; ".join(f"{_listed(sites)}: {said}" for sites, said in parts if sites)
            raise PlanBroken(
                f"What ran differs from the plan: {told}. The numbers are not what the plan says. The analyzer has to "
                "take its scores from `program.pull` or `program.outputs`, and to tell by `explained_site` where it "
                "cuts the model."
            )


def _listed(sites: Iterable[str]) -> str:
    found = sorted(sites)
    return ", ".join(found[:_SHOWN]) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
