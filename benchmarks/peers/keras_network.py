"""The network in Keras 2 or 3, and its own gradient in TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from benchmarks.peers import common

if TYPE_CHECKING:
    import numpy as np


def network(keras: ModuleType, data: common.Arrays) -> object:
    """Build the exported network in Keras 2 or 3."""
    rows = common.layers_of(data)
    if "inputs" in rows[0]:
        return _branching(keras, rows, data)
    made, arrays = [keras.layers.InputLayer(data["x"].shape[1:])], []
    for i, row in enumerate(rows):
        made.append(_layer(keras.layers, row, data.get(f"kernel_{i}")))
        arrays += [data[f"{name}_{i}"] for name in ("kernel", "bias") if f"{name}_{i}" in data]
    model = keras.Sequential(made)
    model.set_weights(arrays)
    return model


def _branching(keras: ModuleType, rows: Sequence[Mapping[str, Any]], data: common.Arrays) -> object:
    x = keras.Input(data["x"].shape[1:])
    found, weighted = {-1: x}, []
    for i, row in enumerate(rows):
        layer = _layer(keras.layers, row, data.get(f"kernel_{i}"))
        given = [found[k] for k in row["inputs"]]
        found[i] = layer(given if len(given) > 1 else given[0])
        names = ("kernel", "bias", "gamma", "beta", "mean", "variance")
        weighted.append((layer, [data[f"{name}_{i}"] for name in names if f"{name}_{i}" in data]))
    model = keras.Model(x, found[len(rows) - 1])
    for layer, arrays in weighted:
        layer.set_weights(arrays)
    return model


def _layer(layers: ModuleType, row: Mapping[str, Any], kernel: np.ndarray | None) -> object:
    if row["kind"] == "conv":
        how = {"padding": row["padding"], "activation": row["activation"], "strides": row.get("strides", 1)}
        return layers.Conv2D(kernel.shape[-1], kernel.shape[:2], **how)
    if row["kind"] == "dense":
        return layers.Dense(kernel.shape[-1], activation=row["activation"])
    if row["kind"] == "pool":
        return layers.MaxPooling2D(row.get("size", 2), strides=row.get("strides"))
    if row["kind"] == "norm":
        return layers.BatchNormalization(epsilon=row["epsilon"])
    if row["kind"] == "pad":
        return layers.ZeroPadding2D(row["by"])
    kinds = {"flatten": layers.Flatten, "add": layers.Add, "mean": layers.GlobalAveragePooling2D}
    return layers.Activation("relu") if row["kind"] == "relu" else kinds[row["kind"]]()


def gradient(tf: ModuleType, model: Callable[..., object], x: np.ndarray) -> Callable[[], np.ndarray]:
    """Return the model's own compiled gradient of one logit, as a user of TensorFlow would write it."""

    @tf.function(autograph=False)
    def slope(x: object) -> object:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            score = model(x, training=False)[:, common.TARGET]
        return tape.gradient(score, x)

    return lambda: slope(tf.constant(x)).numpy()
