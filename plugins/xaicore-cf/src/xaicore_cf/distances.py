"""Further distances of a candidate from the input.  See ``xaicore_cf.costs``."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import attrs

from xaicore.errors import InvalidParameter
from xaicore.values import Array, flag, numeric_or_array, optional, real
from xaicore_cf.costs import Cost, Known, flat
from xaicore_cf.data import need, samples
from xaicore_cf.errors import NoDeviation
from xaicore_cf.norms import L1, L2

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf


@attrs.frozen
class Dummy(Cost):
    """``0``, with a gradient of zeros: a search that looks for any candidate of the class."""

    def of(self, x: tf.Tensor, known: Known) -> tf.Tensor:  # noqa: ARG002  # costs have one signature
        """Return (batch,)."""
        import tensorflow as tf

        return tf.reduce_sum(tf.zeros_like(flat(x)) * flat(x), axis=1)


@attrs.frozen
class ElasticNet(Cost):
    """``beta sum_i |d_i| + sum_i d_i^2, d = x - original``: Dhurandhar et al. 2018, eq. 1.

    Args:
        beta: Weight of the L1 part.
    """

    beta: float = attrs.field(default=0.1, converter=real(minimum=0))

    def of(self, x: tf.Tensor, known: Known) -> tf.Tensor:
        """Return (batch,)."""
        import tensorflow as tf

        return tf.constant(self.beta, x.dtype) * L1().of(x, known) + L2().of(x, known)

    def kink(self, x: tf.Tensor) -> tf.Tensor:
        """Return beta, like x."""
        import tensorflow as tf

        return tf.fill(tf.shape(x), tf.constant(self.beta, x.dtype))


@attrs.frozen
class Sparsity(Cost):
    """``sum_i 1 - exp(-alpha |d_i|), d = x - original``: nearly the number of changed features.

    Bradley and Mangasarian 1998, eq. 12.  A feature that has changed costs no more for changing further.

    Args:
        alpha: How steep it is at 0, in 1 / units of the input; above 0.
    """

    alpha: float = attrs.field(default=5.0, converter=real(above=0))

    def of(self, x: tf.Tensor, known: Known) -> tf.Tensor:
        """Return (batch,)."""
        import tensorflow as tf

        away = tf.abs(flat(x - known.original))
        return tf.reduce_sum(-tf.math.expm1(-tf.constant(self.alpha, x.dtype) * away), axis=1)

    def kink(self, x: tf.Tensor) -> tf.Tensor:
        """Return alpha, like x."""
        import tensorflow as tf

        return tf.fill(tf.shape(x), tf.constant(self.alpha, x.dtype))


@attrs.frozen
class Lmad(Cost):
    """``sum_i |x_i - original_i| / MAD_i``, the deviations taken from data: Wachter et al. 2017, eq. 4.

    ``MAD_i = median_k |X_ki - median_l X_li|``.  A feature that has none, because more than half of the data agree, is
    weighed by 1, with a warning, and ``without`` holds its index.

    Args:
        reference: The data X, (m, *features).  None: those of the search; where it has none, every feature weighs 1,
            as it does when features are measured in their deviations.
        mad: The deviations themselves, at least 0, one number or one per feature of the flattened sample.
        mean: Divide by the number of features, as Mothilal et al. 2020 do.

    Raises:
        InvalidParameter: both data and deviations are given, or a deviation is none.
    """

    reference: Array | None = attrs.field(default=None, converter=optional(samples))
    mad: float | Array | None = attrs.field(default=None, converter=optional(numeric_or_array))
    mean: bool = attrs.field(default=False, converter=flag)

    def __attrs_post_init__(self) -> None:
        """Refuse what is no deviation, and tell of those that are 0."""
        import numpy as np

        if self.mad is not None and self.reference is not None:
            raise InvalidParameter("Given reference= and mad=; expected one of them: the deviations are those of data.")
        found = self._deviations()
        if not np.isfinite(found).all() or (found < 0).any():
            raise InvalidParameter(f"Given mad={found.min():g} somewhere; expected finite numbers of at least 0.")
        if self.without:
            shown = ", ".join(map(str, self.without[:8]))
            warnings.warn(
                f"{len(self.without)} features have a deviation of 0 ({shown}); a change of 1 in them counts as one.",
                NoDeviation,
                stacklevel=2,
            )

    @property
    def deviations(self) -> np.ndarray:
        """The deviation of each feature, in the order of the flattened sample; 1 where there is none."""
        import numpy as np

        found = self._deviations()
        return np.where(found > 0, found, 1.0)

    @property
    def without(self) -> tuple[int, ...]:
        """Indices of the features that have no deviation."""
        import numpy as np

        return tuple(int(i) for i in np.flatnonzero(self._deviations() == 0))

    def _deviations(self) -> np.ndarray:
        import numpy as np

        if self.reference is None:
            return np.ones(1) if self.mad is None else np.asarray(self.mad, np.float64).reshape(-1)
        rows = self.reference.data.reshape(self.reference.shape[0], -1).astype(np.float64)
        return np.median(np.abs(rows - np.median(rows, axis=0)), axis=0)

    def _norm(self, x: tf.Tensor) -> L1:
        """Return the norm that this is for x."""
        count = flat(x).shape[1] if self.mean else 1
        if count is None:
            raise InvalidParameter("Given mean=True for samples of any length; expected a fixed number of features.")
        return L1(mad=self.deviations * count)

    def of(self, x: tf.Tensor, known: Known) -> tf.Tensor:
        """Return (batch,)."""
        return self._norm(x).of(x, known)

    def kink(self, x: tf.Tensor) -> tf.Tensor:
        """Return 1 / MAD, like x."""
        return self._norm(x).kink(x)


@attrs.frozen
class Mahalanobis(Cost):
    """``d' S^-1 d, d = x - original``, S the covariance of data: Mahalanobis 1936.

    Args:
        reference: The data, (m, *features), m above the number of features.  None: those of the search.
        ridge: Part of the mean variance that is added to every variance, so that S can be inverted.
    """

    reference: Array | None = attrs.field(default=None, converter=optional(samples))
    ridge: float = attrs.field(default=1e-6, converter=real(minimum=0))

    def of(self, x: tf.Tensor, known: Known) -> tf.Tensor:
        """Return (batch,)."""
        import tensorflow as tf

        away = flat(x - known.original)
        inverse = tf.constant(self._inverse().astype(x.dtype.as_numpy_dtype))
        return tf.reduce_sum(tf.matmul(away, inverse) * away, axis=1)

    def _inverse(self) -> np.ndarray:
        import numpy as np

        reference = need(self)
        rows = reference.data.reshape(reference.shape[0], -1).astype(np.float64)
        covariance = np.atleast_2d(np.cov(rows, rowvar=False))
        covariance += self.ridge * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
        try:
            return np.linalg.inv(covariance)
        except np.linalg.LinAlgError:
            raise InvalidParameter(
                f"Given data of shape {reference.shape} whose covariance has no inverse; give ridge= above "
                f"{self.ridge:g}, or more data."
            ) from None
