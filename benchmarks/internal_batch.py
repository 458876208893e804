"""What a bound on the points that run at once costs: integrated gradients with and without ``internal_batch_size``.

    python benchmarks/internal_batch.py

Prints the table of ``docs/explanation/costs.md``: milliseconds for 50 steps, the median of rounds in which the bounds
take turns, and the largest difference of attributions to those without a bound.
"""

from __future__ import annotations

import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

import xaicore

BOUNDS = (None, 32, 100, 512)
ROUNDS = 7


def table() -> keras.Model:
    """Return 500-512-256-10."""
    hidden = [layers.Dense(n, activation="relu") for n in (512, 256)]
    return keras.Sequential([keras.Input((500,)), *hidden, layers.Dense(10)])


def pictures(size: int) -> keras.Model:
    """Return two convolutions and a dense layer."""
    hidden = [layers.Conv2D(n, 3, activation="relu") for n in (16, 32)]
    end = [layers.GlobalAveragePooling2D(), layers.Dense(10)]
    return keras.Sequential([keras.Input((size, size, 3)), *hidden, *end])


CASES = {
    "table 500, 1 sample": (table, 1),
    "table 500, 128 samples": (table, 128),
    "pictures 28x28, 1 sample": (lambda: pictures(28), 1),
    "pictures 28x28, 32 samples": (lambda: pictures(28), 32),
    "pictures 96x96, 8 samples": (lambda: pictures(96), 8),
}


def row(name: str) -> str:
    """Return a line of the table."""
    make, samples = CASES[name]
    keras.utils.set_random_seed(0)
    model = make()
    x = np.random.default_rng(0).normal(size=(samples, *model.input_shape[1:])).astype("float32")
    methods = [xaicore.get_analyzer("ig", internal_batch_size=bound) for bound in BOUNDS]
    found = [method.explain(model, x, target=1).attributions for method in methods]
    seconds: list[list[float]] = [[] for _ in methods]
    for _ in range(ROUNDS):
        for method, taken in zip(methods, seconds, strict=True):
            start = time.perf_counter()
            method.explain(model, x, target=1)
            taken.append(time.perf_counter() - start)
    difference = max(float(np.abs(one - found[0]).max() / np.abs(found[0]).max()) for one in found[1:])
    times = " | ".join(f"{1000 * statistics.median(taken):.0f}" for taken in seconds)
    return f"| {name} | {times} | {difference:.0e} |"


if __name__ == "__main__":
    print("| model | none |", " | ".join(str(bound) for bound in BOUNDS[1:]), "| largest relative difference |")
    print("|---" * (len(BOUNDS) + 2) + "|")
    for name in CASES:
        print(row(name), flush=True)
