"""A vision transformer as Keras's own example writes it: subclassed, its batch size read while it runs."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops


class Patches(layers.Layer):
    """Non-overlapping patches, as Keras's example of a vision transformer makes them."""

    def __init__(self, size: int, **more: object) -> None:
        super().__init__(**more)
        self.size = size

    def call(self, images: object) -> object:
        """images: (batch, height, width, channels) -> (batch, patches, numbers of a patch)."""
        batch, height, width, channels = ops.shape(images)
        patches = ops.image.extract_patches(images, size=self.size)
        count = (height // self.size) * (width // self.size)
        return ops.reshape(patches, (batch, count, self.size * self.size * channels))


class PatchEncoder(layers.Layer):
    """A projection of each patch, and an embedding of its place."""

    def __init__(self, count: int, width: int, **more: object) -> None:
        super().__init__(**more)
        self.count = count
        self.projection = layers.Dense(width)
        self.places = layers.Embedding(count, width)

    def call(self, patches: object) -> object:
        """patches: (batch, count, numbers of a patch) -> (batch, count, width)."""
        return self.projection(patches) + self.places(ops.expand_dims(ops.arange(0, self.count, 1), axis=0))


class SubclassedTransformer(keras.Model):
    """A vision transformer with a class token."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.encoder = Patches(4), PatchEncoder(16, 8)
        self.attention, self.norm = layers.MultiHeadAttention(2, 4), layers.LayerNormalization()
        self.head = layers.Dense(4)
        self.token = self.add_weight(shape=(1, 1, 8), name="token")

    def call(self, x: object) -> object:
        """x: (batch, 16, 16, 3) -> (batch, 4)."""
        encoded = self.encoder(self.patches(x))
        token = ops.broadcast_to(self.token, (ops.shape(x)[0], 1, 8))
        encoded = ops.concatenate([token, encoded], axis=1)
        encoded = encoded + self.attention(self.norm(encoded), self.norm(encoded))
        return self.head(encoded[:, 0])


def subclassed_transformer() -> SubclassedTransformer:
    """Return one that has been called."""
    model = SubclassedTransformer()
    model(np.zeros((1, 16, 16, 3), "float32"))
    return model
