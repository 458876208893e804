"""Costs that say how a candidate lies among data, or among the other candidates.  See ``xaicore_cf.costs``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import attrs

from xaicore.errors import InvalidParameter
from xaicore.values import Array, integer, numeric_or_array, optional, real
from xaicore_cf.costs import Cost, Known, per_feature, require_positive
from xaicore_cf.data import constant, need, samples, squared_distances

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf


@attrs.frozen
class MinDistance(Cost):
    """``min_k |x - X_k|^2``: how far a candidate is from the nearest sample of data; a plausibility.

    Args:
        reference: The data X, (m, *features); best those of the class to reach.  None: those of the search.
    """

    reference: Array | None = attrs.field(default=None, converter=optional(samples))

    def of(self, x: tf.Tensor, known: Known) -> tf.Tensor:  # noqa: ARG002  # costs have one signature
        """Return (batch,)."""
        import tensorflow as tf

        return tf.reduce_min(squared_distances(x, need(self)), axis=1)


@attrs.frozen
class Prototype(Cost):
    """``|x - mean of the n samples of the class that are nearest to x|^2``: Van Looveren and Klaise 2021, eq. 5.

    Departure: the paper takes the nearest in the space of an autoencoder, or by a k-d tree in that of the input, as
    here.

    Args:
        reference: The data, (m, *features).  None: those of the search, with their labels.
        n: How many are nearest.
        labels: The class of each, (m,); None takes all for samples of the class to reach.
    """

    reference: Array | None = attrs.field(default=None, converter=optional(samples))
    n: int = attrs.field(default=5, converter=integer(minimum=1))
    labels: Array | None = attrs.field(default=None, converter=optional(Array))

    def __attrs_post_init__(self) -> None:
        """Refuse more than there are, and labels of something else."""
        if self.reference is None:
            return
        count = self.reference.shape[0]
        if self.n > count:
            raise InvalidParameter(f"Given n={self.n!r}; expected an integer from 1 to {count}.")
        if self.labels is not None and (self.labels.shape != (count,) or self.labels.data.dtype.kind not in "iu"):
            raise InvalidParameter(
                f"Given labels of {self.labels.data.dtype} of shape {self.labels.shape}; expected a class for each of "
                f"the {count} samples, integers ({count},)."
            )

    def of(self, x: tf.Tensor, known: Known) -> tf.Tensor:
        """Return (batch,)."""
        import tensorflow as tf

        reference = need(self)
        distances = tf.stop_gradient(squared_distances(x, reference))
        if self.labels is not None:
            own = tf.constant(self.labels.data, tf.int64)[None] == tf.cast(known.target, tf.int64)[:, None]
            distances = tf.where(own, distances, tf.constant(float("inf"), x.dtype))
        found = tf.math.top_k(-distances, min(self.n, reference.shape[0]))
        # A class with fewer samples than n has all of them; one without any draws nowhere.
        weights = tf.cast(tf.math.is_finite(found.values), x.dtype)
        count = tf.maximum(tf.reduce_sum(weights, axis=1, keepdims=True), 1)
        rows = tf.gather(constant(reference, x), found.indices)
        mean = tf.reduce_sum(rows * (weights / count)[:, :, None], axis=1)
        flat = tf.reshape(x, tf.shape(mean))
        return tf.reduce_sum(tf.square(flat - mean), axis=1) * tf.reduce_max(weights, axis=1)


@attrs.frozen
class Density(Cost):
    """``-log 1/m sum_k exp(-|x - X_k|^2 / (2 h^2))``, a Gaussian kernel density without its constant: Parzen 1962.

    Args:
        reference: The data X, (m, *features); best those of the class to reach.  None: those of the search.
        bandwidth: h, in units of the input.
    """

    reference: Array | None = attrs.field(default=None, converter=optional(samples))
    bandwidth: float = attrs.field(default=1.0, converter=real(above=0))

    def of(self, x: tf.Tensor, known: Known) -> tf.Tensor:  # noqa: ARG002  # costs have one signature
        """Return (batch,)."""
        import tensorflow as tf

        reference = need(self)
        exponents = -squared_distances(x, reference) / tf.constant(2 * self.bandwidth**2, x.dtype)
        return tf.constant(math.log(reference.shape[0]), x.dtype) - tf.reduce_logsumexp(exponents, axis=1)


@attrs.frozen
class GaussianMixture(Cost):
    """``-log sum_k w_k N(x; mu_k, S_k)``: how rare a candidate is under a mixture of Gaussians, Artelt and Hammer 2020.

    Departure: they take the component that fits best, and a constant less; this is the density itself.

    Args:
        means: mu, (k, *features).
        covariances: S, (k, features, features) over the flattened sample, each positive definite; or (k, features),
            variances, positive.
        weights: w, (k,), positive, summing to 1 within 1e-6.

    Raises:
        InvalidParameter: shapes do not fit together, or a matrix is not positive definite.
    """

    means: Array = attrs.field(converter=samples)
    covariances: Array = attrs.field(converter=Array)
    weights: Array = attrs.field(converter=Array)

    def __attrs_post_init__(self) -> None:
        """Refuse what is no mixture."""
        import numpy as np

        k, d = self.means.shape[0], math.prod(self.means.shape[1:])
        fits = self.covariances.shape in {(k, d, d), (k, d)} and self.weights.shape == (k,)
        if not fits or (self.weights.data <= 0).any() or abs(self.weights.data.sum() - 1) > 1e-6:  # noqa: PLR2004  # rounding of float32
            raise InvalidParameter(
                f"Given means {self.means.shape}, covariances {self.covariances.shape}, weights {self.weights.shape}; "
                f"expected ({k}, {d}, {d}) or ({k}, {d}), and ({k},) positive numbers that sum to 1."
            )
        try:
            self._roots()
        except np.linalg.LinAlgError:
            raise InvalidParameter("Given covariances that are not positive definite.") from None

    def _roots(self) -> np.ndarray:
        """Return the lower roots L of S = L L', (k, features, features)."""
        import numpy as np

        given = self.covariances.data.astype(np.float64)
        full = given if given.ndim > 2 else np.stack([np.diag(row) for row in given])  # noqa: PLR2004  # (k, features)
        return np.linalg.cholesky(full)

    def of(self, x: tf.Tensor, known: Known) -> tf.Tensor:  # noqa: ARG002  # costs have one signature
        """Return (batch,)."""
        import numpy as np
        import tensorflow as tf

        roots, dtype = self._roots(), x.dtype.as_numpy_dtype
        inverse = np.linalg.inv(roots)
        logs = np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(1) + 0.5 * roots.shape[1] * math.log(2 * math.pi)
        constants = (np.log(self.weights.data) - logs).astype(dtype)
        away = tf.reshape(x, [tf.shape(x)[0], 1, -1]) - constant(self.means, x)[None]
        standard = tf.einsum("kij,bkj->bki", tf.constant(inverse.astype(dtype)), away)
        return -tf.reduce_logsumexp(constants - 0.5 * tf.reduce_sum(tf.square(standard), axis=2), axis=1)


