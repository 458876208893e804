"""The networks and inputs, made once by Keras 3 and written to one file each, without pickle."""

from __future__ import annotations

import json
import pathlib

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from benchmarks.bench import resnet50, small_cnn, vgg16
from benchmarks.peers import keras_network
from xaicore.inspect.read import read_graph
from xaicore.testing.models import randomise

ROWS = 100  # of the test data, for counterfactuals
# Of the weights of an operation, by their number.
NAMES = {0: (), 2: ("kernel", "bias"), 4: ("gamma", "beta", "mean", "variance")}


def described(layer: keras.Layer) -> dict[str, object]:
    """Return the row that says what a layer is; see ``common.layers_of``."""
    if isinstance(layer, layers.Conv2D):
        row = {"kind": "conv", "padding": layer.padding, "activation": layer.activation.__name__}
        return row if layer.strides == (1, 1) else row | {"strides": layer.strides[0]}
    if isinstance(layer, layers.BatchNormalization):
        return {"kind": "norm", "epsilon": layer.epsilon}
    if isinstance(layer, layers.ZeroPadding2D):
        return {"kind": "pad", "by": layer.padding[0][0]}
    if isinstance(layer, layers.MaxPooling2D) and layer.pool_size != (2, 2):
        return {"kind": "pool", "size": layer.pool_size[0], "strides": layer.strides[0]}
    if isinstance(layer, layers.Dense):
        return {"kind": "dense", "activation": layer.activation.__name__}
    kinds = {
        layers.MaxPooling2D: "pool",
        layers.Flatten: "flatten",
        layers.Activation: "relu",
        layers.Add: "add",
        layers.GlobalAveragePooling2D: "mean",
    }
    return {"kind": kinds[type(layer)]}


def exported(model: keras.Model, x: np.ndarray) -> dict[str, np.ndarray]:
    """Return layers, weights, inputs and outputs of a sequential network."""
    chain = [layer for layer in model.layers if not isinstance(layer, layers.InputLayer)]
    data = {"layers": np.array(json.dumps([described(layer) for layer in chain])), "x": x}
    for i, layer in enumerate(chain):
        if layer.weights:
            data[f"kernel_{i}"], data[f"bias_{i}"] = layer.get_weights()
    return data | {"outputs": model.predict(x, verbose=0)}


def branching(model: keras.Model, x: np.ndarray) -> dict[str, np.ndarray]:
    """Return operations in order, each with the numbers of those that it takes, -1 for the input; weights; outputs."""
    graph = read_graph(model, {})
    place, rows, data = {graph.inputs[0]: -1}, [], {"x": x}
    for i, node in enumerate(graph.nodes):
        rows.append({**described(node.operation), "inputs": [place[key] for key in node.inputs]})
        place[node.outputs[0]] = i
        arrays = node.operation.get_weights()
        data |= {f"{name}_{i}": array for name, array in zip(NAMES[len(arrays)], arrays, strict=True)}
    return data | {"layers": np.array(json.dumps(rows)), "outputs": model.predict(x, verbose=0)}


def images(model: keras.Model, batch: int) -> dict[str, np.ndarray]:
    """Return a network with random weights, random images, and its own gradient on them."""
    randomise(model)
    x = np.random.default_rng(0).random((batch, *model.input_shape[1:]), np.float32)
    chain = isinstance(model, keras.Sequential) or "vgg" in model.name
    written = exported(model, x) if chain else branching(model, x)
    return written | {"gradient": keras_network.gradient(tf, model, x)()}


def table(source: pathlib.Path) -> dict[str, np.ndarray]:
    """Return a multilayer perceptron trained on breast cancer data, test rows, the other class of each; its data.

    The same numbers in every run: seeds are set, and data, order and initial weights follow from them.
    """
    with np.load(source, allow_pickle=False) as archive:
        x, y = archive["x"], archive["y"]
    order = np.random.default_rng(0).permutation(len(x))
    train, test = order[ROWS:], order[:ROWS]
    mean, std = x[train].mean(0), x[train].std(0)
    x = ((x - mean) / std).astype(np.float32)
    keras.utils.set_random_seed(0)
    hidden = [layers.Dense(n, activation="relu") for n in (32, 16)]
    model = keras.Sequential([keras.Input((x.shape[1],)), *hidden, layers.Dense(2, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x[train], y[train], epochs=30, batch_size=32, verbose=0)
    data = exported(model, x[test])
    seen = {"train": x[train], "classes": y[train], "mean": mean, "std": std}
    return data | {"targets": 1 - data["outputs"].argmax(1), **seen}


def write(name: str, folder: pathlib.Path, source: pathlib.Path | None = None) -> pathlib.Path:
    """Write a workload and return the file.  W3 and W4 are one network.  source: the data of W5."""
    path = folder / f"{'W3' if name == 'W4' else name}.npz"
    if not path.exists():
        made = {"W1": lambda: images(vgg16(), 4), "W2": lambda: images(resnet50(), 4), "W5": lambda: table(source)}
        np.savez(path, **made.get(name, lambda: images(small_cnn(), 256))())
    return path
