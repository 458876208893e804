"""The two norms as distances from the input.  See ``xaicore_cf.costs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from xaicore.values import Array, numeric_or_array
from xaicore_cf.costs import Cost, Known, flat, per_feature, require_positive

if TYPE_CHECKING:
    import tensorflow as tf


@attrs.frozen
class L1(Cost):
    """``sum_i |x_i - original_i| / mad_i``.

    Args:
        mad: Median absolute deviation of each feature over the data, ``median |X - median X|``, as Wachter et al. 2017
            weigh it: positive, one number or one per feature, in the order of the flattened sample.

    Raises:
        InvalidParameter: an entry of ``mad`` is not positive, or there are not as many as features.
    """

    mad: float | Array = attrs.field(default=1.0, converter=numeric_or_array)

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be divided by."""
        require_positive("mad", self.mad, "A feature that hardly varies has none; give it 1, or hold it by features=.")

    def of(self, x: tf.Tensor, known: Known) -> tf.Tensor:
        """Return (batch,)."""
        import tensorflow as tf

        return tf.reduce_sum(tf.abs(flat(x - known.original)) * self._slopes(x), axis=1)

    def kink(self, x: tf.Tensor) -> tf.Tensor:
        """Return 1 / mad, like x."""
        import tensorflow as tf

        return tf.reshape(tf.ones_like(flat(x)) * self._slopes(x), tf.shape(x))

    def _slopes(self, x: tf.Tensor) -> tf.Tensor:
        return 1 / per_feature("mad", self.mad, flat(x))


@attrs.frozen
class L2(Cost):
    """``sum_i (x_i - original_i)^2``, the squared Euclidean distance."""

    def of(self, x: tf.Tensor, known: Known) -> tf.Tensor:
        """Return (batch,)."""
        import tensorflow as tf

        return tf.reduce_sum(tf.square(flat(x - known.original)), axis=1)
