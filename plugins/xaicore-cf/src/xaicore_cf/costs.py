"""Costs of a candidate, per sample: what they share, and the two norms.

The search calls a cost as ``cost(x, original=, outputs=, target=) -> (batch,)``:

    x, original   (batch, *features), a floating type
    outputs       (batch, classes), logits; a sigmoid's logit z is given as the two logits (0, z)
    target        (batch,), integers, the class to reach

``reads`` tells which it depends on: {"inputs"}, {"outputs"}, or both.
A cost with a kink at x = original, as a norm has, tells its slope there, ``kink(x) -> like x``: the search lets a
feature leave the original value only where the rest of the objective is steeper than that.
A cost of outputs may tell when it is content, ``met(outputs, target) -> bool (batch,)``, and with ``numbers = True`` it
gets the outputs as they are: see ``xaicore_cf.outcomes``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from xaicore.errors import InvalidParameter
from xaicore_cf.errors import CostIncomplete, NumberToReach

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.protocols import CostFunction
    from xaicore.values import Array

INPUTS, OUTPUTS = frozenset({"inputs"}), frozenset({"outputs"})


class Named:
    """A part that prints as its expression: ``get(str(part)) == part``."""

    def __str__(self) -> str:
        """Return the canonical expression."""
        from xaicore.registry import expression_of

        return expression_of(self)


class Known(NamedTuple):
    """What a cost is told beside the candidate; see the module."""

    original: tf.Tensor
    outputs: tf.Tensor
    target: tf.Tensor


class Cost(Named):
    """Base of our costs: each defines ``of(x, known) -> (batch,)`` and ``reads``.

    A search gives what a cost reads; alone it is called with arrays or tensors by keyword, CEML's names taken too:
    ``get_cost("cf.l1")(x, x_orig=x0)``, ``get_cost("cf.nll")(x, outputs=logits, y_target=labels)``.
    """

    reads: ClassVar[frozenset[str]] = INPUTS
    __array_ufunc__ = None  # numbers of NumPy leave `number * cost` to the cost

    def __add__(self, other: Any) -> Cost:
        """Return the sum of two costs; 0, with which ``sum`` begins, adds nothing."""
        from xaicore_cf.algebra import added

        return added(self, other)

    def __radd__(self, other: Any) -> Cost:
        """Return the sum of two costs."""
        from xaicore_cf.algebra import added

        return self if isinstance(other, Real) and other == 0 else added(other, self)

    def __mul__(self, factor: Any) -> Cost:
        """Return the cost times a number of at least 0."""
        from xaicore_cf.algebra import Weighted

        return Weighted(factor, self) if isinstance(factor, Real) else NotImplemented

    __rmul__ = __mul__

    def of(self, x: tf.Tensor, known: Known) -> tf.Tensor:
        """Return (batch,)."""
        raise NotImplementedError(f"{type(self).__qualname__} has to define `of(x, known)`.")

    def __call__(
        self,
        x: Any,
        *,
        original: Any = None,
        outputs: Any = None,
        target: Any = None,
        x_orig: Any = None,
        y_target: Any = None,
    ) -> tf.Tensor:
        """Return (batch,).

        Raises:
            CostIncomplete: the cost reads what was not given.
        """
        import tensorflow as tf

        given = {
            "original": x_orig if original is None else original,
            "outputs": outputs,
            "target": y_target if target is None else target,
        }
        needed = {"original"} if reads(self) == INPUTS else {"outputs", "target"}
        needed |= {"original"} if "inputs" in reads(self) else set()
        lacking = sorted(name for name in needed if given[name] is None)
        if lacking:
            raise CostIncomplete(
                f"{type(self).__name__} was called without {' and '.join(lacking)}; give original= (or x_orig=), like "
                "x; outputs=, (batch, classes) logits; target= (or y_target=), (batch,) integers."
            )
        if all(tf.is_tensor(one) for one in (x, *given.values()) if one is not None):
            return self.of(x, _known(x, **given))
        x = floating("x", x)
        given["original"] = None if given["original"] is None else floating("original", given["original"], x.dtype)
        given["outputs"] = None if outputs is None else floating("outputs", outputs)
        given["target"] = None if given["target"] is None else tf.convert_to_tensor(given["target"])
        known = _known(x, **given)
        _check(self, x, known, given)
        return self.of(x, known)


def _known(x: tf.Tensor, original: Any, outputs: Any, target: Any) -> Known:
    """Return what a cost is told, zeros in the place of what it does not read."""
    import tensorflow as tf

    nothing = tf.zeros(tf.shape(x)[:1], tf.int32)
    return Known(
        *(other if one is None else one for one, other in ((original, x), (outputs, nothing), (target, nothing)))
    )


def floating(name: str, value: Any, dtype: Any = None) -> tf.Tensor:
    """Return numbers as a floating tensor, whole ones as float32.

    Raises:
        CostIncomplete: they are no numbers.
    """
    import tensorflow as tf

    try:
        found = tf.convert_to_tensor(value)
    except (TypeError, ValueError) as error:
        raise CostIncomplete(f"Given {name} of type {type(value).__name__}; expected numbers, (batch, ...).") from error
    if not found.dtype.is_floating and not found.dtype.is_integer:
        raise CostIncomplete(f"Given {name} of {found.dtype.name}; expected numbers, (batch, ...).")
    return tf.cast(found, dtype or (found.dtype if found.dtype.is_floating else tf.float32))


def _check(cost: Cost, x: tf.Tensor, known: Known, given: Mapping[str, Any]) -> None:
    """Refuse, of a cost that is called alone, what does not go together.

    Raises:
        CostIncomplete: shapes differ, or the target is no class of the outputs.
    """
    import numpy as np

    if given["original"] is not None and known.original.shape != x.shape:
        raise CostIncomplete(f"Given original of shape {known.original.shape} for x of {x.shape}; expected them equal.")
    if given["outputs"] is None or given["target"] is None or "outputs" not in reads(cost):
        return
    target, classes = np.asarray(known.target), known.outputs.shape[-1]
    if target.dtype.kind == "f":
        raise NumberToReach(
            f"Given target {target!r:.60}, a number, to {cost}; expected the index of a class or output, integers "
            "(batch,). A probability to reach is cf.squared_error(value=), a number cf.interval(low=, high=)."
        )
    rows = known.outputs.shape[:1] == (len(x),) and known.outputs.shape.rank == 2  # noqa: PLR2004  # (batch, classes)
    whole = target.dtype.kind in "iu" and target.shape == (len(x),)
    if not rows or not whole or target.min(initial=0) < 0 or target.max(initial=0) >= classes:
        raise CostIncomplete(
            f"Given outputs of shape {tuple(known.outputs.shape)} and target {target!r:.60} for {len(x)} rows; "
            "expected (batch, classes), and a class for each row, integers (batch,)."
        )


def reads(cost: CostFunction, unsaid: frozenset[str] = INPUTS | OUTPUTS) -> frozenset[str]:
    """Return what a cost depends on; ``unsaid`` for a part that does not tell."""
    return frozenset().union(*(getattr(one, "reads", unsaid) for one in leaves(cost)))


def leaves(cost: CostFunction) -> Iterator[CostFunction]:
    """Yield what a cost is made of: the costs in its ``parts``, and in theirs; a cost without parts is one."""
    parts = getattr(cost, "parts", ())
    if not parts:
        yield cost
    for part in parts:
        yield from leaves(part)


def kink(cost: CostFunction, x: tf.Tensor) -> tf.Tensor | None:
    """Return the slope of a cost's kink at x = original, like x; None for a smooth cost."""
    own = getattr(cost, "kink", None)
    return None if own is None else own(x)


