"""What the planner expects a method to cost, beside what it costs: ratios to the gradient, and memory per sample.

Memory is measured on Linux, in a process of its own for each method: growth of the peak of a second call, from a
batch to one of twice the size, both too large to fit into what building the model left behind.

python benchmarks/estimates.py [--repeats N] [--markdown FILE]
"""

from __future__ import annotations

import argparse
import ctypes
import os
import pathlib
import re
import subprocess
import sys
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import xaicore
from xaicore.testing.models import randomise

SIZE = 96
METHODS = (
    "lrp.epsilon",
    "lrp.zplus",
    "lrp.alpha2beta1",
    "lrp.composite(conv=lrp.alpha1beta0, input=lrp.flat)",
    "smoothgrad(n=4)",
    "ig(n_steps=4)",
    "cam.gradcam",
)


def network(name: str) -> keras.Model:
    """Return a network of keras.applications with random weights, for small pictures and ten classes."""
    build = getattr(keras.applications, name)
    return build(weights=None, input_shape=(SIZE, SIZE, 3), classes=10, classifier_activation=None)  # type: ignore[no-any-return]


def small_cnn() -> keras.Model:
    """Return a convolutional network for 28 x 28 images."""
    from bench import small_cnn as made

    return made()


def tabular_mlp() -> keras.Model:
    """Return a multilayer perceptron for 500 features."""
    from bench import tabular_mlp as made

    return made()


ARCHITECTURES: dict[str, tuple[Callable[[], keras.Model], int]] = {
    "VGG16": (lambda: network("VGG16"), 8),
    "ResNet50": (lambda: network("ResNet50"), 8),
    "DenseNet121": (lambda: network("DenseNet121"), 8),
    "MobileNetV2": (lambda: network("MobileNetV2"), 16),
    "CNN 28x28": (small_cnn, 256),
    "MLP 500": (tabular_mlp, 1024),
}


# How many of these batches a measured peak is of: a small network needs many to grow past what it left behind.
MANY = {"VGG16": 8, "ResNet50": 8, "MobileNetV2": 4, "CNN 28x28": 32}


def rows(name: str, repeats: int) -> list[str]:
    """Return the lines of one architecture."""
    make, batch = ARCHITECTURES[name]
    model = randomise(make())
    x = np.random.default_rng(0).random((batch, *model.input_shape[1:]), np.float32)
    analyzers = {e: xaicore.get_analyzer(e) for e in ("gradient", *METHODS)}
    if name == "MLP 500":  # neither positions nor convolutions
        analyzers = {e: a for e, a in analyzers.items() if "cam" not in e and "conv" not in e}
    steps = {e: stepped(a, model, batch) for e, a in analyzers.items()}
    for step in steps.values():
        step(x)
    rounds = [{e: timed(step, x) for e, step in steps.items()} for _ in range(repeats)]
    expected = {e: a.plan(model).passes or np.nan for e, a in analyzers.items()}
    lines = []
    for e in analyzers:
        if e != "gradient":
            ratio = float(np.median([r[e] / r["gradient"] for r in rounds]))
            told = expected[e] / expected["gradient"]
            lines.append(f"| {name} | {e} | {told:.2f} | **{ratio:.2f}** | {told / ratio - 1:+.0%} |")
    return lines


def stepped(analyzer: xaicore.AnalyzerBase, model: keras.Model, batch: int) -> Callable[[np.ndarray], object]:
    """Return an analyzer's compiled step on one batch."""
    bound = analyzer.bind(model)
    parsed, ids = bound.parse_target(3, batch), np.arange(batch)
    return lambda x: bound.batch((x,), parsed, ids).attributions[0]


def timed(step: Callable[[np.ndarray], object], x: np.ndarray) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    step(x)
    return time.perf_counter() - start


def memory_row(name: str, expression: str) -> str:
    """Return the line of one method on one architecture: megabytes for each sample, expected and measured."""
    code = f"from estimates import grown; print(*grown({name!r}, {expression!r}))"
    found = subprocess.run(  # noqa: S603  # this file again
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=pathlib.Path(__file__).parent
    )
    told, grew = map(float, found.stdout.split()[-2:])
    return f"| {name} | {expression} | {told / 1e6:.3g} MB | **{grew / 1e6:.3g} MB** | {told / grew - 1:+.0%} |"


def grown(name: str, expression: str) -> tuple[float, float]:
    """Return (bytes for each sample that the plan expects, bytes by which the peak grew for each of a batch)."""
    make, batch = ARCHITECTURES[name]
    model, analyzer = randomise(make()), xaicore.get_analyzer(expression)
    x = np.random.default_rng(0).random((batch * MANY[name], *model.input_shape[1:]), np.float32)
    peaks = []  # of large batches: small ones fit into what building the model left behind
    for rows_here in (x[: len(x) // 2], x):
        step = stepped(analyzer, model, len(rows_here))
        peaks.append(peak(step, rows_here))
    expected = analyzer.plan(model).memory
    return (np.nan if expected is None else expected[1]), (peaks[1] - peaks[0]) / (len(x) // 2)


def peak(step: Callable[[np.ndarray], object], x: np.ndarray) -> int:
    """Return the peak in bytes of the process during a call, the first call apart."""
    own = pathlib.Path("/proc/self")
    step(x)
    ctypes.CDLL(None).malloc_trim(0)  # free memory that the process still holds would hide growth
    (own / "clear_refs").write_text("5", encoding="utf-8")  # the peak starts anew
    step(x)
    (found,) = re.findall(r"VmHWM:\s+(\d+) kB", (own / "status").read_text(encoding="utf-8"))
    return int(found) * 1024


def table(repeats: int) -> str:
    """Return the whole table as Markdown."""
    header = "| architecture | method | expected ratio to gradient | measured | expected to measured |"
    times = [header, "|---|---|---|---|---|", *(line for name in ARCHITECTURES for line in rows(name, repeats)), ""]
    memory = [
        "| architecture | method | expected for each sample | measured | expected to measured |",
        "|---|---|---|---|---|",
        *(memory_row(name, e) for name in MANY for e in ("gradient", *METHODS[:3])),
    ]
    return "\n".join([*times, *memory, ""])


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--markdown", type=pathlib.Path)
    options = parser.parse_args()
    text = table(options.repeats)
    print(text)
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
