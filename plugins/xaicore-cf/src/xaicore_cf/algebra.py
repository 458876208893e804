"""Costs made of costs: sums, multiples, and both as one object."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import TYPE_CHECKING, Any

import attrs

from xaicore.declaration import part
from xaicore.errors import InvalidParameter
from xaicore.values import real
from xaicore_cf.costs import Cost, Known, kink, reads
from xaicore_cf.norms import L1
from xaicore_cf.outcomes import NegativeLogLikelihood

if TYPE_CHECKING:
    import tensorflow as tf

    from xaicore.protocols import CostFunction


def _terms(terms: Iterable[CostFunction]) -> tuple[CostFunction, ...]:
    """Return the terms; a sum inside is written out."""
    return tuple(one for term in terms for one in (term.terms if isinstance(term, WeightedSum) else (term,)))


@attrs.frozen
class WeightedSum(Cost):
    """The sum of costs, written ``cost + cost``."""

    terms: tuple[CostFunction, ...] = part("cost", many=True, converter=_terms)

    def __attrs_post_init__(self) -> None:
        """Refuse a sum of fewer than two, which cannot be written."""
        if len(self.terms) <= 1:
            raise InvalidParameter(f"Given a sum of {len(self.terms)} costs; expected at least two, cost + cost.")

    @property
    def parts(self) -> tuple[CostFunction, ...]:
        """What it is made of."""
        return self.terms

    @property
    def reads(self) -> frozenset[str]:
        """What any of the terms depends on."""
        return frozenset().union(*(reads(term) for term in self.terms))

    @property
    def among(self) -> bool:
        """Whether a term is a cost of several candidates."""
        return any(getattr(term, "among", False) for term in self.terms)

    def of(self, x: tf.Tensor, known: Known) -> tf.Tensor:
        """Return (batch,)."""
        import tensorflow as tf

        return tf.add_n([term(x, **known._asdict()) for term in self.terms])

    def kink(self, x: tf.Tensor) -> tf.Tensor | None:
        """Return the sum of the terms' slopes at the original, like x; None where all are smooth."""
        import tensorflow as tf

        slopes = [slope for slope in (kink(term, x) for term in self.terms) if slope is not None]
        return tf.add_n(slopes) if slopes else None


def added(first: Any, second: Any) -> Cost:
    """Return the sum of costs; NotImplemented where one is none."""
    if not all(callable(one) and not isinstance(one, type) for one in (first, second)):
        return first if isinstance(second, Real) and second == 0 else NotImplemented
    return WeightedSum((first, second))


@attrs.frozen
class Weighted(Cost):
    """A cost times a number of at least 0, written ``number * cost``."""

    factor: float = attrs.field(converter=real(minimum=0))
    term: CostFunction = part("cost")

    @property
    def parts(self) -> tuple[CostFunction, ...]:
        """What it is made of."""
        return (self.term,)

    @property
    def reads(self) -> frozenset[str]:
        """What the term depends on."""
        return reads(self.term)

    @property
    def among(self) -> bool:
        """Whether the term is a cost of several candidates."""
        return bool(getattr(self.term, "among", False))

    def of(self, x: tf.Tensor, known: Known) -> tf.Tensor:
        """Return (batch,)."""
        import tensorflow as tf

        cost = self.term(x, **known._asdict())
        return tf.constant(self.factor, cost.dtype) * cost

    def kink(self, x: tf.Tensor) -> tf.Tensor | None:
        """Return the term's slope at the original times the factor, like x; None where it is smooth."""
        import tensorflow as tf

        slope = kink(self.term, x)
        return None if slope is None else tf.constant(self.factor, x.dtype) * slope


@attrs.frozen
class Regularized(Cost):
    """``C * penalize_input + penalize_output``: Artelt and Hammer 2019, eq. 2, as one cost.

    Args:
        penalize_input: Of the inputs.
        penalize_output: Of the outputs.
        C: Weight of the first.
    """

    penalize_input: CostFunction = part("cost", factory=L1)
    penalize_output: CostFunction = part("cost", factory=NegativeLogLikelihood)
    C: float = attrs.field(default=1.0, converter=real(minimum=0))

    @property
    def parts(self) -> tuple[CostFunction, ...]:
        """What it is made of."""
        return (self.penalize_input, self.penalize_output)

    @property
    def reads(self) -> frozenset[str]:
        """What either depends on."""
        return reads(self.penalize_input) | reads(self.penalize_output)

    def of(self, x: tf.Tensor, known: Known) -> tf.Tensor:
        """Return (batch,)."""
        import tensorflow as tf

        first = self.penalize_input(x, **known._asdict())
        second = self.penalize_output(x, **known._asdict())
        return tf.constant(self.C, first.dtype) * first + tf.cast(second, first.dtype)

    def kink(self, x: tf.Tensor) -> tf.Tensor | None:
        """Return the first term's slope at the original times C, like x; None where it is smooth."""
        import tensorflow as tf

        slope = kink(self.penalize_input, x)
        return None if slope is None else tf.constant(self.C, x.dtype) * slope


def with_data(cost: CostFunction, reference: object, labels: object) -> CostFunction:
    """Return a cost whose parts that have no data of their own have these: the search gives its own to them."""
    known = (
        {field.name: getattr(cost, field.name) for field in attrs.fields(type(cost))} if attrs.has(type(cost)) else {}
    )
    changed = {}
    for name, value in known.items():
        if name == "reference" and value is None and known.get("mad") is None:
            changed["reference"] = reference
            if "labels" in known and known["labels"] is None:
                changed["labels"] = labels
        elif name == "terms":
            changed[name] = tuple(with_data(term, reference, labels) for term in value)
        elif callable(value) and attrs.has(type(value)):
            changed[name] = with_data(value, reference, labels)
    return attrs.evolve(cost, **changed) if changed else cost
