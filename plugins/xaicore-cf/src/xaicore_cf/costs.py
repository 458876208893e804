"""Costs of a candidate, per sample: how far it is from the input, and how far the model is from the target class.

A cost is called as ``cost(x, original=, outputs=, target=) -> (batch,)``:

    x, original   (batch, *features), a floating type
    outputs       (batch, classes), logits; a sigmoid's logit z is given as the two logits (0, z)
    target        (batch,), integers, the class to reach

``reads`` tells which it depends on: {"inputs"}, {"outputs"}, or both.
A cost with a kink at x = original, as a norm has, tells its slope there, ``kink(x) -> like x``: the search lets a
feature leave the original value only where the rest of the objective is steeper than that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

import attrs

from xaicore.declaration import part
from xaicore.errors import InvalidParameter
from xaicore.values import Array, numeric_or_array, real

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.protocols import CostFunction


class Named:
    """A part that prints as its expression: ``get(str(part)) == part``."""

    def __str__(self) -> str:
        """Return the canonical expression."""
        from xaicore.registry import expression_of

        return expression_of(self)


INPUTS, OUTPUTS = frozenset({"inputs"}), frozenset({"outputs"})


@attrs.frozen
class L1(Named):
    """``sum_i |x_i - original_i| / mad_i``.

    Args:
        mad: Median absolute deviation of each feature over the data, ``median |X - median X|``, as Wachter et al. 2017
            weigh it: positive, one number or one per feature, in the order of the flattened sample.

    Raises:
        InvalidParameter: an entry of ``mad`` is not positive, or there are not as many as features.
    """

    reads: ClassVar[frozenset[str]] = INPUTS

    mad: float | Array = attrs.field(default=1.0, converter=numeric_or_array)

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be divided by."""
        require_positive("mad", self.mad, "A feature that hardly varies has none; give it 1, or hold it by features=.")

    def __call__(self, x: tf.Tensor, *, original: tf.Tensor, outputs: tf.Tensor, target: tf.Tensor) -> tf.Tensor:  # noqa: ARG002  # costs have one signature
        """Return (batch,)."""
        import tensorflow as tf

        return tf.reduce_sum(tf.abs(flat(x - original)) * self._slopes(x), axis=1)

    def kink(self, x: tf.Tensor) -> tf.Tensor:
        """Return 1 / mad, like x."""
        import tensorflow as tf

        return tf.reshape(tf.ones_like(flat(x)) * self._slopes(x), tf.shape(x))

    def _slopes(self, x: tf.Tensor) -> tf.Tensor:
        return 1 / per_feature("mad", self.mad, flat(x))


@attrs.frozen
class L2(Named):
    """``sum_i (x_i - original_i)^2``, the squared Euclidean distance."""

    reads: ClassVar[frozenset[str]] = INPUTS

    def __call__(self, x: tf.Tensor, *, original: tf.Tensor, outputs: tf.Tensor, target: tf.Tensor) -> tf.Tensor:  # noqa: ARG002  # costs have one signature
        """Return (batch,)."""
        import tensorflow as tf

        return tf.reduce_sum(tf.square(flat(x - original)), axis=1)


@attrs.frozen
class NegativeLogLikelihood(Named):
    """``-log p_t = log sum_j exp z_j - z_t``, computed from logits: finite and steep where p_t underflows."""

    reads: ClassVar[frozenset[str]] = OUTPUTS

    def __call__(self, x: tf.Tensor, *, original: tf.Tensor, outputs: tf.Tensor, target: tf.Tensor) -> tf.Tensor:  # noqa: ARG002  # costs have one signature
        """Return (batch,)."""
        import tensorflow as tf

        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=target, logits=outputs)


@attrs.frozen
class SquaredError(Named):
    """``(p_t - value)^2`` with p_t the probability of the target class: Wachter et al. 2017, eq. 1 on a probability.

    Args:
        value: The probability to reach, from 0 to 1.
    """

    reads: ClassVar[frozenset[str]] = OUTPUTS

    value: float = attrs.field(default=1.0, converter=real(minimum=0, maximum=1))

    def __call__(self, x: tf.Tensor, *, original: tf.Tensor, outputs: tf.Tensor, target: tf.Tensor) -> tf.Tensor:  # noqa: ARG002  # costs have one signature
        """Return (batch,)."""
        import tensorflow as tf

        return tf.square(probability(outputs, target) - tf.constant(self.value, outputs.dtype))


def _terms(terms: Iterable[CostFunction]) -> tuple[CostFunction, ...]:
    """Return the terms; a sum inside is written out."""
    return tuple(one for term in terms for one in (term.terms if isinstance(term, WeightedSum) else (term,)))


@attrs.frozen
class WeightedSum(Named):
    """The sum of costs, written ``cost + cost``."""

    terms: tuple[CostFunction, ...] = part("cost", many=True, converter=_terms)

    def __attrs_post_init__(self) -> None:
        """Refuse a sum of fewer than two, which cannot be written."""
        if len(self.terms) <= 1:
            raise InvalidParameter(f"Given a sum of {len(self.terms)} costs; expected at least two, cost + cost.")

    @property
    def reads(self) -> frozenset[str]:
        """What any of the terms depends on."""
        return frozenset().union(*(reads(term) for term in self.terms))

    def __call__(self, x: tf.Tensor, *, original: tf.Tensor, outputs: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        """Return (batch,)."""
        import tensorflow as tf

        return tf.add_n([term(x, original=original, outputs=outputs, target=target) for term in self.terms])

    def kink(self, x: tf.Tensor) -> tf.Tensor | None:
        """Return the sum of the terms' slopes at the original, like x; None where all are smooth."""
        import tensorflow as tf

        slopes = [slope for slope in (kink(term, x) for term in self.terms) if slope is not None]
        return tf.add_n(slopes) if slopes else None


@attrs.frozen
class Weighted(Named):
    """A cost times a number of at least 0, written ``number * cost``."""

    factor: float = attrs.field(converter=real(minimum=0))
    term: CostFunction = part("cost")

    @property
    def reads(self) -> frozenset[str]:
        """What the term depends on."""
        return reads(self.term)

    def __call__(self, x: tf.Tensor, *, original: tf.Tensor, outputs: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        """Return (batch,)."""
        import tensorflow as tf

        cost = self.term(x, original=original, outputs=outputs, target=target)
        return tf.constant(self.factor, cost.dtype) * cost

    def kink(self, x: tf.Tensor) -> tf.Tensor | None:
        """Return the term's slope at the original times the factor, like x; None where it is smooth."""
        import tensorflow as tf

        slope = kink(self.term, x)
        return None if slope is None else tf.constant(self.factor, x.dtype) * slope


def reads(cost: CostFunction) -> frozenset[str]:
    """Return what a cost depends on; both where it does not tell."""
    return getattr(cost, "reads", INPUTS | OUTPUTS)


def kink(cost: CostFunction, x: tf.Tensor) -> tf.Tensor | None:
    """Return the slope of a cost's kink at x = original, like x; None for a smooth cost."""
    own = getattr(cost, "kink", None)
    return None if own is None else own(x)


def probability(outputs: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return the softmax of logits (batch, classes) at the target (batch,)."""
    import tensorflow as tf

    return tf.gather(tf.nn.softmax(outputs), target, batch_dims=1)


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
