"""How one number per sample is read off an output.  Frozen and hashable: equal readers share a trace."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from xaicore.errors import TargetType

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

_VECTORS = 2  # axes of outputs (batch, classes)
_SAID = 200  # characters of another error in one of ours


@attrs.frozen
class Gather:
    """score = outputs[index], an index tuple (batch, rank - 1) per sample."""

    def __call__(self, outputs: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        """Return (batch,)."""
        import tensorflow as tf

        # With the sample as the first index it is one operation; `batch_dims=1` builds forty.
        batch = tf.size(index) if outputs.shape.rank == _VECTORS else tf.shape(outputs)[0]
        samples = tf.expand_dims(tf.range(batch), 1)
        return tf.gather_nd(outputs, tf.concat([samples, index], axis=1))


@attrs.frozen
class Largest:
    """score = max over classes of outputs (batch, classes).  ``Target.anchor`` fixes which class that is."""

    def __call__(self, outputs: tf.Tensor, index: tf.Tensor | None) -> tf.Tensor:  # noqa: ARG002  # readers have one signature
        """Return (batch,)."""
        return Gather()(outputs, self.places(outputs))

    def places(self, outputs: tf.Tensor) -> tf.Tensor:
        """Return where the largest output is, int32 (batch, 1); the first of equal ones."""
        import tensorflow as tf

        return tf.expand_dims(tf.argmax(outputs, axis=-1, output_type=tf.int32), 1)


@attrs.frozen
class Signed:
    """score = plus or minus the one output per sample; index (batch, 1) holds 1 or 0."""

    def __call__(self, outputs: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        """Return (batch,)."""
        import tensorflow as tf

        return tf.reshape(outputs, (-1,)) * tf.cast(2 * index[:, 0] - 1, outputs.dtype)


@attrs.frozen
class Contrast:
    """score = sum of weight * outputs[index] over terms (weight, index), the same for all samples."""

    terms: tuple[tuple[float, tuple[int, ...]], ...]

    def __call__(self, outputs: tf.Tensor, index: tf.Tensor | None) -> tf.Tensor:  # noqa: ARG002  # readers have one signature
        """Return (batch,)."""
        import tensorflow as tf

        parts = [tf.constant(weight, outputs.dtype) * outputs[(slice(None), *place)] for weight, place in self.terms]
        return tf.add_n(parts)


def _identity(function: object) -> tuple[int, ...]:
    """Return what tells functions apart; a bound method is a new object each time it is looked up."""
    owner = getattr(function, "__self__", None)
    return (id(function),) if owner is None else (id(owner), id(getattr(function, "__func__", function)))


@attrs.frozen
class Custom:
    """score = function(outputs).  Compared by identity, so a lambda written anew is traced anew.

    A function that does not take tensors, such as ``lambda p: p.argmax(1)``, is called on the host with the outputs as
    an array; it has to return an index for each sample then, since scores need a gradient.
    """

    function: Callable[[tf.Tensor], tf.Tensor] = attrs.field(eq=_identity)

    def __call__(self, outputs: tf.Tensor, index: tf.Tensor | None) -> tf.Tensor:  # noqa: ARG002  # readers have one signature
        """Return (batch,); what the function returns is checked while it is traced."""
        import tensorflow as tf

        scores = tf.convert_to_tensor(self.function(outputs))
        if not scores.dtype.is_floating or not scores.shape.is_compatible_with([outputs.shape[0]]):
            raise TargetType(
                f"The target function returned {scores.dtype.name} of shape {tuple(scores.shape)} for outputs of shape "
                f"{tuple(outputs.shape)}; expected one float per sample, (batch,), or one index of an output, integers."
            )
        return tf.ensure_shape(scores, [outputs.shape[0]])

    def places(self, outputs: tf.Tensor) -> tf.Tensor | None:
        """Return int32 (batch, 1), where the function gives an index for each sample; None where it gives scores."""
        import tensorflow as tf

        try:
            found = tf.convert_to_tensor(self.function(outputs))
        except Exception as error:  # noqa: BLE001  # whatever a function of arrays does when it is given a tensor
            return self._on_the_host(outputs, error)
        fits = found.dtype.is_integer and found.shape.rank == 1 and outputs.shape.rank == _VECTORS
        return tf.cast(found, tf.int32)[:, None] if fits else None

    def _on_the_host(self, outputs: tf.Tensor, refused: Exception) -> tf.Tensor:
        """Return the indices that the function gives for arrays, int32 (batch, 1)."""
        import tensorflow as tf

        if outputs.shape.rank != _VECTORS:
            raise TargetType(
                f"The target function fails on tensors ({refused}), and outputs of shape {tuple(outputs.shape)} have "
                "no single axis that it could index; write it with TensorFlow's functions, as (batch,) scores."
            ) from refused
        found = tf.numpy_function(functools.partial(_indices, self.function, str(refused)), [outputs], tf.int32)
        return tf.ensure_shape(found, [None])[:, None]


def _indices(function: Callable[[Any], Any], refused: str, outputs: np.ndarray) -> np.ndarray:
    """Return what a function of arrays gives, checked.  Messages of one line: they pass through TensorFlow."""
    import numpy as np

    refused = " ".join(refused.split())[:_SAID]
    try:
        found = np.asarray(function(outputs))
    except Exception as error:
        said = " ".join(str(error).split())[:_SAID]
        raise TargetType(
            f"The target function fails on tensors ({refused}) and on arrays ({said}); expected outputs -> (batch,)."
        ) from error
    if found.dtype.kind not in "iu" or found.shape != outputs.shape[:1]:
        raise TargetType(
            f"The target function fails on tensors ({refused}), and gives {found.dtype} of shape {found.shape} for an "
            f"array of shape {outputs.shape}; expected an index for each sample, or scores by TensorFlow's functions."
        )
    if found.size and not 0 <= found.min() <= found.max() < outputs.shape[1]:
        low, high, last = found.min(), found.max(), outputs.shape[1] - 1
        raise TargetType(f"The target function gives indices from {low} to {high}; expected 0 to {last}.")
    return found.astype(np.int32)


Reader: TypeAlias = "Gather | Largest | Signed | Contrast | Custom"
