"""One search for all rows beside a search per row, and rows per second: `python benchmarks/counterfactuals.py`."""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import xaicore

ROWS, FEATURES = 500, 30
ALONE = 50  # rows that are searched one by one: the time of 500 is ten times theirs
ITERATIONS = 300
# As many iterations for every row, whatever it meets on the way: no steps are halved.
SEARCH = f"cf(max_iter={ITERATIONS}, patience={ITERATIONS}, halvings=20)"


def network() -> keras.Model:
    """Return the multilayer perceptron 30-32-16-2, weights by its seed."""
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(n, activation="relu") for n in (32, 16)]
    return keras.Sequential([keras.Input((FEATURES,)), *hidden, keras.layers.Dense(2, activation="softmax")])


def seconds(run: Callable[[], object], rounds: int) -> float:
    """Return the median time of some rounds, in seconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    model = network()
    x = np.random.default_rng(0).normal(size=(ROWS, FEATURES)).astype(np.float32)
    analyzer = xaicore.get_analyzer(SEARCH)
    found = analyzer.explain(model, x, "other", batch_size=ROWS, verbose=0)
    analyzer.explain(model, x[:1], "other", verbose=0)
    together = seconds(lambda: analyzer.explain(model, x, "other", batch_size=ROWS, verbose=0), rounds)

    def one_by_one() -> None:
        for i in range(ALONE):
            analyzer.explain(model, x[i : i + 1], "other", verbose=0)

    alone = seconds(one_by_one, rounds) * ROWS / ALONE
    print(f"| MLP 30-32-16-2, {ROWS} rows, at most {ITERATIONS} iterations each | seconds |")
    print("|---|---|")
    print(f"| one call | {together:.2f} |")
    print(f"| {ROWS} calls, from {ALONE} | {alone:.1f} |")
    print(f"\nOne call is {alone / together:.0f} times faster, {ROWS / together:.0f} rows a second;", end=" ")
    print(f"{found.valid.mean():.0%} valid, {np.median(found.iterations):.0f} iterations (median).")


if __name__ == "__main__":
    main()
