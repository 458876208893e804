"""Relevance through products and through normalization by a sample's own statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from xaicore.protocols import Effort, Relevance
from xaicore.values import real
from xaicore_lrp.setting import SETTING, WEIGHTED, misfit
from xaicore_lrp.structure import AROUND

if TYPE_CHECKING:
    from collections.abc import Callable

    import tensorflow as tf
    from keras import layers

    from xaicore.inspect.facts import Facts
    from xaicore.protocols import OpCall, Setting

    Backward = Callable[[tf.Tensor], Relevance]


@attrs.frozen
class Gate:
    """``R_signal = R, R_gate = 0`` for y = signal * gate: Arras et al. 2017, "LRP-all", for the gates of an LSTM.

    A gate scales the others: it is broadcast to them, as the weights of channels in squeeze-and-excitation are; or, of
    full size, it comes from an activation that is bounded on both sides (sigmoid, hard sigmoid, softmax, a cut ReLU).
    Where no factor of full size is one, or all are, these get equal parts of R.  A quotient is the product of its
    numerator with a gate; with a constant beside it, one tensor gets all.  In a gated linear unit, ``ops.glu``, the
    second half of the input is the gate.
    """

    setting: ClassVar[Setting] = attrs.evolve(SETTING, applies="product", companions=AROUND)

    def __call__(self, op: OpCall, *inputs: tf.Tensor) -> tuple[tf.Tensor, Backward]:
        """Return the output and relevance: like the output -> Relevance of every input."""
        import tensorflow as tf

        from xaicore.engine.vjp import vjp

        output = op.forward(*inputs)
        if type(op.operation).__name__ == "Glu":
            return output, _to_first_half(op.operation.axis)  # type: ignore[attr-defined]
        divides = "Divide" in type(op.operation).__name__
        gates = tuple(i > 0 for i in range(len(inputs))) if divides else op.facts.gates or (False,) * len(inputs)
        signals = len(gates) - sum(gates)

        def backward(relevance: tf.Tensor) -> Relevance:
            share = relevance / tf.constant(signals, relevance.dtype)

            def to(x: tf.Tensor) -> tf.Tensor:
                # The gradient of a broadcast sums what one number was spread over.
                _, pull = vjp(lambda x: tf.broadcast_to(x, tf.shape(output)), x)
                return pull(share)[0]

            return Relevance(tuple(None if gate else to(x) for x, gate in zip(inputs, gates, strict=True)))

        return output, backward

    def effort(self, facts: Facts) -> Effort:  # noqa: ARG002  # other rules look at them
        """Return a forward pass, and a copy on the way back."""
        return Effort(passes=1, sweeps=1, outputs=0)


def _to_first_half(axis: int) -> Backward:
    def backward(relevance: tf.Tensor) -> Relevance:
        import tensorflow as tf

        return Relevance((tf.concat([relevance, tf.zeros_like(relevance)], axis),))

    return backward


@attrs.frozen
class Bilinear:
    """``R_A = A * (R / y) B^T / 2``, and B the same: Achtibat et al. 2024, proposition 3.3, for y = A B.

    For matrix products, ``Dot`` and ``einsum`` of any number n of tensors, each of which gets an n-th part, in
    proportion to its contributions with the others held fixed.  A factor that comes from an activation bounded on both
    sides, such as the weights of attention, is a gate and gets nothing (Ali et al. 2022); where all are, none is.
    With several constants beside it, one tensor gets all: the z rule of a linear map.  A product with one constant is
    a dense layer, under the rule of those.

    Args:
        stabilizer: Keeps y away from zero; 0 divides, and an exact zero gives zero.
    """

    setting: ClassVar[Setting] = attrs.evolve(WEIGHTED, applies="bilinear", companions=AROUND)

    stabilizer: float = attrs.field(default=0.0, converter=real(minimum=0.0))

    def __call__(self, op: OpCall, *inputs: tf.Tensor) -> tuple[tf.Tensor, Backward]:
        """Return the output and relevance: like the output -> Relevance of every input."""
        import tensorflow as tf

        from xaicore.engine.vjp import vjp
        from xaicore_lrp.stabilizer import divide, kept_back, per_sample

        if getattr(op.operation, "normalize", False):
            raise misfit(op, self, "is for products, and `normalize` divides by the lengths of the factors")
        output, pull = vjp(op.forward, *inputs)
        gates = op.facts.gates or (False,) * len(inputs)

        def backward(relevance: tf.Tensor) -> Relevance:
            share = tf.constant(1 / (len(gates) - sum(gates)), relevance.dtype)
            quotient = divide(relevance, output, self.stabilizer)
            found = zip(inputs, pull(quotient), gates, strict=True)
            shares = tuple(None if gate or slope is None else share * x * slope for x, slope, gate in found)
            if not op.sinks:
                return Relevance(shares)
            back = kept_back(relevance, output, quotient, self.stabilizer)
            return Relevance(shares, {"stabilizer": per_sample(back)})

        return output, backward

    def effort(self, facts: Facts) -> Effort:
        """Return the passes of every factor's gradient, a division and products."""
        return Effort(passes=1 + max(1, len(facts.gates)), sweeps=4)


