"""Costs as ratios to the model's own compiled input gradient: same batch, same run, medians.

    python benchmarks/bench.py [--only TEXT] [--repeats N] [--markdown FILE]

The rows of one workload are run in turn, round after round, so that a slow minute of the machine hits all of them;
a ratio is taken within each round, and the median over the rounds is printed.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import attrs
import keras
import numpy as np
import tensorflow as tf
from keras import layers

import xaicore
from xaicore.testing.models import randomise

# Ratio to the model's own gradient that a method may cost; alpha-beta by workload.
BUDGETS = {
    "gradient": 1.05,
    "gradient.input_times_gradient": 1.05,
    "gradient.guided_backprop": 1.1,
    "lrp.z": 1.15,
    "lrp.epsilon": 1.15,
    "lrp.wsquare": 1.15,
    "lrp.flat": 1.15,
    "lrp.zplus": 1.6,
    "lrp.gamma": 1.6,
    "lrp.composite(conv=lrp.alpha1beta0, input=lrp.flat)": 2.0,
}
SINGLE = (*BUDGETS, "lrp.alpha2beta1")
FOLDED = "lrp.composite(rule=lrp.epsilon, fold=True)"  # a forward pass of the model as it is included
SMOOTH = "smoothgrad(n=16)"
# Budgets of one kind of model alone stand with the workload.
MANY = {"smoothgrad(n=32)": 34.0, "ig(n_steps=50)": 52.0, "cam.gradcam": 1.0}
FLAT = ("smoothgrad(n=32)", "ig(n_steps=50)")  # for vectors, which have no map
OWN = "own gradient"
PASSES = (SMOOTH, "smoothgrad(n=32)", "ig(n_steps=50)")  # methods of many passes
LOOPED = 65  # samples whose copies are more than one pass takes in any workload: a second function, with a loop


@attrs.frozen
class Workload:
    """A model, its input shape, a batch, the methods to time, the budget of alpha-beta, fresh models per first call.

    budgets: of its own, before the general ones.
    """

    name: str
    make: Callable[[], keras.Model]
    shape: tuple[int, ...]
    batch: int
    methods: tuple[str, ...]
    alphabeta: float = 2.5
    fresh: int = 4
    budgets: Mapping[str, float] = attrs.field(factory=dict)


def vgg16() -> keras.Model:
    """VGG16 with random weights, 224 x 224."""
    return keras.applications.VGG16(weights=None, classifier_activation=None)


def resnet50() -> keras.Model:
    """ResNet50 with random weights, 224 x 224."""
    return keras.applications.ResNet50(weights=None, classifier_activation=None)


def small_cnn() -> keras.Model:
    """A convolutional network for 28 x 28 images."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10),
        ]
    )


def tabular_mlp() -> keras.Model:
    """A multilayer perceptron for 500 features."""
    hidden = [layers.Dense(n, activation="relu") for n in (512, 256)]
    return keras.Sequential([keras.Input((500,)), *hidden, layers.Dense(10)])


WORKLOADS = (
    Workload("VGG16, batch 8", vgg16, (224, 224, 3), 8, SINGLE, 2.2, 3),
    Workload("ResNet50, batch 8", resnet50, (224, 224, 3), 8, (*SINGLE, FOLDED), 2.5, 2),
    Workload("CNN 28x28, batch 256", small_cnn, (28, 28, 1), 256, (*SINGLE, SMOOTH, *MANY)),
    Workload("MLP 500, batch 128", tabular_mlp, (500,), 128, (SMOOTH, *FLAT), budgets={"ig(n_steps=50)": 30.0}),
)


def own_gradient(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """Return the model's own compiled gradient of one logit, as a user would write it."""

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)])
    def gradient(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            score = model(x, training=False)[:, 3]
        return tape.gradient(score, x)

    return lambda x: gradient(tf.constant(x)).numpy()


def method(expression: str, model: keras.Model, batch: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return an analyzer's compiled step on one batch."""
    bound = xaicore.get_analyzer(expression).bind(model)
    parsed = bound.parse_target(3, batch)
    ids = np.arange(batch)
    return lambda x: bound.batch((x,), parsed, ids).attributions[0]


def timed(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    function(x)
    return time.perf_counter() - start


def budget(workload: Workload, name: str) -> float:
    """Return the ratio that a method may cost."""
    if name in workload.budgets:
        return workload.budgets[name]
    if name in MANY:
        return MANY[name]
    if name == SMOOTH:
        return 1.06 * 16
    if name == FOLDED:
        return 2.0  # a composite
    return workload.alphabeta if name == "lrp.alpha2beta1" else BUDGETS[name]


def made(name: str, model: keras.Model, batch: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function of a row."""
    return own_gradient(model) if name == OWN else method(name, model, batch)


def tracing(workload: Workload, name: str, x: np.ndarray) -> float:
    """Return the seconds that the first call takes longer than a later one, on a model that nobody called before.

    Few samples, so that the pass itself is short beside the trace, which is the same for larger batches.  The least of
    some fresh models: the first of them also pays for memory and libraries that the process never touched.
    """
    found = []
    for _ in range(workload.fresh):
        model = workload.make()
        start = time.perf_counter()
        function = made(name, model, len(x))
        function(x)
        first = time.perf_counter() - start
        found.append(first - min(timed(function, x) for _ in range(3)))
    return max(min(found), 1e-3)


def run(workload: Workload, repeats: int) -> list[str]:
    """Return the table rows of a workload."""
    model = randomise(workload.make())
    x = np.random.default_rng(0).random((workload.batch, *workload.shape), np.float32)
    functions = {name: made(name, model, workload.batch) for name in (OWN, *workload.methods)}
    for function in functions.values():
        function(x)
    rounds = [{name: timed(f, x) for name, f in functions.items()} for _ in range(repeats)]
    traced = {name: tracing(workload, name, x[:1]) for name in functions}
    looped = {name: tracing(workload, name, x[:LOOPED]) for name in functions if name in PASSES}
    rows = []
    for name in functions:
        ratios = np.array([r[name] / r[OWN] for r in rounds])
        limit = "" if name == OWN else f"{budget(workload, name):.2f}"
        more = f" ({looped[name] / traced[OWN]:.1f} for {LOOPED} samples)" if name in looped else ""
        rows.append(
            f"| {workload.name} | {name} | {np.median([r[name] for r in rounds]):.3f} | **{np.median(ratios):.2f}** "
            f"[{ratios.min():.2f}..{ratios.max():.2f}] | {limit} | {traced[name] / traced[OWN]:.1f}{more} |"
        )
    return rows


def table(workloads: Sequence[Workload], repeats: int) -> str:
    """Return the whole table as Markdown."""
    header = (
        "| workload | method | seconds | ratio to own gradient [min..max] | budget | tracing to own tracing |\n"
        "|---|---|---|---|---|---|"
    )
    rows = [row for workload in workloads for row in run(workload, repeats)]
    versions = f"TensorFlow {tf.__version__}, Keras {keras.__version__}, {os.cpu_count()} cores, {repeats} rounds."
    return "\n".join([versions, "", header, *rows, ""])


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="workloads whose name holds this text")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--markdown", type=pathlib.Path)
    options = parser.parse_args()
    text = table([w for w in WORKLOADS if options.only in w.name], options.repeats)
    print(text)
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