def per_feature(name: str, value: float | Array, x: tf.Tensor) -> tf.Tensor:
    """Return a number, or an array with one entry per feature of x (batch, features), as a tensor for x.

    Raises:
        InvalidParameter: there are not as many entries as features.
    """
    import numpy as np
    import tensorflow as tf

    found = np.asarray(value).reshape(-1)
    if found.size not in {1, x.shape[1] or found.size}:
        raise InvalidParameter(f"Given {name} with {found.size} entries; expected one number, or {x.shape[1]}.")
    return tf.constant(found.astype(x.dtype.as_numpy_dtype))


def require_positive(name: str, value: float | Array, advice: str) -> None:
    """Raise InvalidParameter where an entry is not a positive finite number."""
    import numpy as np

    found = np.asarray(value)
    if not (np.isfinite(found) & (found > 0)).all():
        raise InvalidParameter(f"Given {name}={found.min():g} somewhere; expected positive finite numbers. {advice}")


def flat(x: tf.Tensor) -> tf.Tensor:
    """Return a batch with one row of all features per sample."""
    import tensorflow as tf

    size = x.shape[1:].num_elements()
    return x if x.shape.rank == 2 else tf.reshape(x, [tf.shape(x)[0], -1 if size is None else size])  # noqa: PLR2004  # (batch, features)
