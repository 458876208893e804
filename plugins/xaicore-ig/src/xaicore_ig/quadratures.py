"""Quadratures on [0, 1]: nodes t_k and weights w_k with ``sum_k w_k g(t_k)`` near ``integral_0^1 g(t) dt``.

Formulas: Abramowitz and Stegun 1964, section 25.4.  Law of each: the weights sum to 1, and polynomials up to
``degree(n)`` are integrated exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from xaicore.errors import InvalidParameter
from xaicore.values import real

if TYPE_CHECKING:
    import numpy as np

    Rule = tuple[np.ndarray, np.ndarray]

_ENDS = 2


@attrs.frozen
class Riemann:
    """Equal steps, each met at the same place: ``t_k = (k + offset) / n``, ``w_k = 1 / n``.

    Args:
        offset: Where in its step a node lies: 0 at the left end, 1 at the right end, 0.5 in the middle.
    """

    offset: float = attrs.field(default=0.5, converter=real(minimum=0, maximum=1))

    def __call__(self, n: int) -> Rule:
        """Return (nodes, weights), float64 (n,)."""
        import numpy as np

        at_least(1, n, self)
        return (np.arange(n) + self.offset) / n, np.full(n, 1 / n)

    def degree(self, n: int) -> int:  # noqa: ARG002  # the degree of some rules depends on n
        """Return 1 in the middle, 0 elsewhere."""
        middle = 0.5
        return 1 if self.offset == middle else 0


@attrs.frozen
class Trapezoid:
    """The trapezoidal rule: ``t_k = k / (n - 1)``, ``w_k = 1 / (n - 1)``, half of it at both ends.

    alibi and captum write 1/n for 1/(n - 1), so that their weights sum to (n - 1)/n; this one does not do that.
    """

    def __call__(self, n: int) -> Rule:
        """Return (nodes, weights), float64 (n,); n is at least 2."""
        import numpy as np

        at_least(_ENDS, n, self)
        weights = np.full(n, 1 / (n - 1))
        weights[[0, -1]] /= 2
        return np.linspace(0, 1, n), weights

    def degree(self, n: int) -> int:  # noqa: ARG002  # the degree of some rules depends on n
        """Return 1."""
        return 1


@attrs.frozen
class GaussLegendre:
    """Gauss-Legendre on [0, 1]: ``t_k = (1 + xi_k) / 2``, ``w_k = omega_k / 2``, from nodes and weights on [-1, 1]."""

    def __call__(self, n: int) -> Rule:
        """Return (nodes, weights), float64 (n,)."""
        import numpy as np

        at_least(1, n, self)
        nodes, weights = np.polynomial.legendre.leggauss(n)
        return (1 + nodes) / 2, weights / 2

    def degree(self, n: int) -> int:
        """Return 2n - 1."""
        return 2 * n - 1


def at_least(least: int, n: int, quadrature: object) -> None:
    """Raise InvalidParameter where there are too few nodes."""
    if n < least:
        raise InvalidParameter(f"Given n_steps={n}; {type(quadrature).__name__} needs at least {least}.")
