"""The error that adaptive integrated gradients state, beside the true one, and what a fixed rule takes for the same.

    python benchmarks/stated_error.py [seed]

Prints the table of ``docs/explanation/stated-error.md``.  Networks with random weights and biases, and one that was
trained, in float64;
the true error is that against the midpoint rule with 4096 points, relative to the L1 norm of a sample's attributions.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

import xaicore
from xaicore.testing.models import float64_twin

SAMPLES = 300
PROMISED = 2  # true error over stated error
COLUMNS = (
    "network",
    "tolerance",
    "true error at most twice the stated one",
    "largest ratio",
    "gradients per sample, mean (most)",
    "best fixed rule",
)


def with_biases(model: keras.Model, scale: float) -> keras.Model:
    """Give biases of both signs: without any, a ReLU network is linear along every line from zero."""
    random = np.random.default_rng(3)
    for variable in model.weights:
        if variable.name == "bias":
            variable.assign(scale * random.normal(size=variable.shape))
    return float64_twin(model)


def convolutions(activation: str) -> keras.Model:
    """Return three convolutions, some 4000 activations, and two dense layers."""
    keras.utils.set_random_seed(4)
    hidden = [layers.Conv2D(8, 3, strides=s, activation=activation) for s in (1, 2, 1)]
    end = [layers.Flatten(), layers.Dense(32, activation=activation), layers.Dense(5)]
    return with_biases(keras.Sequential([keras.Input((14, 14, 3)), *hidden, *end]), 0.2)


def pooling(activation: str) -> keras.Model:
    """Return two convolutions with max-pooling behind each."""
    keras.utils.set_random_seed(5)
    first = [layers.Conv2D(8, 3, activation=activation), layers.MaxPooling2D()]
    then = [layers.Conv2D(16, 3, activation=activation), layers.GlobalMaxPooling2D(), layers.Dense(5)]
    return with_biases(keras.Sequential([keras.Input((16, 16, 1)), *first, *then]), 0.2)


def table(activation: str) -> keras.Model:
    """Return 20-32-16-2: few kinks on a path."""
    keras.utils.set_random_seed(6)
    hidden = [layers.Dense(n, activation=activation) for n in (32, 16)]
    return with_biases(keras.Sequential([keras.Input((20,)), *hidden, layers.Dense(2)]), 0.3)


def few(activation: str) -> keras.Model:
    """Return 6-12-6-5: so few kinks on a path that nothing averages out."""
    keras.utils.set_random_seed(32)
    hidden = [layers.Dense(n, activation=activation) for n in (12, 6)]
    return with_biases(keras.Sequential([keras.Input((6,)), *hidden, layers.Dense(5)]), 0.3)


def trained(activation: str) -> keras.Model:
    """Return 10-48-24-4, trained on three thousand made-up rows."""
    keras.utils.set_random_seed(9)
    x = np.random.default_rng(9).normal(size=(3000, 10))
    y = 2 * (x[:, 0] * x[:, 1] > 0) + (x[:, 2] + x[:, 3] ** 2 > 1)
    hidden = [layers.Dense(n, activation=activation) for n in (48, 24)]
    model = keras.Sequential([keras.Input((10,)), *hidden, layers.Dense(4)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, epochs=8, verbose=0)
    return float64_twin(model)


CASES = (
    *(
        (make, "relu", tolerance)
        for make in (convolutions, pooling, table, trained, few)
        for tolerance in (2e-2, 1e-2, 5e-3)
    ),
    *((make, activation, 1e-3) for make in (convolutions, table) for activation in ("gelu", "tanh")),
)


def size(a: np.ndarray) -> np.ndarray:
    """Return the L1 norm of each sample."""
    return np.abs(a).sum(tuple(range(1, a.ndim)))


def rows(seed: int) -> Iterator[str]:
    """Yield the lines of the table."""
    for number, (make, activation, tolerance) in enumerate(CASES):
        model = make(activation)
        x = np.random.default_rng([seed, number]).normal(size=(SAMPLES, *model.input_shape[1:]))
        reference = xaicore.explain("ig.riemann_middle(n_steps=4096)", model, x, 1, batch_size=100).attributions

        def true(found: xaicore.Explanation, reference: np.ndarray = reference) -> np.ndarray:
            return size(found.attributions - reference) / size(reference)

        found = xaicore.explain(f"ig.adaptive(tolerance={tolerance})", model, x, 1, batch_size=100)
        ratio = true(found) / found.error
        fixed = (
            n
            for n in range(8, 512, 8)
            if true(xaicore.explain(f"ig.riemann_middle(n_steps={n})", model, x, 1, batch_size=100)).max() <= tolerance
        )
        within = f"{100 * (ratio <= PROMISED).mean():.1f} % | {ratio.max():.2f}"
        taken = f"{found.steps.mean():.1f} ({found.steps.max()}) | {next(fixed, 'above 504')}"
        yield f"| {make.__name__}, {activation} | {tolerance:g} | {within} | {taken} |"


if __name__ == "__main__":
    warnings.simplefilter("ignore", xaicore.errors.ToleranceWarning)  # the table tells of samples with the most points
    print("|", " | ".join(COLUMNS), "|")
    print("|---" * len(COLUMNS) + "|")
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else 2):
        print(row, flush=True)
