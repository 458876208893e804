"""EfficientNet-Lite0 in Keras, from weights that are named as PyTorch ports of it name them.

Tan and Le 2019, as its authors simplified it for small devices: no squeeze-and-excitation, ReLU6 for swish, stem and
head of fixed width.  A block widens (1x1), filters each channel (depthwise), and narrows (1x1); around a block that
changes neither size nor width runs a skip connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import keras
from keras import layers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np

SIDE = 224
CLASSES = 1000
STEM = 32
HEAD = 1280
EPSILON = 1e-3  # of every BatchNormalization, as in TensorFlow's original; PyTorch's own default is 1e-5
# blocks, kernel, stride of the first block, factor of widening, channels
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


@attrs.frozen
class Block:
    """One block; ``name`` is the beginning of the names of its weights."""

    name: str
    kernel: int
    stride: int
    factor: int
    before: int
    after: int


def blocks() -> Iterator[Block]:
    """Yield the sixteen blocks in order."""
    number, before = 0, STEM
    for count, kernel, stride, factor, after in STAGES:
        for i in range(count):
            yield Block(f"_blocks.{number}.", kernel, stride if i == 0 else 1, factor, before, after)
            number, before = number + 1, after


def build(weights: Mapping[str, np.ndarray]) -> keras.Model:
    """Return the network, (batch, 224, 224, 3) -> (batch, 1000) probabilities, as a functional model.

    A weight that is missing is a KeyError; one of another shape is refused by Keras.
    """
    return _Builder(weights).network()


@attrs.frozen
class _Builder:
    """Adds layers with their weights.  Names of layers are those of the weights, in Keras's alphabet."""

    weights: Mapping[str, np.ndarray]

    def network(self) -> keras.Model:
        x = start = keras.Input((SIDE, SIDE, 3), name="image")
        x = self.convolution(x, "_conv_stem", "_bn0", stride=2)
        for block in blocks():
            x = self.block(x, block)
        x = self.convolution(x, "_conv_head", "_bn1")
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        dense = layers.Dense(CLASSES, name="fc")
        logits = dense(x)
        dense.set_weights([self.weights["_fc.weight"].T, self.weights["_fc.bias"]])
        return keras.Model(start, layers.Softmax(name="softmax")(logits), name="efficientnet_lite0")

    def block(self, x: keras.KerasTensor, block: Block) -> keras.KerasTensor:
        y, name = x, block.name
        if block.factor != 1:
            y = self.convolution(y, f"{name}_expand_conv", f"{name}_bn0")
        y = self.depthwise(y, f"{name}_depthwise_conv", f"{name}_bn1", block)
        y = self.convolution(y, f"{name}_project_conv", f"{name}_bn2", relu=False)
        return layers.Add(name=_name(f"{name}add"))([x, y]) if block.stride == 1 and block.before == block.after else y

    def convolution(
        self, x: keras.KerasTensor, conv: str, norm: str, *, stride: int = 1, relu: bool = True
    ) -> keras.KerasTensor:
        kernel = self.weights[f"{conv}.weight"].transpose(2, 3, 1, 0)  # (out, in, h, w) -> (h, w, in, out)
        layer = layers.Conv2D(kernel.shape[-1], kernel.shape[:2], stride, "same", use_bias=False, name=_name(conv))
        x = layer(x)
        layer.set_weights([kernel])
        return self.normalization(x, norm, relu=relu)

    def depthwise(self, x: keras.KerasTensor, conv: str, norm: str, block: Block) -> keras.KerasTensor:
        kernel = self.weights[f"{conv}.weight"].transpose(2, 3, 0, 1)  # (channels, 1, h, w) -> (h, w, channels, 1)
        layer = layers.DepthwiseConv2D(block.kernel, block.stride, "same", use_bias=False, name=_name(conv))
        x = layer(x)
        layer.set_weights([kernel])
        return self.normalization(x, norm, relu=True)

    def normalization(self, x: keras.KerasTensor, name: str, *, relu: bool) -> keras.KerasTensor:
        layer = layers.BatchNormalization(epsilon=EPSILON, name=_name(name))
        x = layer(x)
        layer.set_weights(
            [self.weights[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]
        )
        return layers.ReLU(max_value=6.0, name=_name(f"{name}_relu"))(x) if relu else x


def _name(weight: str) -> str:
    return weight.strip("_").replace("._", "_").replace(".", "_")
