"""What feature maps are worth: A and its gradient g, both (batch, *positions, k), into one map (batch, *positions)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

from xaicore.values import flag

if TYPE_CHECKING:
    import tensorflow as tf


class Weights(Protocol):
    """How a class activation map is made of feature maps.  Law: per sample."""

    def __call__(self, maps: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        """Return the map, (batch, *positions)."""
        ...


@attrs.frozen
class MeanGradient:
    """``M = sum_k w_k A_k, w_k = mean over positions of g_k``: Selvaraju et al. 2017, eqs. 1 and 2."""

    def __call__(self, maps: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        """Return the map, (batch, *positions)."""
        import tensorflow as tf

        return tf.reduce_sum(tf.reduce_mean(gradient, _positions(maps), keepdims=True) * maps, axis=-1)


@attrs.frozen
class HeadWeights:
    """``M = sum_k W_kc A_k``, W a head's weights after global average pooling: Zhou et al. 2016, eq. 2.

    For such a head W_kc is the sum of g_k over positions, which is what is computed.
    """

    def __call__(self, maps: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        """Return the map, (batch, *positions)."""
        import tensorflow as tf

        return tf.reduce_sum(tf.reduce_sum(gradient, _positions(maps), keepdims=True) * maps, axis=-1)


@attrs.frozen
class PlusPlus:
    """``w_k = sum over positions of a_k max(g_k, 0), a_k = g_k^2 / (2 g_k^2 + g_k^3 S_k)``, S_k the sum of A_k.

    Chattopadhay et al. 2018, eq. 19, for a score of exp(f): the factor exp(f) of all weights is left out, which scales
    a map and no more, and would overflow for logits above 88.
    """

    def __call__(self, maps: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        """Return the map, (batch, *positions)."""
        import tensorflow as tf

        over = _positions(maps)
        total = tf.reduce_sum(maps, over, keepdims=True)
        # g^2 is divided out: what is left has no cubes of small numbers.
        share = tf.math.divide_no_nan(tf.ones_like(gradient), 2 + gradient * total)
        weights = tf.reduce_sum(tf.where(gradient > 0, share * gradient, 0), over, keepdims=True)
        return tf.reduce_sum(weights * maps, axis=-1)


@attrs.frozen
class Elementwise:
    """``M = sum_k g_k A_k``, position by position: HiResCAM, Draelos and Carin 2020, eq. 4.

    Args:
        positive: Take max(g_k, 0): LayerCAM, Jiang et al. 2021, eqs. 4 to 6.
    """

    positive: bool = attrs.field(default=False, converter=flag)

    def __call__(self, maps: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        """Return the map, (batch, *positions)."""
        import tensorflow as tf

        return tf.reduce_sum((tf.nn.relu(gradient) if self.positive else gradient) * maps, axis=-1)


@attrs.frozen
class ByActivation:
    """``w_k = sum over positions of g_k A_k / sum over positions of A_k``: XGrad-CAM, Fu et al. 2020, eq. 9."""

    def __call__(self, maps: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        """Return the map, (batch, *positions)."""
        import tensorflow as tf

        over = _positions(maps)
        product = tf.reduce_sum(gradient * maps, over, keepdims=True)
        weights = tf.math.divide_no_nan(product, tf.reduce_sum(maps, over, keepdims=True))
        return tf.reduce_sum(weights * maps, axis=-1)


@attrs.frozen
class FirstComponent:
    """``M = A v``, v the first right singular vector of A as (positions, k): Eigen-CAM, Muhammad and Yeasin 2020.

    The output plays no part.  Of the two signs of v the one counts whose map has a positive sum.
    """

    def __call__(self, maps: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:  # noqa: ARG002  # one signature for all
        """Return the map, (batch, *positions)."""
        import tensorflow as tf

        shape = tf.shape(maps)
        rows = tf.reshape(maps, tf.stack([shape[0], -1, shape[-1]]))
        # The eigenvectors of the smaller of the two Gram matrices would do; channels are the axis that is always known.
        _, vectors = tf.linalg.eigh(tf.matmul(rows, rows, transpose_a=True))
        projected = tf.matmul(rows, vectors[..., -1:])[..., 0]
        sign = tf.where(tf.reduce_sum(projected, -1, keepdims=True) < 0, -1.0, 1.0)
        return tf.reshape(projected * tf.cast(sign, projected.dtype), shape[:-1])


def _positions(maps: tf.Tensor) -> list[int]:
    return list(range(1, maps.shape.rank - 1))