@attrs.frozen
class SampleNorm:
    """``R_j = x_j sum_k J_kj R_k / y_k``, J the Jacobian of ``y = gamma (x - mean(x)) / s + beta`` with s held fixed.

    The z rule of layer and group normalization, its deviation taken for a constant: Ali et al. 2022, eq. 9.

    Args:
        stabilizer: Keeps y away from zero; 0 divides, and an exact zero gives zero.
    """

    setting: ClassVar[Setting] = attrs.evolve(WEIGHTED, applies="sample_norm", companions=AROUND)

    stabilizer: float = attrs.field(default=0.0, converter=real(minimum=0.0))

    def __call__(self, op: OpCall, *inputs: tf.Tensor) -> tuple[tf.Tensor, Backward]:
        """Return the output and relevance: like the output -> Relevance of the same."""
        import tensorflow as tf

        from xaicore.engine.vjp import vjp
        from xaicore_lrp.stabilizer import divide, kept_back, per_sample

        (x,) = inputs
        layer, output = op.operation, op.forward(x)
        if getattr(layer, "rms_scaling", False):
            raise misfit(op, self, "subtracts the mean, and `rms_scaling` does not divide by the deviation")
        grouped, axes, of_parameters = _axes(layer, x)

        def linear(x: tf.Tensor) -> tf.Tensor:
            """Return the map with the deviation held fixed, without beta."""
            parts = tf.reshape(x, grouped)
            centred = parts - tf.reduce_mean(parts, axes, keepdims=True)
            variance = tf.reduce_mean(tf.square(centred), axes, keepdims=True)
            centred *= tf.stop_gradient(tf.math.rsqrt(variance + tf.constant(layer.epsilon, x.dtype)))
            scaled = tf.reshape(centred, tf.shape(x))
            return scaled * _parameter(layer.gamma, of_parameters, x) if layer.scale else scaled

        _, pull = vjp(linear, x)

        def backward(relevance: tf.Tensor) -> Relevance:
            quotient = divide(relevance, output, self.stabilizer)
            (gradient,) = pull(quotient)
            if not op.sinks:
                return Relevance((x * gradient,))
            shift = _parameter(layer.beta, of_parameters, x) if layer.center else tf.zeros_like(x[:1])
            back = kept_back(relevance, output, quotient, self.stabilizer)
            return Relevance((x * gradient,), {"bias": per_sample(quotient * shift), "stabilizer": per_sample(back)})

        return output, backward

    def effort(self, facts: Facts) -> Effort:  # noqa: ARG002  # other rules look at them
        """Return a gradient's passes, a division and a product."""
        return Effort(passes=3, sweeps=6)


def _axes(layer: layers.Layer, x: tf.Tensor) -> tuple[tf.Tensor, list[int], list[int]]:
    """Return the shape in which statistics are taken, over which axes, and the shape of gamma and beta beside x."""
    import tensorflow as tf

    sizes, rank = tf.unstack(tf.shape(x)), len(x.shape)
    groups = getattr(layer, "groups", None)
    given = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    axes = [axis % rank for axis in given]
    of_parameters = [x.shape[i] if i in axes else 1 for i in range(rank)]
    if groups is None:
        return tf.shape(x), axes, of_parameters
    (axis,) = axes
    grouped = tf.stack([*sizes[:axis], groups, sizes[axis] // groups, *sizes[axis + 1 :]])
    return grouped, [i for i in range(1, rank + 1) if i != axis], of_parameters


def _parameter(value: object, shape: list[int], x: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    return tf.reshape(tf.cast(tf.convert_to_tensor(value), x.dtype), shape)
