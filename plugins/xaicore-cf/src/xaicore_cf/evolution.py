"""Differential evolution on the host: outputs only, the populations of all rows at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from xaicore.values import integer, optional, real
from xaicore_cf.host import Ask, HostOptimizer, Said

if TYPE_CHECKING:
    import numpy as np


@attrs.frozen
class Evolution(HostOptimizer):
    """Differential evolution, Storn and Price 1997, DE/rand-to-best/1/bin, with the feasibility rules of Deb 2000.

        v = a + F (best - a) + F (b - c),  u_f = v_f where uniform < CR or f = one at random, else x_f

    a, b, c are of the population, u takes the place of x if it is valid and x is not, or nearer when both are, or of
    smaller value when neither is.  Populations of all rows go through the model together.

    Args:
        population: How many, at least 5.
        F: Factor on differences, in (0, 2].
        CR: Share of features that change, in (0, 1].
        scale: Standard deviation of the first population around x, in the units of a search, see ``Scipy``; alone, in
            those of the input, or of the value of a feature where that is larger than 1.
        patience: Generations without an improvement by 1e-4 of the best after which a row stops.
        seed: With the sample's id it fixes all random numbers.  None: the search's; 0 alone.
    """

    uses_gradient: ClassVar[bool] = False
    weightless: ClassVar[bool] = True  # it compares distances, and C means nothing to it

    population: int = attrs.field(default=30, converter=integer(minimum=5))
    F: float = attrs.field(default=0.6, converter=real(above=0, maximum=2))
    CR: float = attrs.field(default=0.9, converter=real(above=0, maximum=1))
    scale: float = attrs.field(default=1.0, converter=real(above=0))
    patience: int = attrs.field(default=50, converter=integer(minimum=1))
    seed: int | None = attrs.field(default=None, converter=optional(integer(minimum=0)))

    def solve(self, ask: Ask, x: np.ndarray, free: np.ndarray, ids: np.ndarray, max_iter: int, tol: float) -> None:  # noqa: ARG002  # optimizers have one signature
        """See ``HostOptimizer.solve``; max_iter counts generations."""
        import numpy as np

        rows, count = np.arange(len(x)), self.population
        # A generator per row, so that a row's numbers do not hang on the others; copies of a sample differ.
        nth = np.array([int((ids[:k] == ids[k]).sum()) for k in range(len(ids))])
        random = [np.random.default_rng([self.seed or 0, int(i), int(k)]) for i, k in zip(ids, nth, strict=True)]
        wide = self.scale * np.maximum(np.abs(x), 1)
        crowd = np.stack([x[r] + wide[r] * g.normal(size=(count, x.shape[1])) for r, g in enumerate(random)])
        crowd[:, 0] = x
        crowd = np.where(free[:, None], crowd, x[:, None]).astype(x.dtype)
        rank = _ranks(_asked(ask, rows, crowd), count)
        least, stale = np.full(len(x), np.inf), np.zeros(len(x), int)
        for _ in range(max_iter):
            going = np.flatnonzero(stale < self.patience)
            if not len(going):
                return
            tried = np.stack([self._offspring(crowd[r], rank[r], free[r], random[r]) for r in going]).astype(x.dtype)
            found = _ranks(_asked(ask, going, tried), count)
            better = found < rank[going]
            crowd[going] = np.where(better[..., None], tried, crowd[going])
            rank[going] = np.where(better, found, rank[going])
            now = rank.min(1)
            gained = now < least - 1e-4 * np.abs(least, out=np.ones_like(least), where=np.isfinite(least))
            stale = np.where(gained, 0, stale + 1)
            least = np.where(gained, now, least)

    def _offspring(
        self, crowd: np.ndarray, rank: np.ndarray, free: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        import numpy as np

        count, features = crowd.shape
        a, b, c = (crowd[random.permutation(count)] for _ in range(3))
        made = a + self.F * (crowd[rank.argmin()] - a) + self.F * (b - c)
        changed = random.random((count, features)) < self.CR
        changed[np.arange(count), random.integers(features, size=count)] = True
        return np.where(changed & free, made, crowd)


# Above any distance: candidates that are not valid stand behind those that are, in the order of their values.
_BEHIND = 1e12


def _ranks(said: Said, count: int) -> np.ndarray:
    import numpy as np

    rank = np.where(said.valid, said.distance, _BEHIND * (2 + np.arctan(said.value)))
    return rank.reshape(-1, count).astype(np.float64)


def _asked(ask: Ask, rows: np.ndarray, crowd: np.ndarray) -> Said:
    import numpy as np

    return ask(np.repeat(rows, crowd.shape[1]), crowd.reshape(-1, crowd.shape[-1]))
