"""An optimizer on its own: the least value of any loss of tensors, per row."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from xaicore.errors import InvalidParameter
from xaicore_cf.costs import Named, flat
from xaicore_cf.errors import NotALoss

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from xaicore.protocols import Optimizer


class Descent(Named):
    """Base of rules of descent: pure, per sample.  Each defines ``init`` and ``update``; see ``xaicore.protocols``."""

    def minimize(
        self, loss: Callable[[Any], Any], x: Any, *, tol: float = 0.0, max_iter: int = 1000, grad_mask: Any = None
    ) -> np.ndarray:
        """Return where the loss was least on the way down from x, each row for itself; nothing given is changed.

        Args:
            loss: Maps a tensor like x to (batch,), or to a scalar, the loss of all rows as one.
            x: Array or tensor (batch, *features) of a floating type, where to begin.
            tol: A row stops when its loss changes by no more than this from one step to the next.
            max_iter: Most steps.
            grad_mask: What broadcasts to x; where it is 0 (or False) x stays, equal to the bit.

        Raises:
            NotALoss: ``loss`` is no function of a tensor, returns something else, or does not depend on x.
            InvalidParameter: x is no floating array, or a number is out of its range.
        """
        return minimize(self, loss, x, tol=tol, max_iter=max_iter, grad_mask=grad_mask)


def minimize(
    optimizer: Optimizer,
    loss: Callable[[Any], Any],
    x: Any,
    *,
    tol: float = 0.0,
    max_iter: int = 1000,
    grad_mask: Any = None,
) -> np.ndarray:
    """Return where the loss was least; see ``Descent.minimize``.  For optimizers that only have the protocol."""
    import tensorflow as tf

    begin, free = checked(loss, x, tol, max_iter, grad_mask)
    shape = begin.shape.as_list()

    def step(
        k: tf.Tensor, at: tf.Tensor, best: tf.Tensor, least: tf.Tensor, last: tf.Tensor, go: tf.Tensor, *state: Any
    ) -> Any:
        value, gradient = sloped(loss, at, shape)
        better = go & (value < least)
        go &= tf.abs(last - value) > tf.constant(tol, value.dtype)
        moved, after = optimizer.update(tf.where(free, gradient, tf.zeros_like(gradient)), state, at)
        keep = go[:, None] & free
        best = tf.where(better[:, None], at, best)
        least = tf.where(better, value, least)
        return k + 1, tf.where(keep, at + moved, at), best, least, value, go, *after

    def run(at: tf.Tensor) -> tf.Tensor:
        never = tf.fill(tf.shape(at)[:1], tf.constant(float("inf"), at.dtype))
        state = (0, at, at, never, never, tf.ones_like(never, tf.bool), *optimizer.init(at))
        # One more than there are steps: the last point is looked at too.
        return tf.while_loop(lambda k, *rest: (k <= max_iter) & tf.reduce_any(rest[4]), step, state)[2]

    found = tf.function(run, autograph=False)(flat(begin))
    return tf.reshape(found, shape).numpy()  # type: ignore[no-any-return]


def checked(loss: Any, x: Any, tol: Any, max_iter: Any, grad_mask: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Return x as a tensor, and where it may move, bool (batch, features)."""
    import numpy as np
    import tensorflow as tf

    if not callable(loss) or isinstance(loss, type):
        raise NotALoss(f"Given {loss!r:.80} as the loss; expected a function of a tensor like x that returns (batch,).")
    try:
        begin = tf.convert_to_tensor(x)
    except (TypeError, ValueError) as error:
        raise InvalidParameter(f"Given x of type {type(x).__name__}; expected an array (batch, *features).") from error
    if not begin.dtype.is_floating or not begin.shape.rank:
        raise InvalidParameter(
            f"Given x of {begin.dtype.name} and shape {tuple(begin.shape)}; "
            "expected floating numbers, (batch, *features)."
        )
    fits = isinstance(max_iter, Integral) and not isinstance(max_iter, bool) and max_iter >= 1
    if not fits or not isinstance(tol, Real) or not tol >= 0:
        raise InvalidParameter(f"Given tol={tol!r}, max_iter={max_iter!r}; expected tol >= 0, and at least 1 step.")
    mask = np.ones(1) if grad_mask is None else np.asarray(grad_mask)
    if mask.dtype.kind not in "fiub" or not np.isfinite(mask).all():
        raise InvalidParameter(f"Given grad_mask={grad_mask!r:.80}; expected booleans, or numbers of which 0 holds.")
    try:
        free = np.broadcast_to(mask, begin.shape) != 0
    except ValueError as error:
        raise InvalidParameter(
            f"Given grad_mask of shape {mask.shape}; expected what broadcasts to x, {tuple(begin.shape)}."
        ) from error
    return begin, tf.reshape(tf.constant(free), [begin.shape[0], -1])


def sloped(loss: Callable[[Any], Any], at: tf.Tensor, shape: list[int]) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the loss of each row (batch,), and its gradient (batch, features)."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(at)
        value = valued(loss, at, shape)
    gradient = tape.gradient(value, at)
    if gradient is None:
        raise NotALoss("The loss does not depend on x by operations that have a gradient.")
    return tf.broadcast_to(value, tf.shape(at)[:1]), gradient


def valued(loss: Callable[[Any], Any], at: tf.Tensor, shape: list[int]) -> tf.Tensor:
    """Return the loss as it is, (batch,) or a scalar."""
    import tensorflow as tf

    try:
        value = tf.convert_to_tensor(loss(tf.reshape(at, shape)))
    except (NotImplementedError, AttributeError) as error:
        raise NotALoss(
            f"The loss does not work on tensors ({str(error).splitlines()[0]:.120}); expected operations of tf or "
            "keras.ops, such as tf.reduce_sum, and none of NumPy: they have no gradient."
        ) from error
    except (TypeError, ValueError, ArithmeticError, LookupError, tf.errors.OpError) as error:
        raise NotALoss(f"The loss cannot be called with a tensor like x: {error}") from error
    fits = value.shape.rank == 0 or value.shape.is_compatible_with([shape[0]])
    if not value.dtype.is_floating or not fits:
        raise NotALoss(
            f"The loss returned {value.dtype.name} of shape {tuple(value.shape)} for {shape[0]} rows; expected one "
            f"number per row, ({shape[0]},), or a scalar."
        )
    return value
