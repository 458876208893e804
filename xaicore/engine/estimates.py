"""What a plan is expected to cost, and what a reader of the figures has to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from xaicore.inspect.nodes import Site

_READABLE = 4  # sites in a sentence


@attrs.frozen
class Estimate:
    """What a plan will cost.

    head: in forward passes of the whole model, what runs before a cut.  loop: what is explained, there and back; None
    where a part of it is not known.
    by_site: the parts of loop.
    memory: bytes beside the model's own weights, at the peak: (fixed, per sample); None where it is not known.
    uncounted: by site, what its part leaves out, or why it has none.
    length: the length that free ones are taken for, None where there are none.
    """

    head: float
    loop: float | None
    by_site: Mapping[Site, float]
    memory: tuple[float, float] | None
    uncounted: Mapping[Site, str] = attrs.field(factory=dict)
    length: int | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the totals has to know, as sentences."""
        said = [] if self.length is None else [f"Costs are those at {self.length} for every length that is free."]
        of_what: dict[str, list[str]] = {}
        for site, why in self.uncounted.items():
            of_what.setdefault(why, []).append(str(site))
        return (*said, *(f"Cost of {_some(sites)}: {why}." for why, sites in of_what.items()))


def _some(sites: Sequence[str]) -> str:
    more = f" and {len(sites) - _READABLE} more" if len(sites) > _READABLE else ""
    return ", ".join(sites[:_READABLE]) + more
