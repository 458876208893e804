"""Quadratures with both ends among their nodes, or with the nodes of a smaller one: for smooth paths and nested rules.

Law of each as in ``xaicore_ig.quadratures``: weights sum to 1, polynomials up to ``degree(n)`` are integrated exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from xaicore.errors import InvalidParameter
from xaicore_ig.quadratures import at_least

if TYPE_CHECKING:
    import numpy as np

    Rule = tuple[np.ndarray, np.ndarray]

_ENDS, _PARABOLA = 2, 3


@attrs.frozen
class Simpson:
    """Simpson's rule: ``t_k = k / (n - 1)``, weights 1, 4, 2, 4, ..., 4, 1 times ``1 / (3 (n - 1))``, n odd.

    Abramowitz and Stegun 1964, eq. 25.4.6.
    """

    usual: ClassVar[int] = 51  # nodes where nobody says how many

    def __call__(self, n: int) -> Rule:
        """Return (nodes, weights), float64 (n,); n is odd and at least 3."""
        import numpy as np

        odd(n, self)
        weights = np.where(np.arange(n) % 2, 4.0, 2.0)
        weights[[0, -1]] = 1
        return np.linspace(0, 1, n), weights / (3 * (n - 1))

    def degree(self, n: int) -> int:  # noqa: ARG002  # the degree of some rules depends on n
        """Return 3."""
        return 3


@attrs.frozen
class ClenshawCurtis:
    """Clenshaw-Curtis: ``t_k = (1 - cos(pi k / (n - 1))) / 2``, weights that integrate the interpolating polynomial.

    The nodes of n are among those of 2n - 1.  Clenshaw and Curtis 1960; Waldvogel 2006, section 2, for the weights.
    """

    def __call__(self, n: int) -> Rule:
        """Return (nodes, weights), float64 (n,); n is at least 2."""
        import numpy as np

        at_least(_ENDS, n, self)
        angles = np.pi * np.arange(n) / (n - 1)
        last = n - 1
        weights = np.ones(n)
        for k in range(1, last // 2 + 1):
            share = 1 if 2 * k == last else 2
            weights -= share * np.cos(2 * k * angles) / (4 * k**2 - 1)
        weights *= 2 / last
        weights[[0, -1]] /= 2
        return (1 - np.cos(angles)) / 2, weights / 2

    def degree(self, n: int) -> int:
        """Return n - 1, and n for odd n, by symmetry."""
        return n if n % 2 else n - 1


@attrs.frozen
class GaussLobatto:
    """Gauss-Lobatto: both ends, and the zeros of P'_(n-1): ``w_k = 1 / (n (n - 1) P_(n-1)(xi_k)^2)``.

    Abramowitz and Stegun 1964, eq. 25.4.32, mapped to [0, 1].
    """

    def __call__(self, n: int) -> Rule:
        """Return (nodes, weights), float64 (n,); n is at least 2."""
        import numpy as np

        at_least(_ENDS, n, self)
        legendre = np.polynomial.Legendre.basis(n - 1)
        # Zeros of P'_(n-1) are eigenvalues of the Jacobi matrix of the weight (1 - x^2), better placed than roots.
        k = np.arange(1, n - 2)
        beside = np.sqrt(k * (k + 2) / ((2 * k + 1) * (2 * k + 3)))
        inner = np.linalg.eigvalsh(np.diag(beside, 1) + np.diag(beside, -1)) if n > _ENDS else np.zeros(0)
        nodes = np.concatenate([[-1.0], inner, [1.0]])
        return (1 + nodes) / 2, 1 / (n * (n - 1) * legendre(nodes) ** 2)

    def degree(self, n: int) -> int:
        """Return 2n - 3."""
        return 2 * n - 3


@attrs.frozen
class GaussKronrod:
    """Gauss-Kronrod with n = 2m + 1 nodes: the m of Gauss-Legendre, and m + 1 between and beside them.

    Nodes and weights are those of a Jacobi matrix: Laurie 1997.
    """

    usual: ClassVar[int] = 51  # nodes where nobody says how many

    def __call__(self, n: int) -> Rule:
        """Return (nodes, weights), float64 (n,); n is odd and at least 3."""
        import numpy as np

        odd(n, self)
        beside = np.sqrt(_kronrod((n - 1) // 2)[1:])
        nodes, vectors = np.linalg.eigh(np.diag(beside, 1) + np.diag(beside, -1))
        return (1 + nodes) / 2, vectors[0] ** 2

    def degree(self, n: int) -> int:
        """Return 3m + 1, and 3m + 2 for odd m, by symmetry."""
        m = (n - 1) // 2
        return 3 * m + 1 + m % 2


@attrs.frozen
class TanhSinh:
    """The trapezoidal rule after ``t = (1 + tanh(pi/2 sinh s)) / 2``: for integrands that are not smooth at the ends.

    n equal steps in s from -3 to 3, beyond which a weight is below 1e-13; weights are divided by their sum.
    Takahasi and Mori 1974.
    """

    def __call__(self, n: int) -> Rule:
        """Return (nodes, weights), float64 (n,)."""
        import numpy as np

        at_least(1, n, self)
        s = np.linspace(-3, 3, n) if n > 1 else np.zeros(1)
        inner = np.pi / 2 * np.sinh(s)
        weights = np.cosh(s) / np.cosh(inner) ** 2
        return (1 + np.tanh(inner)) / 2, weights / weights.sum()

    def degree(self, n: int) -> int:  # noqa: ARG002  # by symmetry, whatever n is
        """Return 1."""
        return 1


def odd(n: int, quadrature: object) -> None:
    """Raise InvalidParameter unless n is odd and at least 3."""
    if n < _PARABOLA or n % 2 == 0:
        raise InvalidParameter(f"Given n_steps={n}; {type(quadrature).__name__} needs an odd number of at least 3.")


def _kronrod(m: int) -> np.ndarray:
    """Return the off-diagonal coefficients b_0 ... b_2m of the Jacobi-Kronrod matrix of Legendre polynomials.

    Laurie 1997, with a diagonal of zeros, as every even weight has.
    """
    import numpy as np

    size = 2 * m + 1
    k = np.arange(1, size)
    known = np.concatenate([[2.0], k**2 / (4.0 * k**2 - 1)])
    b = np.zeros(size)
    b[: -(-3 * m // 2) + 1] = known[: -(-3 * m // 2) + 1]
    s, t = np.zeros(m // 2 + 2), np.zeros(m // 2 + 2)
    t[1] = b[m + 1]
    for i in range(m - 1):
        down = np.arange((i + 1) // 2, -1, -1)
        up = i - down
        s[down + 1] = np.cumsum(b[down + m + 1] * s[down] - b[up] * s[down + 1])
        s, t = t, s
    s[1 : m // 2 + 2] = s[: m // 2 + 1].copy()
    for i in range(m - 1, 2 * m - 2):
        ks = np.arange(i + 1 - m, (i - 1) // 2 + 1)
        up = i - ks
        j = m - 1 - up
        s[j + 1] = np.cumsum(-b[ks + m + 1] * s[j + 1] + b[up] * s[j + 2])
        last, place = j[-1], (i + 1) // 2
        if i % 2:
            b[place + m + 1] = s[last + 1] / s[last + 2]
        s, t = t, s
    return b
