"""Data that costs know: samples, one row each, and the classes that a model gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xaicore.errors import InvalidParameter
from xaicore.values import Array
from xaicore_cf.costs import flat

if TYPE_CHECKING:
    import tensorflow as tf


def samples(value: Any) -> Array:
    """Return data as an array (m, *features); a converter of attrs."""
    found = value if isinstance(value, Array) else Array(value)
    if not found.shape or not found.shape[0]:
        raise InvalidParameter(f"Given data of shape {found.shape}; expected samples, (m, *features).")
    import numpy as np

    if found.data.dtype.kind not in "fiub" or not np.isfinite(found.data).all():
        raise InvalidParameter("Given data with NaN, infinite numbers, or what is no number; expected finite numbers.")
    return found


def need(cost: Any) -> Array:
    """Return the data of a cost that cannot do without.

    Raises:
        InvalidParameter: it has none.
    """
    if cost.reference is None:
        raise InvalidParameter(
            f"{type(cost).__name__} knows data and was given none; give it reference=, (m, *features), or give it to "
            "the search: `analyzer.fit(model, data)` does."
        )
    return cost.reference


def constant(reference: Array, x: tf.Tensor) -> tf.Tensor:
    """Return data as (m, features) for x (batch, *features)."""
    import tensorflow as tf

    rows = reference.data.reshape(reference.shape[0], -1)
    features = flat(x).shape[1]
    if features is not None and rows.shape[1] != features:
        raise InvalidParameter(f"Given data of shape {reference.shape} for samples of {features} features.")
    return tf.constant(rows.astype(x.dtype.as_numpy_dtype))


def squared_distances(x: tf.Tensor, reference: Array) -> tf.Tensor:
    """Return ``|x - X_k|^2``, (batch, m)."""
    import tensorflow as tf

    # Differences and not products: those of near points would lose their digits.
    return tf.reduce_sum(tf.square(flat(x)[:, None] - constant(reference, x)[None]), axis=2)
