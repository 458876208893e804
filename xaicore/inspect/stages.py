"""A separable convolution as what it is: two linear stages, depthwise without bias, then pointwise with the bias.

Both stages are ordinary Keras layers that hold the separable layer's own variables,
so that every reader, condition and rule takes them as they come.
"""

from __future__ import annotations

from keras import layers

_STAGES = {
    layers.SeparableConv1D: (layers.ZeroPadding1D, layers.DepthwiseConv1D, layers.Conv1D),
    layers.SeparableConv2D: (layers.ZeroPadding2D, layers.DepthwiseConv2D, layers.Conv2D),
}


def separable_stages(layer: layers.SeparableConv1D | layers.SeparableConv2D) -> tuple[layers.Layer, ...]:
    """Return the stages of a built separable convolution, in order; their names are the ends of their sites."""
    padding, depthwise, pointwise = next(v for k, v in _STAGES.items() if isinstance(layer, k))
    stages = []
    causal = layer.padding == "causal"
    if causal:
        before = layer.dilation_rate[0] * (layer.kernel_size[0] - 1)
        stages.append(padding((before, 0), data_format=layer.data_format, dtype=layer.dtype_policy, name="padding"))
    # Keras' separable convolution takes one stride for all axes, its depthwise layer likewise.
    first = depthwise(
        layer.kernel_size,
        strides=layer.strides,
        padding="valid" if causal else layer.padding,
        depth_multiplier=layer.depth_multiplier,
        data_format=layer.data_format,
        dilation_rate=layer.dilation_rate,
        use_bias=False,
        dtype=layer.dtype_policy,
        name="depthwise",
    )
    first.kernel, first.bias, first.built = layer.depthwise_kernel, None, True
    second = pointwise(
        layer.filters,
        1,
        data_format=layer.data_format,
        activation=layer.activation,
        use_bias=layer.use_bias,
        dtype=layer.dtype_policy,
        name="pointwise",
    )
    second._kernel, second.built = layer.pointwise_kernel, True  # noqa: SLF001  # `kernel` is a property of `_kernel`
    second.bias = layer.bias if layer.use_bias else None
    return (*stages, first, second)
