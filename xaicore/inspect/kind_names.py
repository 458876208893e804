"""The kinds of operations by the names of Keras's classes: a table that needs no Keras.

Layers are matched by class, so that subclasses count; operations of ``keras.ops`` have no public classes and are
matched by name.
"""

from __future__ import annotations

_RANKS = ("1D", "2D", "3D")


def _ranks(*names: str) -> tuple[str, ...]:
    return tuple(name + rank for name in names for rank in _RANKS)


LAYER_NAMES: dict[str, tuple[str, ...]] = {
    "conv": (
        *_ranks("Conv"),
        *(f"{name}Transpose" for name in _ranks("Conv")),
        *("DepthwiseConv1D", "DepthwiseConv2D"),
    ),
    "dense": ("Dense", "EinsumDense"),
    "norm": ("BatchNormalization",),
    "sample_norm": ("LayerNormalization", "GroupNormalization"),
    "product": ("Multiply",),
    "bilinear": ("Dot",),
    "sum": ("Add", "Average", "Subtract"),
    "average_pooling": _ranks("AveragePooling", "GlobalAveragePooling", "AdaptiveAveragePooling"),
    "max_pooling": _ranks("MaxPooling", "GlobalMaxPooling", "AdaptiveMaxPooling"),
    "softmax": ("Softmax",),
    "activation": ("ReLU", "LeakyReLU", "ELU", "PReLU", "Masking"),
    "identity": (
        *("Identity", "Dropout", "GaussianDropout", "AlphaDropout", "GaussianNoise", "ActivityRegularization"),
        *_ranks("SpatialDropout"),
        # What they do they do in training.
        *(f"Random{what}" for what in ("Brightness", "ColorDegeneration", "ColorJitter", "Contrast", "Flip", "Hue")),
        *(f"Random{what}" for what in ("ElasticTransform", "Erasing", "GaussianBlur", "Grayscale", "Invert")),
        *(f"Random{what}" for what in ("Perspective", "Posterization", "Rotation", "Saturation", "Sharpness")),
        *(f"Random{what}" for what in ("Shear", "Translation", "Zoom")),
        *("AugMix", "CutMix", "MixUp", "RandAugment"),
    ),
    "rescaling": ("Rescaling", "Normalization", "RMSNormalization", "UnitNormalization"),
    "routing": (
        *("Flatten", "Reshape", "Permute", "RepeatVector", "Concatenate", "Maximum", "Minimum", "CenterCrop"),
        *_ranks("ZeroPadding", "Cropping", "UpSampling"),
    ),
    # Those that take the nearest number are of the kind "routing", whatever stands here: see ``kinds.kind``.
    "interpolation": ("Resizing",),
    "embedding": ("Embedding",),
}
# Split into two linear stages, each of the kind "conv".
STAGED = ("SeparableConv1D", "SeparableConv2D")
# Of the kind "dense" where one of their operands is a constant, whatever stands below.
BY_A_CONSTANT = ("Matmul", "Einsum", "Dot", "Tensordot", "Inner")
OPERATION_NAMES: dict[str, str] = {
    **dict.fromkeys(("Add", "Subtract", "Sum"), "sum"),
    **dict.fromkeys(("Multiply", "Divide", "TrueDivide", "Glu"), "product"),
    **dict.fromkeys(("Matmul", "Einsum", "Dot", "Tensordot", "Inner", "Outer", "Vdot"), "bilinear"),
    "Resize": "interpolation",
    **dict.fromkeys(("Maximum", "Minimum"), "routing"),
    "Negative": "rescaling",
    **dict.fromkeys(("Mean", "AveragePool", "AdaptiveAveragePool"), "average_pooling"),
    **dict.fromkeys(("Max", "Amax", "MaxPool", "AdaptiveMaxPool"), "max_pooling"),
    **dict.fromkeys(("Softmax", "LogSoftmax"), "softmax"),
    **dict.fromkeys(("Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Celu", "Gelu", "Silu", "Sigmoid"), "activation"),
    **dict.fromkeys(("HardSigmoid", "HardSilu", "HardTanh", "LogSigmoid", "Softplus", "Softsign"), "activation"),
    **dict.fromkeys(("Tanh", "TanhShrink", "SoftShrink", "HardShrink", "Squareplus", "Threshold"), "activation"),
    **dict.fromkeys(("ReLU", "SparsePlus", "SparseSigmoid", "Sparsemax", "Clip", "StopGradient"), "activation"),
    **dict.fromkeys(("Exp", "Expm1", "Log", "Log1p", "Log2", "Log10", "Square", "Sqrt", "Rsqrt"), "activation"),
    **dict.fromkeys(("Power", "Absolute", "Abs", "Reciprocal", "Erf", "Sin", "Cos", "Arctan"), "activation"),
    **dict.fromkeys(("Reshape", "Ravel", "Transpose", "Moveaxis", "Swapaxes", "Squeeze", "ExpandDims"), "routing"),
    **dict.fromkeys(("Concatenate", "Hstack", "Vstack", "Dstack", "Stack", "Unstack", "Split"), "routing"),
    **dict.fromkeys(("Pad", "GetItem", "Slice", "Take", "Flip", "Fliplr", "Flipud", "Roll", "Rot90"), "routing"),
    **dict.fromkeys(("Tile", "Repeat", "BroadcastTo", "DepthToSpace", "SpaceToDepth"), "routing"),
    **dict.fromkeys(("Cast", "Copy", "ConvertToTensor"), "identity"),
}
