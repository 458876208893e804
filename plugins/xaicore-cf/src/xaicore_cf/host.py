"""Optimizers that run on the host: what they share, and SciPy's; they need outputs only, or gradients too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import attrs

from xaicore.values import choice, flag
from xaicore_cf.costs import Named
from xaicore_cf.minimize import checked, sloped, valued
from xaicore_cf.together import MOST, Stopped, Together

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

_BY_GRADIENT = frozenset({"bfgs", "cg", "l-bfgs-b"})
# Of Nelder and Mead's first simplex: how far its corners are from where the search begins.
_SIMPLEX = 0.25


class Said(NamedTuple):
    """What is said of points, one row each: value (k,), gradient (k, features) or None, valid (k,), distance (k,)."""

    value: np.ndarray
    gradient: np.ndarray | None
    valid: np.ndarray
    distance: np.ndarray


def is_hosted(optimizer: object) -> bool:
    """Return whether an optimizer runs on the host."""
    return isinstance(optimizer, HostOptimizer)


# (numbers of the rows (k,), points (k, features)) -> what is said of them.
Ask = Callable[["np.ndarray", "np.ndarray"], Said]


class HostOptimizer(Named):
    """Base: ``solve`` searches from one point per row, all rows at the same time.

    uses_gradient: whether the model has to have one.
    """

    uses_gradient: ClassVar[bool] = True

    def init(self, x: tf.Tensor) -> tuple[()]:  # noqa: ARG002  # rules of descent have one signature
        """Return what is kept in the loop: nothing."""
        return ()

    def solve(self, ask: Ask, x: np.ndarray, free: np.ndarray, ids: np.ndarray, max_iter: int, tol: float) -> None:
        """Ask for points until nothing gets better; who is asked remembers the best.

        Args:
            ask: See ``Said``.
            x: (rows, features), where to begin.
            free: bool (rows, features), False where a feature keeps its value.
            ids: int64 (rows,), the samples' ids, on which random numbers hang.
            max_iter: Most iterations.
            tol: When to stop, as the method defines it; 0 for its default.
        """
        raise NotImplementedError(f"{type(self).__qualname__} has to define `solve`.")

    def minimize(
        self, loss: Callable[[Any], Any], x: Any, *, tol: float = 0.0, max_iter: int = 1000, grad_mask: Any = None
    ) -> np.ndarray:
        """Return where the loss was least on the way from x; as ``Descent.minimize``, on the host."""
        import numpy as np
        import tensorflow as tf

        begin, free = checked(loss, x, tol, max_iter, grad_mask)
        if valued(loss, tf.reshape(begin, [begin.shape[0], -1]), begin.shape.as_list()).shape.rank == 0:
            # One problem over all rows: what one row does changes the loss of the others.
            found = self.minimize(
                lambda z: tf.reshape(loss(z[0]), [1]),
                begin[None],
                tol=tol,
                max_iter=max_iter,
                grad_mask=tf.reshape(free, begin.shape)[None],
            )
            return found[0]
        flat = tf.reshape(begin, [begin.shape[0], -1])
        best, least = flat.numpy().copy(), np.full(begin.shape[0], np.inf)
        shape = begin.shape.as_list()

        @tf.function(autograph=False)
        def said(at: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            if self.uses_gradient:
                return sloped(loss, at, shape)
            return tf.broadcast_to(valued(loss, at, shape), tf.shape(at)[:1]), at

        whole = flat.numpy().copy()

        def ask(rows: np.ndarray, points: np.ndarray) -> Said:
            values, gradients = np.empty(len(rows), whole.dtype), np.empty_like(points, whole.dtype)
            # All rows go along, each once: a loss may be written for as many as it was given.
            for nth in _once_each(rows):
                whole[rows[nth]] = points[nth]
                value, gradient = (found.numpy()[rows[nth]] for found in said(tf.constant(whole)))
                values[nth], gradients[nth] = value, gradient
                better = nth[value < least[rows[nth]]]
                least[rows[better]], best[rows[better]] = values[better], points[better]
            return Said(values, gradients if self.uses_gradient else None, np.ones(len(rows), bool), values)

        self.solve(ask, flat.numpy(), free.numpy(), np.arange(len(best)), max_iter, tol)
        return best.reshape(shape)


@attrs.frozen
class Scipy(HostOptimizer):
    """A method of ``scipy.optimize.minimize``, row by row, the model asked for all rows at once.

    Nocedal and Wright 2006: BFGS algorithm 6.1, conjugate gradients of Polak and Ribiere section 5.2, L-BFGS section
    7.2; Nelder and Mead 1965; Powell 1964.

    A search gives its methods each feature in a unit of its own, so that a step of 1 means as much in all of them: the
    standard deviation of the ``reference``, else a quarter of what the bounds are apart, else the size of the feature
    in the sample, 1 at least.  Features below 1 by far want a reference, or bounds.

    Args:
        method: "bfgs", "cg", "l-bfgs-b", which take gradients; "nelder-mead", "powell", which take none.
        refine: Of a search: whether cf.adam goes on from the nearest point that a method with gradients has met.
            Such a method knows no kinks, and of bounds only that nothing changes behind them.

    Of "powell" ``max_iter`` counts line searches, one for each feature in turn.
    """

    method: str = attrs.field(default="bfgs", converter=choice("bfgs", "cg", "l-bfgs-b", "nelder-mead", "powell"))
    refine: bool = attrs.field(default=True, converter=flag)

    @property
    def uses_gradient(self) -> bool:
        """Whether the method takes gradients."""
        return self.method in _BY_GRADIENT

    def solve(self, ask: Ask, x: np.ndarray, free: np.ndarray, ids: np.ndarray, max_iter: int, tol: float) -> None:  # noqa: ARG002  # optimizers have one signature
        """See ``HostOptimizer.solve``; tol is scipy's, relative changes of value and point or the size of slopes."""
        import warnings

        import numpy as np

        for first in range(0, len(x), MOST):
            portion = range(first, min(first + MOST, len(x)))
            together = Together(lambda rows, points: list(zip(*_told(ask(rows, points)), strict=True)))
            with warnings.catch_warnings():  # a line search that ends early leaves the best point that was met
                warnings.simplefilter("ignore")
                together.run(
                    portion, lambda row, one: self._row(one, x[row].astype(np.float64), free[row], max_iter, tol)
                )

    def _row(
        self, ask: Callable[[np.ndarray], Any], x: np.ndarray, free: np.ndarray, max_iter: int, tol: float
    ) -> None:
        import numpy as np
        from scipy.optimize import minimize

        if not free.any():
            ask(x)
            return

        def value(z: np.ndarray) -> Any:
            at = x.copy()
            at[free] = z
            found, gradient = ask(at)
            if not np.isfinite(found):
                raise StopIteration
            return (float(found), gradient[free].astype(np.float64)) if self.uses_gradient else float(found)

        try:
            minimize(
                value,
                x[free],
                method=self.method,
                jac=self.uses_gradient,
                tol=tol or None,
                options=self._options(x[free], max_iter),
            )
        except (StopIteration, Stopped):  # a loss that is no number any more ends a row; a failure is raised elsewhere
            return

    def _options(self, x: np.ndarray, max_iter: int) -> dict[str, Any]:
        """Return what SciPy is told beyond the tolerance; x: (features,), of those that may change."""
        import numpy as np

        if (
            self.method == "powell"
        ):  # of which one of SciPy's iterations has as many line searches as there are features
            return {"maxiter": max(1, max_iter // len(x))}
        if self.method == "nelder-mead":
            # SciPy's own is of 0.00025 at 0, and of 5 % elsewhere; Gao and Han 2012 for many features.
            wide = _SIMPLEX * np.maximum(np.abs(x), 1)
            corners = np.concatenate([x[None], x + np.diag(wide)])
            return {"maxiter": max_iter, "initial_simplex": corners, "adaptive": len(x) > 1}
        return {"maxiter": max_iter}


def _once_each(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield places of rows, (k,), so that no row comes twice among those of one turn."""
    import numpy as np

    left = np.arange(len(rows))
    while len(left):
        _, first = np.unique(rows[left], return_index=True)
        yield left[first]
        left = np.delete(left, first)


def _told(said: Said) -> tuple[Any, Any]:
    return said.value, said.value if said.gradient is None else said.gradient
