"""The network in Keras 2 or 3, and its own gradient in TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING

from benchmarks.peers import common

if TYPE_CHECKING:
    import numpy as np


def network(keras: ModuleType, data: common.Arrays) -> object:
    """Build the exported network in Keras 2 or 3."""
    made, arrays = [keras.layers.InputLayer(data["x"].shape[1:])], []
    for i, row in enumerate(common.layers_of(data)):
        made.append(_layer(keras.layers, row, data.get(f"kernel_{i}")))
        arrays += [data[f"{name}_{i}"] for name in ("kernel", "bias") if f"{name}_{i}" in data]
    model = keras.Sequential(made)
    model.set_weights(arrays)
    return model


def _layer(layers: ModuleType, row: Mapping[str, str], kernel: np.ndarray | None) -> object:
    if row["kind"] == "conv":
        return layers.Conv2D(kernel.shape[-1], kernel.shape[:2], padding=row["padding"], activation=row["activation"])
    if row["kind"] == "dense":
        return layers.Dense(kernel.shape[-1], activation=row["activation"])
    return {"pool": layers.MaxPooling2D, "flatten": layers.Flatten}[row["kind"]]()


def gradient(tf: ModuleType, model: Callable[..., object], x: np.ndarray) -> Callable[[], np.ndarray]:
    """Return the model's own compiled gradient of one logit, as a user of TensorFlow would write it."""

    @tf.function(autograph=False)
    def slope(x: object) -> object:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            score = model(x, training=False)[:, common.TARGET]
        return tape.gradient(score, x)

    return lambda: slope(tf.constant(x)).numpy()
