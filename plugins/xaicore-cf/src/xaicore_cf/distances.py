"""Further costs of a candidate: distances that know the data, margins, and sums by name.

Called as ``cost(x, original=, outputs=, target=) -> (batch,)``; see ``xaicore_cf.costs``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from xaicore.declaration import part
from xaicore.errors import InvalidParameter
from xaicore.values import Array, real
from xaicore_cf.classes import lead
from xaicore_cf.costs import INPUTS, L1, L2, OUTPUTS, Named, NegativeLogLikelihood, flat, kink, reads

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from xaicore.protocols import CostFunction


def _rows(value: Any) -> Array:
    found = value if isinstance(value, Array) else Array(value)
    if not found.shape or not found.shape[0]:
        raise InvalidParameter(f"Given data of shape {found.shape}; expected samples, (m, *features).")
    return found


@attrs.frozen
class Dummy(Named):
    """``0``, with a gradient of zeros: a search that looks for any candidate of the class."""

    reads: ClassVar[frozenset[str]] = INPUTS

    def __call__(self, x: tf.Tensor, *, original: tf.Tensor, outputs: tf.Tensor, target: tf.Tensor) -> tf.Tensor:  # noqa: ARG002  # costs have one signature
        """Return (batch,)."""
        import tensorflow as tf

        return tf.reduce_sum(tf.zeros_like(flat(x)) * flat(x), axis=1)


@attrs.frozen
class ElasticNet(Named):
    """``beta sum_i |d_i| + sum_i d_i^2, d = x - original``: Dhurandhar et al. 2018, eq. 1.

    Args:
        beta: Weight of the L1 part.
    """

    reads: ClassVar[frozenset[str]] = INPUTS

    beta: float = attrs.field(default=0.1, converter=real(minimum=0))

    def __call__(self, x: tf.Tensor, *, original: tf.Tensor, outputs: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        """Return (batch,)."""
        import tensorflow as tf

        known = {"original": original, "outputs": outputs, "target": target}
        return tf.constant(self.beta, x.dtype) * L1()(x, **known) + L2()(x, **known)

    def kink(self, x: tf.Tensor) -> tf.Tensor:
        """Return beta, like x."""
        import tensorflow as tf

        return tf.fill(tf.shape(x), tf.constant(self.beta, x.dtype))


@attrs.frozen
class Lmad(Named):
    """``sum_i |x_i - original_i| / MAD_i``, the deviations taken from data: Wachter et al. 2017, eq. 4.

    ``MAD_i = median_k |X_ki - median_l X_li|``.  A feature that has none, because more than half of the data agree, is
    weighed by 1, and ``without`` holds its index.

    Args:
        reference: The data X, (m, *features).
    """

    reads: ClassVar[frozenset[str]] = INPUTS

    reference: Array = attrs.field(converter=_rows)

    @property
    def mad(self) -> np.ndarray:
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

        rows = self.reference.data.reshape(self.reference.shape[0], -1).astype(np.float64)
        return np.median(np.abs(rows - np.median(rows, axis=0)), axis=0)

    def __call__(self, x: tf.Tensor, *, original: tf.Tensor, outputs: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        """Return (batch,)."""
        return L1(mad=self.mad)(x, original=original, outputs=outputs, target=target)

    def kink(self, x: tf.Tensor) -> tf.Tensor:
        """Return 1 / MAD, like x."""
        return L1(mad=self.mad).kink(x)


@attrs.frozen
class Mahalanobis(Named):
    """``d' S^-1 d, d = x - original``, S the covariance of data: Mahalanobis 1936.

    Args:
        reference: The data, (m, *features), m above the number of features.
        ridge: Part of the mean variance that is added to every variance, so that S can be inverted.
    """

    reads: ClassVar[frozenset[str]] = INPUTS

    reference: Array = attrs.field(converter=_rows)
    ridge: float = attrs.field(default=1e-6, converter=real(minimum=0))

    def __call__(self, x: tf.Tensor, *, original: tf.Tensor, outputs: tf.Tensor, target: tf.Tensor) -> tf.Tensor:  # noqa: ARG002  # costs have one signature
        """Return (batch,)."""
        import tensorflow as tf

        away = flat(x - original)
        inverse = tf.constant(self._inverse().astype(x.dtype.as_numpy_dtype))
        return tf.reduce_sum(tf.matmul(away, inverse) * away, axis=1)

    def _inverse(self) -> np.ndarray:
        import numpy as np

        rows = self.reference.data.reshape(self.reference.shape[0], -1).astype(np.float64)
        covariance = np.atleast_2d(np.cov(rows, rowvar=False))
        covariance += self.ridge * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
        try:
            return np.linalg.inv(covariance)
        except np.linalg.LinAlgError:
            raise InvalidParameter(
                f"Given data of shape {self.reference.shape} whose covariance has no inverse; give ridge= above "
                f"{self.ridge:g}, or more data."
            ) from None


@attrs.frozen
class MinDistance(Named):
    """``min_k |x - X_k|^2``: how far a candidate is from the nearest sample of data; a plausibility.

    Args:
        reference: The data X, (m, *features); best those of the class to reach.
    """

    reads: ClassVar[frozenset[str]] = INPUTS

    reference: Array = attrs.field(converter=_rows)

    def __call__(self, x: tf.Tensor, *, original: tf.Tensor, outputs: tf.Tensor, target: tf.Tensor) -> tf.Tensor:  # noqa: ARG002  # costs have one signature
        """Return (batch,)."""
        import tensorflow as tf

        return tf.reduce_min(squared_distances(x, self.reference), axis=1)


@attrs.frozen
class Prototype(Named):
    """``|x - mean of the n samples of data nearest to x|^2``: Van Looveren and Klaise 2021, eq. 5, in input space.

    Departure: the paper takes the nearest in the space of an autoencoder, or of a k-d tree, as here.

    Args:
        reference: The data, (m, *features); best those of the class to reach.
        n: How many are nearest.
    """

    reads: ClassVar[frozenset[str]] = INPUTS

    reference: Array = attrs.field(converter=_rows)
    n: int = attrs.field(default=5)

    def __attrs_post_init__(self) -> None:
        """Refuse more than there are."""
        if isinstance(self.n, bool) or not isinstance(self.n, int) or not 1 <= self.n <= self.reference.shape[0]:
            raise InvalidParameter(f"Given n={self.n!r}; expected an integer from 1 to {self.reference.shape[0]}.")

    def __call__(self, x: tf.Tensor, *, original: tf.Tensor, outputs: tf.Tensor, target: tf.Tensor) -> tf.Tensor:  # noqa: ARG002  # costs have one signature
        """Return (batch,)."""
        import tensorflow as tf

        distances = tf.stop_gradient(squared_distances(x, self.reference))
        nearest = tf.math.top_k(-distances, self.n).indices
        rows = _constant(self.reference, x)
        return tf.reduce_sum(tf.square(flat(x) - tf.reduce_mean(tf.gather(rows, nearest), axis=1)), axis=1)


@attrs.frozen
class Density(Named):
    """``-log 1/m sum_k exp(-|x - X_k|^2 / (2 h^2))``, a Gaussian kernel density without its constant: Parzen 1962.

    Args:
        reference: The data X, (m, *features); best those of the class to reach.
        bandwidth: h, in units of the input.
    """

    reads: ClassVar[frozenset[str]] = INPUTS

    reference: Array = attrs.field(converter=_rows)
    bandwidth: float = attrs.field(default=1.0, converter=real(above=0))

    def __call__(self, x: tf.Tensor, *, original: tf.Tensor, outputs: tf.Tensor, target: tf.Tensor) -> tf.Tensor:  # noqa: ARG002  # costs have one signature
        """Return (batch,)."""
        import math

        import tensorflow as tf

        exponents = -squared_distances(x, self.reference) / tf.constant(2 * self.bandwidth**2, x.dtype)
        return tf.constant(math.log(self.reference.shape[0]), x.dtype) - tf.reduce_logsumexp(exponents, axis=1)


@attrs.frozen
class Hinge(Named):
    """``max(0, margin - (z_t - max over j other than t of z_j))``: 0 from the margin on, Dhurandhar et al. 2018, eq. 2.

    Args:
        margin: By how much the target's logit has to lead.
    """

    reads: ClassVar[frozenset[str]] = OUTPUTS

    margin: float = attrs.field(default=1.0, converter=real(minimum=0))

    def __call__(self, x: tf.Tensor, *, original: tf.Tensor, outputs: tf.Tensor, target: tf.Tensor) -> tf.Tensor:  # noqa: ARG002  # costs have one signature
        """Return (batch,)."""
        import tensorflow as tf

        return tf.nn.relu(tf.constant(self.margin, outputs.dtype) - lead(outputs, target))


@attrs.frozen
class Regularized(Named):
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
    def reads(self) -> frozenset[str]:
        """What either depends on."""
        return reads(self.penalize_input) | reads(self.penalize_output)

    def __call__(self, x: tf.Tensor, *, original: tf.Tensor, outputs: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        """Return (batch,)."""
        import tensorflow as tf

        known = {"original": original, "outputs": outputs, "target": target}
        first, second = self.penalize_input(x, **known), self.penalize_output(x, **known)
        return tf.constant(self.C, first.dtype) * first + tf.cast(second, first.dtype)

    def kink(self, x: tf.Tensor) -> tf.Tensor | None:
        """Return the first term's slope at the original times C, like x; None where it is smooth."""
        import tensorflow as tf

        slope = kink(self.penalize_input, x)
        return None if slope is None else tf.constant(self.C, x.dtype) * slope


def squared_distances(x: tf.Tensor, reference: Array) -> tf.Tensor:
    """Return ``|x - X_k|^2``, (batch, m)."""
    import tensorflow as tf

    # Differences and not products: those of near points would lose their digits.
    return tf.reduce_sum(tf.square(flat(x)[:, None] - _constant(reference, x)[None]), axis=2)


def _constant(reference: Array, x: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    rows = reference.data.reshape(reference.shape[0], -1)
    features = flat(x).shape[1]
    if features is not None and rows.shape[1] != features:
        raise InvalidParameter(f"Given data of shape {reference.shape} for samples of {features} features.")
    return tf.constant(rows.astype(x.dtype.as_numpy_dtype))
