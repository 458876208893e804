"""Models for the battery, and the float64 twin of a model, which is the oracle of its numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras
import numpy as np
from keras import layers


def randomise(model: keras.Model, seed: int = 0) -> keras.Model:
    """Give a model weights with biases of both signs: zero biases would hide what happens to them."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        name, shape = variable.path.rsplit("/", 1)[-1], tuple(variable.shape)
        if name in {"gamma", "moving_variance"}:
            value = random.uniform(0.5, 1.5, size=shape)
        elif name in {"bias", "beta", "moving_mean"}:
            value = 0.2 * random.normal(size=shape)
        else:
            value = random.normal(size=shape) / np.sqrt(max(1, int(np.prod(shape[:-1]))))
        variable.assign(value)
    return model


def convolutional() -> keras.Model:
    """Convolution, batch normalisation, pooling, a residual add, a softmax head."""
    x = keras.Input((8, 8, 3), name="image")
    y = layers.Conv2D(6, 3, padding="same", activation="relu", name="conv1")(x)
    z = layers.BatchNormalization(name="norm")(layers.Conv2D(6, 3, padding="same", name="conv2")(y))
    y = layers.Add(name="add")([y, layers.ReLU(name="relu")(z)])
    y = layers.AveragePooling2D(2, name="pool")(layers.MaxPooling2D(2, name="max")(y))
    y = layers.Dense(7, activation="relu", name="dense")(layers.Flatten(name="flatten")(y))
    return randomise(keras.Model(x, layers.Dense(4, activation="softmax", name="head")(y), name="convolutional"))


def two_towers() -> keras.Model:
    """Two inputs of different shape through nested models, one of them called twice, a sigmoid head."""
    tower_in = keras.Input((6, 2))
    tower_out = layers.GlobalAveragePooling1D()(layers.Conv1D(5, 3, activation="relu")(tower_in))
    tower = keras.Model(tower_in, tower_out, name="tower")
    a, b, c = keras.Input((6, 2), name="a"), keras.Input((6, 2), name="b"), keras.Input((4,), name="c")
    joined = layers.Concatenate()([tower(a), tower(b), layers.Dense(5, activation="relu")(c)])
    return randomise(keras.Model([a, b, c], layers.Dense(3, activation="sigmoid", name="head")(joined), name="towers"))


def pooled() -> keras.Model:
    """Convolutions, global average pooling and one dense layer: a head that some methods ask for."""
    x = keras.Input((8, 8, 3), name="image")
    y = layers.Conv2D(6, 3, padding="same", activation="relu", name="conv1")(x)
    y = layers.BatchNormalization(name="norm")(layers.Conv2D(7, 3, strides=2, use_bias=False, name="conv2")(y))
    y = layers.GlobalAveragePooling2D(name="pool")(layers.ReLU(name="relu")(y))
    return randomise(keras.Model(x, layers.Dense(4, activation="softmax", name="head")(y), name="pooled"))


def gated() -> keras.Model:
    """Products, a gate, layer normalisation and a sum: operations of several inputs, without a kernel of their own."""
    x = keras.Input((6, 4), name="series")
    y = layers.LayerNormalization(name="norm")(x)
    y = layers.Multiply(name="gate")([y, layers.Dense(4, activation="sigmoid", name="open")(x)])
    y = layers.Dot(axes=2, name="products")([x, layers.Add(name="add")([x, y])])
    y = layers.Dense(5, activation="relu", name="dense")(layers.GlobalAveragePooling1D(name="pool")(y))
    return randomise(keras.Model(x, layers.Dense(4, activation="softmax", name="head")(y), name="gated"))


MODELS: Mapping[str, Callable[[], keras.Model]] = {"convolutional": convolutional, "two_towers": two_towers}
# For what refuses all of the above.
SPECIAL: Mapping[str, Callable[[], keras.Model]] = {"pooled": pooled, "gated": gated}


def inputs_of(model: keras.Model, batch: int, seed: int = 1) -> object:
    """Return standard normal inputs in the structure that a Functional model takes."""
    random = np.random.default_rng(seed)
    arrays = [random.normal(size=(batch, *t.shape[1:])).astype(t.dtype) for t in model.inputs]
    return arrays[0] if len(arrays) == 1 else arrays


def rows_of(x: object, rows: slice) -> object:
    """Return some samples of inputs."""
    return keras.tree.map_structure(lambda a: a[rows], x)


def float64_twin(model: keras.Model) -> keras.Model:
    """Return the model in float64: every dtype of its configuration rewritten, the same weights.

    ``clone_model`` under another ``floatx`` would keep the layers' own policies.
    """
    twin = type(model).from_config(_in_float64(model.get_config()))
    twin.set_weights([np.asarray(w, np.float64) for w in model.get_weights()])
    return twin


def _in_float64(config: object) -> object:
    if isinstance(config, dict):
        return {k: _in_float64(v) for k, v in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_in_float64(v) for v in config)
    return "float64" if config == "float32" else config
