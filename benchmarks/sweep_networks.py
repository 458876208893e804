"""Networks of the sweep: seeded random weights, and normalization that was settled on pictures, as training leaves it.

Without that, signals vanish or grow from layer to layer, and a score is made of the last biases alone.
"""

from __future__ import annotations

import sys

import keras
import numpy as np

from xaicore.testing.models import randomise

PICTURES = 16
SHIFTS = {"bias", "beta", "moving_mean"}


def built(name: str, size: int) -> keras.Model:
    """Return an architecture with random weights of both signs, ten classes and a softmax head."""
    return randomise(_made(name, size))


def settled(name: str, size: int) -> keras.Model:
    """Return an architecture whose batch normalization has the mean and the deviation of 16 pictures."""
    model, random = _made(name, size), np.random.default_rng(0)
    for variable in model.trainable_weights:
        kind, shape = _kind(variable), tuple(variable.shape)
        if kind == "gamma":
            value = random.uniform(0.5, 1.5, size=shape)
        elif kind in SHIFTS:
            value = 0.1 * random.normal(size=shape)
        else:
            # He et al. 2015: what rectification halves is made up for.  A depthwise kernel sees one channel.
            seen = shape[:2] if "depthwise" in variable.path and len(shape) == 4 else shape[:-1]  # noqa: PLR2004
            value = random.normal(size=shape) * np.sqrt(2 / max(1, int(np.prod(seen))))
        variable.assign(value)
    _settle(model, pictures(name, size, PICTURES, seed=1))
    return model


def pictures(name: str, size: int, count: int, seed: int) -> np.ndarray:
    """Return patches of colour with noise on them, as the architecture's own preprocessing gives them."""
    random, side = np.random.default_rng(seed), -(-size // 4)
    patches = random.uniform(0, 255, size=(count, 4, 4, 3)).repeat(side, axis=1).repeat(side, axis=2)
    noisy = patches[:, :size, :size] + random.normal(scale=20, size=(count, size, size, 3))
    prepared = sys.modules[getattr(keras.applications, name).__module__].preprocess_input
    return np.asarray(prepared(np.clip(noisy, 0, 255)), np.float32)


def wide_twin(model: keras.Model, name: str, size: int) -> keras.Model:
    """Return the model in float64, with the same weights."""
    keras.config.set_dtype_policy("float64")
    try:
        twin = _made(name, size)
    finally:
        keras.config.set_dtype_policy("float32")
    twin.set_weights([np.asarray(w, np.float64) for w in model.get_weights()])
    return twin


def without_shifts(model: keras.Model) -> keras.Model:
    """Set biases, and what batch normalization subtracts and adds, to zero, in place."""
    for variable in model.weights:
        if _kind(variable) in SHIFTS:
            variable.assign(np.zeros(variable.shape))
    return model


def _made(name: str, size: int) -> keras.Model:
    return getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=10)


def _kind(variable: keras.Variable) -> str:
    return str(variable.path.rsplit("/", 1)[-1])


def _settle(model: keras.Model, x: np.ndarray) -> None:
    """Give every batch normalization the statistics of what reaches it, in one pass."""
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    before = [layer.momentum for layer in norms]
    dropped = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    rates = [layer.rate for layer in dropped]
    for layer in norms:
        layer.momentum = 0.0
    for layer in dropped:
        layer.rate = 0.0
    model(x, training=True)
    for layer, momentum in zip(norms, before, strict=True):
        layer.momentum = momentum
    for layer, rate in zip(dropped, rates, strict=True):
        layer.rate = rate