# Candidates that lie on each other would make K singular, whose determinant has no gradient that can be computed.
_APART = 1e-4


@attrs.frozen
class Diversity(Cost):
    """``1 - det K, K_ij = 1 / (1 + sum_f |x_if - x_jf| / mad_f)``: 0 where candidates are far from each other.

    Mothilal, Sharma and Tan 2020, eq. 3.  Its x holds the n candidates of each sample, (batch, n, *features): it is the
    ``diversity=`` of a search, and no ``cost=``.

    Departure: entries off the diagonal are 1e-4 smaller, so that K can be inverted where candidates are equal; the
    authors' code adds 1e-4 to the diagonal.

    Args:
        mad: Deviation of each feature, positive, one number or one per feature of the flattened sample.
    """

    among: ClassVar[bool] = True

    mad: float | Array = attrs.field(default=1.0, converter=numeric_or_array)

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be divided by."""
        require_positive("mad", self.mad, "Give 1 for a feature that hardly varies.")

    def of(self, x: tf.Tensor, known: Known) -> tf.Tensor:  # noqa: ARG002  # costs have one signature
        """Return (batch,)."""
        import tensorflow as tf

        n = x.shape[1]
        features = x.shape[2:].num_elements()
        rows = tf.reshape(x, [-1, n, tf.reduce_prod(tf.shape(x)[2:]) if features is None else features])
        apart = tf.abs(rows[:, :, None] - rows[:, None]) / per_feature("mad", self.mad, rows[:, 0])
        near = (1 - _APART) / (1 + tf.reduce_sum(apart, axis=3))
        return 1 - tf.linalg.det(tf.linalg.set_diag(near, tf.ones_like(near[:, 0])))
