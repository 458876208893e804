"""Kernel SHAP: Shapley values by weighted regression on coalitions of features."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import attrs

from xaicore.errors import InvalidParameter
from xaicore.protocols import Attribution
from xaicore.values import integer
from xaicore_perturbation.groups import checked, read_groups, taken
from xaicore_perturbation.masked import Copies, Perturbation, decided

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from xaicore.engine.copies import Repeat
    from xaicore.engine.program import Program
    from xaicore.engine.target import Target
    from xaicore.protocols import Step, Tensors

_FEWEST = 2  # features that a coalition needs


@attrs.frozen(str=False)
class KernelShap(Perturbation):
    """Kernel SHAP: Lundberg and Lee 2017, theorem 2.

        phi = argmin sum_z k(z) (f(x_z) - f(x_0) - z . phi)^2   with sum of phi = f(x) - f(x_0),
        k(z) = (d - 1) / (binomial(d, |z|) |z| (d - |z|))

    x_z is x where z is 1 and the baseline elsewhere.  Where n is at least 2^d - 2, all coalitions are met and phi are
    the Shapley values; otherwise n are drawn by k, each with its complement (Covert and Lee 2021).  The same coalitions
    serve all samples.

    Args:
        groups: Features that join together, as in ``perturbation.ablation``.
        n: Most coalitions.
        seed: Fixes the drawn ones.
    """

    groups: Any = attrs.field(default=None, converter=taken, validator=checked)
    n: int = attrs.field(default=2048, converter=integer(minimum=2))
    seed: int = attrs.field(default=0, converter=integer(minimum=0))

    @property
    def claims(self) -> frozenset[str]:
        """Completeness, which the regression is made to keep."""
        return frozenset({"completeness"})

    def passes(self, inner: float) -> float:  # noqa: ARG002  # no gradient is taken
        """Return two forwards, and n."""
        return 2.0 + self.n

    def check_program(self, program: Program) -> None:
        """Refuse groups that do not fit, and too few coalitions."""
        groups = read_groups(self.groups, program.graph, self.sizes(program))
        if self.n < min(groups.count, 2**groups.count - 2):
            raise InvalidParameter(
                f"Given n={self.n} coalitions of {groups.count} features or groups; expected at least as many. "
                "groups= joins features."
            )

    def attribute(self, program: Program) -> Step:
        """Return the step: two forwards, and one for each coalition."""
        self.check_program(program)
        groups = read_groups(self.groups, program.graph, self.sizes(program))
        table, weights = coalitions(groups.count, self.n, self.seed)
        solver = solution(table, weights)

        def step(inputs: Tensors, target: Target, ids: tf.Tensor) -> Attribution:
            import tensorflow as tf

            fixed, scores = decided(program, inputs, target)
            members = tf.constant(table, tf.float32)

            def keep(repeat: Repeat, k: tf.Tensor, ids: tf.Tensor) -> Tensors:  # noqa: ARG001  # the same for all
                return groups.spread(tf.gather(members, k))

            none = self.replaced(inputs, tuple(tf.zeros_like(x, tf.float32) for x in inputs))
            before = fixed(program.outputs(none))
            copies = Copies(self, program, inputs, fixed, ids, len(table), keep)
            # Of one group no coalition lies between nothing and all: it gets the whole gain.
            met = copies.scores() if len(table) else tf.zeros([tf.shape(ids)[0], 0], scores.dtype)
            # In float64: the regression subtracts sums of thousands of scores.
            gains = tf.concat([met - before[:, None], (scores - before)[:, None]], 1)
            phi = tf.cast(tf.matmul(tf.cast(gains, tf.float64), tf.constant(solver)), scores.dtype)
            residual = tf.reduce_sum(phi, 1) - (scores - before)
            shared = phi / tf.constant([float((m == g).sum()) for m, g in _sizes(groups.members)], phi.dtype)
            return Attribution(groups.spread(shared), scores, {"residual": residual})

        return step


def coalitions(d: int, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return coalitions of d features, 0 or 1, (m, d), and the weight of each, (m,); all of them where n allows.

    Neither the empty nor the full one is among them: their scores are met exactly, by the constraint.
    """
    import numpy as np

    if d < _FEWEST:
        return np.zeros((0, d)), np.zeros(0)
    sizes = np.arange(1, d)
    # A size has binomial(d, s) coalitions of the weight k each.
    of_size = (d - 1) / (sizes * (d - sizes))
    if 2**d - 2 <= n:
        table = np.array(list(itertools.product((0.0, 1.0), repeat=d))[1:-1])
        of_each = np.array([of_size[s - 1] / math.comb(d, s) for s in table.sum(1).astype(int)])
        return table, of_each
    random = np.random.default_rng(seed)
    drawn = random.choice(sizes, size=n // 2, p=of_size / of_size.sum())
    ranks = random.random((n // 2, d)).argsort(1).argsort(1)
    half = (ranks < drawn[:, None]).astype(float)
    return np.concatenate([half, 1 - half]), np.ones(2 * (n // 2))


def solution(table: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the matrix (m + 1, d) that makes phi of the coalitions' gains and the whole gain.

    From the equations of the constrained regression, A phi + 1 mu = Z' K y and 1' phi = gain, A = Z' K Z.
    """
    import numpy as np

    m, d = table.shape
    system = np.zeros((d + 1, d + 1))
    system[:d, :d] = table.T @ (weights[:, None] * table)
    system[:d, d] = system[d, :d] = 1
    right = np.zeros((d + 1, m + 1))
    right[:d, :m] = table.T * weights
    right[d, m] = 1
    # Drawn coalitions may leave features undecided: the shortest solution treats those alike.
    return (np.linalg.pinv(system) @ right)[:d].T


def _sizes(members: tuple[np.ndarray, ...]) -> list[tuple[np.ndarray, int]]:
    """Return, for every group in order, the array that holds it and its number."""
    return [(m, g) for m in members for g in range(int(m.min()), int(m.max()) + 1)]
